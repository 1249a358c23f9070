//! `wasm-issuer policy`

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::Value;
use wasm_issuer_oci::SignerKey;

use super::output::{Format, OutputArgs, Table};
use super::{input, output};
use crate::policy::{Fault, Faults, Policy, Position, Remark, Written};

const EXAMPLES: &str = "\
Examples:
  wasm-issuer policy show >policy.yaml         # the defaults, with comments
  wasm-issuer policy check policy.yaml
  kubectl get configmap wasm-issuer-policy -n wasm-issuer -o jsonpath='{.data.policy\\.yaml}' |
    wasm-issuer policy check -
  wasm-issuer policy check policy.yaml -o json | jq .policy.wasmIssuers";

const EXIT_CODES: &str = "\
Exit codes:
  0  the file is a policy, remarked upon or not
  1  it is none
  2  wrong usage, or a file that cannot be read";

#[derive(Args)]
#[command(arg_required_else_help = true, after_help = EXAMPLES)]
pub struct PolicyArgs {
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Subcommand)]
enum PolicyCommand {
    /// Say what a policy file allows, each mistake with its line, and what is wider than the defaults.
    Check(CheckArgs),
    /// Print the policy that holds where no file says otherwise, as a file with comments to start from.
    Show,
}

#[derive(Args)]
#[command(after_help = EXIT_CODES)]
struct CheckArgs {
    /// The file, such as `run --policy` takes; `-` reads stdin.
    file: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
}

/// What a check found.
#[derive(Serialize)]
struct Report {
    file: String,
    /// `accepted` or `refused`.
    result: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<Fault>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<Policy>,
    remarks: Vec<PlacedRemark>,
}

#[derive(Serialize)]
struct PlacedRemark {
    #[serde(flatten)]
    position: Option<Position>,
    #[serde(flatten)]
    remark: Remark,
}

pub fn run(args: PolicyArgs) -> ExitCode {
    let result = match args.command {
        PolicyCommand::Check(args) => check(&args),
        PolicyCommand::Show => output::stdout(Policy::DEFAULT_FILE).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(2)
    })
}

fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let text = input::text(&args.file, "the policy")?;
    let report = Report::of(args.file.display().to_string(), &text);
    match args.output.output {
        Format::Json => output::json(&report)?,
        Format::Text => output::stdout(&report.text()?)?,
    }
    Ok(if report.policy.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Report {
    fn of(file: String, text: &str) -> Self {
        let read = Written::read(text).and_then(|written| Ok((written.policy()?, written)));
        match read {
            Err(Faults(faults)) => Self { file, result: "refused", faults, policy: None, remarks: vec![] },
            Ok((policy, written)) => {
                let placed = |remark: Remark| PlacedRemark {
                    position: written.position(remark.section, remark.field, remark.item),
                    remark,
                };
                let remarks = policy.remarks().into_iter().map(placed).collect();
                Self { file, result: "accepted", faults: vec![], policy: Some(policy), remarks }
            }
        }
    }

    fn text(&self) -> anyhow::Result<String> {
        let mut text = String::new();
        for fault in &self.faults {
            let field = if fault.field.is_empty() { String::new() } else { format!("{}: ", fault.field) };
            writeln!(text, "{}: error: {field}{}", self.place(fault.position), fault.message)?;
        }
        if let Some(policy) = &self.policy {
            text.push_str(&bounds(policy)?);
        }
        for PlacedRemark { position, remark } in &self.remarks {
            let item = remark.item.map(|n| format!("[{n}]")).unwrap_or_default();
            let field = format!("{}.{}{item}", remark.section, remark.field);
            writeln!(text, "{}: warning: {field}: {}", self.place(*position), remark.message)?;
        }
        Ok(text)
    }

    /// As compilers write it, and editors read it.
    fn place(&self, position: Option<Position>) -> String {
        match position {
            Some(Position { line, column }) => format!("{}:{line}:{column}", self.file),
            None => self.file.clone(),
        }
    }
}

/// What holds for each kind, and what the default is where that is something else.
fn bounds(policy: &Policy) -> anyhow::Result<String> {
    let (holds, defaults) = (serde_json::to_value(policy)?, serde_json::to_value(Policy::default())?);
    let mut text = String::new();
    for section in ["wasmIssuers", "wasmClusterIssuers"] {
        let mut table = Table::default();
        for (field, value) in holds[section].as_object().into_iter().flatten() {
            let default = &defaults[section][field];
            let default = if value == default {
                String::new()
            } else {
                format!("   (default: {})", plain(field, default))
            };
            table.row(field, format!("{}{default}", plain(field, value)));
        }
        writeln!(text, "{section}\n{}", table.text())?;
    }
    Ok(text)
}

/// A value without YAML's signs, keys by their fingerprints.
fn plain(field: &str, value: &Value) -> String {
    match value {
        Value::String(text) if field == "signedBy" => {
            text.parse::<SignerKey>().map_or_else(|_| text.clone(), |key| key.to_string())
        }
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => {
            (if ["sha256", "signedBy"].contains(&field) { "any" } else { "none" }).to_owned()
        }
        Value::Array(items) => items.iter().map(|item| plain(field, item)).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_told_with_what_is_not_the_default_and_what_is_wide() {
        let report =
            Report::of("p.yaml".to_owned(), "wasmIssuers:\n  allowAddresses: [10.1.0.0/16, 0.0.0.0/0]\n");
        let text = report.text().unwrap();
        for line in [
            "wasmIssuers\n",
            "  allowAddresses    10.1.0.0/16, 0.0.0.0/0   (default: none)\n",
            "  sha256            any\n",
            "  maxMemory         1Gi\n",
            "p.yaml:2:33: warning: wasmIssuers.allowAddresses[1]: every address, but",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }

    #[test]
    fn what_is_no_policy_is_told_line_by_line_and_holds_nothing() {
        let report = Report::of("p.yaml".to_owned(), "wasmIssuers:\n  reveals: 1\n  maxTimeout: soon\n");
        let text = report.text().unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(
            lines[0].starts_with("p.yaml:2:3: error: wasmIssuers.reveals: there is no such field"),
            "{text}"
        );
        assert!(lines[1].starts_with("p.yaml:3:15: error: wasmIssuers.maxTimeout: "), "{text}");
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!((&json["result"], &json["faults"][1]["line"]), (&"refused".into(), &3.into()));
    }
}
