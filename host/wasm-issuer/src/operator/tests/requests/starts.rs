//! What a process finds when it starts, and what it leaves behind.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;
use wasm_issuer_core::issuance::condition::READY;

use super::{Bench, REST, WAITS, a_while, annotate, certificate};
use crate::operator::testing::{Answer, Call, Fault, Object, ScriptedApi, ScriptedSigner, request};
use crate::operator::tests::bench::ISSUED;

/// What a process finds that starts with a request in this state.
async fn after_a_start(conditions: &[Value], owned: &[&str]) -> (Bench, Object) {
    let (api, signer) = (ScriptedApi::new(), ScriptedSigner::default());
    let (web, mut value) = request("web");
    value["status"]["conditions"].as_array_mut().unwrap().extend(conditions.iter().cloned());
    let keys = owned.iter().map(|type_| (format!("k:{}", json!({"type": type_})), json!({})));
    value["metadata"]["managedFields"] = json!([{
        "manager": "wasm-issuer.dev", "operation": "Apply", "subresource": "status",
        "fieldsV1": {"f:status": {"f:conditions": Value::Object(keys.collect())}},
    }]);
    api.put(&web, value);
    let bench = Bench::start(&api, &signer);
    a_while().await;
    (bench, web)
}

fn ready(status: &str, reason: &str) -> Value {
    json!({"type": READY, "status": status, "reason": reason})
}

#[tokio::test(start_paused = true)]
async fn a_start_signs_what_is_unfinished() {
    for conditions in [vec![], vec![ready("Unknown", "Initializing")], vec![ready("False", "Pending")]] {
        let (bench, web) = after_a_start(&conditions, &[READY]).await;
        assert_eq!(bench.api.condition(&web, READY).as_deref(), Some(ISSUED), "{conditions:?}");
        assert_eq!(bench.signer.tokens(), [None]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_goes_on_with_an_order() {
    let resume = json!({"type": "wasm-issuer.dev/Resume", "status": "True", "message": "order-7"});
    let pending = [ready("False", "Pending"), resume];
    let (bench, web) = after_a_start(&pending, &[READY, "wasm-issuer.dev/Resume"]).await;
    assert_eq!(bench.signer.tokens(), [Some("order-7".to_owned())]);
    assert_eq!(bench.api.condition(&web, READY).as_deref(), Some(ISSUED));
    assert_eq!(bench.api.condition(&web, "wasm-issuer.dev/Resume"), None, "it is of no use any more");
}

#[tokio::test(start_paused = true)]
async fn a_start_leaves_alone_what_is_finished() {
    for (status, reason) in [("True", "Issued"), ("False", "Failed"), ("False", "Denied")] {
        let (bench, web) = after_a_start(&[ready(status, reason)], &[READY]).await;
        assert_eq!((bench.asked(), bench.times_written(&web)), (0, 0), "{reason}");
    }
}

/// What the only Event about an unapproved request says, which has this reason. The request says the same.
async fn told_of_unapproved((kind, name): (&str, &str), reason: &str, restarts: usize) -> String {
    let (api, signer) = (ScriptedApi::new(), ScriptedSigner::default());
    let (web, mut value) = request("web");
    value["status"] = json!({});
    value["spec"]["issuerRef"]["kind"] = kind.into();
    value["spec"]["issuerRef"]["name"] = name.into();
    api.put(&web, value);
    let mut bench = Bench::start(&api, &signer);
    for _ in 0..restarts {
        sleep(Duration::from_secs(100)).await;
        assert_eq!(api.told(reason), 1);
        bench = bench.restart().await;
    }
    a_while().await;
    assert_eq!((bench.asked(), bench.times_written(&web)), (0, 1));
    assert_eq!(api.told(reason), 1);
    assert_eq!(api.count(&Call::Event), restarts + 1, "one call for each process");
    let event = api.events().remove(0);
    let note = event.strip_prefix(&format!("{reason}: ")).unwrap();
    assert_eq!(api.condition(&web, READY), Some(format!("False Pending: {note}")), "an Event expires");
    event
}

#[tokio::test(start_paused = true)]
async fn that_nobody_approves_is_told_once_however_many_processes_notice() {
    told_of_unapproved(("WasmIssuer", "ca"), "WaitingApproval", 3).await;
}

#[tokio::test(start_paused = true)]
async fn the_rights_that_an_approver_lacks_are_spelt_out_for_each_kind() {
    for (kind, signer) in [
        ("WasmIssuer", "wasmissuers.wasm-issuer.dev/team-a.ca"),
        ("WasmClusterIssuer", "wasmclusterissuers.wasm-issuer.dev/ca"),
    ] {
        let note = told_of_unapproved((kind, "ca"), "WaitingApproval", 0).await;
        let (_, rest) = note.split_once(" for this one: ").unwrap();
        let (manifest, _) = rest.split_once(" Otherwise").unwrap();
        let list: Value = serde_saphyr::from_str(manifest).unwrap();
        let (role, binding) = (&list["items"][0], &list["items"][1]);
        let rule = json!({
            "apiGroups": ["cert-manager.io"], "resources": ["signers"], "verbs": ["approve"], "resourceNames": [signer],
        });
        assert_eq!(role["rules"], json!([rule]));
        assert_eq!((&role["kind"], &binding["kind"]), (&json!("ClusterRole"), &json!("ClusterRoleBinding")));
        assert_eq!(binding["roleRef"]["name"], role["metadata"]["name"]);
        let subject = json!({"kind": "ServiceAccount", "name": "cert-manager", "namespace": "cert-manager"});
        assert_eq!(binding["subjects"], json!([subject]));
    }
}

/// Whoever makes a request chooses the name, and an administrator applies the manifest.
#[tokio::test(start_paused = true)]
async fn what_no_issuer_can_be_called_is_in_no_manifest() {
    for (kind, name) in [("WasmIssuer", "x]}], rules: [{verbs: ['*'"), ("Issuer", "ca")] {
        let note = told_of_unapproved((kind, name), "ImpossibleIssuer", 0).await;
        assert!(note.contains("wasm-issuer.dev has no kind"), "{note}");
        assert!(!note.contains("apiVersion"), "{note}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_while_the_plugin_signs_asks_it_again() {
    let (bench, web) = Bench::with([Answer::good().after(Duration::from_secs(60)), Answer::good()]);
    bench.api.until("the call", |_| bench.asked() == 1).await;
    let bench = bench.restart().await;
    bench.until_issued(&web).await;
    assert_eq!(bench.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_restart_between_the_answer_and_the_write_leaves_one_certificate() {
    let (bench, web) = Bench::with([]);
    bench.api.next(Call::WriteStatus(web.clone()), Fault::Hang);
    let write = Call::WriteStatus(web.clone());
    bench.api.until("the write", |api| api.count(&write) == 1).await;
    let bench = bench.restart().await;
    bench.until_issued(&web).await;
    let first = certificate(&bench.api, &web);
    a_while().await;
    assert_eq!(bench.asked(), 2, "nothing of the first answer was known to anybody");
    assert_eq!(certificate(&bench.api, &web), first);
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_survives_a_restart() {
    let (bench, web) = Bench::with([Answer::failure(REST)]);
    bench.until_ready_says(&web, WAITS).await;
    let not_before = bench.api.condition(&web, "wasm-issuer.dev/NotBefore").unwrap();
    let bench = bench.restart().await;
    sleep(Duration::from_secs(200)).await;
    assert_eq!(bench.asked(), 1, "{not_before}");
}

#[tokio::test(start_paused = true)]
async fn a_stop_writes_what_could_not_be_written_yet() {
    let (bench, web) = Bench::with([]);
    let (stop, object) = (bench.open.0.clone(), web.clone());
    let overtaken = Fault::overtaken(move |api| {
        annotate(api, &object, "a");
        stop.send_replace(true);
    });
    bench.api.next(Call::WriteStatus(web.clone()), overtaken);
    bench.running.await.unwrap();
    assert_eq!(bench.api.condition(&web, READY).as_deref(), Some(ISSUED));
    assert_eq!(bench.signer.asked().len(), 1);
}
