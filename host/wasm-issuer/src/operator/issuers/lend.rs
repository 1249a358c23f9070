//! What an Issuer lends its plugin besides the configuration: its Secrets and a way to the network.

use std::sync::Arc;

use wasm_issuer_core::issuance::issuer::CheckFailure;
use wasm_issuer_core::issuance::verify::TrustedCas;
use wasm_issuer_runtime::Secret;
use wasm_issuer_runtime::egress::{Grant, HttpGrant, Roots};

use super::dependency::{Dependency, Versions};
use super::kept::{KeptSecret, KeptSecrets, Named};
use super::place::Place;
use super::sources::Sources;
use super::watches::{Version, Watched};
use crate::api::IssuerSpec;
use crate::policy::Bounds;

pub struct Lent {
    /// The Secret that the plugin uses through handles.
    pub secret: Option<Arc<Secret>>,
    /// The CA certificates in the Issuer's Secrets.
    pub trusted: TrustedCas,
    /// What the plugin may reach over HTTP, and as whom.
    pub http: HttpGrant,
    /// How the plugin's registry is reached, where it is in one.
    pub registry: RegistryAccess,
    /// Where all of it is from, which is to be kept as long as it is used.
    pub kept: Vec<Arc<KeptSecret>>,
}

/// How a registry is reached on behalf of an Issuer.
pub struct RegistryAccess {
    /// The namespace and the name of the Secret with the credentials, where one is named.
    pub pull_secret: Option<String>,
    /// What is kept of it.
    pub pull: Option<Arc<KeptSecret>>,
    /// The CAs in place of the public ones.
    pub roots: Option<Roots>,
    /// What the policy allows.
    pub bounds: Bounds,
}

/// Read what a spec names besides the plugin. Notes in `read` the versions of what it read.
pub async fn lend(
    sources: &Sources,
    secrets: &KeptSecrets,
    spec: &IssuerSpec,
    place: &Place<'_>,
    bounds: &Bounds,
    read: &mut Versions,
) -> Result<Lent, CheckFailure> {
    let mut kept = Vec::new();
    for (field, _, name) in Dependency::of(spec).filter(|(_, what, _)| *what == Watched::Secret) {
        read.insert(field, Version::Absent);
        let (owner, namespace) = (place.account().owner, place.namespace.to_owned());
        let secret = Named { owner, field, namespace, name: name.to_string() };
        let asked = secrets.now();
        let turn = sources.api.turn_to_read(&place.owner).await;
        if let Some(found) = secrets.read_since(&secret, asked) {
            read.insert(field, found.version.clone());
            kept.push(Ok(found));
            continue;
        }
        let began = secrets.now();
        let (data, version) = match sources.secret(field.field(), name, place, turn).await {
            Ok(found) => found,
            Err(error) => {
                kept.push(Err(error.into()));
                continue;
            }
        };
        read.insert(field, version.clone());
        // At once: the others may be long in coming. What is wrong with it is told when all were read.
        kept.push(secrets.keep(secret, data, (version, began), &place.owner).await);
    }
    let allowed = Grant::parse(&spec.http.allowed_hosts).map_err(CheckFailure::permanent)?;
    // All that is wrong at once.
    let mut failures = Vec::new();
    let kept: Vec<_> =
        kept.into_iter().filter_map(|kept| kept.map_err(|error| failures.push(error)).ok()).collect();
    if let Some(failure) = failures.into_iter().reduce(CheckFailure::and) {
        return Err(failure);
    }
    let used = || kept.iter().map(|kept| &kept.used);
    let pull_secret = spec.plugin.image.as_ref().and_then(|image| image.pull_secret_name.as_ref());
    let registry = RegistryAccess {
        pull_secret: pull_secret.map(|name| format!("{}/{name}", place.namespace)),
        pull: kept.iter().find(|kept| kept.used.pull.is_some()).cloned(),
        roots: used().find_map(|used| used.registry_roots.clone()),
        bounds: bounds.clone(),
    };
    Ok(Lent {
        registry,
        secret: used().find_map(|used| used.secret.clone()),
        trusted: used().fold(TrustedCas::default(), |all, used| all.and(&used.trusted)),
        http: HttpGrant {
            allowed,
            roots: used().find_map(|used| used.roots.clone()),
            client_identity: used().find_map(|used| used.client_identity.clone()),
            addresses: bounds.addresses(),
        },
        kept,
    })
}
