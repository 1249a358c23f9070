//! From a spec's plugin to one that is loaded: read, compared with what is pinned and allowed, compiled.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;
use wasm_issuer_core::issuance::issuer::CheckFailure;
use wasm_issuer_runtime::{Account, ComponentBytes, LoadError};

use super::dependency::{Dependency, Versions};
use super::sources::Sources;
use super::watches::Version;
use crate::api::{IssuerKind, PluginSpec};
use crate::operator::signer::{Loaded, Loader};
use crate::policy::CurrentPolicy;

/// How many Issuers load a plugin at a time: each holds a component in memory, and what is gzip may be large.
const LOADS: usize = 4;

/// Loads the plugins of all Issuers.
pub struct Plugins {
    loader: Arc<dyn Loader>,
    sources: Sources,
    policy: CurrentPolicy,
    turns: Semaphore,
    refusals: Refusals,
}

/// Where an Issuer is, as far as its plugin is concerned.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub kind: IssuerKind,
    /// Where its ConfigMap lives.
    pub namespace: &'a str,
}

impl Place<'_> {
    /// On whose account its plugin is loaded.
    fn account(self) -> Account {
        match self.kind {
            IssuerKind::Namespaced => Account::tenant(self.namespace),
            IssuerKind::Cluster => Account::administrators(),
        }
    }
}

impl Plugins {
    pub fn new(loader: Arc<dyn Loader>, sources: Sources, policy: CurrentPolicy) -> Self {
        Self { loader, sources, policy, turns: Semaphore::new(LOADS), refusals: Refusals::default() }
    }

    /// Load what a spec asks for. Returns it with its source as people call it; notes in `read` the version of what it
    /// read.
    pub async fn load(
        &self,
        spec: &PluginSpec,
        place: Place<'_>,
        read: &mut Versions,
    ) -> Result<(Arc<dyn Loaded>, String), CheckFailure> {
        let source = spec.source().map_err(CheckFailure::permanent)?;
        if spec.config_map.is_some() {
            read.insert(Dependency::Plugin, Version::Absent);
        }
        let _turn = self.turns.acquire().await.map_err(CheckFailure::passing)?;
        let component = self.sources.component(source, place.namespace, read).await?;
        match self.admit(spec, place, component.wasm).await {
            Ok(plugin) => Ok((plugin, component.source)),
            Err(error) => Err(CheckFailure::passing(format!("{}: {error}", component.source))),
        }
    }

    async fn admit(
        &self,
        spec: &PluginSpec,
        place: Place<'_>,
        wasm: Vec<u8>,
    ) -> Result<Arc<dyn Loaded>, String> {
        // Before it is compiled: what may not run is not even looked into.
        let component = ComponentBytes::new(wasm);
        let found = component.sha256().to_owned();
        spec.check_pin(&found).map_err(|mismatch| mismatch.to_string())?;
        let policy = self.policy.borrow().clone();
        policy.check_digest(place.kind, &found).map_err(|violation| violation.to_string())?;
        let key = (place.kind, found);
        if let Some(error) = self.refusals.get(&key) {
            return Err(error);
        }
        self.loader.clone().load(component, place.account()).await.map_err(|error| {
            self.refusals.put(key, &error);
            error.to_string()
        })
    }
}

/// Components whose compilation did not end well, so that it is not tried again with every check. By digest, and by kind
/// because their budgets differ.
#[derive(Default)]
struct Refusals(Mutex<HashMap<(IssuerKind, String), (Instant, String)>>);

impl Refusals {
    const LIFE: Duration = Duration::from_secs(600);
    const MAX: usize = 1024;

    fn get(&self, key: &(IssuerKind, String)) -> Option<String> {
        let refusals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.get(key).filter(|(at, _)| at.elapsed() < Self::LIFE).map(|(_, error)| error.clone())
    }

    fn put(&self, key: (IssuerKind, String), error: &LoadError) {
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
            refusals.insert(key, (Instant::now(), error.to_string()));
        }
    }
}
