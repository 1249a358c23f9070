//! What a certificate costs beside many Issuers, and beside many plugins.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use wasm_issuer_e2e::component::unlike;
use wasm_issuer_e2e::operator::plugin;
use wasm_issuer_e2e::{Kind, Test, issuer_ref};

use crate::load;
use crate::report::Report;
use crate::side::Side;
use crate::stage::Stage;
use crate::watch::all_issued;

/// Certificates that are measured, spread over the Issuers.
const REQUESTS: usize = 1000;
/// Longer than any start may take.
const PATIENCE: Duration = Duration::from_secs(900);
const MIB: f64 = (1 << 20) as f64;

/// Measure with so many Issuers of one plugin.
pub async fn issuers(stage: &mut Stage<'_>, report: &mut Report, counts: &[usize]) {
    for count in counts {
        eprintln!("{count} Issuers");
        let t = stage.namespace().await;
        load::make_issuers(&t, *count, |_| json!({"plugin": {"builtin": "in-memory-ca"}})).await;
        measure(stage, report, "Issuers", &t, *count).await;
    }
}

/// Measure with so many plugins, each with an Issuer.
pub async fn plugins(stage: &mut Stage<'_>, report: &mut Report, counts: &[usize]) {
    let wasm = plugin("in_memory_ca");
    for count in counts {
        eprintln!("{count} plugins");
        let t = stage.namespace().await;
        for n in 0..*count {
            t.config_map(&load::issuer(n), "plugin.wasm", &unlike(&wasm, n)).await;
        }
        let spec = |n| -> Value { json!({"plugin": {"configMap": {"name": load::issuer(n)}}}) };
        load::make_issuers(&t, *count, spec).await;
        measure(stage, report, "plugins", &t, *count).await;
    }
}

async fn measure(stage: &mut Stage<'_>, report: &mut Report, of: &str, t: &Test, count: usize) {
    let began = Instant::now();
    stage.contestants.start(Side::Ours).await;
    // The one that all others use is there besides.
    while stage.contestants.metric("wasm_issuer_issuers_ready").await <= count as u64 {
        assert!(began.elapsed() < PATIENCE, "not all Issuers are ready");
        sleep(Duration::from_millis(50)).await;
    }
    let ready = began.elapsed().as_secs_f64();
    load::make(t, REQUESTS, |n| issuer_ref(&load::issuer(n % count))).await;
    let before = stage.quiet(Side::Ours).await;
    let mut changes = load::watched(t).await;
    load::approve(t, REQUESTS).await;
    timeout(PATIENCE, all_issued(&mut changes, REQUESTS)).await.expect("all are signed");
    let cpu = (stage.quiet(Side::Ours).await - before) / REQUESTS as f64;
    let peak = stage.contestants.process(Side::Ours).peak();
    stage.contestants.stop(Side::Ours).await;
    load::delete(t, Kind::CertificateRequest).await;
    load::delete(t, Kind::WasmIssuer).await;
    let mut point = |what, y| report.point(of, what, Side::Ours, (count as f64, y));
    point(("start to all ready", "s"), ready);
    point(("CPU per certificate", "ms"), cpu * 1000.0);
    point(("peak memory", "MiB"), peak / MIB);
}
