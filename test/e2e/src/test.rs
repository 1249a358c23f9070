//! One test: its namespace, and what it does with the API.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt};
use http::HeaderValue;
use http::header::ACCEPT;
use kube::Client;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, WatchEvent, WatchParams};
use kube::core::Request;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::cluster::Cluster;
use crate::object::is;
use crate::signing_request::escaped;
use crate::{Kind, Object, Operator, SOON};

pub(crate) const POLL: Duration = Duration::from_millis(25);

/// A test with a namespace of its own.
pub struct Test {
    /// Speaks as the cluster's admin.
    pub client: Client,
    /// Its namespace. Its cluster-scoped objects have names that begin with it.
    pub namespace: String,
    /// Where the operator and the API server write their logs.
    pub workdir: PathBuf,
}

/// Create or change an object by server-side apply.
pub async fn apply(client: &Client, kind: Kind, namespace: &str, name: &str, mut object: Value) -> Object {
    object["apiVersion"] = kind.api_version().into();
    object["kind"] = kind.name().into();
    object["metadata"]["name"] = name.into();
    let request = Request::new(kind.collection(namespace))
        .patch(name, &PatchParams::apply("e2e").force(), &Patch::Apply(&object))
        .expect("a request");
    match client.request(request).await {
        Ok(object) => Object(object),
        Err(error) => panic!("cannot apply {kind:?} {namespace}/{name}: {error}"),
    }
}

impl Test {
    pub(crate) async fn begin(cluster: &Cluster) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let thread = std::thread::current();
        let name = thread.name().and_then(|n| n.rsplit("::").next()).unwrap_or("test").replace('_', "-");
        let name: String = name.chars().take(45).collect();
        let namespace = format!("{}-{}", name.trim_matches('-'), COUNT.fetch_add(1, Ordering::Relaxed));
        let test = Self { client: cluster.admin.clone(), namespace, workdir: cluster.workdir.clone() };
        test.apply(Kind::Namespace, &test.namespace, json!({})).await;
        test
    }

    /// The same in another namespace, which is made if it is not there.
    pub async fn in_namespace(&self, namespace: &str) -> Self {
        let other = Self {
            client: self.client.clone(),
            namespace: namespace.to_owned(),
            workdir: self.workdir.clone(),
        };
        other.apply(Kind::Namespace, namespace, json!({})).await;
        other
    }

    /// A Secret of type kubernetes.io/tls.
    pub async fn tls_secret(&self, name: &str, certificates: &str, key: &str) -> Object {
        let data = json!({"tls.crt": certificates, "tls.key": key});
        self.apply(Kind::Secret, name, json!({"type": "kubernetes.io/tls", "stringData": data})).await
    }

    /// A ConfigMap with this as the `binaryData` of a key.
    pub async fn config_map(&self, name: &str, key: &str, bytes: &[u8]) -> Object {
        let value = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, bytes);
        self.apply(Kind::ConfigMap, name, json!({"binaryData": {key: value}})).await
    }

    /// So that the operator has no work with what a test leaves behind. A test that failed leaves it for a look.
    pub async fn clean_up(&self) {
        self.delete_all(Kind::CertificateRequest).await;
        self.delete_all(Kind::WasmIssuer).await;
        for kind in [
            Kind::CertificateSigningRequest,
            Kind::WasmClusterIssuer,
            Kind::ClusterRoleBinding,
            Kind::ClusterRole,
        ] {
            for object in self.list(kind).await {
                if object.name().starts_with(&self.namespace) {
                    self.delete(kind, &escaped(object.name())).await;
                }
            }
        }
    }

    /// Delete all objects of a kind in the namespace.
    pub async fn delete_all(&self, kind: Kind) {
        let request = Request::new(kind.collection(&self.namespace))
            .delete_collection(&DeleteParams::default(), &ListParams::default());
        let done = self.client.request::<Value>(request.expect("a request")).await;
        done.unwrap_or_else(|error| panic!("cannot delete all {kind:?} of {}: {error}", self.namespace));
    }

    /// [`apply`] in the namespace of the test.
    pub async fn apply(&self, kind: Kind, name: &str, object: Value) -> Object {
        apply(&self.client, kind, &self.namespace, name, object).await
    }

    /// Change an object by a merge patch.
    pub async fn merge(&self, kind: Kind, name: &str, patch: Value) {
        let request = Request::new(kind.collection(&self.namespace))
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .expect("a request");
        let done = self.client.request::<Value>(request).await;
        done.unwrap_or_else(|error| panic!("cannot change {kind:?} {}/{name}: {error}", self.namespace));
    }

    /// An object as it is now, if it is there.
    pub async fn find(&self, kind: Kind, name: &str) -> Option<Object> {
        let request = Request::new(kind.collection(&self.namespace)).get(name, &Default::default());
        match self.client.request(request.expect("a request")).await {
            Ok(object) => Some(Object(object)),
            Err(kube::Error::Api(status)) if status.is_not_found() => None,
            Err(error) => panic!("cannot read {kind:?} {}/{name}: {error}", self.namespace),
        }
    }

    /// An object as it is now; it must be there.
    pub async fn get(&self, kind: Kind, name: &str) -> Object {
        let found = self.find(kind, name).await;
        found.unwrap_or_else(|| panic!("there is no {kind:?} {}/{name}", self.namespace))
    }

    /// What `kubectl get` prints of an object: the columns that it shows without `-o wide`, by their names.
    pub async fn columns(&self, kind: Kind, name: &str) -> BTreeMap<String, String> {
        let mut request = Request::new(kind.collection(&self.namespace)).get(name, &Default::default());
        let table = HeaderValue::from_static("application/json;as=Table;v=v1;g=meta.k8s.io");
        request.as_mut().expect("a request").headers_mut().insert(ACCEPT, table);
        let table: Value = self.client.request(request.expect("a request")).await.expect("a table");
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let cells = list(&table["rows"][0]["cells"]);
        let columns = list(&table["columnDefinitions"]).into_iter().zip(cells);
        let shown = columns.filter(|(column, _)| column["priority"] == 0);
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        shown.map(|(column, cell)| (text(&column["name"]), text(&cell))).collect()
    }

    /// All objects of a kind in the namespace.
    pub async fn list(&self, kind: Kind) -> Vec<Object> {
        let request = Request::new(kind.collection(&self.namespace)).list(&ListParams::default());
        let list: Value = self.client.request(request.expect("a request")).await.expect("a list");
        list["items"].as_array().into_iter().flatten().cloned().map(Object).collect()
    }

    /// Delete an object; it must be there.
    pub async fn delete(&self, kind: Kind, name: &str) {
        let request = Request::new(kind.collection(&self.namespace)).delete(name, &DeleteParams::default());
        let done = self.client.request::<Value>(request.expect("a request")).await;
        done.unwrap_or_else(|error| panic!("cannot delete {kind:?} {}/{name}: {error}", self.namespace));
    }

    /// The changes of an object after a version of it, or of all objects if it has no name, until the stream is dropped.
    pub async fn changes(
        &self,
        kind: Kind,
        name: &str,
        version: &str,
    ) -> impl Stream<Item = WatchEvent<Value>> + use<> {
        let mut params = WatchParams::default();
        if !name.is_empty() {
            params = params.fields(&format!("metadata.name={name}"));
        }
        let request =
            Request::new(kind.collection(&self.namespace)).watch(&params, version).expect("a request");
        let events = self.client.request_events::<Value>(request).await.expect("a watch");
        events.map(|event| event.expect("a watch event")).boxed()
    }

    /// How often an object changes after a version of it, within a time.
    pub async fn count_changes(&self, kind: Kind, name: &str, version: &str, time: Duration) -> usize {
        let changes = self.changes(kind, name, version).await;
        changes
            .take_until(sleep(time))
            .filter(|e| std::future::ready(matches!(e, WatchEvent::Modified(_))))
            .count()
            .await
    }

    /// Wait until an object is as wanted; it may take so long.
    pub async fn wait(
        &self,
        (kind, name): (Kind, &str),
        patience: Duration,
        what: &str,
        is_so: impl Fn(&Object) -> bool,
    ) -> Object {
        let began = Instant::now();
        loop {
            let found = self.find(kind, name).await;
            match found {
                Some(object) if is_so(&object) => return object,
                found if began.elapsed() > patience => {
                    let waited = began.elapsed().as_secs_f64();
                    let report = self.report(kind, name, found.as_ref()).await;
                    panic!("{kind:?} {}/{name}: not {what} after {waited:.1} s\n{report}", self.namespace);
                }
                _ => sleep(POLL).await,
            }
        }
    }

    /// Wait until the Ready condition is this, by [`is`]: `False Pending: the message`.
    pub async fn wait_ready(&self, kind: Kind, name: &str, patience: Duration, ready: &str) -> Object {
        self.wait((kind, name), patience, &format!("Ready={ready:?}"), |object| is(&object.ready(), ready))
            .await
    }

    /// Wait until the Ready condition is something that stays for a while. A request may be told for a moment to wait for
    /// an Issuer that has just become ready.
    pub async fn settled(&self, kind: Kind, name: &str) -> Object {
        let is_settled = |ready: String| {
            !ready.is_empty()
                && !ready.starts_with("Unknown")
                && !ready.starts_with("False Pending: Waiting for issuer")
        };
        self.wait((kind, name), SOON, "settled", |object| is_settled(object.ready())).await
    }

    /// [`Test::settled`], and the Ready condition is this, by [`is`].
    pub async fn settles(&self, kind: Kind, name: &str, ready: &str) -> Object {
        let object = self.settled(kind, name).await;
        assert!(is(&object.ready(), ready), "{kind:?} {name} is\n  {}\nand not\n  {ready}", object.ready());
        object
    }

    /// The Events about an object that this operator reported, `Warning PermanentError SyncFailed: the note`.
    pub async fn events(&self, kind: Kind, name: &str) -> Vec<String> {
        let text = |e: &Value| {
            let field = |name: &str| e[name].as_str().unwrap_or_default().to_owned();
            format!("{} {} {}: {}", field("type"), field("reason"), field("action"), field("note"))
        };
        self.raw_events(kind, name).await.iter().map(text).collect()
    }

    async fn raw_events(&self, kind: Kind, name: &str) -> Vec<Value> {
        let namespace = if kind.is_namespaced() { self.namespace.as_str() } else { "default" };
        let request = Request::new(Kind::Event.collection(namespace)).list(&ListParams::default());
        let list: Value = self.client.request(request.expect("a request")).await.expect("a list");
        let is_about = |e: &&Value| {
            e["regarding"]["kind"] == kind.name()
                && e["regarding"]["name"] == name
                && e["reportingController"] == "wasm-issuer.dev"
        };
        list["items"].as_array().into_iter().flatten().filter(is_about).cloned().collect()
    }

    /// How often an Event with that reason was reported about an object.
    pub async fn event_count(&self, kind: Kind, name: &str, reason: &str) -> i64 {
        let all = self.raw_events(kind, name).await;
        let count = |e: &Value| e["series"]["count"].as_i64().unwrap_or(1);
        all.iter().filter(|e| e["reason"] == reason).map(count).sum()
    }

    /// Wait for an Event about an object that is this, by [`is`].
    pub async fn wait_event(&self, kind: Kind, name: &str, event: &str) {
        let began = Instant::now();
        loop {
            let events = self.events(kind, name).await;
            if events.iter().any(|e| is(e, event)) {
                return;
            }
            assert!(
                began.elapsed() < SOON,
                "{kind:?} {name} has no Event\n  {event}\nbut\n  {}",
                events.join("\n  ")
            );
            sleep(POLL).await;
        }
    }

    /// What there is to know about an object that is not as it should be.
    async fn report(&self, kind: Kind, name: &str, object: Option<&Object>) -> String {
        let conditions = object.map_or_else(|| "  (no such object)\n".to_owned(), Object::describe);
        let events: String = self.events(kind, name).await.iter().map(|e| format!("  {e}\n")).collect();
        let log = self.log();
        let from = log.len().saturating_sub(20);
        let log: String = log[from..].iter().map(|line| format!("  {line}\n")).collect();
        format!("conditions:\n{conditions}events:\n{events}the operator's log about this namespace:\n{log}")
    }

    /// The lines of the operator's log that name this namespace.
    pub fn log(&self) -> Vec<String> {
        let log = std::fs::read(Operator::log_file(&self.workdir)).unwrap_or_default();
        let text = String::from_utf8_lossy(&log);
        text.lines().filter(|line| line.contains(&self.namespace)).map(str::to_owned).collect()
    }
}
