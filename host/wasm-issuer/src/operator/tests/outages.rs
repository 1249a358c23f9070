//! Trouble of the API server is not the CA's, and short trouble of the CA is no outage.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};
use wasm_issuer_core::issuance::condition::READY;
use wasm_issuer_core::issuance::signer::FailureKind;

use super::bench::{Bench, CHECKED};
use crate::operator::testing::{Answer, Call, Fault, config_map, request, secret};

const RETRY: FailureKind = FailureKind::Retry { after: None };

/// An operator that is ready, whose Issuer names a Secret, reaches a server and is checked each ten seconds.
async fn ready() -> Bench {
    let bench = Bench::whole(|api, ca, _| {
        let (auth, value) = secret("auth");
        api.put(&auth, value);
        api.edit(ca, |value| {
            value["spec"]["authSecretName"] = "auth".into();
            value["spec"]["http"] = json!({"allowedHosts": ["https://ca.example.com"]});
            value["spec"]["checkInterval"] = "10s".into();
        });
    });
    bench.until_says(READY, CHECKED).await;
    bench
}

#[tokio::test(start_paused = true)]
async fn two_checks_that_fail_are_no_outage() {
    let bench = ready().await;
    for _ in 0..2 {
        bench.plugins.plugin("v1").checks(Answer::failure(RETRY));
    }
    for n in 0..60 {
        sleep(Duration::from_secs(1)).await;
        assert!(bench.serves());
        bench.until_issued(&bench.ask(&format!("web-{n}"))).await;
    }
    assert_eq!(bench.times_written(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_told_within_a_few_checks_and_its_end_within_one() {
    let bench = ready().await;
    for _ in 0..18 {
        bench.plugins.plugin("v1").checks(Answer::failure(RETRY));
    }
    let began = Instant::now();
    bench.until_says(READY, "False Pending: Not ready yet: scripted").await;
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    bench.api.until("the last failure", |_| bench.plugins.plugin("v1").checked() == 19).await;
    assert!(began.elapsed() > Duration::from_secs(120), "a long one: {:?}", began.elapsed());
    let ended = Instant::now();
    bench.until_says(READY, CHECKED).await;
    assert!(ended.elapsed() < Duration::from_secs(13), "{:?}", ended.elapsed());
}

/// Whatever the Issuer names or is, the API server answers with this fault.
fn break_down(bench: &Bench, fault: &Fault) {
    for plural in ["secrets", "configmaps", "wasmissuers", "certificaterequests"] {
        bench.api.every(Call::Watch(plural.to_owned()), fault.clone());
        bench.api.every(Call::List(plural.to_owned()), fault.clone());
    }
    for object in [secret("auth").0, config_map("plugin", "").0, request("web").0] {
        bench.api.every(Call::Get(object), fault.clone());
    }
    for object in [bench.ca.clone(), request("web").0] {
        bench.api.every(Call::WriteStatus(object), fault.clone());
    }
    bench.api.break_watches();
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_api_server_is_nobodys_fault() {
    for fault in [Fault::Code(500), Fault::Hang] {
        let bench = ready().await;
        break_down(&bench, &fault);
        let web = bench.ask("web");
        sleep(Duration::from_secs(45)).await;
        assert!(bench.serves());
        assert_eq!(bench.api.condition(&web, READY), None);
        bench.api.heal();
        let healed = Instant::now();
        bench.until_issued(&web).await;
        let patience = if matches!(fault, Fault::Hang) { 35 } else { 7 };
        assert!(healed.elapsed() < Duration::from_secs(patience), "{:?}", healed.elapsed());
        sleep(Duration::from_secs(60)).await;
        assert_eq!(bench.api.condition(&bench.ca, READY).as_deref(), Some(CHECKED));
        assert_eq!(bench.times_written(), 1, "it was ready all the while");
    }
}

#[tokio::test(start_paused = true)]
async fn what_served_goes_on_when_its_secret_cannot_be_read() {
    let bench = ready().await;
    let auth = secret("auth").0;
    bench.api.every(Call::Get(auth.clone()), Fault::Code(503));
    bench.api.edit(&auth, |value| value["metadata"]["annotations"] = json!({"rotated": "yes"}));
    sleep(Duration::from_secs(60)).await;
    assert!(bench.serves());
    assert_eq!(bench.times_written(), 1);
    // As soon as it can be read, it is, and not again.
    bench.api.heal();
    let reads = || bench.api.count(&Call::Get(auth.clone()));
    let before = reads();
    sleep(Duration::from_secs(12)).await;
    assert_eq!(reads(), before + 1);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(reads(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_may_not_be_read_is_told() {
    let bench = Bench::start(|api, ca, _| {
        api.edit(ca, |value| value["spec"]["authSecretName"] = "auth".into());
        api.every(Call::Get(secret("auth").0), Fault::Code(403));
    });
    bench
        .api
        .until("the reason", |api| {
            api.condition(&bench.ca, READY)
                .is_some_and(|ready| ready.contains(r#"could not read Secret "team-a/auth""#))
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_others_hold_of_the_memory_makes_no_issuer_unready() {
    let bench = ready().await;
    for _ in 0..20 {
        bench.plugins.plugin("v1").checks(Answer::no_room());
    }
    bench.api.until("the last of them", |_| bench.plugins.plugin("v1").checked() == 21).await;
    assert!(bench.serves());
    assert_eq!(bench.times_written(), 1);
}
