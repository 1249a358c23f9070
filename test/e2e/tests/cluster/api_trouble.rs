//! Trouble with the API server is no trouble with a CA: what serves goes on serving, and nobody waits for longer than the
//! trouble lasts.

use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::join_all;
use kube::api::WatchEvent;
use serde_json::json;
use tokio::time::sleep;
use wasm_issuer_e2e::keys::Ca;
use wasm_issuer_e2e::{
    Csr, Fault, KeyKind, Kind, Launch, Object, Operator, Proxy, SOON, Test, UNDISTURBED, Wire,
    cluster_issuer_ref, e2e_alone, issuer_ref, operator,
};

use super::conditions::{ISSUED, ready_until_issued};

const ISSUER: Kind = Kind::WasmIssuer;
const REQUEST: Kind = Kind::CertificateRequest;
const READY: &str = "True Checked: Succeeded checking the issuer";

/// The operator behind a proxy that has all kinds of trouble.
async fn behind_a_proxy(t: &Test, operator: &mut Operator) -> Proxy {
    let proxy = Proxy::start(&t.workdir).await;
    let kubeconfig = Some(proxy.kubeconfig.clone());
    operator.relaunch(Launch { kubeconfig, ..Launch::default() }).await;
    // From here on nobody waits for the plugin to be compiled.
    let loaded = cluster_issuer_ref("all-in-memory-ca");
    t.issue("loaded", loaded, &Csr::for_host("a.example"), json!({})).await;
    proxy
}

/// Until so many requests of the operator have met with trouble.
async fn until_hurt(proxy: &Proxy, count: usize) {
    let began = Instant::now();
    while proxy.hurt() < count {
        assert!(began.elapsed() < SOON, "{} requests met with trouble", proxy.hurt());
        sleep(Duration::from_millis(20)).await;
    }
}

/// An Issuer that names a Secret, and one that names a ConfigMap and nothing else. Both may reach a server, so that they are
/// checked at each interval.
async fn two_issuers(t: &Test) {
    let reach = json!({"allowedHosts": ["https://ca.example.com"]});
    let root = Ca::root("root", KeyKind::P256);
    t.tls_secret("keys", &root.certificate, &root.key.pem()).await;
    let spec = json!({
        "plugin": {"builtin": "in-memory-ca"}, "authSecretName": "keys", "checkInterval": "10s", "http": reach,
    });
    t.ready_issuer("secret", spec).await;
    t.config_map("plugin", "plugin.wasm", &operator::plugin("in_memory_ca")).await;
    let spec = json!({"plugin": {"configMap": {"name": "plugin"}}, "checkInterval": "10s", "http": reach});
    t.ready_issuer("map", spec).await;
}

/// A certificate from each of them, soon.
async fn both_issue(t: &Test, when: &str) {
    let began = Instant::now();
    let csr = Csr::for_host("a.example");
    join_all(["secret", "map"].map(async |issuer| {
        t.issue(&format!("{when}-{issuer}"), issuer_ref(issuer), &csr, json!({})).await;
    }))
    .await;
    assert!(began.elapsed() < UNDISTURBED, "{when}: {:?}", began.elapsed());
}

/// What the Ready conditions of the Issuers say, each time that one is written.
async fn never_unready(t: &Test, during: impl Future<Output = ()>) {
    let changes = t.changes(ISSUER, "", "0").await;
    let seen = changes.take_until(during).filter_map(async |event| match event {
        WatchEvent::Added(issuer) | WatchEvent::Modified(issuer) => Some(Object(issuer)),
        _ => None,
    });
    let others = seen.filter(|issuer| std::future::ready(issuer.ready() != READY));
    let others: Vec<String> =
        others.map(|issuer| format!("{} {}", issuer.name(), issuer.ready())).collect().await;
    assert_eq!(others, Vec::<String>::new());
}

#[test]
fn a_secret_that_is_not_answered_holds_up_nothing_but_its_own_reader() {
    e2e_alone(async |t, operator| {
        let proxy = behind_a_proxy(t, operator).await;
        let is_secret = |path: &str| path.contains("/secrets/");
        proxy.plan(move |call| if is_secret(&call.path) { Fault::Hang } else { Fault::None });
        let builtin = json!({"builtin": "in-memory-ca"});
        t.issuer("ca", json!({"plugin": builtin, "authSecretName": "keys"})).await;
        until_hurt(&proxy, 1).await;
        let began = Instant::now();
        t.ready_issuer("other", json!({"plugin": builtin})).await;
        t.issue("other", issuer_ref("other"), &Csr::for_host("a.example"), json!({})).await;
        // A new spec that names no Secret does not wait for the old one's.
        t.merge(ISSUER, "ca", json!({"spec": {"authSecretName": null}})).await;
        t.wait_ready(ISSUER, "ca", SOON, READY).await;
        t.issue("own", issuer_ref("ca"), &Csr::for_host("a.example"), json!({})).await;
        assert!(began.elapsed() < UNDISTURBED, "{:?}", began.elapsed());
    });
}

#[test]
fn config_maps_that_are_not_answered_stop_no_other_plugin() {
    e2e_alone(async |t, operator| {
        let proxy = behind_a_proxy(t, operator).await;
        proxy.plan(|call| if call.path.contains("/configmaps/hangs") { Fault::Hang } else { Fault::None });
        let hanging = t.in_namespace(&format!("{}-hanging", t.namespace)).await;
        join_all((0..20).map(async |n| {
            let name = format!("hangs-{n}");
            hanging.issuer(&name, json!({"plugin": {"configMap": {"name": name}}})).await;
        }))
        .await;
        until_hurt(&proxy, 2).await;
        let began = Instant::now();
        two_issuers(t).await;
        both_issue(t, "meanwhile").await;
        assert!(began.elapsed() < UNDISTURBED, "{:?}", began.elapsed());
    });
}

#[test]
fn an_outage_makes_no_issuer_unready_and_is_over_when_it_ends() {
    e2e_alone(async |t, operator| {
        let proxy = behind_a_proxy(t, operator).await;
        two_issuers(t).await;
        for (name, fault) in
            [("errors", Fault::Status(500)), ("hangs", Fault::Hang), ("breaks", Fault::Break)]
        {
            both_issue(t, &format!("before-{name}")).await;
            // Each Issuer checks twice meanwhile.
            never_unready(t, async {
                proxy.plan(move |_| fault);
                let csr = Csr::for_host("a.example");
                t.approved_request(name, issuer_ref("secret"), &csr, json!({})).await;
                sleep(Duration::from_secs(25)).await;
                proxy.heal();
                let healed = Instant::now();
                t.issued(name).await;
                assert!(healed.elapsed() < UNDISTURBED, "{name}: {:?} after it", healed.elapsed());
                both_issue(t, &format!("after-{name}")).await;
            })
            .await;
        }
    });
}

#[test]
fn a_late_watch_makes_no_second_order() {
    e2e_alone(async |t, operator| {
        let proxy = behind_a_proxy(t, operator).await;
        t.hostile_issuer("ca", json!({"behaviour": "pending", "times": 8})).await;
        let is_late = |path: &str| path.ends_with("/certificaterequests");
        let delay = Fault::Delay(Duration::from_secs(3));
        proxy.plan(move |call| if call.is_watch && is_late(&call.path) { delay } else { Fault::None });
        let request = t.request("web", issuer_ref("ca"), &Csr::for_host("a.example"), json!({})).await;
        let changes = t.changes(REQUEST, "web", request.meta("resourceVersion")).await;
        t.approve("web").await;
        // Somebody else's change in between brings back what was before the last order, and that late.
        let annotating = async {
            for n in 0.. {
                sleep(Duration::from_millis(700)).await;
                let note = json!({"metadata": {"annotations": {"example.com/note": n.to_string()}}});
                t.merge(REQUEST, "web", note).await;
            }
        };
        let seen = tokio::select! {
            seen = ready_until_issued(changes) => seen,
            () = annotating => unreachable!("it goes on"),
        };
        let orders =
            (1..=8).map(|n| format!("False Pending: Signing still in progress. Reason: order {n} of 8"));
        let all: Vec<String> = orders.chain([ISSUED.to_owned()]).collect();
        assert_eq!(seen, all, "each order once");
    });
}

#[test]
fn connections_that_die_silently_are_noticed() {
    e2e_alone(async |t, operator| {
        let wire = Wire::start(&t.workdir).await;
        let kubeconfig = Some(wire.kubeconfig.clone());
        operator.relaunch(Launch { kubeconfig, ..Launch::default() }).await;
        two_issuers(t).await;
        both_issue(t, "before").await;
        never_unready(t, async {
            wire.cut();
            let began = Instant::now();
            t.approved_request("web", issuer_ref("secret"), &Csr::for_host("a.example"), json!({})).await;
            t.issued("web").await;
            let took = began.elapsed();
            assert!(took < Duration::from_secs(60), "a dead connection was noticed after {took:?}");
        })
        .await;
    });
}
