//! What happens to a request while its plugin is at it: it takes long, the operator dies, somebody changes something.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;
use wasm_issuer_e2e::{Csr, Object, SOON, e2e, e2e_alone, issuer_ref};

use super::conditions::{DENIED, ISSUED, REQUEST, ready_until_issued};

#[test]
fn a_slow_ca_is_announced() {
    e2e(async |t| {
        t.hostile_issuer("ca", json!({"behaviour": "slow", "seconds": 3})).await;
        let csr = Csr::for_host("a.example");
        let request = t.request("web", issuer_ref("ca"), &csr, json!({})).await;
        let changes = t.changes(REQUEST, "web", request.meta("resourceVersion")).await;
        t.approve("web").await;
        let started = "Unknown Initializing: wasm-issuer.dev has started reconciling this CertificateRequest";
        assert_eq!(ready_until_issued(changes).await, [started, ISSUED]);
        t.issued("web").await.verify(&csr);
    });
}

#[test]
fn an_order_in_progress_survives_a_restart() {
    e2e_alone(async |t, operator| {
        t.hostile_issuer("ca", json!({"behaviour": "pending", "times": 6})).await;
        let request = t.request("web", issuer_ref("ca"), &Csr::for_host("a.example"), json!({})).await;
        let changes = t.changes(REQUEST, "web", request.meta("resourceVersion")).await;
        t.approve("web").await;
        let order = |n: u32| format!("Signing still in progress. Reason: order {n} of 6");
        let token = |request: &Object| request.says("wasm-issuer.dev/Resume");
        let is_under_way = |request: &Object| {
            matches!(token(request).as_str(), "True Pending: 2" | "True Pending: 3" | "True Pending: 4")
        };
        t.wait((REQUEST, "web"), SOON, "under way", is_under_way).await;
        t.wait_event(REQUEST, "web", &format!("Normal Pending Synced: {}", order(2))).await;
        operator.kill().await;
        operator.start().await;
        let issued = t.issued("web").await;
        assert_eq!(issued.request.condition_types(), ["Approved", "Ready"]);

        let seen = ready_until_issued(changes).await;
        let orders = (1..=6).map(|n| format!("False Pending: {}", order(n)));
        let all: Vec<String> = orders.chain([ISSUED.to_owned()]).collect();
        assert_eq!(seen, all, "the token was handed back after the restart");
    });
}

#[test]
fn a_request_of_the_same_name_never_gets_the_old_ones_certificate() {
    e2e(async |t| {
        const SIGNING: u64 = 3;
        t.hostile_issuer("ca", json!({"behaviour": "slow", "seconds": SIGNING})).await;
        let (old, new) = (Csr::for_host("a.example"), Csr::for_host("a.example"));
        // The second time with the very same CSR: what tells them apart is the uid.
        for (name, csr) in [("other-key", &new), ("same-key", &old)] {
            let before = t.approved_request(name, issuer_ref("ca"), &old, json!({})).await;
            t.wait((REQUEST, name), SOON, "being signed", |r| !r.ready().is_empty()).await;
            sleep(Duration::from_secs(1)).await;
            t.delete(REQUEST, name).await;
            let after = t.approved_request(name, issuer_ref("ca"), csr, json!({})).await;
            assert_ne!(before.meta("uid"), after.meta("uid"));
            let issued = t.issued(name).await;
            issued.verify(csr);
            assert_eq!(issued.request.meta("uid"), after.meta("uid"));
            // The old one's certificate was begun at least a second before there was the new one.
            let created: jiff::Timestamp = after.meta("creationTimestamp").parse().unwrap();
            let made = issued.leaf.tbs_certificate().validity().not_before.to_unix_duration().as_secs();
            let least = u64::try_from(created.as_second()).unwrap() + SIGNING;
            assert!(made >= least, "{name}: made {} s too early", least - made);
        }
    });
}

#[test]
fn a_request_that_is_denied_while_it_is_signed_gets_no_certificate() {
    e2e(async |t| {
        t.hostile_issuer("ca", json!({"behaviour": "slow", "seconds": 6})).await;
        t.approved_request("web", issuer_ref("ca"), &Csr::for_host("a.example"), json!({})).await;
        t.wait((REQUEST, "web"), SOON, "being signed", |r| r.ready().starts_with("Unknown")).await;
        t.deny("web").await;
        let request = t.wait_ready(REQUEST, "web", SOON, &format!("False Denied: {DENIED}")).await;
        assert_eq!(request["status"].get("certificate"), None);
    });
}

#[test]
fn a_request_that_somebody_changes_while_it_is_signed_is_signed_once() {
    // Alone, because it counts what the operator does for all.
    e2e_alone(async |t, operator| {
        t.hostile_issuer("ca", json!({"behaviour": "slow", "seconds": 4})).await;
        let csr = Csr::for_host("a.example");
        let issued = r#"wasm_issuer_signs_total{outcome="issued"}"#;
        let before = operator.metric(issued).await;
        t.approved_request("web", issuer_ref("ca"), &csr, json!({})).await;
        t.wait((REQUEST, "web"), SOON, "being signed", |r| r.ready().starts_with("Unknown")).await;
        let note = json!({"metadata": {"annotations": {"example.com/note": "seen"}}});
        t.merge(REQUEST, "web", note).await;
        t.issued("web").await.verify(&csr);
        assert_eq!(operator.metric(issued).await, before + 1);
    });
}

#[test]
fn a_request_that_is_deleted_while_it_is_signed_is_no_error() {
    e2e(async |t| {
        t.hostile_issuer("ca", json!({"behaviour": "slow", "seconds": 3})).await;
        t.approved_request("web", issuer_ref("ca"), &Csr::for_host("a.example"), json!({})).await;
        t.wait((REQUEST, "web"), SOON, "being signed", |r| r.ready().starts_with("Unknown")).await;
        t.delete(REQUEST, "web").await;
        sleep(Duration::from_secs(4)).await;
        let is_bad = |line: &&String| line.contains("WARN") || line.contains("ERROR");
        assert_eq!(t.log().iter().filter(is_bad).collect::<Vec<_>>(), Vec::<&String>::new());
        assert_eq!(t.events(REQUEST, "web").await, Vec::<String>::new());
    });
}
