//! `make bench-issuers`: what many Issuers with a Secret each cost: from the operator's start to all Ready, connections,
//! memory, and processor time when nothing happens. Prints a table; fails on nothing.
//!
//! `ISSUERS` (10000) Issuers in `NAMESPACES` (100), with the builtin plugin `PLUGIN` (in-memory-ca).

#![allow(clippy::expect_used, clippy::panic, reason = "a benchmark may end at once when it cannot measure")]

use std::str::FromStr;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use kube::api::{DeleteParams, ListParams};
use kube::core::Request;
use serde_json::{Value, json};
use tokio::time::sleep;
use wasm_issuer_e2e::keys::Ca;
use wasm_issuer_e2e::test::apply;
use wasm_issuer_e2e::{KeyKind, Kind, Operator, Process, Test, e2e_alone};

/// What memory is counted from: a process has some whatever it does.
const FEW: usize = 1000;
/// Writes at a time, of what is measured.
const WRITERS: usize = 32;
/// How long nothing happens: as long as the default checkInterval.
const IDLE: Duration = Duration::from_secs(60);
/// Longer than it may take.
const PATIENCE: Duration = Duration::from_secs(1800);

/// What was measured of one number of Issuers.
struct Measured {
    ready: Duration,
    /// At most, at a time.
    connections: usize,
    /// In bytes, when all is quiet.
    memory: f64,
    /// Of one processor, when nothing happens.
    idle: f64,
}

fn main() {
    let (issuers, namespaces) = (from_env("ISSUERS", 10_000), from_env("NAMESPACES", 100));
    let plugin: String = from_env("PLUGIN", "in-memory-ca".to_owned());
    e2e_alone(async |t, operator| {
        println!("{plugin}, {namespaces} namespaces, a Secret for each Issuer\n");
        println!(
            "{:>8} {:10} {:>12} {:>12} {:>11} {:>10}",
            "Issuers", "start", "all ready s", "connections", "memory MiB", "idle CPU %"
        );
        for other in t.list(Kind::WasmClusterIssuer).await {
            t.delete(Kind::WasmClusterIssuer, other.name()).await;
        }
        let few = measure(t, operator, FEW.min(issuers), namespaces, &plugin).await;
        let many = measure(t, operator, issuers, namespaces, &plugin).await;
        let beyond = issuers.saturating_sub(FEW).max(1);
        let each = (many.memory - few.memory) / beyond as f64 / 1024.0;
        println!("\n{each:.1} KiB of memory for each Issuer beyond the first {FEW}");
    });
}

fn from_env<T: FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Make so many Issuers while the operator is down, start it twice, and take them away.
async fn measure(
    t: &Test,
    operator: &mut Operator,
    issuers: usize,
    namespaces: usize,
    plugin: &str,
) -> Measured {
    operator.terminate(Duration::from_secs(60)).await;
    let namespaces: Vec<_> = (0..namespaces).map(|n| format!("{}-{issuers}-{n}", t.namespace)).collect();
    make(t, &namespaces, issuers, plugin).await;
    let new = start(operator, issuers).await;
    row(issuers, "new", &new);
    operator.terminate(Duration::from_secs(60)).await;
    let known = start(operator, issuers).await;
    row(issuers, "again", &known);
    for namespace in &namespaces {
        delete(t, namespace).await;
    }
    known
}

async fn make(t: &Test, namespaces: &[String], issuers: usize, plugin: &str) {
    let ca = Ca::root("many Issuers", KeyKind::P256);
    for namespace in namespaces {
        apply(&t.client, Kind::Namespace, "", namespace, json!({})).await;
    }
    let secret = json!({
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": ca.certificate, "tls.key": ca.key.pem()},
    });
    let make = |n: usize| {
        let (secret, namespace) = (secret.clone(), &namespaces[n % namespaces.len()]);
        async move {
            apply(&t.client, Kind::Secret, namespace, &format!("auth-{n}"), secret).await;
            let spec = json!({"plugin": {"builtin": plugin}, "authSecretName": format!("auth-{n}")});
            apply(&t.client, Kind::WasmIssuer, namespace, &format!("ca-{n}"), json!({"spec": spec})).await;
        }
    };
    stream::iter(0..issuers).map(make).buffer_unordered(WRITERS).collect::<()>().await;
}

async fn delete(t: &Test, namespace: &str) {
    for kind in [Kind::WasmIssuer, Kind::Secret] {
        let request = Request::new(kind.collection(namespace))
            .delete_collection(&DeleteParams::default(), &ListParams::default());
        t.client.request::<Value>(request.expect("a request")).await.expect("deleted");
    }
}

async fn start(operator: &mut Operator, issuers: usize) -> Measured {
    let began = Instant::now();
    operator.start().await;
    let process = Process::new(operator.pid());
    let mut connections = 0;
    while operator.metric("wasm_issuer_issuers_ready").await < issuers as u64 {
        assert!(began.elapsed() < PATIENCE, "not all Issuers are ready");
        connections = connections.max(process.sockets());
        sleep(Duration::from_millis(50)).await;
    }
    let ready = began.elapsed();
    // Events come behind, and the first checks of all at once spread out.
    sleep(IDLE).await;
    let before = process.cpu();
    sleep(IDLE).await;
    let idle = (process.cpu() - before) / IDLE.as_secs_f64() * 100.0;
    connections = connections.max(process.sockets());
    Measured { ready, connections, memory: process.resident(), idle }
}

fn row(issuers: usize, start: &str, measured: &Measured) {
    let Measured { ready, connections, memory, idle } = measured;
    let (ready, memory) = (ready.as_secs_f64(), memory / 1024.0 / 1024.0);
    println!("{issuers:8} {start:10} {ready:12.1} {connections:12} {memory:11.1} {idle:10.1}");
}
