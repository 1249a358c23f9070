//! The network of a plugin that runs on a laptop: the Issuer's grants, with files in place of Secrets.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use ipnet::IpNet;
use wasm_issuer_runtime::egress::{
    AddressPolicy, ClientIdentity, Denial, Grant, HttpFailure, HttpGrant, Observer, Roots, ValueLocation,
};

use super::input::{self, quoted};
use super::{output, secret};
use crate::api::{HttpSpec, ObjectName};

/// What the plugin may reach. The operator's policy is not applied: private addresses and this machine's own are within
/// reach, link-local ones are not.
#[derive(Args)]
#[command(next_help_heading = "The network")]
pub struct HttpArgs {
    /// A server that the plugin may call, as in https://ca.example:8888 (spec.http.allowedHosts). Repeatable.
    #[arg(long, value_name = "ORIGIN")]
    allow_host: Vec<String>,
    /// The CAs of these servers as PEM (the key ca.crt of spec.http.caBundleSecretName) [default: the public ones]
    #[arg(long, value_name = "FILE")]
    ca_bundle: Option<PathBuf>,
    /// A folder with tls.crt and tls.key for mutual TLS (spec.http.clientCertSecretName)
    #[arg(long, value_name = "FOLDER")]
    client_cert: Option<PathBuf>,
}

impl HttpArgs {
    /// Put the arguments and the Issuer's own wishes together.
    pub fn grant(self, spec: &mut HttpSpec) -> anyhow::Result<HttpGrant> {
        spec.allowed_hosts.extend(self.allow_host);
        let loopback =
            ["127.0.0.0/8", "::1/128"].into_iter().map(str::parse).collect::<Result<Vec<IpNet>, _>>()?;
        let roots = given(
            &spec.ca_bundle_secret_name,
            self.ca_bundle,
            "spec.http.caBundleSecretName",
            "--ca-bundle FILE",
        )?;
        let client = given(
            &spec.client_cert_secret_name,
            self.client_cert,
            "spec.http.clientCertSecretName",
            "--client-cert FOLDER",
        )?;
        Ok(HttpGrant {
            allowed: Grant::parse(&spec.allowed_hosts)?,
            roots: roots.as_deref().map(read_roots).transpose()?,
            client_identity: client.as_deref().map(read_identity).transpose()?,
            addresses: AddressPolicy { private: true, allow: loopback, deny: vec![] },
        })
    }
}

/// A Secret that the Issuer names needs a file in its place.
fn given(
    name: &Option<ObjectName>,
    file: Option<PathBuf>,
    field: &str,
    argument: &str,
) -> anyhow::Result<Option<PathBuf>> {
    if let (Some(name), None) = (name, &file) {
        bail!("the Issuer names the Secret \"{name}\" in {field}: give its content with {argument}");
    }
    Ok(file)
}

/// The CAs of a PEM file.
pub fn read_roots(path: &Path) -> anyhow::Result<Roots> {
    let pem = input::read(path, "the CA bundle", input::MAX_TEXT)?;
    Roots::from_pem(&pem, &stand_in("ca-bundle", "ca.crt")).with_context(|| quoted(path).to_string())
}

fn read_identity(folder: &Path) -> anyhow::Result<ClientIdentity> {
    let data = secret::read(folder)?;
    let value = |key: &str| {
        data.get(key)
            .with_context(|| format!("the client certificate's folder {} has no file {key}", quoted(folder)))
    };
    let (chain, key) = (value("tls.crt")?, value("tls.key")?);
    let (chain_name, key_name) = (stand_in("client-cert", "tls.crt"), stand_in("client-cert", "tls.key"));
    ClientIdentity::from_pem((chain, &chain_name), (key, &key_name))
        .with_context(|| quoted(folder).to_string())
}

fn stand_in(secret: &str, key: &str) -> ValueLocation {
    ValueLocation { namespace: "file".into(), secret: secret.into(), key: key.into() }
}

/// Tells on stderr about requests that did not get through.
pub struct Reporter;

impl Observer for Reporter {
    fn denied(&self, denial: &Denial) {
        let _ = output::stderr(&format!("denied: {}\n", denial.in_full()));
    }

    fn failed(&self, failure: &HttpFailure) {
        let _ = output::stderr(&format!("no response from {}: {}\n", failure.destination, failure.message));
    }
}
