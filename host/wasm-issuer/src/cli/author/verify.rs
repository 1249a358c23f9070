//! `wasm-issuer plugin verify`

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use wasm_issuer_oci::{Access, Reference, Registry, SignerKey, Unverified};

use super::output::{self, Format, OutputArgs};
use super::progress::Progress;
use super::registry::{self, RegistryArgs};
use super::signer;
use super::verdict::Verdict;
use crate::cli::executor::block_on;
use crate::registry_http::RegistryHttp;

const EXAMPLES: &str = "\
Examples:
  wasm-issuer plugin verify registry.example/team/my-ca:1.0 --verify-key cosign.pub
  reference=$(wasm-issuer plugin verify registry.example/team/my-ca:1.0 --verify-key cosign.pub)

Looks for signatures as an operator does whose policy asks for them (signedBy), and pulls nothing.
Prints the reference with the digest that is signed: a tag may stand for another a moment later.

Exit codes:
  0  one of the keys has signed it
  1  none has, or the registry refuses
  2  wrong usage, or a file that cannot be read";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct VerifyArgs {
    /// What to look at: registry/name:tag or registry/name@sha256:...
    reference: Reference,
    /// A public key, PEM, that must have signed it (cosign), or another one of them. Repeatable.
    #[arg(long, value_name = "FILE", required = true)]
    verify_key: Vec<PathBuf>,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    /// `verified` or `refused`.
    result: &'static str,
    /// With its digest, where it is verified.
    reference: String,
    /// The fingerprint of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

pub fn run(args: VerifyArgs) -> anyhow::Result<Verdict> {
    let keys = signer::read(&args.verify_key)?;
    let login = args.registry.login(&args.reference)?;
    let mut registry = args.registry.connect(&args.reference, &login, Access::Pull)?;
    let progress = Progress::new(format!("looking for signatures of {}", args.reference));
    let verified = verify(&mut registry, &args.reference, &keys);
    let verified = block_on(async { Ok(progress.during(verified).await) })?;
    let report = match verified {
        Ok((reference, signer)) => Report {
            result: "verified",
            reference: reference.to_string(),
            signed_by: Some(signer.to_string()),
            problem: None,
        },
        Err(error) => Report {
            result: "refused",
            reference: args.reference.to_string(),
            signed_by: None,
            problem: Some(login.explain_unverified(&args.reference, &error, &keys)),
        },
    };
    report.print(args.output.output)?;
    Ok(if report.problem.is_none() { Verdict::Fine } else { Verdict::Failed })
}

/// The reference with its digest, and whose signature that has.
async fn verify<'k>(
    registry: &mut Registry<RegistryHttp>,
    reference: &Reference,
    keys: &'k [SignerKey],
) -> Result<(Reference, &'k SignerKey), Unverified> {
    let digest = registry::resolve(registry, reference).await?;
    let signer = registry.signer(&digest, keys).await?;
    Ok((reference.at(digest), signer))
}

impl Report {
    fn print(&self, format: Format) -> anyhow::Result<()> {
        let Self { reference, signed_by, problem, .. } = self;
        match (format, signed_by, problem) {
            (Format::Json, ..) => output::json(self),
            (Format::Text, Some(signer), _) => {
                output::stdout(&format!("{reference}\n"))?;
                output::stderr(&format!("signed by {signer}\n"))
            }
            (Format::Text, None, problem) => output::stderr(&format!(
                "not verified: {reference}: {}\n",
                problem.as_deref().unwrap_or_default()
            )),
        }
    }
}
