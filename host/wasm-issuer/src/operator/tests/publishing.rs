//! An answer is published for the Issuer that was asked, as it was asked, and for no other.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;
use wasm_issuer_core::issuance::condition::{READY, RESUME};
use wasm_issuer_core::issuance::signer::FailureKind;

use super::bench::{Bench, CHECKED};
use crate::operator::testing::{Answer, Object, issuer};
use crate::policy::Policy;

/// Both sides, and a request whose plugin answers like this while something happens.
async fn while_signing(answer: Answer, act: fn(&Bench)) -> (Bench, Object) {
    let bench = Bench::whole(|_, _, _| {});
    bench.until_says(READY, CHECKED).await;
    bench.plugins.plugin("v1").signs(answer.after(Duration::from_secs(5)));
    let web = bench.ask("web");
    bench.api.until("the call", |_| bench.plugins.plugin("v1").asked().len() == 1).await;
    act(&bench);
    sleep(Duration::from_secs(6)).await;
    (bench, web)
}

fn delete(bench: &Bench) {
    bench.api.delete(&bench.ca);
}

fn narrow(bench: &Bench) {
    bench.api.edit(&bench.ca, |value| value["spec"]["config"] = json!({"narrower": true}));
}

fn narrow_the_policy(bench: &Bench) {
    let mut policy = Policy::default();
    policy.wasm_issuers.deny_addresses = vec!["192.0.2.0/24".parse().unwrap()];
    bench.policy.send_replace(Arc::new(policy));
}

fn make_anew(bench: &Bench) {
    bench.api.delete(&bench.ca);
    bench.api.put(&bench.ca, issuer("ca").1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_published_for_an_issuer_that_was_deleted() {
    let (bench, web) = while_signing(Answer::good(), delete).await;
    let missing =
        r#"False Pending: WasmIssuer.wasm-issuer.dev "ca" not found. Waiting for it to be created."#;
    bench.api.until(missing, |api| api.condition(&web, READY).as_deref() == Some(missing)).await;
    assert!(bench.api.get(&web).unwrap()["status"]["certificate"].is_null());
    // And the next one of its name signs it.
    bench.api.put(&bench.ca, issuer("ca").1);
    bench.until_issued(&web).await;
}

#[tokio::test(start_paused = true)]
async fn a_certificate_of_grants_that_are_not_any_more_is_dropped() {
    for change in [narrow, narrow_the_policy, make_anew] {
        let (bench, web) = while_signing(Answer::good(), change).await;
        bench.until_issued(&web).await;
        assert_eq!(bench.plugins.plugin("v1").asked().len(), 2, "the first answer was dropped");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_a_spec_that_is_not_any_more_is_not_final() {
    let (bench, web) = while_signing(Answer::failure(FailureKind::Permanent), narrow).await;
    bench.until_issued(&web).await;
}

#[tokio::test(start_paused = true)]
async fn an_order_outlives_a_new_spec_but_not_the_issuer() {
    for (change, token) in [(narrow as fn(&Bench), Some("order-7".to_owned())), (make_anew, None)] {
        let (bench, web) = while_signing(Answer::pending("order-7"), change).await;
        bench.until_issued(&web).await;
        assert_eq!(bench.plugins.plugin("v1").tokens(), [None, token]);
        assert_eq!(bench.api.condition(&web, RESUME), None);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_signed_by_a_spec_that_is_not_any_more() {
    let bench = Bench::whole(|_, _, _| {});
    bench.until_says(READY, CHECKED).await;
    let plugin = bench.plugins.plugin("v1");
    let checks = Arc::new(Mutex::new(0));
    let (seen, signer) = (checks.clone(), plugin.clone());
    plugin.signs(Answer::good().meanwhile(move || *seen.lock().unwrap() = signer.checked()));
    narrow(&bench);
    // At once: the Issuer's task has not even begun to look at the new spec.
    bench.until_issued(&bench.ask("web")).await;
    assert_eq!(*checks.lock().unwrap(), 2, "it was signed with what was checked for the new spec");
}
