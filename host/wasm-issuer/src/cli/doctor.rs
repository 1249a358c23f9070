//! `wasm-issuer doctor`: looks at a cluster and says what is wrong. Gather, then diagnose, then print; only the first has a
//! client.

mod diagnose;
mod facts;
mod finding;
mod gather;
mod needs;
mod print;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use facts::{Facts, Policy};
use finding::ObjectRef;
use gather::Look;
use print::Report;

use super::executor::block_on;
use super::output::{Format, OutputArgs};
use super::{client, output};
use crate::api;

const EXAMPLES: &str = "\
Examples:
  wasm-issuer doctor                                # everything that this user may look at
  wasm-issuer doctor -n team-a                      # the Issuers and requests of a namespace
  wasm-issuer doctor certificate web -n team-a      # one Certificate, followed to its cause
  wasm-issuer doctor request web-1 -n team-a        # one CertificateRequest
  wasm-issuer doctor csr node-7                     # one CertificateSigningRequest of Kubernetes
  wasm-issuer doctor -o json | jq -r '.findings[] | .cause, .mend'

Plugins in ConfigMaps are loaded here, within the operator's limits, and asked what they are: name,
version, and what they need granted. What of that an Issuer or the policy does not grant is shown
with the section to paste. It is a claim of the plugin's: no fault as long as the Issuer is ready.

It changes nothing. It reads objects, of Secrets their metadata only, and asks the API server what
ServiceAccounts may do; such a question is a create (of an access review) that stores nothing.

Exit codes:
  0  nothing is wrong with what was looked at
  1  something is
  2  wrong usage, or the API server cannot be reached";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct DoctorArgs {
    #[command(subcommand)]
    object: Option<Object>,
    /// The context of the kubeconfig. Default: its current one, or the cluster that this runs in.
    #[arg(long, global = true, value_name = "NAME")]
    context: Option<String>,
    /// The namespace to look at. Default: all; for one object, that of the context.
    #[arg(short, long, global = true)]
    namespace: Option<api::ObjectName>,
    /// The namespace that the operator runs in.
    #[arg(long, global = true, default_value = "wasm-issuer", value_name = "NAMESPACE")]
    operator_namespace: api::ObjectName,
    /// The ServiceAccount that approves CertificateRequests.
    #[arg(long, global = true, default_value = "cert-manager/cert-manager", value_name = "NAMESPACE/NAME", value_parser = account)]
    approver: (String, String),
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Subcommand)]
enum Object {
    /// Follow a Certificate of cert-manager to the cause of its trouble.
    Certificate {
        /// Its name.
        name: api::ObjectName,
    },
    /// Follow a CertificateRequest of cert-manager.
    Request {
        /// Its name.
        name: api::ObjectName,
    },
    /// Follow a CertificateSigningRequest of Kubernetes.
    Csr {
        /// Its name.
        name: String,
    },
}

fn account(text: &str) -> Result<(String, String), String> {
    let is_name = |text: &str| text.parse::<api::ObjectName>().is_ok();
    let parts = text.split_once('/').filter(|(namespace, name)| is_name(namespace) && is_name(name));
    parts
        .map(|(namespace, name)| (namespace.to_owned(), name.to_owned()))
        .ok_or_else(|| "NAMESPACE/NAME".to_owned())
}

pub fn run(args: DoctorArgs) -> ExitCode {
    let done = block_on(async {
        // Two crates of the tree could each bring a provider; this makes the choice explicit.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let config = client::config(args.context.as_deref()).await?;
        let look = look(&args, &config.default_namespace);
        let facts = gather::gather(client::client(config)?, &look).await?;
        let report = Report {
            findings: diagnose::diagnose(&facts),
            plugins: diagnose::described(&facts),
            looked: looked(&facts),
            unseen: facts.unseen,
        };
        match args.output.output {
            Format::Json => output::json(&report)?,
            Format::Text => output::stdout(&report.text())?,
        }
        Ok(if report.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    });
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(2)
    })
}

fn look(args: &DoctorArgs, default_namespace: &str) -> Look {
    let namespace = args.namespace.as_ref().map(ToString::to_string);
    let here = namespace.clone().unwrap_or_else(|| default_namespace.to_owned());
    let object = args.object.as_ref().map(|object| match object {
        Object::Certificate { name } => ObjectRef::new("Certificate", &here, &name.to_string()),
        Object::Request { name } => ObjectRef::new("CertificateRequest", &here, &name.to_string()),
        Object::Csr { name } => ObjectRef::new("CertificateSigningRequest", "", name),
    });
    Look {
        namespace: object.as_ref().map_or(namespace, |object| object.namespace.clone()),
        object,
        operator_namespace: args.operator_namespace.to_string(),
        approver: args.approver.clone(),
    }
}

/// What a report without findings is about.
fn looked(facts: &Facts) -> Vec<String> {
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let mut looked = Vec::new();
    looked.extend(facts.crds.as_ref().map(|crds| count(crds.len(), "CustomResourceDefinition")));
    looked.extend(facts.operator.as_ref().map(|it| format!("Deployment {}/{}", it.namespace, it.name)));
    looked.push(count(facts.rights.len() + facts.approvals.len(), "right"));
    looked.push(match &facts.policy {
        Policy::Unknown => "no policy".to_owned(),
        Policy::Defaults => "the default policy".to_owned(),
        Policy::ConfigMap { object, .. } => format!("the policy in {object}"),
    });
    looked.extend(facts.issuers.as_ref().map(|issuers| count(issuers.len(), "Issuer")));
    looked.push(count(facts.certificates.len(), "Certificate"));
    looked.push(count(facts.requests.len(), "request"));
    looked
}
