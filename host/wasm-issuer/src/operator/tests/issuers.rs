//! What becomes of Issuers when their objects change under the operator's hands.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;
use wasm_issuer_core::issuance::condition::{PLUGIN_CURRENT, READY};
use wasm_issuer_core::issuance::signer::FailureKind;

use super::bench::{Bench, CHECKED};
use crate::api::Quantity;
use crate::operator::testing::{Answer, Call, Fault, ScriptedApi, config_map, secret};
use crate::policy::{Bounds, Policy, SourceKind};

/// Long enough for everything but the next periodic check.
async fn a_moment() {
    sleep(Duration::from_secs(20)).await;
}

#[tokio::test(start_paused = true)]
async fn an_issuer_is_ready_after_one_check_and_one_write() {
    let bench = Bench::start(|_, _, _| {});
    bench.until_says(READY, CHECKED).await;
    a_moment().await;
    assert!(bench.serves());
    assert_eq!((bench.plugins.plugin("v1").checked(), bench.times_written()), (1, 1));
    assert_eq!(bench.api.events(), ["Checked: Succeeded checking the issuer"]);
}

#[tokio::test(start_paused = true)]
async fn a_status_whose_write_conflicts_is_written_onto_the_newer_version() {
    let bench = Bench::start(|api, ca, _| {
        let object = ca.clone();
        let annotate = move |api: &ScriptedApi| {
            api.edit(&object, |value| value["metadata"]["annotations"] = json!({"somebody": "else"}));
        };
        api.next(Call::WriteStatus(ca.clone()), Fault::overtaken(annotate));
    });
    bench.until_says(READY, CHECKED).await;
    a_moment().await;
    assert!(bench.serves());
    assert_eq!(bench.times_written(), 2);
    assert_eq!(bench.api.get(&bench.ca).unwrap()["metadata"]["annotations"]["somebody"], "else");
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_missing_is_waited_for() {
    let bench =
        Bench::start(|api, ca, _| api.edit(ca, |value| value["spec"]["authSecretName"] = "auth".into()));
    let missing =
        r#"False Pending: Not ready yet: Secret "team-a/auth" not found (named by spec.authSecretName)"#;
    bench.until_says(READY, missing).await;
    assert!(!bench.serves());
    // Longer than the next check by the clock takes: it is the watch that tells.
    sleep(Duration::from_secs(300)).await;
    let (auth, value) = secret("auth");
    bench.api.put(&auth, value);
    let began = tokio::time::Instant::now();
    bench.until_says(READY, CHECKED).await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(bench.serves());
}

#[tokio::test(start_paused = true)]
async fn a_read_that_hangs_is_nobodys_fault_and_is_tried_again() {
    let (auth, value) = secret("auth");
    let bench = Bench::start(|api, ca, _| {
        api.edit(ca, |value| value["spec"]["authSecretName"] = "auth".into());
        api.put(&auth, value);
        api.next(Call::Get(auth.clone()), Fault::Hang);
    });
    bench.until_says(READY, CHECKED).await;
    assert!(bench.serves());
    assert_eq!(bench.api.events(), ["Checked: Succeeded checking the issuer"]);
}

#[tokio::test(start_paused = true)]
async fn a_read_that_hangs_does_not_keep_a_new_spec_waiting() {
    let bench = Bench::start(|api, ca, _| {
        api.edit(ca, |value| value["spec"]["authSecretName"] = "auth".into());
        let (auth, value) = secret("auth");
        api.put(&auth, value);
        api.every(Call::Get(auth), Fault::Hang);
    });
    bench.api.until("the read", |api| api.count(&Call::Get(secret("auth").0)) == 1).await;
    let began = tokio::time::Instant::now();
    bench.api.edit(&bench.ca, |value| {
        value["spec"].as_object_mut().unwrap().remove("authSecretName");
    });
    bench.until_says(READY, CHECKED).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert!(bench.serves());
}

#[tokio::test(start_paused = true)]
async fn a_status_whose_answer_is_lost_is_not_written_in_vain() {
    let bench = Bench::start(|api, ca, _| api.next(Call::WriteStatus(ca.clone()), Fault::AnswerLost));
    bench.until_says(READY, CHECKED).await;
    sleep(Duration::from_secs(40)).await;
    assert!(bench.serves());
    assert_eq!(bench.api.condition(&bench.ca, READY).as_deref(), Some(CHECKED));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_trouble_is_told_although_the_answer_of_its_write_is_lost() {
    let bench = Bench::start(|_, _, plugins| {
        plugins.plugin("v1").checks(Answer::failure(FailureKind::Retry { after: None }));
    });
    bench.until_says(READY, "False Pending: Not ready yet: scripted").await;
    bench.api.next(Call::WriteStatus(bench.ca.clone()), Fault::AnswerLost);
    bench.until_says(READY, CHECKED).await;
    sleep(Duration::from_secs(60)).await;
    let told = ["RetryableError: Not ready yet: scripted", "Checked: Succeeded checking the issuer"];
    assert_eq!(bench.api.events(), told);
}

#[tokio::test(start_paused = true)]
async fn a_start_believes_what_the_status_says_until_a_check_says_otherwise() {
    let bench = Bench::start(|api, ca, _| {
        api.edit(ca, |value| {
            value["status"] = json!({"observedGeneration": 1, "conditions": [{
                "type": READY, "status": "True", "reason": "Checked", "message": "Succeeded checking the issuer",
                "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1,
            }]});
        });
    });
    a_moment().await;
    assert!(bench.serves());
    assert_eq!(bench.api.events(), [""; 0], "that it is still ready is no news");
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_is_refused_leaves_the_old_one_serving() {
    let bench = Bench::start(|_, _, _| {});
    bench.until_says(READY, CHECKED).await;
    let (map, value) = config_map("plugin", "broken");
    bench.api.put(&map, value);
    let old = "The new plugin was not taken into use, 3bfc269594ef goes on serving: ConfigMap";
    let empty = "team-a/plugin plugin.wasm: the plugin is empty (0 bytes): put the component's bytes there";
    bench.until_says(PLUGIN_CURRENT, &format!("False Refused: {old} {empty}")).await;
    assert!(bench.serves());
    let ready = format!("True PluginRefused: Succeeded checking the issuer. {old} {empty}");
    assert_eq!(bench.api.condition(&bench.ca, READY), Some(ready), "kubectl get shows no other condition");
    let status = bench.api.get(&bench.ca).unwrap()["status"].clone();
    assert!(status["summary"].as_str().unwrap().starts_with(old), "{status}");
    assert_eq!(status["plugin"]["label"], "plugin@3bfc269594ef");

    bench.api.delete(&map);
    let gone = r#""team-a/plugin" not found (named by spec.plugin.configMap.name)"#;
    bench.until_says(PLUGIN_CURRENT, &format!("False Refused: {old} {gone}")).await;

    let (map, value) = config_map("plugin", "v2");
    bench.api.put(&map, value);
    bench.until_says(PLUGIN_CURRENT, "True Loaded: The plugin of the spec is in use").await;
    assert_eq!(bench.api.condition(&bench.ca, READY).as_deref(), Some(CHECKED));
    let told = [format!("PluginRefused: {old} {empty}"), format!("PluginRefused: {old} {gone}")];
    assert_eq!(bench.api.events()[1..3], told, "each new reason");
    assert_eq!(bench.plugins.plugin("v2").checked(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_deleted_while_it_is_prepared_leaves_nothing_behind() {
    let bench = Bench::start(|_, _, plugins| {
        plugins.plugin("v1").checks(Answer::good().after(Duration::from_secs(5)));
    });
    bench.api.until("the check", |_| bench.plugins.plugin("v1").checked() == 1).await;
    bench.api.delete(&bench.ca);
    a_moment().await;
    assert!(bench.entry().is_none());
    assert_eq!(bench.times_written(), 0);
    assert_eq!(bench.api.events(), [] as [String; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_change_is_noticed_although_the_connection_of_the_watch_died() {
    let bench = Bench::start(|_, _, _| {});
    bench.until_says(READY, CHECKED).await;
    bench.api.die("wasmissuers");
    bench.api.delete(&bench.ca);
    sleep(Duration::from_secs(30)).await;
    assert!(!bench.serves());
}

fn policy(change: impl FnOnce(&mut Bounds)) -> Arc<Policy> {
    let mut policy = Policy::default();
    change(&mut policy.wasm_issuers);
    Arc::new(policy)
}

#[tokio::test(start_paused = true)]
async fn what_a_new_policy_does_not_allow_stops_serving_at_once() {
    let bench = Bench::start(|_, _, _| {});
    bench.until_says(READY, CHECKED).await;
    bench.policy.send_replace(policy(|bounds| bounds.sources = vec![SourceKind::Builtin]));
    let refused = "False Failed: Failed permanently: the operator's policy does not allow spec.plugin.configMap (it allows \
                   builtin); to allow it, put the section wasmIssuers: {sources: [\"builtin\",\"configMap\"]} there";
    bench.until_says(READY, refused).await;
    assert!(!bench.serves());
    bench.policy.send_replace(policy(|_| {}));
    bench.until_says(READY, CHECKED).await;
    assert!(bench.serves());

    bench.policy.send_replace(policy(|bounds| bounds.sha256 = vec!["0".repeat(64)]));
    sleep(Duration::from_secs(1)).await;
    assert!(!bench.serves());
}

/// What serves holds the addresses that its plugin may reach.
#[tokio::test(start_paused = true)]
async fn nothing_serves_under_the_old_policy() {
    let slow = || Answer::good().after(Duration::from_secs(8));
    let bench = Bench::start(|_, _, _| {});
    bench.until_says(READY, CHECKED).await;
    let old = bench.entry().and_then(|entry| entry.serving).unwrap();
    bench.plugins.plugin("v1").checks(slow());
    bench.policy.send_replace(policy(|bounds| bounds.deny_addresses = vec!["192.0.2.0/24".parse().unwrap()]));
    sleep(Duration::from_secs(1)).await;
    assert!(!bench.serves(), "not while the new one is made");
    sleep(Duration::from_secs(9)).await;
    let new = bench.entry().and_then(|entry| entry.serving).unwrap();
    assert!(!Arc::ptr_eq(&old, &new));
    assert_eq!(bench.api.condition(&bench.ca, READY).as_deref(), Some(CHECKED), "it was ready all the time");

    // What changes for the others changes nothing here.
    let mut others = bench.policy.borrow().as_ref().clone();
    others.wasm_cluster_issuers.reveal = false;
    bench.policy.send_replace(Arc::new(others));
    sleep(Duration::from_secs(1)).await;
    let same = bench.entry().and_then(|entry| entry.serving).unwrap();
    assert!(Arc::ptr_eq(&new, &same));
}

#[tokio::test(start_paused = true)]
async fn what_serves_while_something_new_is_prepared_stops_as_well() {
    let bench = Bench::start(|_, _, _| {});
    bench.until_says(READY, CHECKED).await;
    let (map, value) = config_map("plugin", "v2");
    bench.api.every(Call::Get(map.clone()), Fault::Hang);
    bench.api.put(&map, value);
    sleep(Duration::from_secs(2)).await;
    assert!(bench.serves(), "the old one goes on");
    bench.policy.send_replace(policy(|bounds| bounds.sha256 = vec!["0".repeat(64)]));
    sleep(Duration::from_secs(1)).await;
    assert!(!bench.serves());
}

#[tokio::test(start_paused = true)]
async fn a_plugin_may_be_as_large_as_the_policy_and_the_operator_say() {
    const TOO_LARGE: &str = "the plugin has 2 bytes, at most 1 are accepted";
    let tiny = Quantity { bytes: 1 };
    let refused = async |bench: &Bench| {
        let says =
            |api: &ScriptedApi| api.condition(&bench.ca, READY).is_some_and(|it| it.contains(TOO_LARGE));
        bench.api.until(TOO_LARGE, says).await;
        assert!(!bench.serves());
    };
    let bench = Bench::start(|_, _, _| {});
    bench.until_says(READY, CHECKED).await;
    bench.policy.send_replace(policy(|bounds| bounds.max_component = tiny));
    sleep(Duration::from_secs(1)).await;
    assert!(!bench.serves());
    refused(&bench).await;

    refused(&Bench::up_to(tiny)).await;
}
