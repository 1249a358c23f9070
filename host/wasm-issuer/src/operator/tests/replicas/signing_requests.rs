//! What holds for CertificateRequests holds for Kubernetes' own requests, which have no condition Ready to go by.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{advance, sleep};

use super::{LEASE, asked, cluster, foreign_lease, pair, seize, the_lease};
use crate::operator::testing::{
    Answer, Call, Object, Replica, SIGNING_REQUESTS, ScriptedApi, Setup, issuer, signing_request,
};

/// `jane`, who may refer to it, asks an Issuer.
fn ask(api: &ScriptedApi, name: &str, issuer: &str) -> Object {
    api.allow_reference("jane", &format!("team-a/{issuer}"));
    let (object, value) = signing_request(name, &format!("wasmissuers.wasm-issuer.dev/team-a.{issuer}"));
    api.put(&object, value);
    object
}

fn is_issued(api: &ScriptedApi, request: &Object) -> bool {
    api.get(request).is_some_and(|request| !request["status"]["certificate"].is_null())
}

async fn until_issued(api: &ScriptedApi, request: &Object) {
    api.until("issued", |api| is_issued(api, request)).await;
}

fn writes(api: &ScriptedApi, request: &Object) -> usize {
    api.count(&Call::WriteStatus(request.clone()))
}

#[tokio::test(start_paused = true)]
async fn two_replicas_sign_each_once_and_go_on_when_one_is_gone() {
    let api = cluster();
    let (first, second) = pair(&api).await;
    for n in 0..10 {
        let web = ask(&api, &format!("web-{n}"), "ca");
        until_issued(&api, &web).await;
        assert_eq!(writes(&api, &web), 1);
    }
    assert_eq!((asked(&first).len(), asked(&second).len()), (10, 0));
    first.kill();
    let late = ask(&api, "late", "ca");
    until_issued(&api, &late).await;
    assert_eq!((asked(&second), writes(&api, &late)), (vec!["late".to_owned()], 1));
}

/// Its watch is behind: it does not know yet what the other has written.
#[tokio::test(start_paused = true)]
async fn what_was_signed_just_before_is_not_signed_again() {
    let api = cluster();
    let (first, second) = pair(&api).await;
    first.signer().signs(Answer::good().after(Duration::from_secs(1)));
    let web = ask(&api, "web", "ca");
    api.until("the call", |_| asked(&first).len() == 1).await;
    sleep(Duration::from_millis(300)).await;
    api.hold(SIGNING_REQUESTS);
    first.stop().await;
    api.until("the other leads", |_| second.leads()).await;
    sleep(Duration::from_secs(1)).await;
    api.release(SIGNING_REQUESTS);
    sleep(Duration::from_secs(60)).await;
    until_issued(&api, &web).await;
    assert_eq!((asked(&second), writes(&api, &web)), (vec![], 1));
}

/// Nor does it ask whether somebody may refer to the Issuer.
#[tokio::test(start_paused = true)]
async fn a_standby_does_nothing() {
    let api = cluster();
    api.put(&the_lease(), foreign_lease("another"));
    let standby = Replica::start(&api, "standby", &Setup::default());
    let (web, theirs) = (ask(&api, "web", "ca"), ask(&api, "theirs", "ca"));
    api.edit(&theirs, |request| request["spec"]["username"] = "joe".into());
    for n in 0..150 {
        api.edit(&the_lease(), |lease| lease["spec"]["leaseTransitions"] = n.into());
        sleep(Duration::from_secs(2)).await;
    }
    assert_eq!((writes(&api, &web), writes(&api, &theirs), api.reviews().len()), (0, 0, 0));
    assert_eq!((api.events(), asked(&standby)), (vec![], vec![]));
}

/// A process that stands still, and finds when it goes on that its plugin has answered.
#[tokio::test(start_paused = true)]
async fn what_was_signed_during_a_pause_is_not_published() {
    let api = cluster();
    let first = Replica::start(&api, "first", &Setup::default());
    api.until("a leader", |_| first.leads()).await;
    first.signer().signs(Answer::good().after(Duration::from_secs(5)));
    let web = ask(&api, "web", "ca");
    api.until("the call", |_| asked(&first).len() == 1).await;
    seize(&api, "another");
    advance(LEASE).await;
    for _ in 0..50 {
        seize(&api, "another");
        sleep(Duration::from_millis(500)).await;
    }
    assert_eq!((writes(&api, &web), is_issued(&api, &web)), (0, false));
    assert_eq!((asked(&first).len(), first.leads()), (1, false));
    assert!(api.events().iter().all(|event| !event.starts_with("Issued")), "{:?}", api.events());
}

#[tokio::test(start_paused = true)]
async fn those_of_issuers_that_are_not_selected_are_left_alone() {
    let api = cluster();
    let (other, mut value) = issuer("other");
    value["metadata"]["labels"] = json!({"team": "b"});
    api.put(&other, value);
    let setup = Setup { selector: Some("team=b"), lease: "lease-b", ..Setup::default() };
    let b = Replica::start(&api, "b", &setup);
    let [of_ca, of_other, of_missing] =
        ["ca", "other", "missing"].map(|issuer| ask(&api, &format!("web-of-{issuer}"), issuer));
    // A signer whose name leads to no Issuer may be another operator's, too.
    let (misnamed, value) = signing_request("misnamed", "wasmissuers.wasm-issuer.dev/nowhere");
    api.put(&misnamed, value);
    until_issued(&api, &of_other).await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(asked(&b), ["web-of-other"]);
    for request in [&of_ca, &of_missing, &misnamed] {
        assert_eq!(writes(&api, request), 0, "{request:?}");
    }
    let asked_about = |review: &Value| review["resourceAttributes"]["name"] == "other";
    assert!(api.reviews().iter().all(asked_about), "{:?}", api.reviews());
}
