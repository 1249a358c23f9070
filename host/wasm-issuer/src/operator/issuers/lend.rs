//! What an Issuer lends its plugin besides the configuration: its Secrets and a way to the network.

use wasm_issuer_core::issuance::issuer::CheckFailure;
use wasm_issuer_core::issuance::verify::TrustedCas;
use wasm_issuer_runtime::SecretData;
use wasm_issuer_runtime::egress::{ClientIdentity, Grant, HttpGrant, Roots, ValueLocation};

use super::dependency::{Dependency, Versions};
use super::place::Place;
use super::sources::Sources;
use super::watches::Version;
use crate::api::{IssuerSpec, ObjectName};
use crate::policy::Bounds;

pub struct Lent {
    /// The Secret that the plugin uses through handles.
    pub secret: Option<SecretData>,
    /// The CA certificates in the Issuer's Secrets.
    pub trusted: TrustedCas,
    /// What the plugin may reach over HTTP, and as whom.
    pub http: HttpGrant,
}

/// Read what a spec names besides the plugin. Notes in `read` the versions of what it read.
pub async fn lend(
    sources: &Sources,
    spec: &IssuerSpec,
    place: &Place<'_>,
    bounds: &Bounds,
    read: &mut Versions,
) -> Result<Lent, CheckFailure> {
    let mut secret = async |dependency: Dependency, name: &Option<ObjectName>| {
        let Some(name) = name else { return Ok(None) };
        read.insert(dependency, Version::Absent);
        let (secret, version) = sources.secret(dependency.field(), name, place).await?;
        read.insert(dependency, version);
        Ok::<_, CheckFailure>(Some(secret))
    };
    let auth = secret(Dependency::AuthSecret, &spec.auth_secret_name).await?;
    let bundle = secret(Dependency::CaBundle, &spec.http.ca_bundle_secret_name).await?;
    let client = secret(Dependency::ClientCert, &spec.http.client_cert_secret_name).await?;
    let cas = secret(Dependency::TrustedCas, &spec.verification.ca_secret_name).await?;
    let values = [&auth, &cas].into_iter().flatten().flat_map(|secret| secret.values.values());
    Ok(Lent {
        trusted: TrustedCas::among(values.map(|value| value.as_slice())),
        secret: auth,
        http: HttpGrant {
            allowed: Grant::parse(&spec.http.allowed_hosts).map_err(CheckFailure::permanent)?,
            roots: bundle.as_ref().map(roots).transpose()?,
            client_identity: client.as_ref().map(client_identity).transpose()?,
            addresses: bounds.addresses(),
        },
    })
}

fn roots(secret: &SecretData) -> Result<Roots, CheckFailure> {
    let (pem, key) = value(secret, "ca.crt", Dependency::CaBundle)?;
    Roots::from_pem(pem, &key).map_err(CheckFailure::passing)
}

fn client_identity(secret: &SecretData) -> Result<ClientIdentity, CheckFailure> {
    let (chain, chain_key) = value(secret, "tls.crt", Dependency::ClientCert)?;
    let (private_key, private_key_key) = value(secret, "tls.key", Dependency::ClientCert)?;
    ClientIdentity::from_pem((chain, &chain_key), (private_key, &private_key_key))
        .map_err(CheckFailure::passing)
}

fn value<'a>(
    secret: &'a SecretData,
    key: &str,
    dependency: Dependency,
) -> Result<(&'a [u8], ValueLocation), CheckFailure> {
    let SecretData { namespace, name, values } = secret;
    let Some(value) = values.get(key) else {
        let field = dependency.field();
        return Err(CheckFailure::passing(format!(
            r#"Secret "{namespace}/{name}" (named by {field}) has no key "{key}""#
        )));
    };
    let key = ValueLocation { namespace: namespace.clone(), secret: name.clone(), key: key.to_owned() };
    Ok((value, key))
}
