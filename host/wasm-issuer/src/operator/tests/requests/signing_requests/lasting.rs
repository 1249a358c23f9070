//! What lasts of a CertificateSigningRequest over tries, restarts and writes that fail.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;
use wasm_issuer_core::issuance::condition::{NOT_BEFORE, RESUME};
use wasm_issuer_core::issuance::signer::FailureKind;

use super::super::{REST, a_while, certificate, issuer_key, within};
use super::{
    ISSUED, OF_CLUSTER, OF_TEAM, PLURAL, as_it_is, ask, decide, events, unapproved, until_issued, with,
};
use crate::api::IssuerKind;
use crate::operator::testing::{Answer, Call, Fault};

const RETRIED: &str = "RetryableError: Failed to sign CertificateSigningRequest, will retry: scripted";

#[tokio::test(start_paused = true)]
async fn a_retry_is_told_by_an_event_and_writes_nothing() {
    let retry = || Answer::failure(FailureKind::Retry { after: None });
    let (bench, web) = with(OF_CLUSTER, as_it_is, [retry(), retry()]);
    until_issued(&bench, &web).await;
    assert_eq!((bench.asked(), bench.times_written(&web)), (3, 1));
    assert_eq!(events(&bench), [RETRIED, ISSUED], "one that comes again is counted");
}

#[tokio::test(start_paused = true)]
async fn an_order_survives_a_restart() {
    let pending = FailureKind::Pending {
        resume: Some("order-7".to_owned()),
        poll_after: Some(Duration::from_secs(60)),
    };
    let (bench, web) = with(OF_TEAM, as_it_is, [Answer::failure(pending)]);
    bench.api.until("the order", |api| api.condition(&web, RESUME).is_some()).await;
    assert_eq!(bench.api.condition(&web, RESUME).as_deref(), Some("True Pending: order-7"));
    assert_eq!(events(&bench), ["Pending: Signing still in progress. Reason: scripted"]);
    let bench = bench.restart().await;
    sleep(Duration::from_secs(50)).await;
    assert_eq!(bench.asked(), 1, "the CA wants to be left alone");
    until_issued(&bench, &web).await;
    assert_eq!(bench.signer.tokens(), [None, Some("order-7".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn the_operators_own_writes_hurry_nothing() {
    let orders = (0..6).map(|n| Answer::pending(&format!("order-{n}")));
    let (bench, web) = with(OF_TEAM, as_it_is, orders);
    until_issued(&bench, &web).await;
    let times = bench.signer.times();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_millis(800)), "{times:?}");
    let over = bench.api.condition(&web, RESUME);
    assert_eq!(over.as_deref(), Some("False Over: "), "what was applied once cannot be taken away");
}

#[tokio::test(start_paused = true)]
async fn what_there_is_no_room_for_is_told_once_too() {
    let (bench, _) = with(OF_TEAM, unapproved, []);
    let key = issuer_key(IssuerKind::Namespaced);
    bench.registry.remove(&key, "issuer");
    let large = |value: &mut Value| {
        value["metadata"]["annotations"] = json!({"text": "x".repeat(300 << 10)});
    };
    let [_, late] = ["early", "late"].map(|name| ask(&bench.api, name, OF_TEAM, large));
    for _ in 0..3 {
        sleep(Duration::from_secs(5)).await;
        bench.registry.remove(&key, "issuer");
    }
    assert!(bench.api.count(&Call::Get(late)) >= 3, "it is read again");
    assert_eq!(bench.api.events().len(), 2, "{:?}", bench.api.events());
}

#[tokio::test(start_paused = true)]
async fn a_wish_of_the_ca_that_is_over_is_over_after_a_restart_too() {
    let (bench, web) = with(OF_TEAM, as_it_is, [Answer::failure(REST)]);
    bench.api.until("the wish", |api| api.condition(&web, NOT_BEFORE).is_some()).await;
    bench.signer.signs(Answer::failure(FailureKind::Retry { after: None }));
    bench.signer.signs(Answer::failure(FailureKind::Retry { after: None }));
    bench.registry.touched(&issuer_key(IssuerKind::Namespaced));
    bench
        .api
        .until("the end of it", |api| api.condition(&web, NOT_BEFORE).as_deref() == Some("False Over: "))
        .await;
    let bench = bench.restart().await;
    within(Duration::from_secs(60), until_issued(&bench, &web)).await;
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_survives_a_restart() {
    let (bench, web) = with(OF_TEAM, as_it_is, [Answer::failure(REST)]);
    bench.api.until("the wish", |api| api.condition(&web, NOT_BEFORE).is_some()).await;
    let bench = bench.restart().await;
    sleep(Duration::from_secs(200)).await;
    assert_eq!(bench.asked(), 1);
    until_issued(&bench, &web).await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_between_the_answer_and_the_write_leaves_one_certificate() {
    let (bench, web) = with(OF_TEAM, as_it_is, []);
    let write = Call::WriteStatus(web.clone());
    bench.api.next(write.clone(), Fault::Hang);
    bench.api.until("the write", |api| api.count(&write) == 1).await;
    let bench = bench.restart().await;
    until_issued(&bench, &web).await;
    let first = certificate(&bench.api, &web);
    a_while().await;
    assert_eq!(certificate(&bench.api, &web), first);
    assert_eq!(bench.asked(), 2, "nothing of the first answer was known to anybody");
}

#[tokio::test(start_paused = true)]
async fn what_a_ca_has_done_is_not_lost_by_a_write_that_fails() {
    let (bench, web) = with(OF_TEAM, as_it_is, [Answer::pending("order-7")]);
    bench.overtake_next_write(&web, "a");
    bench.api.until("the order", |api| api.condition(&web, RESUME).is_some()).await;
    bench.api.hold(PLURAL);
    bench.api.next(Call::WriteStatus(web.clone()), Fault::AnswerLost);
    until_issued(&bench, &web).await;
    a_while().await;
    assert_eq!(bench.signer.tokens(), [None, Some("order-7".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_made_anew_under_its_name_does_not_get_the_old_certificate() {
    let (bench, web) = with(OF_CLUSTER, unapproved, []);
    let (api, object) = (bench.api.clone(), web.clone());
    let swap = move || {
        let mut twin = api.get(&object).unwrap();
        (twin["metadata"], twin["status"]) = (json!({}), json!({}));
        api.delete(&object);
        api.put(&object, twin);
    };
    bench.signer.signs(Answer::good().meanwhile(swap).after(Duration::from_secs(1)));
    decide(&bench.api, &web, "Approved");
    bench.api.until("the call", |_| bench.asked() == 1).await;
    a_while().await;
    assert_eq!(certificate(&bench.api, &web), None);
}
