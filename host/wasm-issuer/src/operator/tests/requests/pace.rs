//! What a namespace may have written in a second: where its requests stand can wait, certificates cannot.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use wasm_issuer_core::issuance::condition::READY;
use wasm_issuer_core::issuance::request_kind::RequestKind;
use wasm_issuer_core::issuance::signer::FailureKind;

use super::{Bench, DENIED, annotate, ask, deny, issuer_key};
use crate::api::IssuerKind;
use crate::operator::audit::Audit;
use crate::operator::testing::{Answer, Call, Fault, Object, ScriptedApi, ScriptedSigner, request};

/// How many may be written at once, and in a second.
const AT_ONCE: usize = 5;
const A_SECOND: usize = 20;
const FAILED: &str = "False Failed: Failed permanently to sign CertificateRequest: scripted";

/// An operator with so many requests that all fail for good.
fn failing(count: usize) -> (Bench, Vec<Object>) {
    let (api, signer) = (ScriptedApi::new(), ScriptedSigner::default());
    let requests = fail(&api, &signer, count);
    (Bench::start(&api, &signer), requests)
}

/// The same with a single slot, when each has been asked for.
async fn failing_one_by_one(count: usize) -> (Bench, Vec<Object>) {
    let (api, signer) = (ScriptedApi::new(), ScriptedSigner::default());
    let requests = fail(&api, &signer, count);
    let bench = Bench::start_within(1, &RequestKind::ALL, &api, &signer, Audit::off());
    sleep(Duration::from_millis(20)).await;
    (bench, requests)
}

/// One more request, which the plugin is asked for next and gives this answer.
async fn ask_next(bench: &Bench, name: &str, answer: Answer) -> Object {
    bench.signer.signs(answer);
    let request = bench.ask(name);
    sleep(Duration::from_millis(20)).await;
    request
}

/// So many requests that all fail for good.
fn fail(api: &ScriptedApi, signer: &ScriptedSigner, count: usize) -> Vec<Object> {
    let make = |n: usize| {
        let name = format!("bad-{n}");
        signer.fails(&name, FailureKind::Permanent);
        ask(api, &name)
    };
    (0..count).map(make).collect()
}

/// How many of them say why they failed.
fn told(bench: &Bench, requests: &[Object]) -> usize {
    requests.iter().filter(|request| bench.api.condition(request, READY).as_deref() == Some(FAILED)).count()
}

#[tokio::test(start_paused = true)]
async fn failures_are_written_at_a_pace_and_all_of_them_are() {
    let (bench, requests) = failing(200);
    sleep(Duration::from_millis(500)).await;
    let soon = told(&bench, &requests);
    assert!((AT_ONCE..=AT_ONCE + A_SECOND / 2).contains(&soon), "{soon}");
    sleep(Duration::from_secs(10)).await;
    assert_eq!(told(&bench, &requests), 200);
    // None was asked for a second time because its status had to wait.
    assert_eq!(bench.asked(), 200);
    // Their Events come as they go.
    bench.api.until("their Events", |api| api.events().len() == 200).await;
}

#[tokio::test(start_paused = true)]
async fn a_certificate_waits_for_no_failure_of_its_namespace() {
    let (bench, _) = failing(200);
    sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    let all: Vec<_> = (0..100).map(|n| bench.ask(&format!("web-{n}"))).collect();
    for web in &all {
        bench.until_issued(web).await;
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

/// What was decided before is of no use then.
#[tokio::test(start_paused = true)]
async fn what_is_held_back_is_decided_anew_when_its_request_changes() {
    let (bench, requests) = failing(100);
    let last = requests.last().unwrap();
    sleep(Duration::from_millis(100)).await;
    assert_eq!(bench.api.condition(last, READY), None);
    deny(&bench.api, last);
    bench.until_ready_says(last, DENIED).await;
    assert_eq!(bench.asked(), 100);
}

/// Its turn came while nobody had a slot for it.
#[tokio::test(start_paused = true)]
async fn what_has_changed_by_the_time_that_it_is_written_is_decided_anew() {
    let (bench, requests) = failing_one_by_one(25).await;
    let slow = ask_next(&bench, "slow", Answer::good().after(Duration::from_secs(1))).await;
    let last = requests.last().unwrap();
    assert_eq!((bench.asked(), bench.api.condition(last, READY)), (26, None));
    deny(&bench.api, last);
    bench.until_issued(&slow).await;
    bench.until_ready_says(last, DENIED).await;
}

/// Their CA would make others.
#[tokio::test(start_paused = true)]
async fn orders_that_are_told_again_have_a_pace_and_none_is_asked_for_twice() {
    const ORDERS: usize = 40;
    let (api, signer) = (ScriptedApi::new(), ScriptedSigner::default());
    for n in 0..2 * ORDERS {
        signer.signs(Answer::pending(&format!("order-{n}")));
    }
    let requests: Vec<_> = (0..ORDERS).map(|n| ask(&api, &format!("web-{n}"))).collect();
    let bench = Bench::start(&api, &signer);
    let written = || requests.iter().map(|request| bench.times_written(request)).sum::<usize>();
    bench.api.until("their orders", |_| written() == ORDERS).await;
    bench.api.until("the next ones", |_| written() > ORDERS).await;
    // By now the rest waits.
    sleep(Duration::from_millis(50)).await;
    requests.iter().for_each(|request| annotate(&api, request, "a"));
    sleep(Duration::from_millis(450)).await;
    assert!(written() <= ORDERS + AT_ONCE + A_SECOND * 3 / 4, "{}", written() - ORDERS);
    for request in &requests {
        bench.until_issued(request).await;
    }
    let mut tokens: Vec<_> = signer.tokens().into_iter().flatten().collect();
    tokens.sort();
    tokens.dedup();
    assert_eq!((tokens.len(), bench.asked()), (2 * ORDERS, 3 * ORDERS));
}

/// Its plugin is asked again, and nobody is told what it said before.
#[tokio::test(start_paused = true)]
async fn what_is_held_back_is_decided_anew_when_its_issuer_is_mended() {
    let (bench, _) = failing(60);
    sleep(Duration::from_millis(100)).await;
    bench.signer.signs(Answer::failure(FailureKind::Retry { after: None }));
    let web = bench.ask("web");
    sleep(Duration::from_millis(100)).await;
    assert_eq!((bench.asked(), bench.api.condition(&web, READY)), (61, None));
    let began = Instant::now();
    bench.registry.touched(&issuer_key(IssuerKind::Namespaced));
    bench.until_issued(&web).await;
    assert!(began.elapsed() < Duration::from_millis(600), "{:?}", began.elapsed());
}

/// Also where nobody has a slot for it before it could have been written.
#[tokio::test(start_paused = true)]
async fn what_was_held_back_when_its_issuer_was_mended_is_not_written_later() {
    let (bench, _) = failing_one_by_one(25).await;
    let web = ask_next(&bench, "web", Answer::failure(FailureKind::Retry { after: None })).await;
    ask_next(&bench, "slow", Answer::good().after(Duration::from_secs(2))).await;
    assert_eq!((bench.asked(), bench.times_written(&web)), (27, 0));
    let began = Instant::now();
    bench.registry.touched(&issuer_key(IssuerKind::Namespaced));
    bench.until_issued(&web).await;
    // As soon as `slow` has given its slot back; after a failure that is told it would be a back-off later.
    assert!(began.elapsed() < Duration::from_millis(2500), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn writes_that_are_refused_are_tried_again_at_a_pace() {
    let (api, signer) = (ScriptedApi::new(), ScriptedSigner::default());
    let requests: Vec<_> = (0..200).map(|n| ask(&api, &format!("web-{n}"))).collect();
    for request in &requests {
        api.every(Call::WriteStatus(request.clone()), Fault::Code(403));
    }
    let bench = Bench::start(&api, &signer);
    let writes =
        || requests.iter().map(|request| api.count(&Call::WriteStatus(request.clone()))).sum::<usize>();
    sleep(Duration::from_millis(500)).await;
    assert_eq!(writes(), 200, "each is tried once, at once");
    let mut before = writes();
    for _ in 0..30 {
        sleep(Duration::from_secs(1)).await;
        let now = writes();
        // Their back-off puts some together again.
        assert!(now - before <= 2 * (AT_ONCE + A_SECOND), "{} in a second", now - before);
        before = now;
    }
    api.heal();
    sleep(Duration::from_secs(60)).await;
    for request in &requests {
        bench.until_issued(request).await;
    }
    assert_eq!(bench.asked(), 200);
}

#[tokio::test(start_paused = true)]
async fn what_is_held_back_is_written_when_the_process_stops() {
    let (bench, requests) = failing(100);
    sleep(Duration::from_millis(100)).await;
    assert!(told(&bench, &requests) < 20);
    bench.open.0.send(true).unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(told(&bench, &requests), 100);
}

#[tokio::test(start_paused = true)]
async fn a_failure_waits_for_none_of_another_namespace() {
    let (bench, _) = failing(200);
    sleep(Duration::from_millis(100)).await;
    let (quiet, mut value) = request("quiet");
    value["spec"]["issuerRef"]["kind"] = "WasmClusterIssuer".into();
    bench.signer.fails("quiet", FailureKind::Permanent);
    let quiet = quiet.in_namespace("team-quiet");
    bench.api.put(&quiet, value);
    let began = Instant::now();
    bench.until_ready_says(&quiet, FAILED).await;
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
}
