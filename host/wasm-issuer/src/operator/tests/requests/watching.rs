//! What becomes of CertificateRequests when their watch is late, dies or is refused.

use std::time::Duration;

use tokio::time::sleep;

use super::{Bench, REQUESTS, a_while, annotate_twice, within};
use crate::operator::testing::{Answer, Call, Fault, ScriptedApi, ScriptedSigner};

#[tokio::test(start_paused = true)]
async fn a_late_watch_does_not_bring_back_what_is_finished() {
    let (bench, web) = Bench::with([]);
    bench.api.hold(REQUESTS);
    let (api, object) = (bench.api.clone(), web.clone());
    bench.signer.signs(Answer::good().meanwhile(move || annotate_twice(&api, &object)));
    bench.until_issued(&web).await;
    // The first annotation, which is older than the certificate, and news.
    bench.api.deliver_next(REQUESTS);
    a_while().await;
    bench.api.release(REQUESTS);
    a_while().await;
    assert_eq!(bench.asked(), 1);
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
    bench.until_issued(&web).await;
    assert_eq!(bench.signer.tokens(), [None, Some("order-7".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_whose_connection_died_begins_anew_within_thirty_seconds() {
    let (bench, web) = Bench::with([]);
    bench.until_issued(&web).await;
    bench.api.die(REQUESTS);
    let late = bench.ask("late");
    within(Duration::from_secs(30), bench.until_issued(&late)).await;
}

#[tokio::test(start_paused = true)]
async fn the_first_certificate_after_an_outage_comes_within_seconds() {
    let (bench, web) = Bench::with([]);
    bench.until_issued(&web).await;
    let watch = Call::Watch(REQUESTS.to_owned());
    bench.api.every(watch.clone(), Fault::Code(500));
    bench.api.die(REQUESTS);
    let late = bench.ask("late");
    sleep(Duration::from_secs(140)).await;
    // Just after a try that failed: the whole delay is to come.
    let tries = bench.api.count(&watch);
    bench.api.until("one more try", |api| api.count(&watch) > tries).await;
    bench.api.heal();
    within(Duration::from_secs(5), bench.until_issued(&late)).await;
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
