//! Who is tried again when an Issuer is mended, and who is to blame when signing fails.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};
use wasm_issuer_core::issuance::condition::READY;
use wasm_issuer_core::issuance::signer::FailureKind;

use super::bench::{Bench, CHECKED};
use crate::operator::testing::{Answer, Object};

const HOUR: Duration = Duration::from_secs(3600);
const RETRY: FailureKind = FailureKind::Retry { after: None };
const REST: FailureKind = FailureKind::Retry { after: Some(HOUR) };

/// An operator that is ready, with a request that failed so often that its next try is far away.
async fn in_back_off(kind: FailureKind) -> (Bench, Object) {
    let bench = Bench::whole(|api, ca, _| {
        api.edit(ca, |value| value["spec"]["retry"] = json!({"minBackoff": "1h", "maxBackoff": "1h"}));
    });
    bench.until_says(READY, CHECKED).await;
    bench.plugins.plugin("v1").signs(Answer::failure(kind));
    let web = bench.ask("web");
    bench.api.until("the failure", |api| api.condition(&web, READY).is_some()).await;
    sleep(Duration::from_secs(300)).await;
    assert_eq!(bench.plugins.plugin("v1").asked().len(), 1);
    (bench, web)
}

fn annotate(bench: &Bench) {
    bench.api.edit(&bench.ca, |value| value["metadata"]["annotations"] = json!({"look": "again"}));
}

fn take_ready_away(bench: &Bench) {
    bench.api.edit(&bench.ca, |value| value["status"] = json!({"conditions": []}));
}

fn mend(bench: &Bench) {
    bench.api.edit(&bench.ca, |value| value["spec"]["config"] = json!({"url": "https://other"}));
}

#[tokio::test(start_paused = true)]
async fn a_mended_issuer_wakes_its_requests_whatever_they_wait_for() {
    for kind in [RETRY, REST, FailureKind::Issuer] {
        for touch in [annotate, take_ready_away, mend] {
            let (bench, web) = in_back_off(kind.clone()).await;
            let began = Instant::now();
            touch(&bench);
            bench.until_issued(&web).await;
            assert!(began.elapsed() < Duration::from_secs(2), "{kind:?}: {:?}", began.elapsed());
        }
    }
}

/// Whoever was asked may have been the Issuer as it was before.
#[tokio::test(start_paused = true)]
async fn a_request_whose_issuer_is_mended_while_it_is_signed_is_tried_again_at_once() {
    let bench = Bench::whole(|_, _, _| {});
    bench.until_says(READY, CHECKED).await;
    bench.plugins.plugin("v1").signs(Answer::failure(REST).after(Duration::from_secs(5)));
    let web = bench.ask("web");
    bench.api.until("the call", |_| bench.plugins.plugin("v1").asked().len() == 1).await;
    annotate(&bench);
    let began = Instant::now();
    bench.until_issued(&web).await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

/// The Issuer's check fails until it is not ready, then passes.
async fn go_down_and_come_back(bench: &Bench) {
    for _ in 0..3 {
        bench.plugins.plugin("v1").checks(Answer::failure(RETRY));
    }
    bench.until_says(READY, "False Pending: Not ready yet: scripted").await;
    bench.until_says(READY, CHECKED).await;
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_back_wakes_requests_in_back_off() {
    for kind in [RETRY, FailureKind::Issuer] {
        let (bench, web) = in_back_off(kind).await;
        go_down_and_come_back(&bench).await;
        let began = Instant::now();
        bench.until_issued(&web).await;
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_back_does_not_undercut_a_retry_after() {
    let (bench, web) = in_back_off(REST).await;
    go_down_and_come_back(&bench).await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(bench.plugins.plugin("v1").asked().len(), 1);
    sleep(HOUR).await;
    bench.until_issued(&web).await;
    let times = bench.plugins.plugin("v1").times();
    assert!(times[1] - times[0] >= HOUR);
}

#[tokio::test(start_paused = true)]
async fn one_request_that_blames_its_issuer_stops_nobody_else() {
    let bench = Bench::whole(|_, _, plugins| plugins.plugin("v1").fails("hostile", FailureKind::Issuer));
    bench.until_says(READY, CHECKED).await;
    bench.ask("hostile");
    bench.api.until("a check of the complaint", |_| bench.plugins.plugin("v1").checked() >= 2).await;
    for n in 0..20 {
        let began = Instant::now();
        bench.until_issued(&bench.ask(&format!("good-{n}"))).await;
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        sleep(Duration::from_secs(3)).await;
    }
    assert_eq!(bench.times_written(), 1, "it has been ready all the while");
    let asked = bench.plugins.plugin("v1").asked();
    let hostile = asked.iter().filter(|request| request.name == "hostile").count();
    assert!((4..=8).contains(&hostile), "it backs off: {hostile} calls in a minute");
    let checked = bench.plugins.plugin("v1").checked();
    assert!(checked <= 10, "complaints cause few checks: {checked}");
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_several_requests_blame_is_not_ready() {
    let bench = Bench::whole(|_, _, plugins| {
        for n in 0..3 {
            plugins.plugin("v1").fails(&format!("web-{n}"), FailureKind::Issuer);
        }
    });
    bench.until_says(READY, CHECKED).await;
    let requests: Vec<Object> = (0..3).map(|n| bench.ask(&format!("web-{n}"))).collect();
    let down = "False Pending: Not ready yet: scripted";
    bench.until_says(READY, down).await;
    let waits = format!(
        r#"False Pending: Waiting for issuer to become ready. Current issuer ready condition is "Pending": {}."#,
        "Not ready yet: scripted"
    );
    for request in &requests {
        bench
            .api
            .until("the truth", |api| api.condition(request, READY).as_deref() == Some(waits.as_str()))
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_complaint_that_a_check_confirms_is_believed_at_once() {
    let bench = Bench::whole(|_, _, _| {});
    bench.until_says(READY, CHECKED).await;
    bench.plugins.plugin("v1").signs(Answer::failure(FailureKind::Issuer));
    bench.plugins.plugin("v1").checks(Answer::failure(RETRY));
    let began = Instant::now();
    let web = bench.ask("web");
    bench.until_says(READY, "False Pending: Not ready yet: scripted").await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    bench.until_issued(&web).await;
}
