//! The neighbour: it means no harm, signs all the while, and notes what it notices.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use cfssl_fixture::Cfssl;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use kube::api::WatchEvent;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use wasm_issuer_e2e::component::signing;
use wasm_issuer_e2e::{Csr, Kind, Object, Operator, SOON, Test, cluster_issuer_ref, issuer_ref};

use crate::rows::{Row, Through};

const REQUEST: Kind = Kind::CertificateRequest;
const READY: &str = "True Checked: Succeeded checking the issuer";
/// How long it waits for anything. What does not come in that time is taken for that long.
const PATIENCE: Duration = Duration::from_secs(60);
/// The request for when the operator was restarted.
const RESTARTED: &str = "restarted";
/// The request for when all is over.
const OVER: &str = "over";
/// Between two Issuers that it makes anew.
const PAUSE: Duration = Duration::from_secs(3);

/// How long the neighbour's requests took, as the one who watches them sees it.
#[derive(Default)]
pub struct Signed {
    /// From the approval to the certificate.
    pub took: Vec<Duration>,
    /// From the approval to the approval: what the API server and this machine take of it, before the operator.
    pub api: Vec<Duration>,
}

/// The neighbour's namespace and what is in there.
pub struct Neighbour {
    t: Test,
    /// A WasmClusterIssuer that it shares with the tenants.
    pub shared: String,
    /// A CA that has to be looked up.
    cfssl: Cfssl,
    csr: Csr,
    samples: usize,
    issuers: Cell<usize>,
}

impl Neighbour {
    pub async fn new(t: &Test, samples: usize) -> Self {
        let shared = format!("{}-shared", t.namespace);
        let neighbour = Self {
            t: t.in_namespace(&format!("{}-neighbour", t.namespace)).await,
            shared,
            cfssl: Cfssl::start(),
            csr: Csr::for_host("a.example"),
            samples,
            issuers: Cell::new(0),
        };
        let t = &neighbour.t;
        let secret = |key: &str, value: String| json!({"stringData": {key: value}});
        t.apply(Kind::Secret, "cfssl-auth", secret("key", neighbour.cfssl.auth_key())).await;
        t.apply(Kind::Secret, "cfssl-ca", secret("ca.crt", neighbour.cfssl.trusted())).await;
        // Checked as often as may be, so that a check that cannot be made shows.
        let spec = json!({"plugin": {"builtin": "in-memory-ca"}, "checkInterval": "10s"});
        t.ready_issuer("good", spec.clone()).await;
        t.apply(Kind::WasmClusterIssuer, &neighbour.shared, json!({"spec": spec})).await;
        t.wait_ready(Kind::WasmClusterIssuer, &neighbour.shared, SOON, READY).await;
        neighbour
    }

    /// So that nothing is done for the first time when the first row is measured.
    pub async fn sign_some(&self) {
        for n in 0..50 {
            self.t.issue(&format!("first-{n}"), issuer_ref("good"), &self.csr, json!({})).await;
        }
    }

    fn issuer(&self, row: &Row) -> (Kind, &str, Value) {
        match row.through {
            Through::Own | Through::Names => (Kind::WasmIssuer, "good", issuer_ref("good")),
            Through::Shared => {
                (Kind::WasmClusterIssuer, self.shared.as_str(), cluster_issuer_ref(&self.shared))
            }
        }
    }

    /// Make the requests of a row; nobody has approved them. Returns a watch of them that has brought them all.
    pub async fn prepare(&self, row: &Row) -> Changes {
        let (.., issuer) = self.issuer(row);
        let make = |request: String| {
            let issuer = issuer.clone();
            async move { drop(self.t.request(&request, issuer, &self.csr, json!({})).await) }
        };
        let requests = (0..self.samples(row)).map(name).chain([RESTARTED, OVER].map(str::to_owned));
        let mut missing: HashSet<_> = requests.collect();
        stream::iter(missing.clone()).for_each_concurrent(16, make).await;
        let mut changes = self.requests().await;
        while !missing.is_empty() {
            missing.remove(&next_change(&mut changes).await.0);
        }
        changes
    }

    fn samples(&self, row: &Row) -> usize {
        row.times * self.samples
    }

    /// Approve the requests one by one, over the time that the row lasts, and note how long each takes. Whatever became of
    /// those before: who waited for each would count a standstill once. `changes` is the watch of [`Self::prepare`].
    pub async fn sign(&self, row: &Row, mut changes: Changes) -> Signed {
        let approved = RefCell::new(HashMap::new());
        let (began, samples) = (Instant::now(), self.samples(row));
        let approving = async {
            for n in 0..samples {
                sleep_until(began + row.lasts.mul_f64(n as f64 / samples as f64)).await;
                approved.borrow_mut().insert(name(n), Instant::now());
                self.t.approve(&name(n)).await;
            }
        };
        let mut signed = Signed::default();
        let mut told = HashSet::new();
        let watching = async {
            while signed.took.len() < samples {
                let (request, is_issued) = next_change(&mut changes).await;
                let mut approved = approved.borrow_mut();
                let Some(took) = approved.get(&request).map(Instant::elapsed) else { continue };
                if is_issued {
                    approved.remove(&request);
                    signed.took.push(took);
                } else if told.insert(request) {
                    signed.api.push(took);
                }
            }
        };
        let both = async { futures::join!(approving, watching) };
        let _ = timeout(row.lasts + PATIENCE, both).await;
        signed.took.extend(approved.take().into_values().map(|since| since.elapsed()));
        signed
    }

    /// Have the API server collect its garbage now, so that its next collection, which takes half a second of its one processor,
    /// does not fall into some row.
    pub async fn collect_garbage(&self) {
        let request =
            http::Request::get("/debug/pprof/heap?gc=1&debug=1").body(Vec::new()).expect("a request");
        let profile = self.t.client.request_text(request).await.expect("the API server's own profile");
        assert!(profile.contains("heap profile"), "{profile}");
    }

    async fn requests(&self) -> Changes {
        self.t.changes(REQUEST, "", "0").await.boxed()
    }

    /// Approve a request, and wait for its certificate; whether it came.
    async fn approve_and_wait(&self, request: &str) -> bool {
        let mut changes = self.requests().await;
        self.t.approve(request).await;
        let issued = async { while next_change(&mut changes).await != (request.to_owned(), true) {} };
        timeout(PATIENCE, issued).await.is_ok()
    }

    /// Make an Issuer with a plugin like no other, again and again; how long each took to be ready.
    pub async fn make_issuers(&self, row: &Row, done: &Cell<bool>) -> Vec<Duration> {
        let mut took = Vec::new();
        while !done.get() {
            let n = self.issuers.replace(self.issuers.get() + 1);
            let (name, began) = (format!("new-{n}"), Instant::now());
            self.t.issuer(&name, self.new_spec(row, &name, n).await).await;
            let is_ready = self.t.wait_ready(Kind::WasmIssuer, &name, 2 * PATIENCE, READY);
            let is_ready = timeout(PATIENCE, is_ready).await;
            took.push(if is_ready.is_ok() { began.elapsed() } else { PATIENCE });
            self.t.delete(Kind::WasmIssuer, &name).await;
            sleep(PAUSE).await;
        }
        took
    }

    async fn new_spec(&self, row: &Row, name: &str, n: usize) -> Value {
        if row.through == Through::Names {
            let url = self.cfssl.multirootca.url().replace("127.0.0.1", "localhost");
            return json!({
                "plugin": {"builtin": "cfssl"},
                "config": {"url": url, "label": "primary"},
                "authSecretName": "cfssl-auth",
                "http": {"allowedHosts": [url], "caBundleSecretName": "cfssl-ca"},
            });
        }
        self.t.config_map(name, "plugin.wasm", &signing("", n)).await;
        json!({"plugin": {"configMap": {"name": name}}})
    }

    /// The version of the Issuer that it signs through.
    pub async fn version(&self, row: &Row) -> String {
        let (kind, name, _) = self.issuer(row);
        self.t.get(kind, name).await.meta("resourceVersion").to_owned()
    }

    /// How often that Issuer was written as anything but ready since this version.
    pub async fn count_unready(&self, row: &Row, version: &str, done: &Cell<bool>) -> usize {
        let (kind, name, _) = self.issuer(row);
        let is_done = async {
            while !done.get() {
                sleep(Duration::from_millis(100)).await;
            }
        };
        let is_unready = |event: &WatchEvent<Value>| match event {
            WatchEvent::Modified(issuer) => !Object(issuer.clone()).ready().starts_with("True"),
            _ => false,
        };
        let changes = self.t.changes(kind, name, version).await.take_until(is_done);
        changes.filter(|event| std::future::ready(is_unready(event))).count().await
    }

    /// Kill the operator and start it; from then to the next certificate.
    pub async fn sign_after_restart(&self, operator: &mut Operator) -> Duration {
        if operator.is_running() {
            operator.kill().await;
        }
        let began = Instant::now();
        let is_issued = operator.try_start().await.is_ok() && self.approve_and_wait(RESTARTED).await;
        if is_issued { began.elapsed() } else { PATIENCE }
    }

    /// Whether all is well again, within a while. Deletes what the row leaves.
    pub async fn recover(&self) -> bool {
        let is_well = self.approve_and_wait(OVER).await;
        self.t.delete_all(REQUEST).await;
        self.t.delete_all(Kind::ConfigMap).await;
        is_well
    }
}

/// What happens to the neighbour's requests.
pub type Changes = BoxStream<'static, WatchEvent<Value>>;

/// The name of a request.
fn name(n: usize) -> String {
    format!("web-{n}")
}

/// The next change of a request: which, and whether it has its certificate.
async fn next_change(changes: &mut Changes) -> (String, bool) {
    loop {
        match changes.next().await.expect("the watch goes on") {
            WatchEvent::Added(request) | WatchEvent::Modified(request) => {
                let name = request["metadata"]["name"].as_str().unwrap_or_default();
                return (name.to_owned(), request["status"]["certificate"].is_string());
            }
            _ => {}
        }
    }
}
