//! What becomes of CertificateRequests when writes conflict, get lost or hang, and after restarts.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use wasm_issuer_core::issuance::backoff::Backoff;
use wasm_issuer_core::issuance::condition::{Condition, READY, TRUE};
use wasm_issuer_core::issuance::request::RetryPolicy;
use wasm_issuer_core::issuance::signer::FailureKind;
use wasm_issuer_core::issuance::verify::{TrustedCas, Verification};

use wasm_issuer_runtime::FairBytes;

use crate::api::{IssuerKey, IssuerKind};
use crate::operator::events::Events;
use crate::operator::health::Synced;
use crate::operator::metrics::Metrics;
use crate::operator::registry::{Feedback, IssuerEntry, Registry, Serving};
use crate::operator::requests::{Limits, Requests, Signing};
use crate::operator::testing::{
    Answer, Call, Fault, NAMESPACE, Object, ScriptedApi, ScriptedSigner, request,
};
use crate::operator::work::Work;

const ISSUED: &str = "True Issued: Succeeded signing the CertificateRequest";
const REQUESTS: &str = "certificaterequests";
const DENIED: &str =
    "False Denied: Detected that the CertificateRequest is denied, so it will never be Ready.";

/// The requests' side, with one Issuer that is ready.
struct Bench {
    api: ScriptedApi,
    signer: ScriptedSigner,
    running: JoinHandle<()>,
    /// Kept open: the requests' side waits for stop and tells the Issuer what happened.
    open: (watch::Sender<bool>, mpsc::Receiver<Feedback>),
}

impl Bench {
    fn start(api: &ScriptedApi, signer: &ScriptedSigner) -> Self {
        let (registry, changes) = Registry::new();
        let metrics = Arc::new(Metrics::new());
        let (events, _) = Events::start(api.client(), "test".to_owned(), metrics.clone());
        let feedback = put_issuer(&registry, signer);
        let synced = Synced::new();
        synced.mark("WasmIssuer");
        synced.mark("WasmClusterIssuer");
        let signing = Signing::new(api.client(), registry, events, metrics, Work::new());
        let limits = Limits { total: 8, per_issuer: 8, per_namespace: 8 };
        let (stop, stopped) = watch::channel(false);
        let requests = Requests::new(Arc::new(signing), synced, limits, FairBytes::new(1 << 20));
        let running = tokio::spawn(requests.run(api.client(), changes, stopped));
        Self { api: api.clone(), signer: signer.clone(), running, open: (stop, feedback) }
    }

    /// With one request, `web`, and these answers of the plugin.
    fn with(answers: impl IntoIterator<Item = Answer>) -> (Self, Object) {
        let (api, signer) = (ScriptedApi::new(), ScriptedSigner::default());
        answers.into_iter().for_each(|answer| signer.signs(answer));
        let (web, value) = request("web");
        api.put(&web, value);
        (Self::start(&api, &signer), web)
    }

    /// The process dies, and another one starts.
    async fn restart(self) -> Self {
        self.running.abort();
        let _ = self.running.await;
        Self::start(&self.api, &self.signer)
    }

    async fn until_ready_says(&self, object: &Object, what: &str) {
        self.api.until(what, |api| api.condition(object, READY).as_deref() == Some(what)).await;
    }

    fn times_written(&self, object: &Object) -> usize {
        self.api.count(&Call::WriteStatus(object.clone()))
    }
}

fn put_issuer(registry: &Registry, signer: &ScriptedSigner) -> mpsc::Receiver<Feedback> {
    let (feedback, news) = mpsc::channel(8);
    let now = jiff::Timestamp::now();
    let key = IssuerKey {
        kind: IssuerKind::Namespaced,
        namespace: Some(NAMESPACE.to_owned()),
        name: "ca".to_owned(),
    };
    let serving = Serving {
        signer: Arc::new(signer.clone()),
        retry: RetryPolicy {
            max_duration: Duration::from_secs(3600),
            backoff: Backoff { min: Duration::from_secs(1), max: Duration::from_secs(60) },
        },
        verification: Verification::default(),
        trusted: TrustedCas::default(),
    };
    let entry = IssuerEntry {
        uid: "issuer".to_owned(),
        generation: 1,
        ready: Some(Condition::new(READY, TRUE, "Checked", "", now).observing(1)),
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

/// Long enough for every delay that might bring a call that must not come.
async fn a_while() {
    sleep(Duration::from_secs(1200)).await;
}

#[tokio::test(start_paused = true)]
async fn a_certificate_is_one_call_and_one_write() {
    let (bench, web) = Bench::with([Answer::good()]);
    bench.until_ready_says(&web, ISSUED).await;
    a_while().await;
    assert!(certificate(&bench.api, &web).unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    assert_eq!((bench.signer.asked().len(), bench.times_written(&web)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_slow_plugin_is_announced() {
    let (bench, web) = Bench::with([Answer::good().after(Duration::from_secs(2))]);
    let began = "Unknown Initializing: wasm-issuer.dev has started reconciling this CertificateRequest";
    bench.until_ready_says(&web, began).await;
    bench.until_ready_says(&web, ISSUED).await;
    assert_eq!((bench.signer.asked().len(), bench.times_written(&web)), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn after_a_conflict_the_certificate_lands_on_the_newer_version() {
    let (bench, web) = Bench::with([Answer::good()]);
    let object = web.clone();
    bench.api.next(Call::WriteStatus(web.clone()), Fault::overtaken(move |api| annotate(api, &object, "a")));
    bench.until_ready_says(&web, ISSUED).await;
    a_while().await;
    assert_eq!(bench.signer.asked().len(), 1, "signing again would leave a second certificate at the CA");
    assert_eq!(bench.times_written(&web), 2);
    assert_eq!(bench.api.get(&web).unwrap()["metadata"]["annotations"]["note"], "a");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_deleted_while_it_was_signed_is_forgotten() {
    let (bench, web) = Bench::with([]);
    let (api, object) = (bench.api.clone(), web.clone());
    bench.signer.signs(Answer::good().meanwhile(move || api.delete(&object)));
    let write = Call::WriteStatus(web.clone());
    bench.api.until("a write", |api| api.count(&write) > 0).await;
    a_while().await;
    assert_eq!((bench.signer.asked().len(), bench.times_written(&web)), (1, 1));
    assert_eq!(bench.api.events(), [] as [String; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_write_without_an_answer_is_repeated() {
    let (bench, web) = Bench::with([Answer::good()]);
    bench.api.next(Call::WriteStatus(web.clone()), Fault::Hang);
    bench.until_ready_says(&web, ISSUED).await;
    a_while().await;
    assert_eq!((bench.signer.asked().len(), bench.times_written(&web)), (1, 2));
    let told = "UnexpectedError: Got an unexpected error while processing the CertificateRequest: the API server did \
                not answer within 30 s";
    assert_eq!(bench.api.events()[0], told);
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_cannot_be_written_is_given_up_after_ten_minutes() {
    let (bench, web) = Bench::with([]);
    bench.api.every(Call::WriteStatus(web.clone()), Fault::Code(403));
    sleep(Duration::from_secs(590)).await;
    assert_eq!(bench.signer.asked().len(), 1);
    bench.api.until("another one", |_| bench.signer.asked().len() == 2).await;
    let gap = bench.signer.times()[1] - bench.signer.times()[0];
    assert!(gap > Duration::from_secs(1200), "{gap:?}: ten minutes of writes, and ten without anything");
    bench.api.heal();
    bench.until_ready_says(&web, ISSUED).await;
    assert_eq!(bench.signer.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_certificate_whose_write_landed_without_an_answer_is_the_only_one() {
    let (bench, web) = Bench::with([Answer::good()]);
    bench.api.hold(REQUESTS);
    bench.api.next(Call::WriteStatus(web.clone()), Fault::AnswerLost);
    bench.until_ready_says(&web, ISSUED).await;
    let first = certificate(&bench.api, &web);
    a_while().await;
    assert_eq!(bench.signer.asked().len(), 1);
    assert_eq!(certificate(&bench.api, &web), first);
}

#[tokio::test(start_paused = true)]
async fn an_order_whose_write_landed_without_an_answer_is_not_made_twice() {
    let (bench, web) = Bench::with([Answer::pending("order-7"), Answer::good()]);
    bench.api.hold(REQUESTS);
    bench.api.next(Call::WriteStatus(web.clone()), Fault::AnswerLost);
    bench.until_ready_says(&web, ISSUED).await;
    assert_eq!(bench.signer.tokens(), [None, Some("order-7".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn an_order_whose_write_conflicts_is_not_made_twice() {
    let (bench, web) = Bench::with([Answer::pending("order-7"), Answer::good()]);
    let object = web.clone();
    bench.api.next(Call::WriteStatus(web.clone()), Fault::overtaken(move |api| annotate(api, &object, "a")));
    bench.until_ready_says(&web, ISSUED).await;
    assert_eq!(bench.signer.tokens(), [None, Some("order-7".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_denied_while_it_is_signed_gets_no_certificate() {
    let (bench, web) = Bench::with([]);
    let (api, object) = (bench.api.clone(), web.clone());
    bench.signer.signs(Answer::good().meanwhile(move || deny(&api, &object)));
    bench.until_ready_says(&web, DENIED).await;
    a_while().await;
    assert_eq!(certificate(&bench.api, &web), None);
    assert_eq!(bench.signer.asked().len(), 1);
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
    bench.api.until("three calls", |_| bench.signer.asked().len() == 3).await;
    assert_eq!(certificate(&bench.api, &web), None, "the first one's certificate");
    let uids: Vec<String> = bench.signer.asked().into_iter().map(|request| request.uid).collect();
    assert_eq!(uids, ["uid-1", "uid-2", "uid-2"]);
    bench.until_ready_says(&web, ISSUED).await;
}

#[tokio::test(start_paused = true)]
async fn a_late_watch_does_not_bring_back_what_is_finished() {
    let (bench, web) = Bench::with([]);
    bench.api.hold(REQUESTS);
    let (api, object) = (bench.api.clone(), web.clone());
    bench.signer.signs(Answer::good().meanwhile(move || annotate_twice(&api, &object)));
    bench.until_ready_says(&web, ISSUED).await;
    // The first annotation, which is older than the certificate, and news.
    bench.api.deliver_next(REQUESTS);
    a_while().await;
    bench.api.release(REQUESTS);
    a_while().await;
    assert_eq!(bench.signer.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_late_watch_does_not_lose_the_token_of_an_order() {
    let (bench, web) = Bench::with([]);
    bench.api.hold(REQUESTS);
    let (api, object) = (bench.api.clone(), web.clone());
    bench.signer.signs(Answer::pending("order-7").meanwhile(move || annotate_twice(&api, &object)));
    bench.until_ready_says(&web, "False Pending: Signing still in progress. Reason: scripted").await;
    // The first annotation, which is older than the token, and news.
    bench.api.deliver_next(REQUESTS);
    bench.until_ready_says(&web, ISSUED).await;
    assert_eq!(bench.signer.tokens(), [None, Some("order-7".to_owned())]);
}

/// What a process finds that starts with a request in this state.
async fn after_a_start(conditions: &[Value], owned: &[&str]) -> (Bench, Object) {
    let (api, signer) = (ScriptedApi::new(), ScriptedSigner::default());
    let (web, mut value) = request("web");
    value["status"]["conditions"].as_array_mut().unwrap().extend(conditions.iter().cloned());
    let keys = owned.iter().map(|type_| (format!("k:{}", json!({"type": type_})), json!({})));
    value["metadata"]["managedFields"] = json!([{
        "manager": "wasm-issuer.dev", "operation": "Apply", "subresource": "status",
        "fieldsV1": {"f:status": {"f:conditions": Value::Object(keys.collect())}},
    }]);
    api.put(&web, value);
    let bench = Bench::start(&api, &signer);
    a_while().await;
    (bench, web)
}

fn ready(status: &str, reason: &str) -> Value {
    json!({"type": READY, "status": status, "reason": reason})
}

#[tokio::test(start_paused = true)]
async fn a_start_signs_what_is_unfinished() {
    for conditions in [vec![], vec![ready("Unknown", "Initializing")], vec![ready("False", "Pending")]] {
        let (bench, web) = after_a_start(&conditions, &[READY]).await;
        assert_eq!(bench.api.condition(&web, READY).as_deref(), Some(ISSUED), "{conditions:?}");
        assert_eq!(bench.signer.tokens(), [None]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_goes_on_with_an_order() {
    let resume = json!({"type": "wasm-issuer.dev/Resume", "status": "True", "message": "order-7"});
    let pending = [ready("False", "Pending"), resume];
    let (bench, web) = after_a_start(&pending, &[READY, "wasm-issuer.dev/Resume"]).await;
    assert_eq!(bench.signer.tokens(), [Some("order-7".to_owned())]);
    assert_eq!(bench.api.condition(&web, READY).as_deref(), Some(ISSUED));
    assert_eq!(bench.api.condition(&web, "wasm-issuer.dev/Resume"), None, "it is of no use any more");
}

#[tokio::test(start_paused = true)]
async fn a_start_leaves_alone_what_is_finished() {
    for (status, reason) in [("True", "Issued"), ("False", "Failed"), ("False", "Denied")] {
        let (bench, web) = after_a_start(&[ready(status, reason)], &[READY]).await;
        assert_eq!((bench.signer.asked().len(), bench.times_written(&web)), (0, 0), "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_while_the_plugin_signs_asks_it_again() {
    let (bench, web) = Bench::with([Answer::good().after(Duration::from_secs(60)), Answer::good()]);
    bench.api.until("the call", |_| bench.signer.asked().len() == 1).await;
    let bench = bench.restart().await;
    bench.until_ready_says(&web, ISSUED).await;
    assert_eq!(bench.signer.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_cannot_be_written_counts_all_the_same() {
    let retry = || Answer::failure(FailureKind::Retry { after: None });
    let (bench, web) = Bench::with([retry(), retry(), Answer::good()]);
    bench.api.next(Call::WriteStatus(web.clone()), Fault::Code(500));
    bench.until_ready_says(&web, ISSUED).await;
    let times = bench.signer.times();
    let gaps: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(gaps.len(), 2);
    assert!(
        gaps[1] >= Duration::from_millis(1600),
        "the delay after the second failure, not the first: {gaps:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_restart_between_the_answer_and_the_write_leaves_one_certificate() {
    let (bench, web) = Bench::with([]);
    bench.api.next(Call::WriteStatus(web.clone()), Fault::Hang);
    let write = Call::WriteStatus(web.clone());
    bench.api.until("the write", |api| api.count(&write) == 1).await;
    let bench = bench.restart().await;
    bench.until_ready_says(&web, ISSUED).await;
    let first = certificate(&bench.api, &web);
    a_while().await;
    assert_eq!(bench.signer.asked().len(), 2, "nothing of the first answer was known to anybody");
    assert_eq!(certificate(&bench.api, &web), first);
}

#[tokio::test(start_paused = true)]
async fn results_that_cannot_be_written_hold_no_slot() {
    let (bench, web) = Bench::with([]);
    bench.until_ready_says(&web, ISSUED).await;
    let names: Vec<String> = (0..40).map(|n| format!("stuck-{n}")).collect();
    for name in &names {
        let (stuck, value) = request(name);
        bench.api.every(Call::WriteStatus(stuck.clone()), Fault::Code(403));
        bench.api.put(&stuck, value);
    }
    bench.api.until("all signed", |_| bench.signer.asked().len() == 41).await;
    for n in 0..10 {
        let (good, value) = request(&format!("good-{n}"));
        bench.api.put(&good, value);
        let began = Instant::now();
        bench.until_ready_says(&good, ISSUED).await;
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        sleep(Duration::from_secs(10)).await;
    }
    bench.api.heal();
    for name in &names {
        bench.until_ready_says(&request(name).0, ISSUED).await;
    }
    assert_eq!(bench.signer.asked().len(), 51, "what was signed was kept");
}

const REST: FailureKind = FailureKind::Retry { after: Some(Duration::from_secs(300)) };

#[tokio::test(start_paused = true)]
async fn a_retry_after_survives_conflicts() {
    let (bench, web) = Bench::with([Answer::failure(REST)]);
    for n in 0..6 {
        let object = web.clone();
        let value = n.to_string();
        let overtaken = Fault::overtaken(move |api| annotate(api, &object, &value));
        bench.api.next(Call::WriteStatus(web.clone()), overtaken);
    }
    bench.until_ready_says(&web, ISSUED).await;
    let times = bench.signer.times();
    assert_eq!(times.len(), 2, "one call, and another when the CA's time is over");
    assert!(times[1] - times[0] >= Duration::from_secs(300));
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_survives_a_restart() {
    let (bench, web) = Bench::with([Answer::failure(REST)]);
    let waits = "False Pending: Failed to sign CertificateRequest, will retry: scripted";
    bench.until_ready_says(&web, waits).await;
    let not_before = bench.api.condition(&web, "wasm-issuer.dev/NotBefore").unwrap();
    let bench = bench.restart().await;
    sleep(Duration::from_secs(200)).await;
    assert_eq!(bench.signer.asked().len(), 1, "{not_before}");
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_ready_was_taken_away_is_tried_at_once() {
    let (bench, web) = Bench::with([Answer::failure(FailureKind::Retry { after: None }), Answer::good()]);
    let waits = "False Pending: Failed to sign CertificateRequest, will retry: scripted";
    bench.until_ready_says(&web, waits).await;
    bench.api.edit(&web, |value| {
        value["status"]["conditions"].as_array_mut().unwrap().retain(|c| c["type"] != READY);
    });
    let began = Instant::now();
    bench.until_ready_says(&web, ISSUED).await;
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_for_its_turn_says_so() {
    let (bench, web) = Bench::with([]);
    bench.until_ready_says(&web, ISSUED).await;
    for n in 0..8 {
        bench.signer.signs(Answer::good().after(Duration::from_secs(60)));
        let (busy, value) = request(&format!("busy-{n}"));
        bench.api.put(&busy, value);
    }
    bench.api.until("a full house", |_| bench.signer.asked().len() == 5).await;
    let (late, value) = request("late");
    bench.api.put(&late, value);
    let waits = "Unknown Initializing: wasm-issuer.dev is busy: this CertificateRequest waits for its turn";
    let began = Instant::now();
    bench.until_ready_says(&late, waits).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    bench.until_ready_says(&late, ISSUED).await;
}

#[tokio::test(start_paused = true)]
async fn a_watch_whose_connection_died_begins_anew_within_thirty_seconds() {
    let (bench, web) = Bench::with([]);
    bench.until_ready_says(&web, ISSUED).await;
    bench.api.die(REQUESTS);
    let (late, value) = request("late");
    bench.api.put(&late, value);
    let began = Instant::now();
    bench.until_ready_says(&late, ISSUED).await;
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_first_certificate_after_an_outage_comes_within_seconds() {
    let (bench, web) = Bench::with([]);
    bench.until_ready_says(&web, ISSUED).await;
    let (late, value) = request("late");
    let watch = Call::Watch(REQUESTS.to_owned());
    bench.api.every(watch.clone(), Fault::Code(500));
    bench.api.die(REQUESTS);
    bench.api.put(&late, value);
    sleep(Duration::from_secs(140)).await;
    // Just after a try that failed: the whole delay is to come.
    let tries = bench.api.count(&watch);
    bench.api.until("one more try", |api| api.count(&watch) > tries).await;
    bench.api.heal();
    let began = Instant::now();
    bench.until_ready_says(&late, ISSUED).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_list_that_fails_is_not_tried_all_the_time() {
    let api = ScriptedApi::new();
    let list = Call::List(REQUESTS.to_owned());
    api.every(list.clone(), Fault::Code(403));
    let _bench = Bench::start(&api, &ScriptedSigner::default());
    sleep(Duration::from_secs(300)).await;
    let tries = api.count(&list);
    assert!((60..120).contains(&tries), "{tries}");
}

#[tokio::test(start_paused = true)]
async fn a_stop_writes_what_could_not_be_written_yet() {
    let (bench, web) = Bench::with([]);
    let (stop, object) = (bench.open.0.clone(), web.clone());
    let overtaken = Fault::overtaken(move |api| {
        annotate(api, &object, "a");
        stop.send_replace(true);
    });
    bench.api.next(Call::WriteStatus(web.clone()), overtaken);
    bench.running.await.unwrap();
    assert_eq!(bench.api.condition(&web, READY).as_deref(), Some(ISSUED));
    assert_eq!(bench.signer.asked().len(), 1);
}
