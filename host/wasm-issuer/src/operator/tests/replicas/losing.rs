//! A replica that is not sure to lead any more signs nothing and writes nothing.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, advance, sleep};
use wasm_issuer_core::issuance::condition::READY;

use super::{
    DEADLINE, LEASE, RETRY, ask, asked, cluster, holder, never_both, pair, seize, the_lease, until_issued,
};
use crate::operator::testing::{Answer, Call, Fault, Paper, Replica, Setup, request};

#[tokio::test(start_paused = true)]
async fn a_leader_that_does_not_reach_the_api_server_steps_down_before_another_leads() {
    let api = cluster();
    let (first, second) = pair(&api).await;
    first.line.cut();
    let began = Instant::now();
    api.until("it steps down", |_| !first.leads()).await;
    assert!(began.elapsed() <= DEADLINE + Duration::from_millis(50), "{:?}", began.elapsed());
    assert!(!second.leads());
    never_both(&first, &second, LEASE).await;
    assert!(second.leads());
    // It comes back as a standby.
    first.line.mend();
    never_both(&first, &second, 4 * LEASE).await;
    assert!(second.leads());
}

#[tokio::test(start_paused = true)]
async fn it_signs_nothing_then_and_publishes_nothing() {
    let api = cluster();
    let (first, second) = pair(&api).await;
    // Some wait for a place, some are signed when the line is cut, and some are to be written.
    (0..40).for_each(|_| first.signer().signs(Answer::good().after(Duration::from_secs(4))));
    let requests: Vec<_> = (0..24).map(|n| ask(&api, &format!("web-{n}"))).collect();
    api.until("eight calls", |_| asked(&first).len() == 8).await;
    sleep(Duration::from_secs(2)).await;
    first.line.cut();
    api.until("it steps down", |_| !first.leads()).await;
    let (lost, calls) = (Instant::now(), asked(&first).len());
    api.until("the other leads", |_| second.leads()).await;
    for request in &requests {
        until_issued(&api, request).await;
    }
    first.line.mend();
    sleep(Duration::from_secs(120)).await;
    assert_eq!(asked(&first).len(), calls, "it signed on");
    assert!(first.signer().times().iter().all(|at| *at <= lost));
    assert!(second.signer().times().iter().all(|at| *at > lost));
    for request in &requests {
        // The announcement of a slow one, and the certificate.
        assert!(api.count(&Call::WriteStatus(request.clone())) <= 2 + 2, "{request:?}");
    }
}

/// A process that stands still, and finds when it goes on that its plugin has answered.
#[tokio::test(start_paused = true)]
async fn what_was_signed_during_a_pause_is_not_published() {
    let api = cluster();
    let first = Replica::start(&api, "first", &Setup::default());
    api.until("a leader", |_| first.leads()).await;
    first.signer().signs(Answer::good().after(Duration::from_secs(5)));
    let web = ask(&api, "web");
    api.until("the announcement", |api| api.count(&Call::WriteStatus(web.clone())) == 1).await;
    seize(&api, "another");
    advance(LEASE).await;
    for _ in 0..50 {
        seize(&api, "another");
        sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(api.count(&Call::WriteStatus(web.clone())), 1, "it wrote on");
    assert_ne!(api.condition(&web, READY).as_deref(), Some(super::ISSUED));
    assert_eq!((asked(&first).len(), first.leads()), (1, false));
}

/// Nor is it forgotten that a CA has made it.
#[tokio::test(start_paused = true)]
async fn what_was_signed_and_not_published_is_in_the_audit() {
    let (api, paper) = (cluster(), Paper::default());
    let setup = Setup { audit: paper.audit(), ..Setup::default() };
    let first = Replica::start(&api, "first", &setup);
    api.until("a leader", |_| first.leads()).await;
    let write = Call::WriteStatus(request("web").0);
    api.next(write.clone(), Fault::Hang);
    let web = ask(&api, "web");
    api.until("a write", |api| api.count(&write) == 1).await;
    seize(&api, "another");
    api.until("it steps down", |_| !first.leads()).await;
    // The other one never renews it.
    until_issued(&api, &web).await;
    sleep(RETRY).await;
    let told = |record: &Value| ["decision", "written", "notWritten"].map(|field| record[field].clone());
    let mut records: Vec<_> = paper.records(&setup.audit).iter().map(told).collect();
    records.sort_by_key(|record| record[1].to_string());
    let why = "another process may work for the Issuer by now";
    let never = [json!("issued"), json!("no"), json!(why)];
    assert_eq!(records, [never, [json!("issued"), json!("yes"), Value::Null]]);
}

#[tokio::test(start_paused = true)]
async fn a_takeover_by_force_is_noticed_at_once() {
    let api = cluster();
    let first = Replica::start(&api, "first", &Setup::default());
    api.until("a leader", |_| first.leads()).await;
    // Right before a renewal lands.
    api.next(Call::WriteLease(the_lease()), Fault::overtaken(|api| seize(api, "another")));
    api.until("it is taken", |api| holder(api, &the_lease()) == "another").await;
    let (taken, web) = (Instant::now(), ask(&api, "web"));
    api.until("it steps down", |_| !first.leads()).await;
    assert!(taken.elapsed() < Duration::from_millis(100), "{:?}", taken.elapsed());
    sleep(LEASE - RETRY).await;
    assert_eq!((asked(&first).len(), first.leads()), (0, false));
    // The other one never renews it.
    until_issued(&api, &web).await;
    assert!(taken.elapsed() < LEASE + RETRY, "{:?}", taken.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_deleted_is_lost_at_once() {
    let api = cluster();
    let (first, second) = pair(&api).await;
    sleep(RETRY / 2).await;
    api.delete(&the_lease());
    sleep(Duration::from_millis(20)).await;
    assert!(holder(&api, &the_lease()) == "first" || holder(&api, &the_lease()) == "second");
    never_both(&first, &second, LEASE).await;
}

/// A write that hangs leaves time for another.
#[tokio::test(start_paused = true)]
async fn one_renewal_that_hangs_costs_nothing() {
    let api = cluster();
    let (first, second) = pair(&api).await;
    for fault in [Fault::Hang, Fault::Code(500), Fault::Code(503), Fault::AnswerLost] {
        api.next(Call::WriteLease(the_lease()), fault);
        let waited = Instant::now();
        while waited.elapsed() < LEASE {
            assert!(first.leads() && !second.leads());
            sleep(Duration::from_millis(100)).await;
        }
    }
}
