//! What Issuers keep of the Secrets that they name: in memory once for all that name it, and on their owner's account.
//!
//! A Secret costs the one who makes it next to nothing, and so does an Issuer that names it; each with a copy of its own,
//! and what is made of it, would be a hundred megabytes for a hundred of them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use wasm_issuer_core::issuance::issuer::CheckFailure;
use wasm_issuer_core::issuance::verify::TrustedCas;
use wasm_issuer_oci::DockerConfig;
use wasm_issuer_runtime::egress::{ClientIdentity, Roots, ValueLocation};
use wasm_issuer_runtime::{IssuerMemory, IssuerShare, Owner, Secret, SecretData, Turns};

use super::dependency::Dependency;
use super::watches::Version;

/// What all Issuers keep of Secrets.
pub struct KeptSecrets {
    memory: IssuerMemory,
    /// For what takes long to make of them.
    turns: Turns,
    kept: Mutex<HashMap<Named, Weak<KeptSecret>>>,
    moments: AtomicU64,
}

/// A Secret as a field of an owner's Issuers names it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Named {
    /// On whose account it is.
    pub owner: String,
    pub field: Dependency,
    pub namespace: String,
    pub name: String,
}

/// A point in the order of things: of two, the one that was taken first is the smaller.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

/// What is kept of one version of a Secret.
pub struct KeptSecret {
    pub used: Used,
    pub version: Version,
    /// When the read began that found this version last.
    read: AtomicU64,
    _share: IssuerShare,
}

/// What Issuers use of a Secret, which depends on the field that names it.
#[derive(Default)]
pub struct Used {
    /// What the plugin uses through handles.
    pub secret: Option<Arc<Secret>>,
    /// The CA certificates that may be published.
    pub trusted: TrustedCas,
    /// The CAs of the servers.
    pub roots: Option<Roots>,
    /// Who the plugin is to servers.
    pub client_identity: Option<ClientIdentity>,
    /// The credentials for registries.
    pub pull: Option<DockerConfig>,
    /// The CAs of the registry.
    pub registry_roots: Option<Roots>,
}

impl KeptSecrets {
    /// Nothing yet.
    pub fn new(memory: IssuerMemory, turns: Turns) -> Self {
        Self { memory, turns, kept: Mutex::default(), moments: AtomicU64::new(0) }
    }

    /// This very moment.
    pub fn now(&self) -> Moment {
        Moment(self.moments.fetch_add(1, Ordering::SeqCst))
    }

    /// What is kept of a Secret, if another Issuer began to read it since then: a read of one's own would find nothing newer.
    pub fn read_since(&self, secret: &Named, asked: Moment) -> Option<Arc<KeptSecret>> {
        self.find(secret).filter(|kept| Moment(kept.read.load(Ordering::SeqCst)) > asked)
    }

    /// Keep what a field uses of a Secret that was found in this version by a read that began then, on its owner's account, or
    /// find it where it is kept already. `reader` is for whom that is done.
    pub async fn keep(
        &self,
        secret: Named,
        data: SecretData,
        (version, Moment(began)): (Version, Moment),
        reader: &Owner,
    ) -> Result<Arc<KeptSecret>, CheckFailure> {
        let find = || {
            let kept = self.find(&secret).filter(|kept| kept.version == version)?;
            kept.read.fetch_max(began, Ordering::SeqCst);
            Some(kept)
        };
        if let Some(kept) = find() {
            return Ok(kept);
        }
        let mut share = self.memory.share(&secret.owner);
        let least = least(secret.field, &data);
        share.grow(least).map_err(CheckFailure::no_room)?;
        let (bytes, field) = (data.values.values().map(|value| value.len()).sum(), secret.field);
        let (used, size) = self.turns.compute_of(bytes, reader, move || used(field, data)).await?;
        // Another Issuer may have kept it meanwhile.
        if let Some(kept) = find() {
            return Ok(kept);
        }
        share.grow(size.saturating_sub(least)).map_err(CheckFailure::no_room)?;
        let kept = Arc::new(KeptSecret { used, version, read: AtomicU64::new(began), _share: share });
        let mut all = self.lock();
        all.retain(|_, kept| kept.strong_count() > 0);
        all.insert(secret, Arc::downgrade(&kept));
        Ok(kept)
    }

    fn find(&self, secret: &Named) -> Option<Arc<KeptSecret>> {
        self.lock().get(secret).and_then(Weak::upgrade)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Named, Weak<KeptSecret>>> {
        // A panic while the lock was held leaves a whole map behind: every change is one insert or remove.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The memory that what is used takes at least, in bytes. Where there is no room for it, nothing is to be made.
fn least(field: Dependency, secret: &SecretData) -> usize {
    if field == Dependency::AuthSecret { secret.values.values().map(|value| value.len()).sum() } else { 0 }
}

/// What a field uses of a Secret, and the memory that it takes, in bytes.
fn used(field: Dependency, secret: SecretData) -> Result<(Used, usize), CheckFailure> {
    let trusted = || TrustedCas::among(secret.values.values().map(|value| value.as_slice()));
    Ok(match field {
        Dependency::Plugin => (Used::default(), 0),
        Dependency::AuthSecret => {
            let trusted = trusted();
            let secret = Secret::new(secret);
            let size = secret.size() + trusted.size();
            (Used { secret: Some(secret), trusted, ..Used::default() }, size)
        }
        Dependency::TrustedCas => {
            let trusted = trusted();
            let size = trusted.size();
            (Used { trusted, ..Used::default() }, size)
        }
        Dependency::CaBundle => {
            let (roots, size) = roots(&secret, field)?;
            (Used { roots: Some(roots), ..Used::default() }, size)
        }
        Dependency::PullSecret => {
            let (json, location) = value(&secret, ".dockerconfigjson", field)?;
            let config = DockerConfig::parse(json);
            let config = config.map_err(|error| CheckFailure::passing(format!("{location}: {error}")))?;
            let size = config.size();
            (Used { pull: Some(config), ..Used::default() }, size)
        }
        Dependency::RegistryCa => {
            let (roots, size) = roots(&secret, field)?;
            (Used { registry_roots: Some(roots), ..Used::default() }, size)
        }
        Dependency::ClientCert => {
            let (chain, chain_location) = value(&secret, "tls.crt", field)?;
            let (key, key_location) = value(&secret, "tls.key", field)?;
            let identity = ClientIdentity::from_pem((chain, &chain_location), (key, &key_location))
                .map_err(CheckFailure::passing)?;
            let size = 2 * (chain.len() + key.len());
            (Used { client_identity: Some(identity), ..Used::default() }, size)
        }
    })
}

fn roots(secret: &SecretData, field: Dependency) -> Result<(Roots, usize), CheckFailure> {
    let (pem, location) = value(secret, "ca.crt", field)?;
    Ok((Roots::from_pem(pem, &location).map_err(CheckFailure::passing)?, 2 * pem.len()))
}

fn value<'a>(
    secret: &'a SecretData,
    key: &str,
    field: Dependency,
) -> Result<(&'a [u8], ValueLocation), CheckFailure> {
    let SecretData { namespace, name, values } = secret;
    let Some(value) = values.get(key) else {
        let field = field.field();
        return Err(CheckFailure::passing(format!(
            r#"Secret "{namespace}/{name}" (named by {field}) has no key "{key}""#
        )));
    };
    let key = ValueLocation { namespace: namespace.clone(), secret: name.clone(), key: key.to_owned() };
    Ok((value, key))
}
