//! The request that a plugin is to sign: a CSR from a file, or one made on the spot.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use clap::Args;
use rcgen::KeyPair;
use wasm_issuer_core::issuance::request_spec::{RequestSpec, RequestSpecError};
use wasm_issuer_core::issuance::signer::{Requester, SignRequest};
use wasm_issuer_core::x509::{Csr, Usages, pem, usages};

use super::csr::{self, Names};
use super::input::{self, quoted};
use super::key::{self, KeyAlgorithm};
use super::request_file::{REQUESTER, RequestFile, uid};
use crate::api::GoDuration;

/// The arguments in whose place a CertificateRequest is.
const MADE_OF_ARGUMENTS: [&str; 13] = [
    "csr",
    "dns",
    "ip",
    "uri",
    "email",
    "common_name",
    "key_algorithm",
    "key_out",
    "csr_out",
    "duration",
    "usage",
    "ca",
    "annotation",
];
/// ub-common-name of RFC 5280, which cert-manager enforces.
const MAX_COMMON_NAME: usize = 64;

/// The request: a CertificateRequest, a CSR, or names to make one with a new key. One of --request, --csr, --dns, --ip, --uri,
/// --email and --common-name is needed.
#[derive(Args)]
#[command(next_help_heading = "The request")]
pub struct RequestArgs {
    /// A CertificateRequest, as `kubectl get certificaterequest NAME -o yaml` prints it: all of it is used but its issuerRef.
    /// `-` reads stdin.
    #[arg(long, value_name = "FILE", conflicts_with_all = MADE_OF_ARGUMENTS)]
    request: Option<PathBuf>,
    /// A PKCS#10 request, PEM or DER. `-` reads stdin. What it says about usages and CA is the default for them.
    #[arg(long, value_name = "FILE")]
    csr: Option<PathBuf>,
    /// A DNS name. Repeatable.
    #[arg(long, value_name = "NAME", conflicts_with = "csr", value_parser = ascii)]
    dns: Vec<String>,
    /// An IP address. Repeatable.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "csr")]
    ip: Vec<IpAddr>,
    /// A URI. Repeatable.
    #[arg(long, value_name = "URI", conflicts_with = "csr", value_parser = ascii)]
    uri: Vec<String>,
    /// An email address. Repeatable.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "csr", value_parser = ascii)]
    email: Vec<String>,
    /// The subject's common name.
    #[arg(long, value_name = "NAME", conflicts_with = "csr", value_parser = common_name)]
    common_name: Option<String>,
    /// The kind of key to make.
    #[arg(long, value_enum, value_name = "KEY", conflicts_with = "csr", default_value = "ecdsa-p256")]
    key_algorithm: KeyAlgorithm,
    /// Where to write the new key, readable by its owner only. Without, it is thrown away.
    #[arg(long, value_name = "FILE", conflicts_with = "csr")]
    key_out: Option<PathBuf>,
    /// Where to write the new CSR, to go on with it when the plugin says that it is pending.
    #[arg(long, value_name = "FILE", conflicts_with = "csr")]
    csr_out: Option<PathBuf>,
    /// The lifetime to ask for [default: 2160h]
    #[arg(long, value_name = "DURATION")]
    duration: Option<GoDuration>,
    /// A key usage or extended key usage by cert-manager's name, such as "server auth". Repeatable. [default: those of
    /// the CSR, else "digital signature" and "key encipherment"]
    #[arg(long, value_name = "USAGE")]
    usage: Vec<String>,
    /// Ask for a CA certificate (isCA).
    #[arg(long)]
    ca: bool,
    /// An annotation of the request. Repeatable.
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    annotation: Vec<(String, String)>,
    /// Go on with a request that was pending: the token that the plugin returned.
    #[arg(long, value_name = "TOKEN")]
    pub resume: Option<String>,
}

/// A request to sign, and what was made for it.
pub struct Request {
    pub sign: SignRequest,
    /// The key, and where to keep it and the CSR; none where the CSR came from a file.
    pub made: Option<Made>,
}

/// What was made for a request.
pub struct Made {
    key: KeyPair,
    key_out: Option<PathBuf>,
    csr_out: Option<PathBuf>,
}

impl RequestArgs {
    /// The CertificateRequest that --request names.
    pub fn object(&self) -> anyhow::Result<Option<RequestFile>> {
        self.request.as_deref().map(RequestFile::read).transpose()
    }

    /// Read or make the CSR, and apply cert-manager's defaults, as the operator does.
    pub fn validate(self, namespace: String, issuer: &str) -> anyhow::Result<Request> {
        ensure!(
            self.resume.is_none() || self.csr.is_some(),
            "--resume goes on with a request that was pending: give its CSR with --csr FILE"
        );
        let given = match &self.csr {
            Some(path) => Some((path, read_csr(path)?)),
            None => None,
        };
        let duration = self.duration.map(|duration| duration.0);
        let csr = given.as_ref().map(|(_, csr)| csr);
        let spec = spec(csr, duration, self.ca, &self.usage).map_err(named_by_argument)?;
        let (csr, made) = match given {
            Some((path, csr)) => {
                let named = || format!("the CSR {}", quoted(path));
                spec.check(&csr).map_err(named_by_argument).with_context(named)?;
                (csr, None)
            }
            None => self.make(spec.parsed_usages()).map(|(csr, made)| (csr, Some(made)))?,
        };
        let details = Details { annotations: self.annotation, resume: self.resume };
        Ok(Request { sign: sign_request(csr, spec, details, namespace, issuer), made })
    }

    fn make(&self, wanted: &Usages) -> anyhow::Result<(Csr, Made)> {
        let names = Names {
            common_name: self.common_name.clone(),
            dns: self.dns.clone(),
            ip: self.ip.clone(),
            uri: self.uri.clone(),
            email: self.email.clone(),
        };
        ensure!(
            names != Names::default(),
            "nothing to sign: give --csr FILE, --request FILE, or names for a new request with --dns, --ip, --uri, --email or --common-name"
        );
        if let Some(path) = self.key_out.as_deref().filter(|path| path.exists()) {
            bail!(
                "--key-out {} is there already, and a key is never overwritten: give another name",
                quoted(path)
            );
        }
        let key = key::generate(self.key_algorithm).context("cannot make a key")?;
        let der = csr::build(&names, self.ca, wanted, &key).context("cannot make a CSR")?;
        let csr = Csr::from_pem_or_der(&der).context("cannot make a CSR of that")?;
        Ok((csr, Made { key, key_out: self.key_out.clone(), csr_out: self.csr_out.clone() }))
    }
}

impl Made {
    /// Write what was made where the arguments want it, and say where it is.
    pub fn keep(&self, csr: &Csr) -> anyhow::Result<String> {
        if let Some(path) = &self.csr_out {
            input::write(path, pem::encode("CERTIFICATE REQUEST", csr.der()).as_bytes())?;
        }
        match &self.key_out {
            Some(path) => {
                input::write_private(path, key::to_pem(&self.key).as_bytes())?;
                Ok(format!("written to {}", path.display()))
            }
            None => Ok("thrown away (--key-out FILE keeps it)".to_owned()),
        }
    }

    /// Whether a later call can go on with this request.
    pub fn can_go_on(&self) -> Option<&Path> {
        self.csr_out.as_deref()
    }
}

/// What is asked for, cert-manager's defaults applied: what a CSR says about usages and CA is the default for them.
pub fn spec(
    csr: Option<&Csr>,
    duration: Option<Duration>,
    is_ca: bool,
    usages: &[String],
) -> Result<RequestSpec, RequestSpecError> {
    let is_ca = is_ca || csr.is_some_and(|csr| csr.is_ca() == Some(true));
    match csr {
        Some(csr) if usages.is_empty() => RequestSpec::new(duration, is_ca, &usages_of(csr)),
        _ => RequestSpec::new(duration, is_ca, usages),
    }
}

/// What a request has besides.
pub struct Details {
    pub annotations: Vec<(String, String)>,
    /// The token that the plugin returned.
    pub resume: Option<String>,
}

/// The request for an Issuer as the operator hands it to a plugin, from one whom cert-manager lets ask.
pub fn sign_request(
    csr: Csr,
    spec: RequestSpec,
    details: Details,
    namespace: String,
    issuer: &str,
) -> SignRequest {
    SignRequest {
        namespace: Some(namespace),
        name: format!("{issuer}-request"),
        uid: uid(csr.der()),
        csr,
        duration: spec.duration,
        is_ca: spec.is_ca,
        usages: spec.usages,
        annotations: details.annotations,
        requester: Requester { username: REQUESTER.to_owned(), ..Requester::default() },
        resume: details.resume,
    }
}

/// What a CSR itself asks for, as far as a request can: purposes without a name are left out.
fn usages_of(csr: &Csr) -> Vec<String> {
    let key_usages = csr.key_usage().unwrap_or_default().names().map(str::to_owned);
    let purposes = csr.ext_key_usage().into_iter().flatten().filter_map(usages::name_of).map(str::to_owned);
    key_usages.chain(purposes).collect()
}

/// The CSR in a file, PEM or DER.
pub fn read_csr(path: &Path) -> anyhow::Result<Csr> {
    let bytes = input::read(path, "the CSR", input::MAX_TEXT)?;
    let named = |error| anyhow!("{}: {error}", quoted(path));
    Csr::from_pem_or_der(&bytes).map_err(named)
}

/// The operator's refusal, with the arguments in place of the fields of a spec.
fn named_by_argument(error: RequestSpecError) -> anyhow::Error {
    match error {
        RequestSpecError::Duration => anyhow!("--duration: a certificate is valid for at least a second"),
        RequestSpecError::Usage(unknown) => anyhow!(
            "{unknown}; --usage takes cert-manager's names, such as \"digital signature\", \"key encipherment\", \
             \"server auth\", \"client auth\" and \"cert sign\""
        ),
        RequestSpecError::Contradiction(contradiction) => {
            anyhow!("the operator would refuse it, {contradiction} (--ca, --usage)")
        }
    }
}

fn ascii(text: &str) -> Result<String, String> {
    match text {
        "" => Err("it is empty".to_owned()),
        text if !text.is_ascii() => {
            Err("only ASCII: write an international name in its xn-- form".to_owned())
        }
        text => Ok(text.to_owned()),
    }
}

fn common_name(text: &str) -> Result<String, String> {
    match text.chars().count() {
        1..=MAX_COMMON_NAME => Ok(text.to_owned()),
        count => Err(format!("a common name has 1 to {MAX_COMMON_NAME} characters, not {count}")),
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("KEY=VALUE is expected".to_owned()),
    }
}

#[cfg(test)]
mod tests;
