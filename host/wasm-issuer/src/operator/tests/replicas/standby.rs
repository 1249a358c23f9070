//! What a replica does that does not lead.

use std::time::Duration;

use serde_json::json;
use tokio::time::{sleep, timeout};
use wasm_issuer_core::issuance::condition::{READY, TRUE};

use super::{LEASE, ask, asked, cluster, foreign_lease, lease, pair, the_lease, until_issued};
use crate::operator::testing::{
    Answer, Call, Fault, Object, Replica, ScriptedApi, Setup, config_map, issuer, request,
};
use crate::operator::tests::bench::CHECKED;

/// What is written of an object.
fn writes(api: &ScriptedApi, object: &Object) -> usize {
    api.count(&Call::WriteStatus(object.clone()))
}

/// Whatever happens to Issuers and requests: nobody is asked, and nothing is written.
#[tokio::test(start_paused = true)]
async fn a_standby_is_ready_and_does_nothing() {
    let api = cluster();
    api.put(&the_lease(), foreign_lease("another"));
    let renewed = api.clone();
    tokio::spawn(async move {
        for n in 0.. {
            renewed.edit(&the_lease(), |lease| lease["spec"]["leaseTransitions"] = n.into());
            sleep(Duration::from_secs(2)).await;
        }
    });
    let standby = Replica::start(&api, "standby", &Setup::default());
    let (ca, web) = (issuer("ca").0, ask(&api, "web"));
    let unapproved = request("unapproved");
    let mut value = unapproved.1;
    value["status"] = json!({});
    value["spec"]["duration"] = "90d".into();
    api.put(&unapproved.0, value);
    sleep(LEASE).await;
    api.edit(&ca, |ca| ca["metadata"]["annotations"] = json!({"check": "please"}));
    sleep(LEASE).await;
    let (map, value) = config_map("plugin", "v2");
    api.put(&map, value);
    sleep(20 * LEASE).await;
    for object in [&ca, &web, &unapproved.0] {
        assert_eq!(writes(&api, object), 0, "{object:?}");
    }
    assert_eq!(api.events(), [""; 0]);
    for plugin in ["v1", "v2"] {
        let plugin = standby.plugins.plugin(plugin);
        assert_eq!(
            (plugin.configs().len(), plugin.checked(), plugin.asked().len()),
            (1, 0, 0),
            "warm, and silent"
        );
    }
    assert!(!standby.leads());
}

/// The one before has checked the Issuer, and its status says so.
#[tokio::test(start_paused = true)]
async fn who_takes_over_signs_at_once_and_checks_meanwhile() {
    let api = cluster();
    let (first, second) = pair(&api).await;
    api.until("ready", |api| api.condition(&issuer("ca").0, READY).as_deref() == Some(CHECKED)).await;
    second.signer().checks(Answer::good().after(Duration::from_secs(30)));
    first.stop().await;
    let began = tokio::time::Instant::now();
    until_issued(&api, &ask(&api, "web")).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!((second.signer().checked(), asked(&second).len()), (1, 1));
    sleep(Duration::from_secs(60)).await;
    assert_eq!(writes(&api, &issuer("ca").0), 1, "it was ready all the while");
}

/// An Issuer that is made when a second replica stands by already, `prepared` for it, and that the first one has checked.
async fn checked_by_the_first(prepared: impl FnOnce(&Replica)) -> (ScriptedApi, Replica, Replica) {
    let api = ScriptedApi::new();
    let (map, value) = config_map("plugin", "v1");
    api.put(&map, value);
    let first = Replica::start(&api, "first", &Setup::default());
    api.until("a leader", |_| first.leads()).await;
    let second = Replica::start(&api, "second", &Setup::default());
    prepared(&second);
    sleep(LEASE).await;
    let (ca, value) = issuer("ca");
    api.put(&ca, value);
    api.until("ready", |api| api.condition(&ca, READY).as_deref() == Some(CHECKED)).await;
    sleep(LEASE).await;
    (api, first, second)
}

fn nobody_waits_for_the_issuer(api: &ScriptedApi) {
    let events = api.events();
    assert!(events.iter().all(|event| !event.starts_with("WaitingForIssuerReady")), "{events:?}");
}

/// Its requests are looked at before its task has taken over.
#[tokio::test(start_paused = true)]
async fn who_takes_over_knows_how_the_issuer_is() {
    let (api, first, second) = checked_by_the_first(|_| {}).await;
    let seen = second.issuer("ca").unwrap();
    assert_eq!((seen.ready.unwrap().status.as_str(), seen.serving.is_some()), (TRUE, false));
    first.kill();
    let web = ask(&api, "web");
    until_issued(&api, &web).await;
    sleep(LEASE).await;
    nobody_waits_for_the_issuer(&api);
    assert_eq!(writes(&api, &web), 1);
}

/// As long as it takes: a request that is its own by then is not told what is not so.
#[tokio::test(start_paused = true)]
async fn who_takes_over_before_its_plugin_is_there_knows_how_the_issuer_is() {
    let (api, first, second) = checked_by_the_first(|second| second.plugins.uncompiled("v1")).await;
    assert_eq!(second.issuer("ca").unwrap().ready.unwrap().status, TRUE);
    first.kill();
    let web = ask(&api, "web");
    api.until("taken over", |_| second.leads()).await;
    sleep(LEASE).await;
    nobody_waits_for_the_issuer(&api);
    assert!(api.condition(&web, READY).is_some_and(|ready| ready.starts_with("Unknown Initializing")));
}

/// Nobody has checked that one.
#[tokio::test(start_paused = true)]
async fn who_takes_over_checks_first_what_the_status_does_not_vouch_for() {
    let api = cluster();
    let (first, second) = pair(&api).await;
    let ca = issuer("ca").0;
    api.until("ready", |api| api.condition(&ca, READY).as_deref() == Some(CHECKED)).await;
    first.kill();
    let (map, value) = config_map("plugin", "v2");
    api.put(&map, value);
    second.plugins.plugin("v2").checks(Answer::good().after(Duration::from_secs(3)));
    let web = ask(&api, "web");
    api.until("the other leads", |_| second.leads()).await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(second.plugins.plugin("v2").asked().len(), 0, "its check is not over");
    until_issued(&api, &web).await;
    assert_eq!(second.plugins.plugin("v2").asked().len(), 1);
}

/// Operators for other Issuers have their own Lease, and leave alone what they do not select.
#[tokio::test(start_paused = true)]
async fn a_selector_that_the_api_server_cannot_read_ends_the_operator_and_no_other_refusal_does() {
    for (selector, code, ends) in
        [(Some("team in ("), 400, true), (Some("team=a"), 500, false), (None, 400, false)]
    {
        let api = cluster();
        api.every(Call::List("wasmissuers".to_owned()), Fault::Code(code));
        let replica = Replica::start(&api, "first", &Setup { selector, ..Setup::default() });
        match timeout(LEASE, replica.issuers).await {
            Ok(ended) => {
                let error = ended.unwrap().unwrap_err().to_string();
                let told =
                    "--issuer-selector \"team in (\" is no label selector, says the API server: scripted 400";
                assert!(ends && error == told, "{error}");
            }
            Err(_) => assert!(!ends, "{selector:?} {code}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_operator_works_for_what_its_selector_selects_and_nothing_else() {
    let api = cluster();
    let (other, mut value) = issuer("other");
    value["metadata"]["labels"] = json!({"team": "b"});
    api.put(&other, value);
    let setup = |selector, lease| Setup { selector: Some(selector), lease, ..Setup::default() };
    let b = Replica::start(&api, "b", &setup("team=b", "lease-b"));
    let c = Replica::start(&api, "c", &setup("team=c", "lease-c"));
    let requests: Vec<_> = ["ca", "other", "missing"]
        .map(|issuer| super::ask_of(&api, &format!("web-of-{issuer}"), issuer))
        .into();
    until_issued(&api, &requests[1]).await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!((asked(&b), asked(&c).len()), (vec!["web-of-other".to_owned()], 0));
    for object in [&issuer("ca").0, &requests[0], &requests[2]] {
        assert_eq!(writes(&api, object), 0, "{object:?}");
    }
    // It changes hands.
    api.edit(&other, |other| other["metadata"]["labels"] = json!({"team": "c"}));
    sleep(Duration::from_secs(5)).await;
    let late = super::ask_of(&api, "late", "other");
    until_issued(&api, &late).await;
    assert_eq!((asked(&b).len(), asked(&c)), (1, vec!["late".to_owned()]));
    assert!(api.get(&lease("lease-b")).is_some() && api.get(&lease("lease-c")).is_some());
}
