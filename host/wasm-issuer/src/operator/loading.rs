//! From an Issuer's spec to something that can sign: its plugin, its Secret and a check that passed.
//!
//! What is new is loaded and checked aside. Only when it works does it take the place of what serves now.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::Client;
use tokio::sync::Semaphore;
use wasm_issuer_core::issuance::backoff::Backoff;
use wasm_issuer_core::issuance::issuer::CheckFailure;
use wasm_issuer_core::issuance::request::RetryPolicy;
use wasm_issuer_core::issuance::signer::{Failure, FailureKind};
use wasm_issuer_core::keys::EphemeralKeys;
use wasm_issuer_runtime::{
    Account, IssuerIdentity, Limits, LoadError, Plugin, Runtime, Session, SessionInit,
};

use super::events::Events;
use super::issuer::{IssuerObject, reference};
use super::lending::{DenialReporter, Dependency, Lent, Versions};
use super::metrics::Metrics;
use super::registry::{IssuerKey, IssuerKind, Registry, Serving};
use super::sources::Sources;
use super::watches::Watches;
use crate::api::{IssuerSpec, PluginSpec};
use crate::policy::Policy;

/// The schema cannot bound what is nested in `spec.config`. Every call copies it into the plugin.
const MAX_CONFIG: usize = 256 << 10;

/// What all Issuers' tasks share.
pub struct Loader {
    /// The client.
    pub client: Client,
    /// Runs plugins.
    pub runtime: Arc<Runtime>,
    /// Reads plugins and Secrets.
    pub sources: Sources,
    /// Watches what Issuers name.
    pub watches: Watches,
    /// Where the requests' side finds what serves.
    pub registry: Arc<Registry>,
    /// Where Events go.
    pub events: Events,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Where a WasmClusterIssuer's ConfigMap and Secrets live.
    pub cluster_resource_namespace: String,
    /// What applies where a spec has no `retry`.
    pub retry: RetryPolicy,
    /// Loading plugins takes turns.
    pub loads: Semaphore,
    /// Plugins that took too much to compile.
    pub refusals: Refusals,
    /// What Issuers may grant.
    pub policy: Policy,
    /// The keys that plugins made, by the Issuer's uid: they outlive every change of its spec.
    pub keys: Mutex<HashMap<String, Arc<EphemeralKeys>>>,
}

/// A plugin with what an Issuer lends it.
pub struct Prepared {
    /// The plugin.
    pub plugin: Arc<Plugin>,
    /// Where it came from.
    pub source: String,
    /// When it was taken into use.
    pub loaded_at: Timestamp,
    /// What the requests' side calls.
    pub serving: Arc<Serving>,
    /// The generation of the spec that it was made for.
    pub generation: i64,
    spec: IssuerSpec,
    read: Versions,
}

impl Prepared {
    /// Whether a spec asks for more than another plugin.
    pub fn asks_otherwise(&self, spec: &IssuerSpec) -> bool {
        let rest = |spec: &IssuerSpec| IssuerSpec { plugin: PluginSpec::default(), ..spec.clone() };
        rest(&self.spec) != rest(spec)
    }
}

/// What preparing came to.
pub struct Outcome {
    /// Whether it can sign.
    pub result: Result<(), CheckFailure>,
    /// What is in use now, even if its check failed.
    pub prepared: Option<Prepared>,
    /// Why a newer plugin is not.
    pub refused: Option<String>,
    /// What was read for it.
    pub read: Versions,
}

impl Loader {
    /// Where an Issuer's ConfigMap and Secrets live.
    pub fn namespace_of<'a>(&'a self, key: &'a IssuerKey) -> &'a str {
        key.namespace.as_deref().unwrap_or(&self.cluster_resource_namespace)
    }

    /// Make an Issuer ready, starting from what served it before.
    pub async fn prepare(&self, object: &IssuerObject, before: Option<Prepared>) -> Outcome {
        let mut read = Versions::new();
        let candidate = self.candidate(object, before.as_ref(), &mut read).await;
        let (result, candidate) = match candidate {
            Ok(candidate) => (check(&candidate).await, Some(candidate)),
            Err(failure) => (Err(failure), None),
        };
        let Err(failure) = &result else {
            return Outcome { result, prepared: candidate, refused: None, read };
        };
        // The old plugin goes on where only the plugin is new and the old one still works.
        let old = before.filter(|old| only_the_plugin_is_new(old, candidate.as_ref(), object, &read));
        let Some(old) = old else {
            return Outcome { result, prepared: candidate, refused: None, read };
        };
        match check(&old).await {
            Ok(()) => {
                let refused = Some(failure.message.clone());
                Outcome { result: Ok(()), prepared: Some(old), refused, read }
            }
            Err(_) => Outcome { result, prepared: candidate.or(Some(old)), refused: None, read },
        }
    }

    /// Check again what serves, when nothing has changed.
    pub async fn recheck(&self, prepared: Prepared) -> Outcome {
        let result = check(&prepared).await;
        Outcome { result, read: prepared.read.clone(), prepared: Some(prepared), refused: None }
    }

    /// What the spec, its plugin's source and its Secret ask for now. Reuses `before` where nothing changed.
    async fn candidate(
        &self,
        object: &IssuerObject,
        before: Option<&Prepared>,
        read: &mut Versions,
    ) -> Result<Prepared, CheckFailure> {
        let spec = &object.spec;
        let namespaced = object.key.kind == IssuerKind::Namespaced;
        self.policy.check(namespaced, spec).map_err(permanent)?;
        let config = serde_json::Value::Object(spec.config.clone()).to_string();
        if config.len() > MAX_CONFIG {
            let (kib, max) = (config.len() >> 10, MAX_CONFIG >> 10);
            return Err(permanent(format!(
                "spec.config has {kib} KiB as JSON; at most {max} KiB are accepted"
            )));
        }
        let namespace = self.namespace_of(&object.key);
        let lent = self.lend(spec, namespace, self.policy.bounds(namespaced), read).await?;
        let source = spec.plugin.source().map_err(permanent)?;
        if spec.plugin.config_map.is_some() {
            read.insert(Dependency::Plugin, None);
        }
        // Few at a time: each holds a component in memory, and what is gzip may be large.
        let turn = self.loads.acquire().await.map_err(retry)?;
        let component = self.sources.component(source, namespace, read).await.map_err(retry)?;
        let plugin = self.load(object, component.wasm, &component.source).await?;
        drop(turn);
        let unchanged = before.filter(|old| {
            old.generation == object.state.generation
                && same_but_plugin(&old.read, read)
                && Arc::ptr_eq(&old.plugin, &plugin)
        });
        let prepared = |loaded_at, serving| Prepared {
            plugin: plugin.clone(),
            source: component.source.clone(),
            loaded_at,
            serving,
            generation: object.state.generation,
            spec: spec.clone(),
            read: read.clone(),
        };
        if let Some(old) = unchanged {
            // The session stays, with its cache and its parsed keys.
            return Ok(prepared(old.loaded_at, old.serving.clone()));
        }
        let serving = Arc::new(Serving {
            plugin: plugin.clone(),
            session: self.session(object, config, lent),
            retry: retry_policy(spec, self.retry),
            verification: spec.verification,
        });
        Ok(prepared(Timestamp::now(), serving))
    }

    fn session(&self, object: &IssuerObject, config: String, lent: Lent) -> Arc<Session> {
        let spec = &object.spec;
        Session::new(SessionInit {
            issuer: IssuerIdentity {
                kind: object.key.kind.as_str().to_owned(),
                namespace: object.key.namespace.clone(),
                name: object.key.name.clone(),
            },
            config,
            secret: lent.secret,
            reveal: spec.secrets.reveal.iter().cloned().collect(),
            keys: self.keys_of(&object.uid),
            limits: Limits {
                timeout: spec.limits.timeout.0,
                memory: usize::try_from(spec.limits.memory.bytes).unwrap_or(usize::MAX),
                ..Limits::default()
            },
            http: lent.http,
            observer: Arc::new(DenialReporter {
                issuer: reference(object),
                events: self.events.clone(),
                metrics: self.metrics.clone(),
            }),
        })
    }

    async fn load(
        &self,
        object: &IssuerObject,
        wasm: Vec<u8>,
        source: &str,
    ) -> Result<Arc<Plugin>, CheckFailure> {
        let (spec, namespace) = (&object.spec.plugin, object.key.namespace.as_deref());
        let account = namespace.map_or_else(Account::administrators, Account::tenant);
        // Before it is compiled: what may not run is not even looked into.
        let found = hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &wasm));
        if let Some(pin) = spec.sha256.as_ref().filter(|pin| **pin != found) {
            return Err(retry(format!(
                "{source}: the component's SHA-256 is {found}, but spec.plugin.sha256 pins {pin}"
            )));
        }
        self.policy
            .check_digest(namespace.is_some(), &found)
            .map_err(|violation| retry(format!("{source}: {violation}")))?;
        if let Some(error) = self.refusals.get(&found) {
            return Err(retry(format!("{source}: {error}")));
        }
        self.runtime.load(wasm, &account).await.map_err(|error| {
            self.refusals.put(found, &error);
            retry(format!("{source}: {error}"))
        })
    }

    fn keys_of(&self, uid: &str) -> Arc<EphemeralKeys> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.entry(uid.to_owned()).or_default().clone()
    }

    /// Drop what is kept for an Issuer that is gone.
    pub fn forget(&self, key: &IssuerKey, uid: &str) {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
        self.registry.remove(key, uid);
    }
}

/// Components whose compilation did not end well, so that it is not tried again with every check.
#[derive(Default)]
pub struct Refusals(Mutex<HashMap<String, (Instant, String)>>);

impl Refusals {
    const LIFE: Duration = Duration::from_secs(600);
    const MAX: usize = 1024;

    fn get(&self, sha256: &str) -> Option<String> {
        let refusals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.get(sha256).filter(|(at, _)| at.elapsed() < Self::LIFE).map(|(_, error)| error.clone())
    }

    fn put(&self, sha256: String, error: &LoadError) {
        // The others are found in no time, and are mended by other bytes.
        if !matches!(
            error,
            LoadError::Timeout { .. } | LoadError::Compiler(_) | LoadError::ArtifactTooLarge { .. }
        ) {
            return;
        }
        let mut refusals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.retain(|_, (at, _)| at.elapsed() < Self::LIFE);
        if refusals.len() < Self::MAX {
            refusals.insert(sha256, (Instant::now(), error.to_string()));
        }
    }
}

async fn check(prepared: &Prepared) -> Result<(), CheckFailure> {
    let checked = prepared.plugin.check(&prepared.serving.session).await;
    checked.map_err(|error| {
        let Failure { kind, message, .. } = error.into_failure();
        match kind {
            FailureKind::Permanent => CheckFailure { message, permanent: true, after: None },
            FailureKind::Retry { after } => CheckFailure { message, permanent: false, after },
            FailureKind::Pending { poll_after, .. } => {
                CheckFailure { message, permanent: false, after: poll_after }
            }
            FailureKind::Issuer => CheckFailure { message, permanent: false, after: None },
        }
    })
}

/// Whether what served before may go on although the candidate failed: the plugin is all that changed.
fn only_the_plugin_is_new(
    old: &Prepared,
    candidate: Option<&Prepared>,
    object: &IssuerObject,
    read: &Versions,
) -> bool {
    let same_plugin = candidate.is_some_and(|new| Arc::ptr_eq(&new.plugin, &old.plugin));
    !same_plugin && same_but_plugin(&old.read, read) && !old.asks_otherwise(&object.spec)
}

/// Whether everything but the plugin's ConfigMap was read in the same version.
fn same_but_plugin(old: &Versions, new: &Versions) -> bool {
    let secrets = [Dependency::AuthSecret, Dependency::CaBundle, Dependency::ClientCert];
    secrets.iter().all(|secret| old.get(secret) == new.get(secret))
}

fn retry_policy(spec: &IssuerSpec, default: RetryPolicy) -> RetryPolicy {
    let wish = &spec.retry;
    RetryPolicy {
        max_duration: wish.max_duration.map_or(default.max_duration, |d| d.0),
        backoff: Backoff {
            min: wish.min_backoff.map_or(default.backoff.min, |d| d.0),
            max: wish.max_backoff.map_or(default.backoff.max, |d| d.0),
        },
    }
}

/// A failure that may pass.
pub fn retry(error: impl ToString) -> CheckFailure {
    CheckFailure { message: error.to_string(), permanent: false, after: None }
}

/// A failure that only a change of the Issuer mends.
pub fn permanent(error: impl ToString) -> CheckFailure {
    CheckFailure { message: error.to_string(), permanent: true, after: None }
}
