//! From an Issuer's spec to something that can sign: its plugin, its Secrets and a check that passed.
//!
//! What is new is loaded and checked aside. Only when it works does it take the place of what serves now.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tracing::warn;
use wasm_issuer_core::issuance::audit::PluginName;
use wasm_issuer_core::issuance::issuer::{CheckFailure, CheckFailureKind, PluginFacts};
use wasm_issuer_core::issuance::request::RetryPolicy;
use wasm_issuer_core::issuance::verify::Verification;
use wasm_issuer_core::keys::EphemeralKeys;
use wasm_issuer_runtime::egress::EgressConfig;
use wasm_issuer_runtime::{
    Breakage, CallError, CallLimits, Folder, IssuerIdentity, IssuerMemory, IssuerShare, SessionInit, Turns,
};

use super::admission::admit_spec;
use super::api_server::ApiServer;
use super::config::ObservedConfig;
use super::dependency::{Versions, same_secrets};
use super::images::Images;
use super::kept::KeptSecrets;
use super::lend::{Lent, lend};
use super::object::ObservedIssuer;
use super::place::Place;
use super::plugins::Plugins;
use super::report::Reporter;
use super::retry::retry_policy;
use super::sources::Sources;
use crate::api::{IssuerKey, IssuerSpec, Quantity};
use crate::operator::namespaces::Namespaces;
use crate::operator::registry::Serving;
use crate::operator::signer::{Loaded, Loader};
use crate::policy::{Bounds, CurrentPolicy};

/// What holds for all Issuers, whatever their specs say.
pub struct Settings {
    /// Where Issuers are served.
    pub namespaces: Namespaces,
    /// The folder of the builtin plugins.
    pub builtin_dir: PathBuf,
    /// Where a WasmClusterIssuer's ConfigMap and Secrets live.
    pub cluster_resource_namespace: String,
    /// What applies where a spec has no `retry`.
    pub retry: RetryPolicy,
    /// What Issuers may grant.
    pub policy: CurrentPolicy,
    /// How large a plugin may be, whatever the policy says.
    pub max_component: Quantity,
    /// Where their Secrets, their configurations and their plugins' caches are kept.
    pub memory: IssuerMemory,
    /// For what takes long to read.
    pub turns: Turns,
    /// The way to registries.
    pub egress: EgressConfig,
    /// Where what is pulled from them is kept, if anywhere.
    pub image_folder: Option<Folder>,
}

/// Turns the specs of all Issuers into something that can sign.
pub struct Preparer {
    plugins: Plugins,
    api: ApiServer,
    sources: Sources,
    memory: IssuerMemory,
    secrets: KeptSecrets,
    reporter: Reporter,
    /// What Issuers may grant, now.
    pub policy: CurrentPolicy,
    max_component: Quantity,
    retry: RetryPolicy,
    cluster_resource_namespace: String,
    /// The keys that plugins made, by the Issuer's uid: they outlive every change of its spec.
    keys: Mutex<HashMap<String, Arc<EphemeralKeys>>>,
}

/// A plugin with what an Issuer lends it.
pub struct Prepared {
    /// What the requests' side calls.
    pub serving: Arc<Serving>,
    /// The generation of the spec that it was made for.
    pub generation: i64,
    /// The spec that it was made for.
    spec: Arc<IssuerSpec>,
    config: ObservedConfig,
    /// What was read for it.
    pub read: Versions,
    plugin: Arc<dyn Loaded>,
    source: String,
    loaded_at: Timestamp,
    /// What the policy allowed then.
    bounds: Bounds,
}

impl Prepared {
    /// What the status says of the plugin.
    pub fn plugin_facts(&self) -> PluginFacts {
        PluginFacts {
            sha256: self.plugin.sha256().to_owned(),
            source: self.source.clone(),
            loaded_at: self.loaded_at,
        }
    }
}

/// What came of an attempt to make an Issuer ready.
pub struct Preparation {
    /// Whether the Issuer can sign.
    pub result: Result<(), CheckFailure>,
    /// What is in use now, even if its check failed.
    pub prepared: Option<Arc<Prepared>>,
    /// Why a newer plugin is not.
    pub refused: Option<String>,
    /// What was read for it.
    pub read: Versions,
}

impl Preparer {
    pub fn new(api: ApiServer, loader: Arc<dyn Loader>, settings: Settings, reporter: Reporter) -> Self {
        let sources = Sources::new(api.clone(), settings.builtin_dir, settings.turns.clone());
        let images = Images::new(settings.egress, settings.image_folder, settings.turns.clone());
        let (policy, metrics) = (settings.policy.clone(), reporter.metrics.clone());
        Self {
            plugins: Plugins::new(loader, sources.clone(), images, policy, metrics),
            api,
            sources,
            secrets: KeptSecrets::new(settings.memory.clone(), settings.turns),
            memory: settings.memory,
            reporter,
            policy: settings.policy,
            max_component: settings.max_component,
            retry: settings.retry,
            cluster_resource_namespace: settings.cluster_resource_namespace,
            keys: Mutex::default(),
        }
    }

    /// Whether something was made for another spec (its plugin aside) or under another policy: it must not serve any more.
    pub fn is_outdated(&self, prepared: &Prepared, object: &ObservedIssuer) -> bool {
        object.asks_otherwise(&prepared.spec, &prepared.config)
            || prepared.bounds != *self.policy.borrow().bounds(object.key.kind)
    }

    /// Where an Issuer's ConfigMap and Secrets live.
    pub fn namespace_of<'a>(&'a self, key: &'a IssuerKey) -> &'a str {
        key.namespace.as_deref().unwrap_or(&self.cluster_resource_namespace)
    }

    /// Make an Issuer ready, starting from what served it before.
    pub async fn prepare(&self, object: &ObservedIssuer, before: Option<Arc<Prepared>>) -> Preparation {
        let mut read = Versions::new();
        let candidate = match self.candidate(object, before.as_deref(), &mut read).await {
            Ok(candidate) => {
                let candidate = Arc::new(candidate);
                let result = self.check(&candidate).await;
                (result, Some(candidate))
            }
            Err(failure) => (Err(failure), None),
        };
        let (failure, candidate) = match candidate {
            (Ok(()), prepared) => return Preparation { result: Ok(()), prepared, refused: None, read },
            (Err(failure), candidate) => (failure, candidate),
        };
        let Some(old) = before.filter(|old| !self.is_outdated(old, object)) else {
            return Preparation { result: Err(failure), prepared: candidate, refused: None, read };
        };
        let has_no_room = failure.kind == CheckFailureKind::NoRoom;
        let is_unknown = failure.kind == CheckFailureKind::Unknown;
        if (has_no_room || is_unknown) && old.generation == object.state.generation {
            // From the last inputs that are known.
            let again = self.recheck(old).await;
            if is_unknown {
                return again;
            }
            if again.result.is_ok() {
                warn!(error = failure.message, "the old one serves, for want of room for the new one");
                return again;
            }
            // What does not work any more makes room for what is new.
            return Preparation { result: Err(failure), prepared: None, refused: None, read };
        }
        // The old plugin goes on where only the plugin is new and the old one still works.
        if only_the_plugin_is_new(&old, candidate.as_deref(), &read) && self.check(&old).await.is_ok() {
            let refused = Some(failure.message);
            return Preparation { result: Ok(()), prepared: Some(old), refused, read };
        }
        let prepared = candidate.or_else(|| Some(old).filter(|old| old.read == read));
        Preparation { result: Err(failure), prepared, refused: None, read }
    }

    /// Load what an Issuer needs, and check nothing: another process works for it. A check asks its CA.
    pub async fn warm(&self, object: &ObservedIssuer, before: Option<Arc<Prepared>>) -> Preparation {
        let mut read = Versions::new();
        match self.candidate(object, before.as_deref(), &mut read).await {
            Ok(new) => Preparation { result: Ok(()), prepared: Some(Arc::new(new)), refused: None, read },
            Err(failure) => Preparation { result: Err(failure), prepared: None, refused: None, read },
        }
    }

    /// Check again what serves, when nothing has changed.
    pub async fn recheck(&self, prepared: Arc<Prepared>) -> Preparation {
        let result = self.check(&prepared).await;
        Preparation { result, read: prepared.read.clone(), prepared: Some(prepared), refused: None }
    }

    /// Drop the keys of an Issuer that is gone.
    pub fn forget(&self, uid: &str) {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }

    /// What the spec, its plugin's source and its Secrets ask for now. Reuses `before` where nothing changed.
    async fn candidate(
        &self,
        object: &ObservedIssuer,
        before: Option<&Prepared>,
        read: &mut Versions,
    ) -> Result<Prepared, CheckFailure> {
        let spec = &object.spec;
        let kind = object.key.kind;
        let policy = self.policy.borrow().clone();
        admit_spec(&policy, kind, spec, &object.config)?;
        let bounds = policy.bounds(kind);
        let max_component = bounds.max_component.min(self.max_component);
        let place = Place::of(&object.key, self.namespace_of(&object.key), max_component);
        let lent = match lend(&self.sources, &self.secrets, spec, &place, bounds, read).await {
            Ok(lent) => lent,
            Err(failure) => {
                let looked = self.plugins.look(&spec.plugin, &place, read).await;
                return Err(looked.err().into_iter().fold(failure, CheckFailure::and));
            }
        };
        let (plugin, source) = self.plugins.load(&spec.plugin, &place, &lent.registry, read).await?;
        let unchanged = before.filter(|old| {
            old.generation == object.state.generation
                && old.bounds == *bounds
                && same_secrets(&old.read, read)
                && old.plugin.sha256() == plugin.sha256()
        });
        let (serving, loaded_at) = match unchanged {
            // The session stays, with its cache and its parsed keys.
            Some(old) => (old.serving.clone(), old.loaded_at),
            None => {
                let verification = bounds.verification(&spec.verification);
                let config = object.config.json(&self.api, &object.key, &place).await?;
                let mut memory = self.memory.share(&place.account().owner);
                memory.grow(config.len()).map_err(CheckFailure::no_room)?;
                let config = (config, memory);
                (self.serving(object, (&plugin, &source), config, lent, verification), Timestamp::now())
            }
        };
        Ok(Prepared {
            serving,
            generation: object.state.generation,
            plugin,
            source,
            loaded_at,
            spec: spec.clone(),
            config: object.config.clone(),
            bounds: bounds.clone(),
            read: read.clone(),
        })
    }

    fn serving(
        &self,
        object: &ObservedIssuer,
        (plugin, source): (&Arc<dyn Loaded>, &str),
        config: (Arc<str>, IssuerShare),
        mut lent: Lent,
        verification: Verification,
    ) -> Arc<Serving> {
        Arc::new(Serving {
            trusted: lent.trusted.clone(),
            kept: Box::new(std::mem::take(&mut lent.kept)),
            plugin: PluginName { sha256: plugin.sha256().to_owned(), source: source.to_owned() },
            signer: plugin.clone().open(self.session(object, config, lent)),
            retry: retry_policy(&object.spec, self.retry),
            verification,
        })
    }

    fn session(
        &self,
        object: &ObservedIssuer,
        (config, memory): (Arc<str>, IssuerShare),
        lent: Lent,
    ) -> SessionInit {
        let spec = &object.spec;
        SessionInit {
            issuer: IssuerIdentity {
                kind: object.key.kind.as_str().to_owned(),
                namespace: object.key.namespace.clone(),
                name: object.key.name.clone(),
            },
            config,
            secret: lent.secret,
            reveal: spec.secrets.reveal.iter().cloned().collect(),
            keys: self.keys_of(object.uid()),
            limits: CallLimits {
                timeout: spec.limits.timeout.0,
                memory: spec.limits.memory.in_memory(),
                ..CallLimits::default()
            },
            http: lent.http,
            observer: self.reporter.of_issuer(&object.key, &object.target.reference),
            memory,
        }
    }

    async fn check(&self, prepared: &Prepared) -> Result<(), CheckFailure> {
        let checked = prepared.serving.signer.check().await;
        self.reporter.check_ended(&checked);
        checked.map_err(|error| match error {
            // What other plugins hold says nothing about this one's CA.
            CallError::Broken(Breakage::MemoryExhausted { .. }) => CheckFailure::unknown(error),
            error => error.into_failure().into(),
        })
    }

    fn keys_of(&self, uid: &str) -> Arc<EphemeralKeys> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.entry(uid.to_owned()).or_default().clone()
    }
}

/// Whether the plugin is all that changed in what was read.
fn only_the_plugin_is_new(old: &Prepared, candidate: Option<&Prepared>, read: &Versions) -> bool {
    let same_plugin = candidate.is_some_and(|new| new.plugin.sha256() == old.plugin.sha256());
    !same_plugin && same_secrets(&old.read, read)
}
