//! One replica takes over from another.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep};

use super::{
    LEASE, RETRY, ask, asked, cluster, foreign_lease, holder, never_both, pair, seize, the_lease,
    until_issued,
};
use crate::operator::testing::{Answer, Call, Fault, Replica, ScriptedApi, Setup};

#[tokio::test(start_paused = true)]
async fn two_replicas_sign_each_request_once() {
    let api = cluster();
    let (first, second) = pair(&api).await;
    let requests: Vec<_> = (0..20).map(|n| ask(&api, &format!("web-{n}"))).collect();
    for request in &requests {
        until_issued(&api, request).await;
        assert_eq!(api.count(&Call::WriteStatus(request.clone())), 1);
    }
    assert_eq!((asked(&first).len(), asked(&second).len()), (20, 0));
}

#[tokio::test(start_paused = true)]
async fn a_stop_hands_over_within_two_seconds() {
    let api = cluster();
    let (first, second) = pair(&api).await;
    let began = Instant::now();
    first.stop().await;
    let web = ask(&api, "web");
    until_issued(&api, &web).await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(asked(&second), ["web"]);
    assert_eq!(holder(&api, &the_lease()), "second");
}

#[tokio::test(start_paused = true)]
async fn a_stop_finishes_what_is_under_way_and_nobody_signs_it_again() {
    let api = cluster();
    let (first, second) = pair(&api).await;
    first.signer().signs(Answer::good().after(Duration::from_secs(5)));
    let slow = ask(&api, "slow");
    api.until("the call", |_| asked(&first).len() == 1).await;
    let (began, late) = (Instant::now(), ask(&api, "late"));
    first.stop().await;
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    for request in [&slow, &late] {
        until_issued(&api, request).await;
    }
    assert!(began.elapsed() < Duration::from_secs(7), "{:?}", began.elapsed());
    assert!(!asked(&second).contains(&"slow".to_owned()), "signed twice");
}

#[tokio::test(start_paused = true)]
async fn a_death_is_noticed_within_the_leases_length() {
    let api = cluster();
    let (first, second) = pair(&api).await;
    sleep(RETRY + RETRY / 2).await;
    let began = Instant::now();
    first.kill();
    let web = ask(&api, "web");
    until_issued(&api, &web).await;
    assert!(began.elapsed() < LEASE, "{:?}", began.elapsed());
    assert_eq!(asked(&second), ["web"]);
}

#[tokio::test(start_paused = true)]
async fn wall_clocks_do_not_matter() {
    let behind =
        Setup { wall_clock: || Timestamp::now() - SignedDuration::from_hours(1), ..Setup::default() };
    let ahead = Setup { wall_clock: || Timestamp::now() + SignedDuration::from_hours(1), ..Setup::default() };
    let stopped = Setup { wall_clock: || Timestamp::UNIX_EPOCH, ..Setup::default() };
    for (clock, other) in [(&behind, &ahead), (&ahead, &behind), (&stopped, &ahead)] {
        let api = cluster();
        let first = Replica::start(&api, "first", clock);
        api.until("a leader", |_| first.leads()).await;
        let second = Replica::start(&api, "second", other);
        never_both(&first, &second, 3 * LEASE).await;
        assert!(first.leads(), "its Lease was taken");
        let began = Instant::now();
        first.kill();
        api.until("the other leads", |_| second.leads()).await;
        assert!(began.elapsed() < LEASE + RETRY, "{:?}", began.elapsed());
    }
}

/// Its watch is behind: it does not know yet what the other has written.
#[tokio::test(start_paused = true)]
async fn what_was_signed_just_before_is_not_signed_again() {
    let api = cluster();
    let (first, second) = pair(&api).await;
    first.signer().signs(Answer::good().after(Duration::from_secs(1)));
    let web = ask(&api, "web");
    api.until("the call", |_| asked(&first).len() == 1).await;
    sleep(Duration::from_millis(300)).await;
    api.hold("certificaterequests");
    first.stop().await;
    api.until("the other leads", |_| second.leads()).await;
    sleep(Duration::from_secs(1)).await;
    api.release("certificaterequests");
    sleep(Duration::from_secs(60)).await;
    until_issued(&api, &web).await;
    assert_eq!(asked(&second), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_release_does_not_erase_what_another_has_taken() {
    let api = cluster();
    let (first, second) = pair(&api).await;
    api.next(Call::WriteLease(the_lease()), Fault::overtaken(|api| seize(api, "third")));
    first.stop().await;
    assert_eq!(holder(&api, &the_lease()), "third");
    sleep(LEASE - RETRY).await;
    assert!(!second.leads(), "the third has it");
}

#[tokio::test(start_paused = true)]
async fn a_release_that_is_overtaken_by_somebody_who_does_not_take_it_is_tried_again() {
    let api = cluster();
    let (first, second) = pair(&api).await;
    let label = |api: &ScriptedApi| {
        api.edit(&the_lease(), |lease| lease["metadata"]["labels"]["seen"] = "yes".into());
    };
    api.next(Call::WriteLease(the_lease()), Fault::overtaken(label));
    let began = Instant::now();
    first.stop().await;
    api.until("the other leads", |_| second.leads()).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn two_that_stop_at_once_leave_it_to_the_third() {
    let api = cluster();
    let (first, second) = pair(&api).await;
    let third = Replica::start(&api, "third", &Setup::default());
    api.until("another standby", |_| third.signer().configs().len() == 1).await;
    let began = Instant::now();
    futures::join!(first.stop(), second.stop());
    until_issued(&api, &ask(&api, "web")).await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!((asked(&third), holder(&api, &the_lease())), (vec!["web".to_owned()], "third".into()));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_somebody_made_by_hand_is_respected_and_taken() {
    let api = cluster();
    api.put(&the_lease(), foreign_lease("somebody"));
    let first = Replica::start(&api, "first", &Setup::default());
    sleep(LEASE - RETRY).await;
    assert!(!first.leads());
    sleep(2 * RETRY).await;
    assert!(first.leads());
    assert_eq!(api.get(&the_lease()).unwrap()["spec"]["leaseTransitions"], 1);
}
