//! How often an Issuer is checked about which nothing changes.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;
use wasm_issuer_core::issuance::condition::READY;
use wasm_issuer_core::issuance::signer::FailureKind;

use super::bench::{Bench, CHECKED};
use crate::operator::testing::{Answer, Call, Fault, secret};

/// An operator that is ready, whose Issuer names a Secret and may reach these servers.
async fn ready(servers: &[&str]) -> Bench {
    let bench = Bench::whole(|api, ca, _| {
        let (auth, value) = secret("auth");
        api.put(&auth, value);
        api.edit(ca, |value| {
            value["spec"]["authSecretName"] = "auth".into();
            value["spec"]["http"] = json!({"allowedHosts": servers});
        });
    });
    bench.until_says(READY, CHECKED).await;
    bench
}

fn checked(bench: &Bench) -> usize {
    bench.plugins.plugin("v1").checked()
}

async fn minutes(minutes: u64) {
    sleep(Duration::from_secs(60 * minutes)).await;
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_reaches_no_server_is_checked_within_half_an_hour() {
    let bench = ready(&[]).await;
    minutes(14).await;
    assert_eq!(checked(&bench), 1);
    // Half an hour and what a checkInterval can be.
    minutes(18).await;
    assert!((2..=3).contains(&checked(&bench)), "{}", checked(&bench));
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_reaches_a_server_is_checked_each_interval() {
    let bench = ready(&["https://ca.example.com"]).await;
    minutes(14).await;
    assert!((12..=16).contains(&checked(&bench)), "{}", checked(&bench));
}

#[tokio::test(start_paused = true)]
async fn an_issuer_whose_check_fails_does_not_rest() {
    let bench = ready(&[]).await;
    for _ in 0..20 {
        bench.plugins.plugin("v1").checks(Answer::failure(FailureKind::Retry { after: None }));
    }
    bench.api.edit(&secret("auth").0, |value| value["metadata"]["annotations"] = json!({"rotated": "yes"}));
    minutes(14).await;
    assert!(checked(&bench) > 15, "{}", checked(&bench));
}

#[tokio::test(start_paused = true)]
async fn an_issuer_whose_request_complains_is_checked_at_once() {
    let bench = ready(&[]).await;
    bench.plugins.plugin("v1").signs(Answer::failure(FailureKind::Issuer));
    let web = bench.ask("web");
    bench.until_issued(&web).await;
    assert_eq!(checked(&bench), 2);
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_could_not_be_read_is_read_with_the_next_check() {
    let bench = ready(&[]).await;
    let auth = secret("auth").0;
    let reads = || bench.api.count(&Call::Get(auth.clone()));
    bench.api.every(Call::Get(auth.clone()), Fault::Code(503));
    bench.api.edit(&auth, |value| value["metadata"]["annotations"] = json!({"rotated": "yes"}));
    sleep(Duration::from_secs(30)).await;
    bench.api.heal();
    let before = reads();
    minutes(2).await;
    assert_eq!(reads(), before + 1);
    minutes(10).await;
    assert_eq!(reads(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn an_issuer_whose_watch_breaks_reads_with_the_next_check() {
    let bench = ready(&[]).await;
    let auth = secret("auth").0;
    minutes(5).await;
    for call in [Call::Watch("secrets".to_owned()), Call::List("secrets".to_owned())] {
        bench.api.every(call, Fault::Code(500));
    }
    bench.api.break_watches();
    sleep(Duration::from_secs(1)).await;
    let reads = bench.api.count(&Call::Get(auth.clone()));
    minutes(2).await;
    assert!(bench.api.count(&Call::Get(auth)) > reads);
}
