//! `make bench-attack`: how long a good Issuer takes from approval to certificate while a hostile plugin does its worst,
//! against the same when all is quiet, in one run. Prints a table; fails on nothing.

#![allow(clippy::expect_used, clippy::panic, reason = "a benchmark may end at once when it cannot measure")]

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures::StreamExt;
use kube::api::WatchEvent;
use serde_json::{Value, json};
use wasm_issuer_e2e::{Csr, Kind, SOON, Test, e2e_alone, issuer_ref};

const REQUEST: Kind = Kind::CertificateRequest;
/// Certificates for each row.
const SAMPLES: usize = 200;
/// Hostile requests that are tried over and over meanwhile.
const ATTACKERS: usize = 32;
const ATTACKS: [&str; 9] = [
    "loop-forever",
    "allocate-4gib",
    "deep-recursion",
    "trap",
    "huge-chain",
    "log-flood",
    "print-flood",
    "handle-flood",
    "random-flood",
];

fn main() {
    e2e_alone(async |t, operator| {
        let pid = operator.pid();
        println!(
            "approval to certificate, {SAMPLES} certificates a row, {ATTACKERS} hostile requests at a time\n"
        );
        println!("{:16} {:>8} {:>8} {:>8} {:>12}", "attack", "p50 ms", "p99 ms", "max ms", "memory MiB");
        measure(&t.in_namespace(&format!("{}-warm", t.namespace)).await, 50).await;
        let quiet = t.in_namespace(&format!("{}-quiet", t.namespace)).await;
        row("(quiet)", measure(&quiet, SAMPLES).await, pid);
        for attack in ATTACKS {
            let victim = t.in_namespace(&format!("{}-{attack}", t.namespace)).await;
            let hostile = t.in_namespace(&format!("{}-{attack}-x", t.namespace)).await;
            begin(&hostile, attack).await;
            row(attack, measure(&victim, SAMPLES).await, pid);
            end(&hostile).await;
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        let after = t.in_namespace(&format!("{}-after", t.namespace)).await;
        row("(quiet again)", measure(&after, SAMPLES).await, pid);
    });
}

/// Keep a hostile plugin busy.
async fn begin(t: &Test, attack: &str) {
    let spec = json!({
        "plugin": {"builtin": "hostile"},
        "config": {"behaviour": attack},
        "limits": {"timeout": "2s"},
        "retry": {"minBackoff": "100ms", "maxBackoff": "1s"},
    });
    t.ready_issuer("hostile", spec).await;
    let csr = Csr::for_host("a.example");
    for n in 0..ATTACKERS {
        t.approved_request(&format!("hostile-{n}"), issuer_ref("hostile"), &csr, json!({})).await;
    }
}

async fn end(t: &Test) {
    t.delete(Kind::WasmIssuer, "hostile").await;
    for n in 0..ATTACKERS {
        t.delete(REQUEST, &format!("hostile-{n}")).await;
    }
}

/// Approve requests of a good Issuer one by one; how long each took, as its watcher sees it.
async fn measure(t: &Test, samples: usize) -> Vec<Duration> {
    t.ready_issuer("good", json!({"plugin": {"builtin": "in-memory-ca"}})).await;
    let csr = Csr::for_host("a.example");
    for n in 0..samples {
        t.request(&format!("good-{n}"), issuer_ref("good"), &csr, json!({})).await;
    }
    let mut changes = t.changes(REQUEST, "", "0").await.boxed();
    let mut began: HashMap<String, Instant> = HashMap::new();
    let mut took = Vec::new();
    for n in 0..samples {
        let name = format!("good-{n}");
        began.insert(name.clone(), Instant::now());
        t.approve(&name).await;
        loop {
            let change = tokio::time::timeout(SOON, changes.next()).await;
            match change.unwrap_or_else(|_| panic!("{name}: no certificate after {SOON:?}")) {
                Some(WatchEvent::Added(object) | WatchEvent::Modified(object))
                    if object["metadata"]["name"] == *name && is_issued(&object) =>
                {
                    took.push(began[&name].elapsed());
                    break;
                }
                Some(_) => {}
                None => panic!("{name}: the watch ended"),
            }
        }
    }
    took
}

fn is_issued(request: &Value) -> bool {
    request["status"]["certificate"].is_string()
}

fn row(name: &str, mut took: Vec<Duration>, pid: u32) {
    took.sort();
    let at = |share: f64| {
        let index = ((took.len() as f64 * share) as usize).min(took.len().saturating_sub(1));
        took.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
    };
    println!("{name:16} {:8.1} {:8.1} {:8.1} {:12.1}", at(0.5), at(0.99), at(1.0), resident(pid));
}

/// The operator's resident memory in MiB.
fn resident(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok());
    kib.map_or(f64::NAN, |kib: f64| kib / 1024.0)
}
