//! What becomes of CertificateRequests: here when all goes well and when somebody changes them meanwhile.

mod audit;
mod pace;
mod signing_requests;
mod starts;
mod watching;
mod writes;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use wasm_issuer_core::issuance::audit::PluginName;
use wasm_issuer_core::issuance::backoff::Backoff;
use wasm_issuer_core::issuance::condition::{Condition, READY, TRUE};
use wasm_issuer_core::issuance::reason::ConditionReason;
use wasm_issuer_core::issuance::request::RetryPolicy;
use wasm_issuer_core::issuance::request_kind::RequestKind;
use wasm_issuer_core::issuance::signer::FailureKind;
use wasm_issuer_core::issuance::verify::{TrustedCas, Verification};
use wasm_issuer_runtime::{FairBytes, Turns};

use super::bench::ISSUED;
use crate::api::{IssuerKey, IssuerKind};
use crate::operator::audit::Audit;
use crate::operator::events::Events;
use crate::operator::health::Synced;
use crate::operator::leadership::Leadership;
use crate::operator::metrics::Metrics;
use crate::operator::namespaces::Namespaces;
use crate::operator::registry::{Feedback, IssuerEntry, Registry, Serving};
use crate::operator::requests::{Limits, Requests, Signing};
use crate::operator::testing::{
    Answer, Call, Fault, NAMESPACE, Object, ScriptedApi, ScriptedSigner, request,
};

const REQUESTS: &str = "certificaterequests";
const DENIED: &str =
    "False Denied: Detected that the CertificateRequest is denied, so it will never be Ready.";
const WAITS: &str = "False Pending: Failed to sign CertificateRequest, will retry: scripted";
const REST: FailureKind = FailureKind::Retry { after: Some(Duration::from_secs(300)) };

/// The requests' side, with an Issuer of each kind that is ready, `ca`.
struct Bench {
    api: ScriptedApi,
    signer: ScriptedSigner,
    registry: Arc<Registry>,
    running: JoinHandle<()>,
    /// Kept open: the requests' side waits for stop and tells the Issuers what happened.
    open: (watch::Sender<bool>, [mpsc::Receiver<Feedback>; 2]),
}

impl Bench {
    fn start(api: &ScriptedApi, signer: &ScriptedSigner) -> Self {
        Self::start_for(&RequestKind::ALL, api, signer, Audit::off())
    }

    /// One whose decisions are recorded there.
    fn audited(api: &ScriptedApi, signer: &ScriptedSigner, audit: Audit) -> Self {
        Self::start_for(&RequestKind::ALL, api, signer, audit)
    }

    /// For requests of these kinds only.
    fn start_for(
        kinds: &'static [RequestKind],
        api: &ScriptedApi,
        signer: &ScriptedSigner,
        audit: Audit,
    ) -> Self {
        Self::start_within(8, kinds, api, signer, audit)
    }

    /// One that handles so many requests at a time.
    fn start_within(
        total: usize,
        kinds: &'static [RequestKind],
        api: &ScriptedApi,
        signer: &ScriptedSigner,
        audit: Audit,
    ) -> Self {
        let (registry, changes) = Registry::new();
        let metrics = Arc::new(Metrics::new());
        let (events, _) = Events::start(api.client(), "test".to_owned(), metrics.clone());
        let feedback = IssuerKind::ALL.map(|kind| put_issuer(&registry, kind, signer));
        let synced = Synced::new(&Namespaces::All, kinds);
        synced.mark("WasmIssuer", &None);
        synced.mark("WasmClusterIssuer", &None);
        let turns = Turns::at_a_time(1).unwrap();
        let leadership = Leadership::alone();
        let signing = Signing::new(api.client(), registry.clone(), leadership, events, metrics, audit, turns);
        let limits = Limits { total, per_issuer: total, per_namespace: total };
        let (stop, stopped) = watch::channel(false);
        let memory = FairBytes::new(1 << 20);
        let requests = Requests::new(kinds, Arc::new(signing), synced, limits, memory, Namespaces::All);
        let running = tokio::spawn(requests.run(api.client(), changes, stopped));
        Self { api: api.clone(), signer: signer.clone(), registry, running, open: (stop, feedback) }
    }

    /// With one request, `web`, and these answers of the plugin.
    fn with(answers: impl IntoIterator<Item = Answer>) -> (Self, Object) {
        let (api, signer) = (ScriptedApi::new(), ScriptedSigner::default());
        answers.into_iter().for_each(|answer| signer.signs(answer));
        let web = ask(&api, "web");
        (Self::start(&api, &signer), web)
    }

    /// The process dies, and another one starts.
    async fn restart(self) -> Self {
        self.running.abort();
        let _ = self.running.await;
        Self::start(&self.api, &self.signer)
    }

    /// One more request.
    fn ask(&self, name: &str) -> Object {
        ask(&self.api, name)
    }

    /// How often the plugin was asked to sign.
    fn asked(&self) -> usize {
        self.signer.asked().len()
    }

    /// Somebody annotates a request just before its status is written the next time.
    fn overtake_next_write(&self, object: &Object, note: &str) {
        let (changed, note) = (object.clone(), note.to_owned());
        let overtaken = Fault::overtaken(move |api| annotate(api, &changed, &note));
        self.api.next(Call::WriteStatus(object.clone()), overtaken);
    }

    async fn until_issued(&self, object: &Object) {
        self.until_ready_says(object, ISSUED).await;
    }

    async fn until_ready_says(&self, object: &Object, what: &str) {
        self.api
            .until(what, |api| api.condition(object, READY).is_some_and(|ready| ready.starts_with(what)))
            .await;
    }

    fn times_written(&self, object: &Object) -> usize {
        self.api.count(&Call::WriteStatus(object.clone()))
    }
}

fn ask(api: &ScriptedApi, name: &str) -> Object {
    let (object, value) = request(name);
    api.put(&object, value);
    object
}

fn issuer_key(kind: IssuerKind) -> IssuerKey {
    let namespace = (kind == IssuerKind::Namespaced).then(|| NAMESPACE.to_owned());
    IssuerKey { kind, namespace, name: "ca".to_owned() }
}

fn put_issuer(registry: &Registry, kind: IssuerKind, signer: &ScriptedSigner) -> mpsc::Receiver<Feedback> {
    let (feedback, news) = mpsc::channel(8);
    let now = jiff::Timestamp::now();
    let key = issuer_key(kind);
    let serving = Serving {
        signer: Arc::new(signer.clone()),
        plugin: PluginName { sha256: "4f0c".to_owned(), source: "scripted".to_owned() },
        retry: RetryPolicy {
            max_duration: Duration::from_secs(3600),
            backoff: Backoff { min: Duration::from_secs(1), max: Duration::from_secs(60) },
        },
        verification: Verification::default(),
        trusted: TrustedCas::default(),
        kept: Box::new(()),
    };
    let entry = IssuerEntry {
        uid: "issuer".to_owned(),
        generation: 1,
        ready: Some(Condition::new(READY, TRUE, ConditionReason::Checked, "", now).observing(1)),
        serving: Some(Arc::new(serving)),
        feedback,
    };
    registry.observe(&key, "issuer", 1, true);
    registry.put(&key, entry);
    news
}

fn annotate(api: &ScriptedApi, object: &Object, value: &str) {
    api.edit(object, |object| object["metadata"]["annotations"] = json!({"note": value}));
}

fn annotate_twice(api: &ScriptedApi, object: &Object) {
    annotate(api, object, "a");
    annotate(api, object, "b");
}

fn deny(api: &ScriptedApi, object: &Object) {
    let denied = json!({"type": "Denied", "status": "True", "reason": "policy"});
    api.edit(object, |value| value["status"]["conditions"].as_array_mut().unwrap().push(denied));
}

fn certificate(api: &ScriptedApi, object: &Object) -> Option<String> {
    let value = api.get(object)?;
    let pem = BASE64_STANDARD.decode(value["status"]["certificate"].as_str()?).unwrap();
    Some(String::from_utf8(pem).unwrap())
}

/// It happens in less than this time.
async fn within(time: Duration, it_happens: impl Future<Output = ()>) {
    let began = Instant::now();
    it_happens.await;
    assert!(began.elapsed() < time, "{:?}", began.elapsed());
}

/// Long enough for every delay that might bring a call that must not come.
async fn a_while() {
    sleep(Duration::from_secs(1200)).await;
}

#[tokio::test(start_paused = true)]
async fn a_certificate_is_one_call_and_one_write() {
    let (bench, web) = Bench::with([Answer::good()]);
    bench.until_issued(&web).await;
    a_while().await;
    assert!(certificate(&bench.api, &web).unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    assert_eq!((bench.asked(), bench.times_written(&web)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_slow_plugin_is_announced() {
    let (bench, web) = Bench::with([Answer::good().after(Duration::from_secs(2))]);
    let began = "Unknown Initializing: wasm-issuer.dev has started reconciling this CertificateRequest";
    bench.until_ready_says(&web, began).await;
    bench.until_issued(&web).await;
    assert_eq!((bench.asked(), bench.times_written(&web)), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_for_its_turn_says_so() {
    let (bench, web) = Bench::with([]);
    bench.until_issued(&web).await;
    for n in 0..8 {
        bench.signer.signs(Answer::good().after(Duration::from_secs(60)));
        bench.ask(&format!("busy-{n}"));
    }
    bench.api.until("a full house", |_| bench.asked() == 5).await;
    let late = bench.ask("late");
    let waits = "Unknown Initializing: wasm-issuer.dev is busy: this CertificateRequest waits for its turn";
    within(Duration::from_secs(1), bench.until_ready_says(&late, waits)).await;
    bench.until_issued(&late).await;
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_ready_was_taken_away_is_tried_at_once() {
    let (bench, web) = Bench::with([Answer::failure(FailureKind::Retry { after: None }), Answer::good()]);
    bench.until_ready_says(&web, WAITS).await;
    bench.api.edit(&web, |value| {
        value["status"]["conditions"].as_array_mut().unwrap().retain(|c| c["type"] != READY);
    });
    within(Duration::from_millis(500), bench.until_issued(&web)).await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_deleted_while_it_was_signed_is_forgotten() {
    let (bench, web) = Bench::with([]);
    let (api, object) = (bench.api.clone(), web.clone());
    bench.signer.signs(Answer::good().meanwhile(move || api.delete(&object)));
    let write = Call::WriteStatus(web.clone());
    bench.api.until("a write", |api| api.count(&write) > 0).await;
    a_while().await;
    assert_eq!((bench.asked(), bench.times_written(&web)), (1, 1));
    assert_eq!(bench.api.events(), [] as [String; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_denied_while_it_is_signed_gets_no_certificate() {
    let (bench, web) = Bench::with([]);
    let (api, object) = (bench.api.clone(), web.clone());
    bench.signer.signs(Answer::good().meanwhile(move || deny(&api, &object)));
    bench.until_ready_says(&web, DENIED).await;
    a_while().await;
    assert_eq!(certificate(&bench.api, &web), None);
    assert_eq!(bench.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_certificate_never_lands_on_another_request_of_the_same_name() {
    let (bench, web) = Bench::with([]);
    let (api, object) = (bench.api.clone(), web.clone());
    let swap = move || {
        let mut twin = api.get(&object).unwrap();
        twin["metadata"] = json!({});
        api.delete(&object);
        api.put(&object, twin);
    };
    bench.signer.signs(Answer::good().meanwhile(swap).after(Duration::from_secs(1)));
    bench.signer.signs(Answer::pending("order-of-the-second"));
    bench.signer.signs(Answer::pending("order-of-the-second").after(Duration::from_secs(1)));
    bench.api.until("three calls", |_| bench.asked() == 3).await;
    assert_eq!(certificate(&bench.api, &web), None, "the first one's certificate");
    let uids: Vec<String> = bench.signer.asked().into_iter().map(|request| request.uid).collect();
    assert_eq!(uids, ["uid-1", "uid-2", "uid-2"]);
    bench.until_issued(&web).await;
}
