//! What a call of a plugin takes, without a cluster: measured by the example `sandbox` of host/wasm-issuer, which links the
//! runtime. It prints a JSON document for each sample, a line each.

use std::path::Path;
use std::process::Stdio;

use serde::Deserialize;
use tokio::process::Command;

use crate::report::{Goal, Measure, Report};
use crate::side::Side;

/// What is compared with.
const NATIVE: &str = "native";

#[derive(Deserialize)]
struct Sample {
    what: String,
    unit: String,
    /// Without a sandbox.
    #[serde(default)]
    native: bool,
    value: f64,
}

/// Run it, and add what it measured. `operator` is the binary that compiles plugins.
pub async fn rows(report: &mut Report, program: &Path, operator: &Path, is_quick: bool) {
    eprintln!("sandbox");
    let child = Command::new(program)
        .arg(operator)
        .args(is_quick.then_some("--quick"))
        .stdout(Stdio::piped())
        .spawn();
    let child = child.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let output = child.wait_with_output().await.expect("it ends");
    assert!(output.status.success(), "{} failed: {}", program.display(), output.status);
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Sample { what, unit, native, value } = serde_json::from_str(line).expect("a sample");
        let side = if native { Side::Limit } else { Side::Ours };
        let goals: &[Goal] = if what.starts_with("sign with") { &[Goal::OfLimit(3.0)] } else { &[] };
        report.add(("Sandbox", NATIVE), Measure::less(&what, &unit, goals), side, value);
    }
}
