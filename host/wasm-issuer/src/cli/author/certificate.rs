//! `wasm-issuer plugin certificate`

use std::path::PathBuf;

use anyhow::ensure;
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::chain::{self, Finding, Ruling};
use super::describe::Description;
use super::output::{self, Format, OutputArgs};
use super::verdict::Verdict;

const EXAMPLES: &str = "\
Examples:
  wasm-issuer plugin certificate tls.crt --ca ca.crt
  kubectl get secret web -o jsonpath='{.data.tls\\.crt}' | base64 -d \\
    | wasm-issuer plugin certificate -

Exit codes:
  0  the chain is fine
  1  it is not
  2  wrong usage, or a file that cannot be read";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct CertificateArgs {
    /// The certificates, PEM with the leaf first, or one as DER. `-` reads stdin.
    #[arg(value_name = "FILE")]
    chain: PathBuf,
    /// The CA certificates that the chain is to lead to.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Serialize)]
struct Report {
    result: &'static str,
    certificates: Vec<Description>,
    verification: Vec<Finding>,
}

pub fn run(args: CertificateArgs) -> anyhow::Result<Verdict> {
    let what = ("the certificate file", "the CA file");
    let ders = chain::read(&args.chain, what.0)?;
    let certificates = chain::parse(&ders, &args.chain, what.0)?;
    ensure!(!certificates.is_empty(), "{} {:?} holds no certificates", what.0, args.chain);
    let ca_ders = args.ca.as_ref().map(|path| chain::read(path, what.1)).transpose()?.unwrap_or_default();
    let authorities = args.ca.as_ref().map(|path| chain::parse(&ca_ders, path, what.1)).transpose()?;

    let findings = chain::verify(&certificates, authorities.as_deref(), Timestamp::now());
    let is_fine = findings.iter().all(|finding| finding.result == Ruling::Ok);
    let descriptions: Vec<_> = certificates.iter().map(Description::of).collect();
    match args.output.output {
        Format::Json => {
            let result = if is_fine { "verified" } else { "refused" };
            output::json(&Report { result, certificates: descriptions, verification: findings })?;
        }
        Format::Text => {
            let mut text = String::new();
            for (at, description) in descriptions.iter().enumerate() {
                let title = if at == 0 { "certificate".to_owned() } else { format!("issuer {at}") };
                text.push_str(&format!("{title}\n{}\n", description.text()));
            }
            let hint = if args.ca.is_none() { " (--ca FILE checks which CA it leads to)" } else { "" };
            text.push_str(&format!("verification{hint}\n{}", chain::text(&findings)));
            output::stdout(&text)?;
        }
    }
    Ok(if is_fine { Verdict::Fine } else { Verdict::Failed })
}
