//! `wasm-issuer plugin bench`

mod figures;
mod measure;

use std::path::PathBuf;

use clap::Args;
use figures::{Compared, Limit};
use measure::{CaseFigures, Measured};
use serde::Serialize;

use super::cases::case::Case;
use super::host::{PluginFile, PluginIdentity};
use super::output::{self, Format, OutputArgs};
use super::verdict::Verdict;

const EXAMPLES: &str = "\
Examples:
  wasm-issuer plugin bench my_ca.wasm                                # each case in ./cases
  wasm-issuer plugin bench my_ca.wasm test/cases --filter server --runs 1000 -o json
  wasm-issuer plugin bench new.wasm --against old.wasm --max-regression 10%

Each case is run without network, as `plugin test` does. What is measured:
  latency       of a call, its instance and its turns included, but not the verification of what it returns
  instructions  of WebAssembly, by wasmtime's fuel, in runs of their own, because counting makes code slower
  memory        the most that the plugin had: all memories and tables
  bytes         of the component, and of the machine code and images that it is compiled to
  compile       how long compiling took

Instructions, memory and bytes are the same on every machine, but for what signatures and new keys make of instructions (a few in a
thousand); they are what --max-regression looks at.

Exit codes:
  0  measured, and nothing is worse than allowed
  1  a figure is worse than allowed
  2  wrong usage, a file that cannot be read, or a component or case that does not run";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct BenchArgs {
    /// The component, plain or gzip. `-` reads stdin.
    plugin: PathBuf,
    /// The folder with the cases.
    #[arg(default_value = "cases")]
    cases: PathBuf,
    /// Only the cases that have this in their names.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    filter: String,
    /// How many calls of each case are timed.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    runs: u32,
    /// Another component to compare with, such as the last release; its calls take turns with the others.
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Fail where a figure is more than so much higher than that of --against.
    #[arg(long, value_name = "PERCENT", requires = "against", value_parser = Limit::parse)]
    max_regression: Option<Limit>,
    /// Look at times, too, which are another machine's affair.
    #[arg(long, requires = "max_regression")]
    gate_times: bool,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    /// `measured` or `regressed`.
    result: &'static str,
    plugin: PluginIdentity,
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<PluginIdentity>,
    runs: u32,
    component: Vec<Compared>,
    cases: Vec<CaseFigures>,
    /// What is worse than allowed.
    regressions: Vec<String>,
}

pub fn run(args: BenchArgs) -> anyhow::Result<Verdict> {
    let cases = Case::all(&args.cases, &args.filter, &args.plugin)?;
    let this = PluginFile::read(&args.plugin)?;
    let against = args.against.as_deref().map(PluginFile::read).transpose()?;
    let names = [Some(this.text()), against.as_ref().map(PluginFile::text)];
    let (plugin, other) = (this.facts(), against.as_ref().map(PluginFile::facts));
    let files = std::iter::once(this).chain(against).collect();
    let Measured { component, cases } = super::block_on(measure::measure(files, &cases, args.runs))?;
    let worse = |what: &str, figures: &[Compared]| -> Vec<String> {
        let Some(limit) = args.max_regression else { return Vec::new() };
        figures
            .iter()
            .filter_map(|figure| figure.worse_than(limit, args.gate_times))
            .map(|it| format!("{what}: {it}"))
            .collect()
    };
    let of_cases = cases.iter().flat_map(|case| worse(&case.name, &case.figures));
    let regressions: Vec<_> = worse("component", &component).into_iter().chain(of_cases).collect();
    let result = if regressions.is_empty() { "measured" } else { "regressed" };
    let report = Report { result, plugin, against: other, runs: args.runs, component, cases, regressions };
    match args.output.output {
        Format::Json => output::json(&report)?,
        Format::Text => output::stdout(&text(&report, names))?,
    }
    Ok(if report.regressions.is_empty() { Verdict::Fine } else { Verdict::Failed })
}

fn text(report: &Report, names: [Option<String>; 2]) -> String {
    let names: Vec<_> = names.into_iter().flatten().collect();
    let mut text = format!("{}\n\ncomponent\n", names.join("\nagainst "));
    text.push_str(&figures::table(&report.component));
    for CaseFigures { name, figures } in &report.cases {
        text.push_str(&format!("\n{name}, calls: {}\n{}", report.runs, figures::table(figures)));
    }
    for regression in &report.regressions {
        text.push_str(&format!("\nworse: {regression}"));
    }
    if !report.regressions.is_empty() {
        text.push('\n');
    }
    text
}
