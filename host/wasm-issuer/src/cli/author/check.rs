//! `wasm-issuer plugin check`

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use serde::Serialize;
use wasm_issuer_runtime::{ComponentBytes, Plugin, Session};

use super::host::{self, PluginFile, PluginIdentity};
use super::issuer::{Issuer, IssuerArgs};
use super::output::{self, Format, OutputArgs, Timings};
use super::problem::{Call, Problem};
use super::reporter::{self, Reporter, Unanswered};
use super::verdict::Verdict;

const EXAMPLES: &str = "\
Examples:
  wasm-issuer plugin check my_ca.wasm --config config.yaml
  wasm-issuer plugin check my_ca.wasm --issuer issuer.yaml --secret my-secret/ -o json
  wasm-issuer plugin check my_ca.wasm --issuer issuer.yaml --secret secret.yaml --policy policy.yaml
  wasm-issuer plugin check my_ca.wasm --allow-host http://127.0.0.1:8888 --allow-loopback

What the cluster would refuse of the Issuer is refused here, by the default policy or that of --policy.

Exit codes:
  0  the check passed
  1  it failed
  2  wrong usage, or a file that cannot be read
  3  the plugin says that it is pending";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct CheckArgs {
    /// The component, plain or gzip. `-` reads stdin.
    plugin: PathBuf,
    #[command(flatten)]
    issuer: IssuerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Serialize)]
struct Report {
    result: &'static str,
    plugin: PluginIdentity,
    issuer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Box<Problem>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unanswered: Vec<Unanswered>,
    timings: Timings,
}

pub fn run(args: CheckArgs) -> anyhow::Result<Verdict> {
    let file = PluginFile::read(&args.plugin)?;
    let issuer = args.issuer.validate(&args.plugin)?;
    let (facts, name, issuer_name) = (file.facts(), file.text(), issuer.key.to_string());
    let mut timings = Timings::default();
    let (problem, unanswered) = super::block_on(async {
        Ok(match prepare(file, issuer, &mut timings).await? {
            Ok(ready) => (ready.check(&mut timings).await.err(), ready.reporter.seen()),
            Err(problem) => (Some(problem), Vec::new()),
        })
    })?;
    let verdict = problem.as_ref().map_or(Verdict::Fine, |problem| problem.verdict());
    match args.output.output {
        Format::Json => {
            let result = match verdict {
                Verdict::Fine => "passed",
                Verdict::Failed => "failed",
                Verdict::Pending => "pending",
            };
            let issuer = issuer_name;
            output::json(&Report { result, plugin: facts, issuer, problem, unanswered, timings })?;
        }
        Format::Text => match problem {
            None => {
                output::stderr(&reporter::text(&unanswered, ""))?;
                output::stdout(&format!("check passed: {name} for {issuer_name} ({})\n", timings.text()))?
            }
            Some(problem) => {
                let lost = reporter::text(&unanswered, &problem.message);
                output::stderr(&format!("check failed: {name} for {issuer_name}\n{}{lost}", problem.text()))?;
            }
        },
    }
    Ok(verdict)
}

/// A plugin with what its Issuer lends it.
pub struct Ready {
    pub plugin: Arc<Plugin>,
    pub session: Arc<Session>,
    /// What it did not get over the network.
    pub reporter: Arc<Reporter>,
}

/// Loads a plugin for an Issuer, where the operator would. The inner error is the plugin's fault or the Issuer's, the outer one
/// this machine's.
pub async fn prepare(
    file: PluginFile,
    issuer: Issuer,
    timings: &mut Timings,
) -> anyhow::Result<Result<Ready, Box<Problem>>> {
    if let Some(problem) = issuer.refusal(file.wasm.as_ref().ok().map(ComponentBytes::sha256)) {
        return Ok(Err(problem));
    }
    let wasm = match file.wasm {
        Ok(wasm) => wasm,
        Err(problem) => return Ok(Err(problem)),
    };
    let account = issuer.account();
    let (session, reporter) = issuer.session()?;
    let (plugin, took) = host::load(&host::runtime()?, &file.path, wasm, &account).await;
    timings.add("compile", took);
    Ok(plugin.map(|plugin| Ready { plugin, session, reporter }).map_err(Box::from))
}

impl Ready {
    /// Calls `check`, as the operator does before it believes an Issuer.
    pub async fn check(&self, timings: &mut Timings) -> Result<(), Box<Problem>> {
        let started = Instant::now();
        let checked = self.plugin.check(&self.session).await;
        timings.add("check", started.elapsed());
        checked.map_err(|error| Problem::of(Call::Check, error))
    }
}
