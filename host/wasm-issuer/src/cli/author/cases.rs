//! `wasm-issuer plugin test`

pub mod case;
mod compare;
mod difference;
mod leak;
mod outcome;
mod record;
mod recording;
mod replay;
mod report;
pub mod run;
mod take;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use case::Case;
use clap::Args;
use difference::Difference;
use outcome::Outcome;
use record::{Live, Recorded, Refusal};
use report::{CaseReport, CaseResult, Format, Report};
use run::{Replayed, Subject};
use wasm_issuer_runtime::Plugin;

use super::host::{self, PluginFile};
use super::policy::PolicyArgs;
use super::secret;
use super::verdict::Verdict;

const EXAMPLES: &str = "\
Examples:
  wasm-issuer plugin test my_ca.wasm                                    # the cases in ./cases
  wasm-issuer plugin test my_ca.wasm test/cases --filter renew -o junit > report.xml

  wasm-issuer plugin test my_ca.wasm --record --update --secret my-secret/ --ca-bundle ca.pem

A case is a folder with a case.yaml: what the plugin is asked, for which Issuer, and what is to come of it. docs/testing-plugins.md
has all fields.

  call: sign                              # or check
  issuer:
    spec:
      config: {url: https://ca.example:8888}
      authSecretName: ca-auth
      http: {allowedHosts: ['https://ca.example:8888']}
  secret: {token: made-up}                # for all to see; --record takes the real one from --secret
  request: {dns: [web.example.com], usages: [server auth]}
  expect: {result: issued, certificates: [{subjectAltNames: ['DNS:web.example.com']}]}

Beside it exchanges.yaml has what was said to servers, once recorded: a case runs without network, and fails where a request is
not the recorded one. The clock is that of the recording. No value of the Secret is ever in it.

Exit codes:
  0  all cases passed
  1  a case failed
  2  wrong usage, or a file that cannot be read or written";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct TestArgs {
    /// The component, plain or gzip. `-` reads stdin.
    plugin: PathBuf,
    /// The folder with the cases.
    #[arg(default_value = "cases")]
    cases: PathBuf,
    /// Only the cases that have this in their names.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    filter: String,
    /// Call real servers, as far as the cases' Issuers grant and the policy allows it, and write what was said into the
    /// exchanges.yaml of each case.
    #[arg(long)]
    record: bool,
    /// Write what came of each case as its expectation into case.yaml, instead of comparing it.
    #[arg(long)]
    update: bool,
    /// The Secret that real servers accept, in place of what the cases have: a folder in which each file is a key, or a Secret's
    /// YAML.
    #[arg(long, value_name = "FOLDER|FILE", requires = "record", help_heading = "Real servers")]
    secret: Option<PathBuf>,
    /// The CAs of real servers as PEM [default: the public ones]
    #[arg(long, value_name = "FILE", requires = "record", help_heading = "Real servers")]
    ca_bundle: Option<PathBuf>,
    /// tls.crt and tls.key for mutual TLS with real servers, in a folder or a Secret's YAML
    #[arg(long, value_name = "FOLDER|FILE", requires = "record", help_heading = "Real servers")]
    client_cert: Option<PathBuf>,
    #[command(flatten)]
    policy: PolicyArgs,
    /// How the results are written to stdout.
    #[arg(short, long, value_enum, default_value = "text", value_name = "FORMAT", help_heading = "Output")]
    output: Format,
}

pub fn run(args: TestArgs) -> anyhow::Result<Verdict> {
    let file = PluginFile::read(&args.plugin)?;
    let cases = Case::all(&args.cases, &args.filter, &args.plugin)?;
    let live = if args.record {
        let secret = args.secret.as_deref().map(secret::read).transpose()?.map(|read| read.values);
        let policy = args.policy.read()?;
        Some(Live { secret, ca_bundle: args.ca_bundle, client_cert: args.client_cert, policy })
    } else {
        None
    };
    let identity = file.facts();
    let mut report = Report::begin(args.output, cases.len())?;
    super::block_on(async {
        let subject = Subject::new(host::runtime()?, file.into());
        for case in &cases {
            report.next(&case.name);
            let began = Instant::now();
            let tried = tried(&subject, case, live.as_ref(), args.update).await?;
            report.add(tried.report(case, began))?;
        }
        anyhow::Ok(())
    })?;
    Ok(if report.end(identity)? { Verdict::Fine } else { Verdict::Failed })
}

/// What came of a case, and of writing about it.
struct Tried {
    outcome: Outcome,
    differences: Vec<Difference>,
    problem: Option<String>,
    written: Vec<&'static str>,
}

impl Tried {
    fn report(self, case: &Case, began: Instant) -> CaseReport {
        let Self { outcome, differences, problem, written } = self;
        let passed = differences.is_empty() && problem.is_none();
        CaseReport {
            name: case.name.clone(),
            result: if passed { CaseResult::Passed } else { CaseResult::Failed },
            problem,
            differences,
            outcome,
            written,
            milliseconds: (began.elapsed().as_secs_f64() * 10_000.0).round() / 10.0,
        }
    }

    fn new(outcome: Outcome, differences: Vec<Difference>) -> Self {
        Self { outcome, differences, problem: None, written: Vec::new() }
    }
}

async fn tried(subject: &Subject, case: &Case, live: Option<&Live>, update: bool) -> anyhow::Result<Tried> {
    let plugin = match subject.load(case).await {
        Ok((plugin, _)) => plugin,
        Err(problem) => {
            let outcome = Outcome::failed(*problem);
            let differences = judged(case, &outcome);
            return Ok(Tried::new(outcome, differences));
        }
    };
    match live {
        Some(live) => recorded(subject, &plugin, case, live, update).await,
        None => replayed(subject, &plugin, case, update).await,
    }
}

async fn replayed(
    subject: &Subject,
    plugin: &Arc<Plugin>,
    case: &Case,
    update: bool,
) -> anyhow::Result<Tried> {
    let recording = case.recording.as_ref();
    let Replayed { outcome, differences } = run::replay(plugin, case, recording).await?;
    if !differences.is_empty() {
        // What the plugin made of it says nothing: it was answered with an error.
        return Ok(Tried::new(outcome, differences));
    }
    if !update {
        let differences = judged(case, &outcome);
        return Ok(Tried::new(outcome, differences));
    }
    let again = run::replay(plugin, &case.again(subject.path())?, recording).await?;
    let is_clock_set = case.at.is_some() || recording.is_some_and(|recording| recording.at.is_some());
    case.write_expectation(&outcome.stable(&again.outcome, is_clock_set))?;
    Ok(Tried { written: vec!["updated"], ..Tried::new(outcome, Vec::new()) })
}

async fn recorded(
    subject: &Subject,
    plugin: &Arc<Plugin>,
    case: &Case,
    live: &Live,
    update: bool,
) -> anyhow::Result<Tried> {
    let Recorded { outcome, replayed, recording } = match record::record(plugin, case, live).await? {
        Ok(recorded) => recorded,
        Err(Refusal { outcome, why, differences }) => {
            let problem = Some(format!("nothing was recorded: {why}"));
            return Ok(Tried { problem, ..Tried::new(outcome, differences) });
        }
    };
    record::write(case, recording.as_ref())?;
    if recording.is_none() {
        return self::replayed(subject, plugin, &case.again(subject.path())?, update).await;
    }
    let mut written = vec!["recorded"];
    if !update {
        let differences = judged(case, &outcome);
        return Ok(Tried { written, ..Tried::new(outcome, differences) });
    }
    case.write_expectation(&outcome.stable(&replayed, true))?;
    written.push("updated");
    Ok(Tried { written, ..Tried::new(outcome, Vec::new()) })
}

/// Where an outcome is not what the case expects.
fn judged(case: &Case, outcome: &Outcome) -> Vec<Difference> {
    match &case.expect {
        Some(expect) => expect.differences(outcome),
        None => {
            let found = outcome.json().to_string();
            vec![Difference::new("expect", "nothing yet: --update writes what comes of it", &found)]
        }
    }
}
