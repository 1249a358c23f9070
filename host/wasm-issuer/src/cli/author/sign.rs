//! `wasm-issuer plugin sign`

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use wasm_issuer_core::issuance::signer::SignRequest;
use wasm_issuer_core::issuance::verify::{Mode, Verified};
use wasm_issuer_core::text::list;

use super::ask::{Answer, How, ask};
use super::chain::{self, Finding, Ruling};
use super::describe::{self, Description};
use super::host::{PluginFile, PluginIdentity};
use super::input;
use super::issuer::IssuerArgs;
use super::output::{self, Format, OutputArgs, Timings};
use super::problem::{Call, Problem};
use super::reporter::{self, Unanswered};
use super::request::{Made, Request, RequestArgs};
use super::verdict::Verdict;
use crate::api::GoDuration;

const EXAMPLES: &str = "\
Examples:
  wasm-issuer plugin sign my_ca.wasm --dns web.example.com

  wasm-issuer plugin sign my_ca.wasm --issuer issuer.yaml --secret my-secret/ \\
    --dns web.example.com --usage 'server auth' --duration 24h \\
    --key-algorithm rsa-3072 --key-out tls.key --out tls.crt --ca-out ca.crt

  wasm-issuer plugin sign my_ca.wasm --csr web.csr -o json

  kubectl get certificaterequest web-1 -n team-a -o yaml \\
    | wasm-issuer plugin sign my_ca.wasm --issuer issuer.yaml --request - --wait

  wasm-issuer plugin sign my_ca.wasm --csr web.csr --resume order-17    # after exit code 3

What the cluster would refuse of the Issuer is refused here, by the default policy or that of --policy.

The chain goes to stdout, what was verified and everything else to stderr.

Exit codes:
  0  signed, and verified against the request
  1  the plugin failed, or its certificate was refused
  2  wrong usage, or a file that cannot be read or written
  3  the plugin has accepted the request and is not done (pending)";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct SignArgs {
    /// The component, plain or gzip. `-` reads stdin.
    plugin: PathBuf,
    #[command(flatten)]
    request: RequestArgs,
    #[command(flatten)]
    issuer: IssuerArgs,
    /// Refuse a certificate that differs from the request in anything (spec.verification.mode: Strict).
    #[arg(long, help_heading = "The Issuer")]
    strict: bool,
    /// Do not call `check` first.
    #[arg(long, help_heading = "The request")]
    no_check: bool,
    /// Ask again as the operator would while the plugin is not done or its CA is not to be had, for so long at most: 10m
    /// where no time is given. The token that the plugin returns is handed back.
    #[arg(
        long,
        value_name = "DURATION",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "10m",
        help_heading = "The request"
    )]
    wait: Option<GoDuration>,
    /// Write the chain to this file instead of stdout.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    out: Option<PathBuf>,
    /// Write the CA certificates (status.ca) to this file.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    ca_out: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    result: &'static str,
    plugin: PluginIdentity,
    issuer: String,
    request: RequestFacts,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<String>,
    certificates: Vec<Description>,
    verification: Vec<Finding>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Box<Problem>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unanswered: Vec<Unanswered>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    timings: Timings,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestFacts {
    name: String,
    uid: String,
    duration_seconds: u64,
    #[serde(rename = "isCA")]
    is_ca: bool,
    usages: Vec<String>,
}

pub fn run(mut args: SignArgs) -> anyhow::Result<Verdict> {
    let file = PluginFile::read(&args.plugin)?;
    let object = args.request.object()?;
    args.issuer.namespace_of_request =
        object.as_ref().and_then(|object| object.namespace().map(str::to_owned));
    let mut issuer = args.issuer.validate(&args.plugin)?;
    if args.strict {
        issuer.spec.verification.mode = Mode::Strict;
    }
    let Request { sign, made } = match object {
        Some(object) => Request { sign: object.sign_request(&issuer, args.request.resume)?, made: None },
        None => args.request.validate(issuer.request_namespace.clone(), &issuer.key.name)?,
    };
    let (facts, name, issuer_name) = (file.facts(), file.text(), issuer.key.to_string());
    let how = How { check: !args.no_check, wait: args.wait.unwrap_or_default().0 };
    let mut timings = Timings::default();
    let (answer, unanswered) = super::block_on(ask(file, issuer, &sign, how, &mut timings))?;
    let is_kept = match &answer {
        Answer::Issued(_) => true,
        Answer::Failed(_, problem) => problem.verdict() == Verdict::Pending || problem.resume.is_some(),
        Answer::Refused(_) => false,
    };
    if let Answer::Issued(verified) = &answer {
        if let Some(path) = &args.out {
            input::write(path, verified.certificate.as_bytes())?;
        }
        if let (Some(path), Some(ca)) = (&args.ca_out, &verified.ca) {
            input::write(path, ca.as_bytes())?;
        }
    }
    let key = made.as_ref().filter(|_| is_kept).map(|made| made.keep(&sign.csr)).transpose()?;
    let report = Report { unanswered, ..report(answer, facts, issuer_name, &sign, key, timings)? };
    let verdict = match report.result {
        "issued" => Verdict::Fine,
        "pending" => Verdict::Pending,
        _ => Verdict::Failed,
    };
    match args.output.output {
        Format::Json => output::json(&report)?,
        Format::Text => {
            output::stderr(&text(&report, &name, made.as_ref()))?;
            if let (Some(chain), None) = (&report.certificate, &args.out) {
                output::stdout(chain)?;
            }
        }
    }
    Ok(verdict)
}

fn report(
    answer: Answer,
    plugin: PluginIdentity,
    issuer: String,
    request: &SignRequest,
    key: Option<String>,
    timings: Timings,
) -> anyhow::Result<Report> {
    let facts = RequestFacts {
        name: request.name.clone(),
        uid: request.uid.clone(),
        duration_seconds: request.duration.as_secs(),
        is_ca: request.is_ca,
        usages: request.usages.clone(),
    };
    let report = Report {
        result: "failed",
        plugin,
        issuer,
        request: facts,
        certificate: None,
        ca: None,
        certificates: Vec::new(),
        verification: Vec::new(),
        problem: None,
        unanswered: Vec::new(),
        key,
        timings,
    };
    Ok(match answer {
        Answer::Issued(verified) => Report {
            result: "issued",
            certificates: describe::chain(&verified.certificate)?,
            verification: findings(&verified),
            certificate: Some(verified.certificate),
            ca: verified.ca,
            ..report
        },
        Answer::Refused(mismatch) => Report {
            result: "refused",
            problem: Some(Problem::refused(&mismatch)),
            verification: vec![Finding::new(mismatch.field, Ruling::Refused, mismatch.message)],
            ..report
        },
        Answer::Failed(Call::Check, problem) => {
            Report { result: "checkFailed", problem: Some(problem), ..report }
        }
        Answer::Failed(Call::Sign, problem) => {
            let result = if problem.verdict() == Verdict::Pending { "pending" } else { "failed" };
            Report { result, problem: Some(problem), ..report }
        }
    })
}

/// The rules of [`verify::verify`], and where the CA decided otherwise than requested.
fn findings(verified: &Verified) -> Vec<Finding> {
    let holds = [
        ("publicKey", "the CSR's"),
        ("subjectAltName", "all that the CSR asks for, and no others"),
        ("basicConstraints", "a CA if and only if one was asked for"),
        ("serialNumber", "positive, of 20 octets at most"),
        ("chain", "each certificate is signed by the next"),
        ("nameConstraints", "the names are those that the CAs above may give"),
        ("ca", "leads to the CA certificate that goes with it"),
        ("validity", "all are valid now, and the certificate for no longer than its CA"),
        ("subject", "the CSR's"),
        ("keyUsage", "as requested"),
        ("extendedKeyUsage", "as requested"),
        ("duration", "as requested, within 30 s"),
        ("extensions", "none beyond the ordinary ones"),
    ];
    let finding =
        |(rule, detail): (&'static str, &str)| match verified.warnings.iter().find(|w| w.field == rule) {
            Some(warning) => Finding::new(rule, Ruling::Warning, &warning.message),
            None => Finding::new(rule, Ruling::Ok, detail),
        };
    let mut findings: Vec<_> =
        holds.into_iter().filter(|(rule, _)| *rule != "ca" || verified.ca.is_some()).map(finding).collect();
    if !verified.dropped.is_empty() {
        let dropped = list(verified.dropped.iter(), 600);
        let detail =
            format!("not published, as the chain does not lead there and no Secret has it: {dropped}");
        findings.push(Finding::new("ca", Ruling::Warning, detail));
    }
    findings
}

fn text(report: &Report, plugin: &str, made: Option<&Made>) -> String {
    let issuer = &report.issuer;
    let mut text = match report.result {
        "issued" => format!("signed by {plugin} for {issuer}\n"),
        "refused" => format!("refused: what {plugin} returned for {issuer}; nothing would be published\n"),
        "pending" => format!("pending: {plugin} for {issuer} has accepted the request and is not done\n"),
        "checkFailed" => format!("check failed: {plugin} for {issuer}, so nothing was signed\n"),
        _ => format!("sign failed: {plugin} for {issuer}\n"),
    };
    for (at, description) in report.certificates.iter().enumerate() {
        let title = if at == 0 { "certificate".to_owned() } else { format!("issuer {at}") };
        text.push_str(&format!("\n{title}\n{}", description.text()));
    }
    if report.result == "issued" {
        text.push_str(&format!("\nverified against the request\n{}", chain::text(&report.verification)));
    }
    if let Some(problem) = &report.problem {
        text.push_str(&problem.text());
    }
    let failure = report.problem.as_ref().map(|problem| problem.message.as_str()).unwrap_or_default();
    text.push_str(&reporter::text(&report.unanswered, failure));
    if let Some(resume) = report.problem.as_ref().and_then(|problem| problem.resume.as_ref()) {
        text.push_str(&match made.map(Made::can_go_on) {
            Some(None) => {
                "\nto go on with such a request, keep it: --csr-out FILE, then --csr FILE --resume TOKEN\n"
                    .to_owned()
            }
            Some(Some(csr)) => format!("\ngo on with: --csr {} --resume {resume:?}\n", csr.display()),
            None => format!("\ngo on with: --resume {resume:?}\n"),
        });
    }
    text.push('\n');
    if let Some(key) = &report.key {
        text.push_str(&format!("private key: {key}\n"));
    }
    text.push_str(&format!("timings: {}\n", report.timings.text()));
    text
}
