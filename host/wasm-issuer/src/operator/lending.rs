//! What an Issuer lends its plugin besides the configuration: its Secrets and a way to the network.

use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use wasm_issuer_core::issuance::issuer::CheckFailure;
use wasm_issuer_core::issuance::plan::{Notice, SYNC_FAILED};
use wasm_issuer_runtime::SecretData;
use wasm_issuer_runtime::egress::{
    ClientIdentity, Denial, Failure, Grant, HttpGrant, Observer, Roots, ValueLocation,
};

use super::events::Events;
use super::loading::{Loader, permanent, retry};
use super::metrics::Metrics;
use super::sources::SourceError;
use super::watches::Watched;
use crate::api::{IssuerSpec, ObjectName};
use crate::policy::Bounds;

/// Something that an Issuer's spec names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dependency {
    /// `spec.plugin.configMap`
    Plugin,
    /// `spec.authSecretName`
    AuthSecret,
    /// `spec.http.caBundleSecretName`
    CaBundle,
    /// `spec.http.clientCertSecretName`
    ClientCert,
}

/// The resource versions of what an Issuer names, as they were read; none for what is not there.
pub type Versions = HashMap<Dependency, Option<String>>;

impl Dependency {
    /// All that a spec names.
    pub fn of(spec: &IssuerSpec) -> impl Iterator<Item = (Self, Watched, &ObjectName)> {
        let map = spec.plugin.config_map.as_ref().map(|map| (Self::Plugin, Watched::ConfigMap, &map.name));
        let secrets = [
            (Self::AuthSecret, &spec.auth_secret_name),
            (Self::CaBundle, &spec.http.ca_bundle_secret_name),
            (Self::ClientCert, &spec.http.client_cert_secret_name),
        ];
        let secrets = secrets
            .into_iter()
            .filter_map(|(dependency, name)| Some((dependency, Watched::Secret, name.as_ref()?)));
        map.into_iter().chain(secrets)
    }

    fn field(self) -> &'static str {
        match self {
            Self::Plugin => "spec.plugin.configMap.name",
            Self::AuthSecret => "spec.authSecretName",
            Self::CaBundle => "spec.http.caBundleSecretName",
            Self::ClientCert => "spec.http.clientCertSecretName",
        }
    }
}

/// What is lent.
pub struct Lent {
    /// The Secret that the plugin uses through handles.
    pub secret: Option<SecretData>,
    /// What it may reach.
    pub http: HttpGrant,
}

impl Loader {
    /// Read what a spec names besides the plugin.
    pub async fn lend(
        &self,
        spec: &IssuerSpec,
        namespace: &str,
        bounds: &Bounds,
        read: &mut Versions,
    ) -> Result<Lent, CheckFailure> {
        let mut secret = async |dependency: Dependency, name: &Option<ObjectName>| {
            let Some(name) = name else { return Ok(None) };
            read.insert(dependency, None);
            let (secret, version) = self.sources.secret(dependency.field(), name, namespace).await?;
            read.insert(dependency, version);
            Ok::<_, SourceError>(Some(secret))
        };
        let auth = secret(Dependency::AuthSecret, &spec.auth_secret_name).await.map_err(retry)?;
        let bundle = secret(Dependency::CaBundle, &spec.http.ca_bundle_secret_name).await.map_err(retry)?;
        let client =
            secret(Dependency::ClientCert, &spec.http.client_cert_secret_name).await.map_err(retry)?;
        Ok(Lent {
            secret: auth,
            http: HttpGrant {
                allowed: Grant::parse(&spec.http.allowed_hosts).map_err(permanent)?,
                roots: bundle.as_ref().map(roots).transpose()?,
                client_identity: client.as_ref().map(client_identity).transpose()?,
                addresses: bounds.addresses(),
            },
        })
    }
}

fn roots(secret: &SecretData) -> Result<Roots, CheckFailure> {
    let (pem, key) = value(secret, "ca.crt", Dependency::CaBundle)?;
    Roots::from_pem(pem, &key).map_err(retry)
}

fn client_identity(secret: &SecretData) -> Result<ClientIdentity, CheckFailure> {
    let (chain, chain_key) = value(secret, "tls.crt", Dependency::ClientCert)?;
    let (private_key, private_key_key) = value(secret, "tls.key", Dependency::ClientCert)?;
    ClientIdentity::from_pem((chain, &chain_key), (private_key, &private_key_key)).map_err(retry)
}

fn value<'a>(
    secret: &'a SecretData,
    key: &str,
    dependency: Dependency,
) -> Result<(&'a [u8], ValueLocation), CheckFailure> {
    let SecretData { namespace, name, values } = secret;
    let Some(value) = values.get(key) else {
        let field = dependency.field();
        return Err(retry(format!(r#"Secret "{namespace}/{name}" (named by {field}) has no key "{key}""#)));
    };
    let key = ValueLocation { namespace: namespace.clone(), secret: name.clone(), key: key.to_owned() };
    Ok((value, key))
}

/// Tells about denied requests on the Issuer whose plugin made them.
pub struct DenialReporter {
    /// The Issuer.
    pub issuer: ObjectReference,
    /// Where Events go.
    pub events: Events,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

impl Observer for DenialReporter {
    fn denied(&self, denial: &Denial) {
        self.metrics.denied(denial.reason.label());
        let note = format!("{}. To allow it: {}", denial.message, denial.fix_line);
        self.events.publish(&self.issuer, vec![Notice::warning("RequestDenied", SYNC_FAILED, &note)]);
    }

    fn failed(&self, failure: &Failure) {
        tracing::info!(
            issuer = self.issuer.name,
            namespace = self.issuer.namespace,
            destination = failure.destination,
            error = failure.message,
            "a plugin's request got no response"
        );
    }
}
