//! The network of a plugin that runs on a laptop: the Issuer's grants, with files in place of Secrets.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use wasm_issuer_runtime::egress::{ClientIdentity, HttpGrant, Roots, ValueLocation};

use super::input::{self, quoted};
use super::secret;
use crate::api::{HttpSpec, ObjectName};

/// What the plugin may reach, within the policy.
#[derive(Args)]
#[command(next_help_heading = "The network")]
pub struct HttpArgs {
    /// A server that the plugin may call, as in https://ca.example:8888 (spec.http.allowedHosts). Repeatable.
    #[arg(long, value_name = "ORIGIN")]
    pub allow_host: Vec<String>,
    /// The CAs of these servers as PEM (the key ca.crt of spec.http.caBundleSecretName) [default: the public ones]
    #[arg(long, value_name = "FILE")]
    pub ca_bundle: Option<PathBuf>,
    /// tls.crt and tls.key for mutual TLS, in a folder or a Secret's YAML (spec.http.clientCertSecretName)
    #[arg(long, value_name = "FOLDER|FILE")]
    pub client_cert: Option<PathBuf>,
}

impl HttpArgs {
    /// Put the arguments into the spec, and read the files. What is granted, and at which addresses, is not decided here.
    pub fn read(self, spec: &mut HttpSpec) -> anyhow::Result<HttpGrant> {
        spec.allowed_hosts.extend(self.allow_host);
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
            "--client-cert",
        )?;
        Ok(HttpGrant {
            roots: roots.as_deref().map(read_roots).transpose()?,
            client_identity: client.as_deref().map(read_identity).transpose()?,
            ..HttpGrant::default()
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

fn read_identity(path: &Path) -> anyhow::Result<ClientIdentity> {
    let data = secret::read(path)?.values;
    let value = |key: &str| {
        data.get(key).with_context(|| format!("the client certificate {} has no {key}", quoted(path)))
    };
    let (chain, key) = (value("tls.crt")?, value("tls.key")?);
    let (chain_name, key_name) = (stand_in("client-cert", "tls.crt"), stand_in("client-cert", "tls.key"));
    ClientIdentity::from_pem((chain, &chain_name), (key, &key_name)).with_context(|| quoted(path).to_string())
}

fn stand_in(secret: &str, key: &str) -> ValueLocation {
    ValueLocation { namespace: "file".into(), secret: secret.into(), key: key.into() }
}
