//! Two processes of the operator, of which one works.

use std::io::Write as _;
use std::time::{Duration, Instant};

use futures::future::join_all;
use oracle_fixture::Oracle;
use serde_json::{Value, json};
use tokio::time::sleep;
use wasm_issuer_e2e::keys::Ca;
use wasm_issuer_e2e::{
    Counter, Csr, Issued, KeyKind, Kind, Launch, Operator, SOON, Test, e2e_alone, issuer_ref,
};

/// As the operator has it by default.
const LEASE: Duration = Duration::from_secs(15);
/// A machine that is busy, or a build that runs beside, may take so much of a test's time.
const SLACK: Duration = Duration::from_secs(30);
const SIGNED: &str = "Normal Issued Synced: Succeeded signing the CertificateSigningRequest";
const ISSUED: &str = "Normal Issued Synced: Succeeded signing the CertificateRequest";

/// Whether an operator works.
async fn leads(operator: &Operator) -> bool {
    operator.metric("wasm_issuer_shards_held").await == 1
}

async fn until_leads(operator: &Operator) {
    let began = Instant::now();
    while !leads(operator).await {
        assert!(began.elapsed() < SOON, "it does not lead");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Certificates go on while something happens: one request each tenth of a second, from now on for so long. Each is issued, and
/// told once.
async fn certificates_go_on(t: &Test, prefix: &str, time: Duration) {
    let began = Instant::now();
    let mut requests = vec![];
    for n in 0.. {
        if began.elapsed() > time {
            break;
        }
        let (name, csr) = (format!("{prefix}-{n}"), Csr::for_host("a.example"));
        t.approved_request(&name, issuer_ref("ca"), &csr, json!({})).await;
        requests.push(async move {
            t.issued(&name).await.verify(&csr);
            t.wait_event(Kind::CertificateRequest, &name, ISSUED).await;
            assert_eq!(t.events(Kind::CertificateRequest, &name).await, [ISSUED], "{name}");
        });
        sleep(Duration::from_millis(100)).await;
    }
    join_all(requests).await;
}

fn report(what: &str, took: Duration) {
    let _ = writeln!(std::io::stderr(), "{what}: the other one issued after {} ms", took.as_millis());
}

/// From now until a request that is made now is issued.
async fn handover(t: &Test, name: &str) -> Duration {
    let began = Instant::now();
    t.issue(name, issuer_ref("ca"), &Csr::for_host("a.example"), json!({})).await;
    began.elapsed()
}

#[test]
fn whether_the_leader_stops_or_dies_the_other_goes_on() {
    e2e_alone(async |t, first| {
        first.relaunch(Launch::replica(&[])).await;
        until_leads(first).await;
        let mut second = Operator::another(&t.workdir, Launch::replica(&[]));
        second.start().await;
        t.ready_issuer("ca", json!({"plugin": {"builtin": "in-memory-ca"}})).await;
        assert!(!leads(&second).await, "both lead");
        t.issue("before", issuer_ref("ca"), &Csr::for_host("a.example"), json!({})).await;

        let (stopped, took, _) = futures::join!(
            first.terminate(SLACK),
            handover(t, "at-the-stop"),
            certificates_go_on(t, "stop", Duration::from_secs(3))
        );
        assert!(stopped.is_some_and(|status| status.success()), "{stopped:?}");
        report("the leader was stopped", took);
        assert!(took < LEASE, "the Lease was not released: {took:?}");
        assert!(leads(&second).await);

        first.start().await;
        assert!(!leads(first).await, "both lead");
        // Long enough to have seen a renewal.
        sleep(Duration::from_secs(3)).await;
        second.kill().await;
        let (took, _) =
            futures::join!(handover(t, "at-the-kill"), certificates_go_on(t, "kill", Duration::from_secs(3)));
        report("the leader was killed", took);
        assert!(took < LEASE + SLACK, "{took:?}");
        assert!(leads(first).await);
    });
}

/// What Kubernetes asks of a signer, and cert-manager of a certificate, while the one that signs dies in the middle.
#[test]
fn kubernetes_own_requests_are_signed_by_one_replica_and_by_the_other_when_it_dies() {
    e2e_alone(async |t, first| {
        let counter = Counter::start(|_| Duration::from_secs(2)).await;
        first.relaunch(Launch::replica(&[])).await;
        until_leads(first).await;
        let mut second = Operator::another(&t.workdir, Launch::replica(&[]));
        second.start().await;
        let root = Ca::root("root", KeyKind::P256);
        t.tls_secret("keys", &root.certificate, &root.key.pem()).await;
        t.ready_issuer("ca", counter.issuer(&json!({"builtin": "counted-ca"}), "keys")).await;
        let mut oracle = Oracle::start();
        let ask = async |name: String, more: Value| {
            let csr = Csr::for_host("web.example");
            let name = t.signing_request(&name, &t.signer("ca"), &csr, more).await;
            t.approve_signing(&name).await;
            (name, csr)
        };
        let mut check = async |name: &str, csr: &Csr| {
            let (object, chain) = t.signed(name).await;
            if oracle.is_cert_manager() {
                assert_eq!(oracle.signed(&object), Ok(()), "what cert-manager says of {name}");
            }
            let issued = Issued::new(object, &chain, root.certificate.as_bytes());
            issued.verify(csr);
            t.wait_event(Kind::CertificateSigningRequest, name, SIGNED).await;
            assert_eq!(t.events(Kind::CertificateSigningRequest, name).await, [SIGNED], "{name}");
        };
        let annotations = json!({"experimental.cert-manager.io/request-duration": "26h"});
        let before = [
            json!({"spec": {"expirationSeconds": 7200}}),
            json!({"metadata": {"annotations": annotations}, "spec": {"usages": ["client auth", "digital signature"]}}),
            json!({"metadata": {"annotations": {"experimental.cert-manager.io/request-is-ca": "true"}},
                   "spec": {"usages": ["cert sign", "crl sign"]}}),
        ];
        let before = before.into_iter().enumerate().map(|(n, more)| ask(format!("before-{n}"), more));
        for (name, csr) in join_all(before).await {
            check(&name, &csr).await;
        }
        let asked = counter.signs();
        assert!(asked.len() == 3 && asked.iter().all(|call| call.pid == Some(first.pid())), "{asked:?}");

        let middle = join_all((0..5).map(|n| ask(format!("middle-{n}"), json!({})))).await;
        let began = Instant::now();
        while counter.in_flight() < middle.len() {
            assert!(began.elapsed() < SOON, "they are not asked for at once");
            sleep(Duration::from_millis(10)).await;
        }
        first.kill().await;
        for (name, csr) in &middle {
            check(name, csr).await;
        }
        // Once by the one that died in the middle, and once by the other.
        let asked: Vec<_> =
            counter.signs().iter().skip(3).map(|call| call.pid == Some(second.pid())).collect();
        assert_eq!(asked, [[false; 5], [true; 5]].concat());
    });
}
