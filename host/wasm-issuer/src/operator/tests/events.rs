//! What becomes of Events when there are too many, or when the API server is slow.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use tokio::time::{Instant, sleep, timeout};
use wasm_issuer_core::issuance::plan::{Notice, SYNC_FAILED, SYNCED};
use wasm_issuer_core::issuance::reason::EventReason;

use crate::operator::events::Events;
use crate::operator::leadership::Fence;
use crate::operator::metrics::Metrics;
use crate::operator::testing::{Call, Fault, ScriptedApi};

fn object(namespace: &str, name: &str) -> ObjectReference {
    ObjectReference {
        namespace: Some(namespace.to_owned()),
        name: Some(name.to_owned()),
        uid: Some(format!("{namespace}/{name}")),
        ..ObjectReference::default()
    }
}

fn notices(notes: impl IntoIterator<Item = String>) -> Vec<Notice> {
    notes.into_iter().map(|note| Notice::warning(EventReason::RetryableError, SYNC_FAILED, &note)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_floods_neither_delays_nor_drops_the_events_of_others() {
    let (api, metrics) = (ScriptedApi::new(), Arc::new(Metrics::new()));
    api.every(Call::Event, Fault::Late(Duration::from_secs(1)));
    let (events, publisher) = Events::start(api.client(), "test".to_owned(), metrics.clone());
    for n in 0..1000 {
        events.publish(
            &Fence::alone(),
            &object("loud", &format!("ca-{n}")),
            notices((0..10).map(|n| n.to_string())),
        );
    }
    assert_eq!(metrics.events_dropped.get(), 10_000 - 4096);
    events.publish(&Fence::alone(), &object("quiet", "ca"), notices(["heard".to_owned()]));
    assert_eq!(metrics.events_dropped.get(), 10_000 - 4096);
    let began = Instant::now();
    api.until("the neighbour's Event", |api| api.events().contains(&"RetryableError: heard".to_owned()))
        .await;
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    // What waits at the end is sent.
    drop(events);
    timeout(Duration::from_secs(2100), publisher).await.unwrap().unwrap();
    assert_eq!(api.events().len(), 4097);
}

#[tokio::test(start_paused = true)]
async fn events_that_can_wait_are_sent_at_a_pace() {
    let (api, metrics) = (ScriptedApi::new(), Arc::new(Metrics::new()));
    let (events, _) = Events::start(api.client(), "test".to_owned(), metrics);
    for n in 0..100 {
        events.publish(&Fence::alone(), &object("loud", &format!("bad-{n}")), notices(["down".to_owned()]));
    }
    for n in 0..100 {
        let issued = vec![Notice::normal(EventReason::Issued, SYNCED, "signed")];
        events.publish(&Fence::alone(), &object("loud", &format!("web-{n}")), issued);
    }
    sleep(Duration::from_millis(500)).await;
    let told = |reason| api.events().iter().filter(|event| event.starts_with(reason)).count();
    assert_eq!(told("Issued"), 100);
    assert!((5..=15).contains(&told("RetryableError")), "{}", told("RetryableError"));
    api.until("the rest", |api| api.events().len() == 200).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_left_at_the_end_is_not_held_up() {
    let (api, metrics) = (ScriptedApi::new(), Arc::new(Metrics::new()));
    let (events, publisher) = Events::start(api.client(), "test".to_owned(), metrics);
    for n in 0..100 {
        events.publish(&Fence::alone(), &object("loud", &format!("bad-{n}")), notices(["down".to_owned()]));
    }
    drop(events);
    timeout(Duration::from_secs(1), publisher).await.unwrap().unwrap();
    assert_eq!(api.events().len(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_warning_that_comes_again_is_told_although_its_first_event_was_never_made() {
    let (api, metrics) = (ScriptedApi::new(), Arc::new(Metrics::new()));
    api.next(Call::Event, Fault::Code(403));
    let (events, publisher) = Events::start(api.client(), "test".to_owned(), metrics);
    for _ in 0..3 {
        events.publish(&Fence::alone(), &object("team-a", "ca"), notices(["down".to_owned()]));
    }
    drop(events);
    publisher.await.unwrap();
    assert_eq!((api.events(), api.told("RetryableError")), (vec!["RetryableError: down".to_owned()], 3));
}

#[tokio::test(start_paused = true)]
async fn events_of_one_object_keep_their_order() {
    let (api, metrics) = (ScriptedApi::new(), Arc::new(Metrics::new()));
    api.next(Call::Event, Fault::Late(Duration::from_secs(5)));
    let (events, publisher) = Events::start(api.client(), "test".to_owned(), metrics);
    let ca = object("team-a", "ca");
    events.publish(&Fence::alone(), &ca, notices(["0".to_owned()]));
    sleep(Duration::from_secs(1)).await;
    events.publish(&Fence::alone(), &ca, notices(["1".to_owned()]));
    events.publish(&Fence::alone(), &ca, notices(["2".to_owned()]));
    drop(events);
    publisher.await.unwrap();
    assert_eq!(api.events(), ["RetryableError: 0", "RetryableError: 1", "RetryableError: 2"]);
}
