//! `make bench`: the operator beside an issuer in Go and a bare writer. Run it under `test/cluster/run.sh`.

#![allow(clippy::expect_used, reason = "a benchmark may end at once when it cannot measure")]

use std::path::PathBuf;

use clap::Parser;
use wasm_issuer_bench::contestants::Programs;
use wasm_issuer_bench::{Report, Stage, backlog, growth, latency, plot, restart, sandbox, table};
use wasm_issuer_e2e::e2e_alone;

/// Measures this operator beside an issuer written in Go and a client that only writes, in turn, and prints tables in
/// Markdown. Best on a machine that does nothing else.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// See that it works: 200 requests, one round
    #[arg(long)]
    quick: bool,
    /// Also a backlog of 20,000, and how costs grow with Issuers and plugins (about an hour more)
    #[arg(long, conflicts_with = "quick")]
    full: bool,
    /// How often the sides take turns
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Requests in a backlog [200 with --quick, else 1000 and 5000; with --full also 20000]
    #[arg(long, value_delimiter = ',', value_name = "COUNT")]
    requests: Vec<usize>,
    /// Issuers beside which costs are measured with --full [1, 100 and 10000]
    #[arg(long, value_delimiter = ',', value_name = "COUNT")]
    issuers: Vec<usize>,
    /// The same of plugins, each with an Issuer [1, 8 and 64]
    #[arg(long, value_delimiter = ',', value_name = "COUNT")]
    plugins: Vec<usize>,
    /// Requests that are finished when they start
    #[arg(long, default_value_t = 20_000)]
    finished: usize,
    /// How many requests the Go peer signs at a time; issuer-lib itself has one
    #[arg(long, default_value_t = 1)]
    peer_workers: usize,
    /// Measure only these
    #[arg(long, value_delimiter = ',', value_enum)]
    only: Vec<Part>,
    /// Write what was measured to this file
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write a plot to this file
    #[arg(long)]
    svg: Option<PathBuf>,
    /// Write the tables into this page, between its two marks
    #[arg(long)]
    markdown: Option<PathBuf>,
    /// Have perf write here what this operator does at the last backlog (test/bench/profile.sh reads it)
    #[arg(long)]
    perf: Option<PathBuf>,
    /// Measure nothing: take what earlier runs wrote with --json; several of them are one report
    #[arg(long, num_args = 1..)]
    from: Vec<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Backlog,
    Latency,
    Start,
    Sandbox,
    Growth,
}

impl Args {
    fn has(&self, part: Part) -> bool {
        let is_usual = part != Part::Growth || self.full;
        if self.only.is_empty() { is_usual } else { self.only.contains(&part) }
    }

    fn rounds(&self) -> usize {
        if self.quick { 1 } else { self.rounds }
    }

    /// What was asked for, or else what is usual.
    fn counts<'a>(&self, asked: &'a [usize], quick: &'a [usize], usual: &'a [usize]) -> &'a [usize] {
        match asked {
            [] if self.quick => quick,
            [] => usual,
            asked => asked,
        }
    }

    fn backlogs(&self) -> &[usize] {
        let usual: &[usize] = if self.full { &[1000, 5000, 20_000] } else { &[1000, 5000] };
        self.counts(&self.requests, &[200], usual)
    }

    fn programs(&self) -> Programs {
        let here = std::env::current_exe().expect("this program");
        let peer = std::env::var_os("WASM_ISSUER_PEER").filter(|peer| !peer.is_empty());
        Programs {
            writer: here.with_file_name("bare-writer"),
            peer: peer.map(PathBuf::from),
            peer_workers: self.peer_workers,
        }
    }
}

fn main() {
    let args = Args::parse();
    let report = if args.from.is_empty() { run(&args) } else { read(&args.from) };
    let markdown = table::markdown(&report);
    println!("{markdown}");
    if let Some(file) = &args.json {
        let text = serde_json::to_string_pretty(&report).expect("JSON");
        std::fs::write(file, text + "\n").expect("a file");
    }
    if let Some(file) = &args.svg {
        std::fs::write(file, plot::svg(&report)).expect("a file");
    }
    if let Some(file) = &args.markdown {
        let page = std::fs::read_to_string(file).expect("a page");
        std::fs::write(file, table::inserted(&page, "make bench", &markdown).expect("a place in it"))
            .expect("a file");
    }
}

fn read(files: &[PathBuf]) -> Report {
    let mut report = Report::default();
    for file in files {
        let text = std::fs::read_to_string(file).expect("the file of an earlier run");
        report.join(serde_json::from_str(&text).expect("what an earlier run measured"));
    }
    report
}

fn run(args: &Args) -> Report {
    let mut report = Report { about: about(args), ..Report::default() };
    e2e_alone(async |t, operator| {
        let mut stage = Stage::new(t, operator, args.programs()).await;
        stage.perf.clone_from(&args.perf);
        measure(args, &mut stage, &mut report).await;
    });
    report
}

async fn measure(args: &Args, stage: &mut Stage<'_>, report: &mut Report) {
    let rounds = args.rounds();
    if args.has(Part::Latency) {
        latency::rows(stage, report, if args.quick { 50 } else { 200 }, rounds).await;
    }
    for requests in args.backlogs().iter().filter(|_| args.has(Part::Backlog)) {
        backlog::rows(stage, report, *requests, rounds).await;
    }
    if args.has(Part::Growth) {
        growth::issuers(stage, report, args.counts(&args.issuers, &[1, 10], &[1, 100, 10_000])).await;
        growth::plugins(stage, report, args.counts(&args.plugins, &[1, 2], &[1, 8, 64])).await;
    }
    if args.has(Part::Start) {
        restart::rows(stage, report, if args.quick { 200 } else { args.finished }, rounds).await;
    }
    if let Some(program) = std::env::var_os("WASM_ISSUER_SANDBOX").filter(|_| args.has(Part::Sandbox)) {
        let operator = PathBuf::from(std::env::var_os("WASM_ISSUER_BINARY").expect("WASM_ISSUER_BINARY"));
        sandbox::rows(report, &PathBuf::from(program), &operator, args.quick).await;
    }
}

/// When, on what, how often.
fn about(args: &Args) -> Vec<String> {
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| Some(line.strip_prefix("model name")?.split_once(": ")?.1));
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default().to_owned();
    let mut lines = vec![
        format!("{}, {cpus} CPUs ({})", jiff::Zoned::now().date(), model.unwrap_or("unknown")),
        format!("the API server, etcd and what is measured share them; load {load} when it began"),
        format!("medians of {} in turn, and the least and the most", args.rounds()),
    ];
    if args.programs().peer.is_none() {
        wasm_issuer_e2e::skip("the Go peer could not be had");
        lines.push("without the Go peer, which could not be had".to_owned());
    }
    lines
}
