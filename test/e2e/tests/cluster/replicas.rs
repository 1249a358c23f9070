//! Two processes of the operator, of which one works.

use std::ffi::OsString;
use std::io::Write as _;
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::json;
use tokio::time::sleep;
use wasm_issuer_e2e::{Csr, Kind, Launch, Operator, SOON, Test, e2e_alone, issuer_ref};

/// As the operator has it by default.
const LEASE: Duration = Duration::from_secs(15);
/// A machine that is busy, or a build that runs beside, may take so much of a test's time.
const SLACK: Duration = Duration::from_secs(30);
const ISSUED: &str = "Normal Issued Synced: Succeeded signing the CertificateRequest";

fn launch() -> Launch {
    let args = ["--leader-elect", "--lease-namespace", "wasm-issuer"];
    Launch { args: args.into_iter().map(OsString::from).collect(), ..Launch::default() }
}

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
        first.relaunch(launch()).await;
        until_leads(first).await;
        let mut second = Operator::another(&t.workdir, launch());
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
