//! The operator may end at any time. Nothing that matters is in its memory alone.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use kube::api::WatchEvent;
use serde_json::json;
use tokio::time::sleep;
use wasm_issuer_e2e::{Csr, Issued, Kind, Object, SOON, Test, e2e_alone, issuer_ref};

const REQUEST: Kind = Kind::CertificateRequest;
const ISSUED: &str = "True Issued: Succeeded signing the CertificateRequest";

type Csrs = BTreeMap<String, Csr>;

/// A fast issuer and one that takes a while, and requests for both by turns, not approved yet.
///
/// The operator works on 32 requests of an Issuer at a time. So after [`approve_until_issued`] some of 50 slow ones are
/// not begun unless approving took longer than one of them.
async fn requests(t: &Test, n: usize) -> Csrs {
    t.ready_issuer("fast", json!({"plugin": {"builtin": "in-memory-ca"}})).await;
    t.hostile_issuer("slow", json!({"behaviour": "slow", "seconds": 4})).await;
    let csrs: Csrs =
        (0..n).map(|i| (format!("web-{i:03}"), Csr::for_host(&format!("web-{i}.example")))).collect();
    for_each(&csrs, async |i, name, csr| {
        let issuer = if i % 2 == 0 { "fast" } else { "slow" };
        t.request(name, issuer_ref(issuer), csr, json!({})).await;
    })
    .await;
    csrs
}

/// Acts on all of them, sixteen at a time.
async fn for_each(csrs: &Csrs, action: impl AsyncFn(usize, &str, &Csr)) {
    let action = &action;
    stream::iter(csrs.iter().enumerate())
        .for_each_concurrent(16, |(i, (name, csr))| async move { action(i, name, csr).await })
        .await;
}

/// Approve all, and return as soon as so many are issued.
async fn approve_until_issued(t: &Test, csrs: &Csrs, enough: usize) {
    let changes = t.changes(REQUEST, "", "0").await;
    let is_issued = async |event: WatchEvent<_>| match event {
        WatchEvent::Modified(request) => Object(request).ready() == ISSUED,
        _ => false,
    };
    let issued = changes.filter_map(async |event| is_issued(event).await.then_some(())).take(enough).count();
    let approved = for_each(csrs, async |_, name, _| {
        t.approve(name).await;
    });
    futures::join!(issued, approved);
}

/// Wait until all are issued, and look at each certificate.
async fn all_are_issued(t: &Test, csrs: &Csrs) {
    let began = Instant::now();
    let requests = loop {
        let requests = t.list(REQUEST).await;
        if requests.iter().all(|request| request.ready() == ISSUED) {
            break requests;
        }
        let others: Vec<_> =
            requests.iter().filter(|r| r.ready() != ISSUED).map(|r| (r.name(), r.ready())).collect();
        let none_failed = others.iter().all(|(_, ready)| !ready.starts_with("False Failed"));
        assert!(none_failed && began.elapsed() < SOON, "{others:?}");
        sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(requests.len(), csrs.len());
    for request in requests {
        assert_eq!(request["status"].get("failureTime"), None);
        let csr = &csrs[request.name()];
        Issued::from_request(request).verify(csr);
    }
}

#[test]
fn a_kill_in_the_middle_loses_no_request_and_fails_none() {
    e2e_alone(async |t, operator| {
        let csrs = requests(t, 120).await;
        approve_until_issued(t, &csrs, 50).await;
        operator.kill().await;
        let left = t.list(REQUEST).await.iter().filter(|request| request.ready() != ISSUED).count();
        assert!((1..csrs.len()).contains(&left), "{left} were left: not the middle");
        operator.start().await;
        all_are_issued(t, &csrs).await;
    });
}

#[test]
fn a_stop_lets_what_is_in_flight_finish() {
    e2e_alone(async |t, operator| {
        let csrs = requests(t, 100).await;
        approve_until_issued(t, &csrs, 40).await;
        // Kubernetes' grace period. What is in flight here takes 4 s.
        let status = operator.terminate(Duration::from_secs(30)).await;
        assert!(status.is_some_and(|status| status.success()), "SIGTERM: {status:?}");
        let requests = t.list(REQUEST).await;
        let issued: Vec<_> = requests.iter().filter(|request| request.ready() == ISSUED).collect();
        assert!((1..csrs.len()).contains(&issued.len()), "{} were issued: not the middle", issued.len());
        // One that was begun would say that it was.
        let waits =
            "Unknown Initializing: wasm-issuer.dev is busy: this CertificateRequest waits for its turn";
        let is_untouched = |request: &Object| ["", waits, ISSUED].contains(&request.ready().as_str());
        assert!(
            requests.iter().all(is_untouched),
            "{:?}",
            requests.iter().map(Object::ready).collect::<Vec<_>>()
        );
        for request in issued {
            let events = t.events(REQUEST, request.name()).await;
            assert_eq!(events, ["Normal Issued Synced: Succeeded signing the CertificateRequest"]);
        }
        operator.start().await;
        all_are_issued(t, &csrs).await;
    });
}

#[test]
fn a_restart_writes_nothing_about_what_is_as_it_was() {
    e2e_alone(async |t, operator| {
        let issuer = t.ready_issuer("ca", json!({"plugin": {"builtin": "in-memory-ca"}})).await;
        let issued = t.issue("web", issuer_ref("ca"), &Csr::for_host("a.example"), json!({})).await;
        t.approved_request("waiting", issuer_ref("nowhere"), &Csr::for_host("a.example"), json!({})).await;
        let waiting = t.settled(REQUEST, "waiting").await;
        let checked = "Normal Checked Synced: Succeeded checking the issuer";
        t.wait_event(Kind::WasmIssuer, "ca", checked).await;
        let events = t.events(Kind::WasmIssuer, "ca").await;
        operator.kill().await;
        operator.start().await;
        sleep(Duration::from_secs(2)).await;
        assert_eq!(t.get(Kind::WasmIssuer, "ca").await, issuer);
        assert_eq!(t.get(REQUEST, "web").await, issued.request);
        assert_eq!(t.get(REQUEST, "waiting").await, waiting);
        assert_eq!(t.events(Kind::WasmIssuer, "ca").await, events);
    });
}
