//! What becomes of CertificateRequests when writes of their status conflict, get lost or hang.

use std::time::Duration;

use tokio::time::sleep;
use wasm_issuer_core::issuance::request_kind::RequestKind;
use wasm_issuer_core::issuance::signer::FailureKind;

use super::{Bench, REQUESTS, REST, a_while, ask, certificate, within};
use crate::operator::audit::Audit;
use crate::operator::testing::{Answer, Call, Fault, ScriptedApi, ScriptedSigner, request};

#[tokio::test(start_paused = true)]
async fn after_a_conflict_the_certificate_lands_on_the_newer_version() {
    let (bench, web) = Bench::with([Answer::good()]);
    bench.overtake_next_write(&web, "a");
    bench.until_issued(&web).await;
    a_while().await;
    assert_eq!(bench.asked(), 1, "signing again would leave a second certificate at the CA");
    assert_eq!(bench.times_written(&web), 2);
    assert_eq!(bench.api.get(&web).unwrap()["metadata"]["annotations"]["note"], "a");
}

#[tokio::test(start_paused = true)]
async fn a_write_without_an_answer_is_repeated() {
    let (bench, web) = Bench::with([Answer::good()]);
    bench.api.next(Call::WriteStatus(web.clone()), Fault::Hang);
    bench.until_issued(&web).await;
    a_while().await;
    assert_eq!((bench.asked(), bench.times_written(&web)), (1, 2));
    let told = "UnexpectedError: Got an unexpected error while processing the CertificateRequest: the API server did \
                not answer within 30 s";
    assert_eq!(bench.api.events()[0], told);
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_cannot_be_written_is_given_up_after_ten_minutes() {
    let (bench, web) = Bench::with([]);
    bench.api.every(Call::WriteStatus(web.clone()), Fault::Code(403));
    sleep(Duration::from_secs(590)).await;
    assert_eq!(bench.asked(), 1);
    bench.api.until("another one", |_| bench.asked() == 2).await;
    let gap = bench.signer.times()[1] - bench.signer.times()[0];
    assert!(gap > Duration::from_secs(1200), "{gap:?}: ten minutes of writes, and ten without anything");
    bench.api.heal();
    bench.until_issued(&web).await;
    assert_eq!(bench.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_certificate_whose_write_landed_without_an_answer_is_the_only_one() {
    let (bench, web) = Bench::with([Answer::good()]);
    bench.api.hold(REQUESTS);
    bench.api.next(Call::WriteStatus(web.clone()), Fault::AnswerLost);
    bench.until_issued(&web).await;
    let first = certificate(&bench.api, &web);
    a_while().await;
    assert_eq!(bench.asked(), 1);
    assert_eq!(certificate(&bench.api, &web), first);
}

/// The reasons of the Events, but of those about the certificate itself.
fn told(bench: &Bench) -> Vec<String> {
    let reason = |event: &String| event.split_once(':').unwrap().0.to_owned();
    let reasons = bench.api.events().iter().map(reason).collect::<Vec<_>>();
    reasons.into_iter().filter(|reason| reason != "CertificateDiffers").collect()
}

/// Whether the watch tells that it landed or not: where it does, nothing is left of the request by the time that the
/// write is given up.
#[tokio::test(start_paused = true)]
async fn a_certificate_whose_write_landed_without_an_answer_is_told() {
    for is_held in [true, false] {
        let (bench, web) = Bench::with([Answer::good()]);
        if is_held {
            bench.api.hold(REQUESTS);
        }
        bench.api.next(Call::WriteStatus(web.clone()), Fault::AnswerLost);
        a_while().await;
        assert_eq!(told(&bench), ["Issued"], "{is_held}");
    }
}

/// An outage begins just after it landed: the request cannot be read either, so that nobody knows.
#[tokio::test(start_paused = true)]
async fn the_end_of_an_outage_is_told_that_began_with_a_certificate() {
    for is_held in [true, false] {
        let (bench, web) = Bench::with([Answer::good()]);
        let read = Call::Get(web.clone());
        bench.api.next(Call::WriteStatus(web.clone()), Fault::AnswerLost);
        bench.api.every(read.clone(), Fault::Code(500));
        bench.api.hold(REQUESTS);
        bench.api.until("the read", |api| api.count(&read) == 1).await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(told(&bench), ["UnexpectedError"]);
        if is_held {
            bench.api.heal();
        } else {
            bench.api.release(REQUESTS);
        }
        a_while().await;
        assert_eq!(told(&bench), ["UnexpectedError", "Issued"], "{is_held}");
        assert_eq!(bench.asked(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_certificate_is_told_after_many_warnings() {
    let (bench, web) = Bench::with([Answer::good()]);
    bench.api.every(Call::WriteStatus(web.clone()), Fault::Code(403));
    sleep(Duration::from_secs(500)).await;
    bench.api.heal();
    bench.until_issued(&web).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(told(&bench), ["UnexpectedError", "Issued"]);
    assert!(bench.api.told("UnexpectedError") > 10);
}

#[tokio::test(start_paused = true)]
async fn an_order_whose_write_landed_without_an_answer_is_not_made_twice() {
    let (bench, web) = Bench::with([Answer::pending("order-7"), Answer::good()]);
    bench.api.hold(REQUESTS);
    bench.api.next(Call::WriteStatus(web.clone()), Fault::AnswerLost);
    bench.until_issued(&web).await;
    assert_eq!(bench.signer.tokens(), [None, Some("order-7".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn an_order_whose_write_conflicts_is_not_made_twice() {
    let (bench, web) = Bench::with([Answer::pending("order-7"), Answer::good()]);
    bench.overtake_next_write(&web, "a");
    bench.until_issued(&web).await;
    assert_eq!(bench.signer.tokens(), [None, Some("order-7".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_cannot_be_written_counts_all_the_same() {
    let retry = || Answer::failure(FailureKind::Retry { after: None });
    let (bench, web) = Bench::with([retry(), retry(), Answer::good()]);
    bench.api.next(Call::WriteStatus(web.clone()), Fault::Code(500));
    bench.until_issued(&web).await;
    let times = bench.signer.times();
    let gaps: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(gaps.len(), 2);
    assert!(
        gaps[1] >= Duration::from_millis(1600),
        "the delay after the second failure, not the first: {gaps:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_survives_conflicts() {
    let (bench, web) = Bench::with([Answer::failure(REST)]);
    for n in 0..6 {
        bench.overtake_next_write(&web, &n.to_string());
    }
    bench.until_issued(&web).await;
    let times = bench.signer.times();
    assert_eq!(times.len(), 2, "one call, and another when the CA's time is over");
    assert!(times[1] - times[0] >= Duration::from_secs(300));
}

#[tokio::test(start_paused = true)]
async fn results_that_cannot_be_written_hold_no_slot() {
    let (bench, web) = Bench::with([]);
    bench.until_issued(&web).await;
    let names: Vec<String> = (0..40).map(|n| format!("stuck-{n}")).collect();
    for name in &names {
        let (stuck, value) = request(name);
        bench.api.every(Call::WriteStatus(stuck.clone()), Fault::Code(403));
        bench.api.put(&stuck, value);
    }
    bench.api.until("all signed", |_| bench.asked() == 41).await;
    for n in 0..10 {
        let good = bench.ask(&format!("good-{n}"));
        within(Duration::from_secs(1), bench.until_issued(&good)).await;
        sleep(Duration::from_secs(10)).await;
    }
    bench.api.heal();
    for name in &names {
        bench.until_issued(&request(name).0).await;
    }
    assert_eq!(bench.asked(), 51, "what was signed was kept");
}

/// How many statuses of an Issuer are written at a time, on an API server that answers slowly.
async fn written_at_first(has_neighbour: bool) -> usize {
    let (api, signer) = (ScriptedApi::new(), ScriptedSigner::default());
    let bench = Bench::start_within(64, &RequestKind::ALL, &api, &signer, Audit::off());
    if has_neighbour {
        let (quiet, mut value) = request("quiet");
        value["spec"]["issuerRef"]["kind"] = "WasmClusterIssuer".into();
        let quiet = quiet.in_namespace("team-quiet");
        api.put(&quiet, value);
        bench.until_issued(&quiet).await;
    }
    let all: Vec<_> = (0..40).map(|n| format!("web-{n}")).collect();
    for web in &all {
        api.every(Call::WriteStatus(request(web).0), Fault::Late(Duration::from_millis(45)));
    }
    let all: Vec<_> = all.iter().map(|web| ask(&api, web)).collect();
    let written = || all.iter().map(|web| bench.times_written(web)).sum::<usize>();
    bench.api.until("the first writes", |_| written() > 0).await;
    let at_first = written();
    for web in &all {
        bench.until_issued(web).await;
    }
    at_first
}

#[tokio::test(start_paused = true)]
async fn few_statuses_of_an_issuer_are_written_at_a_time() {
    assert_eq!(written_at_first(true).await, 3);
}

#[tokio::test(start_paused = true)]
async fn more_statuses_are_written_at_a_time_where_nobody_else_wants_any() {
    assert!((16..=32).contains(&written_at_first(false).await));
}
