//! Runs the commands of README.md and docs/*.md against real API servers: what a page says is what works.
//!
//!     cargo test -p wasm-issuer-docs --test commands [-- NAME...]
//!
//! Each name of `sh test=NAME` is a scenario: one shell, in a cluster of its own with cert-manager's controllers, in a folder
//! that has what the root of the repository has. What cannot be here is stood in for by [`node`] and by the programs in
//! `test/docs/stand-ins`, each of which says why.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "these are tests: what does not work shall fail, with its place"
)]

mod kubectl;
mod node;
mod pod;
mod scenario;

use std::env;
use std::process::{Command, ExitCode, Stdio};

use scenario::Scenario;
use wasm_issuer_docs::{pages, root};

/// How this program calls itself inside of a cluster.
const INSIDE: &str = "--inside";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).filter(|arg| arg != "--nocapture").collect();
    let scenarios = Scenario::all(&pages().expect("the pages"));
    if let [inside, name] = args.as_slice()
        && inside == INSIDE
    {
        let scenario = scenarios.iter().find(|it| it.name == *name).expect("it was found outside");
        return if scenario.run() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let is_wanted = |it: &&Scenario| args.is_empty() || args.contains(&it.name);
    let (mut passed, mut failed) = (0, 0);
    let helm = helm();
    for scenario in scenarios.iter().filter(is_wanted) {
        if helm.is_none() && scenario.needs("helm") {
            println!("test docs::{} is skipped: helm cannot be had (see above)", scenario.name);
            passed += 1;
            continue;
        }
        let ok = in_a_cluster(&scenario.name, helm.as_deref());
        let (count, word) = if ok { (&mut passed, "ok") } else { (&mut failed, "FAILED") };
        *count += 1;
        println!("test docs::{} ({} blocks) ... {word}", scenario.name, scenario.blocks.len());
    }
    let word = if failed == 0 && passed > 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out"
    );
    if word == "ok" { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The folder of Helm, if it can be had.
fn helm() -> Option<String> {
    let built = Command::new(root().join("test/go-tool.sh")).arg("helm").stderr(Stdio::inherit()).output();
    let built = built.expect("test/go-tool.sh");
    built.status.success().then(|| String::from_utf8_lossy(&built.stdout).trim().to_owned())
}

fn in_a_cluster(scenario: &str, helm: Option<&str>) -> bool {
    let run = root().join("test/cluster/run.sh");
    let this = env::current_exe().expect("this program");
    let mut command = Command::new(run);
    command.args(["--cert-manager", "--"]).arg(this).args([INSIDE, scenario]);
    let status = command.env("DOCS_TOOLS", helm.unwrap_or_default()).status();
    status.expect("test/cluster/run.sh").success()
}
