//! From a spec's plugin to one that is loaded: read, compared with what is pinned and allowed, compiled.
//!
//! Whoever loads takes turns twice, each shared fairly between namespaces and their Issuers. In the first one a plugin
//! is read, and taken if it is in use or was compiled earlier: that is quick, and all that most of them need. Only what
//! has to be compiled waits for the other turn, and is read once more then, having held nothing meanwhile. What was pulled
//! is not: a registry that takes its time would stop everybody. It keeps its room while it waits.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::field::Empty;
use tracing::{Span, info, instrument};
use wasm_issuer_core::issuance::issuer::CheckFailure;
use wasm_issuer_runtime::{Cache, FairSlot};

use super::admission::admit_component;
use super::dependency::{Dependency, Versions};
use super::images::Images;
use super::lend::RegistryAccess;
use super::place::Place;
use super::refusals::Refusals;
use super::sources::{FoundComponent, Sources, builtin_source};
use super::watches::Version;
use crate::api::{ImageSource, IssuerKind, PluginSource, PluginSpec};
use crate::operator::metrics::{Metrics, PluginLoad};
use crate::operator::signer::{Loaded, Loader};
use crate::policy::CurrentPolicy;

/// Loads the plugins of all Issuers.
pub struct Plugins {
    loader: Arc<dyn Loader>,
    sources: Sources,
    images: Images,
    policy: CurrentPolicy,
    /// The digest whose turn to compile was the last one to end.
    compiled: watch::Sender<String>,
    refusals: Refusals,
    metrics: Arc<Metrics>,
}

/// What is read of a plugin.
enum Content {
    /// It is in use, so that its bytes are of no interest.
    InUse(Plugin),
    /// Its bytes, which are as pinned and allowed.
    Bytes(FoundComponent),
}

/// A plugin, and its source as people call it.
type Plugin = (Arc<dyn Loaded>, String);

/// What is found without compiling.
enum Found {
    Plugin(Plugin, Cache),
    /// Bytes with this digest, which nobody has compiled yet; in hand where they are from a registry.
    Bytes(String, Option<FoundComponent>),
}

impl Plugins {
    pub fn new(
        loader: Arc<dyn Loader>,
        sources: Sources,
        images: Images,
        policy: CurrentPolicy,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (compiled, refusals) = (watch::channel(String::new()).0, Refusals::default());
        Self { loader, sources, images, policy, compiled, refusals, metrics }
    }

    /// Load what a spec asks for. Returns it with its source as people call it; notes in `read` the version of what it
    /// read. Turns are waited for as long as it takes.
    #[instrument(level = "error", skip_all, fields(plugin = Empty))]
    pub async fn load(
        &self,
        spec: &PluginSpec,
        place: &Place<'_>,
        access: &RegistryAccess,
        read: &mut Versions,
    ) -> Result<Plugin, CheckFailure> {
        let loaded = self.find_or_compile(spec, place, access, read).await;
        self.metrics.loaded_plugin(loaded.as_ref().map_or(PluginLoad::Failed, |(_, load)| *load));
        loaded.map(|(plugin, _)| plugin)
    }

    /// What is wrong with a plugin, as far as that is known without compiling it, and without a registry: for that the
    /// Secrets must be there. Notes in `read` the same as [`Plugins::load`].
    pub async fn look(
        &self,
        spec: &PluginSpec,
        place: &Place<'_>,
        read: &mut Versions,
    ) -> Result<(), CheckFailure> {
        begin(spec, read);
        match self.read_without_registry(spec, place, read).await? {
            Ok(found) => self.admit_found(spec, place, &found),
            Err(_) => Ok(()),
        }
    }

    async fn find_or_compile(
        &self,
        spec: &PluginSpec,
        place: &Place<'_>,
        access: &RegistryAccess,
        read: &mut Versions,
    ) -> Result<(Plugin, PluginLoad), CheckFailure> {
        begin(spec, read);
        loop {
            let mut compiled = self.compiled.subscribe();
            let started = Instant::now();
            let found = self.find(spec, place, access, read).await;
            self.metrics.looked_for_plugin(started.elapsed());
            let (sha256, pulled) = match found? {
                Found::Plugin(plugin, cache) => return Ok((plugin, PluginLoad::Found(cache))),
                Found::Bytes(sha256, pulled) => (sha256, pulled),
            };
            tokio::select! {
                turn = self.loader.clone().turn(place.owner.clone()) => {
                    let plugin = self.compile(turn, pulled, spec, place, read).await?;
                    return Ok((plugin, PluginLoad::Compiled));
                }
                // By somebody else: it may be found now, or is known to be of no use.
                () = becomes(&mut compiled, &sha256) => {}
            }
        }
    }

    /// Look for a plugin that need not be compiled.
    async fn find(
        &self,
        spec: &PluginSpec,
        place: &Place<'_>,
        access: &RegistryAccess,
        read: &mut Versions,
    ) -> Result<Found, CheckFailure> {
        let found = match self.read(spec, place, access, read).await? {
            Content::InUse(plugin) => return Ok(Found::Plugin(plugin, Cache::Memory)),
            Content::Bytes(found) => found,
        };
        match self.loader.clone().find(found.component.clone(), place.account()).await {
            Ok(Some((plugin, cache))) => Ok(Found::Plugin((plugin, found.source), cache)),
            Ok(None) => {
                let sha256 = found.component.sha256().to_owned();
                Ok(Found::Bytes(sha256, spec.image.is_some().then_some(found)))
            }
            Err(error) => Err(refused(&found.source, &error)),
        }
    }

    /// Compile a plugin: of what was pulled, or of the bytes that its source holds by now.
    async fn compile(
        &self,
        turn: FairSlot,
        pulled: Option<FoundComponent>,
        spec: &PluginSpec,
        place: &Place<'_>,
        read: &mut Versions,
    ) -> Result<Plugin, CheckFailure> {
        let again = self.read_without_registry(spec, place, read).await?;
        let Some(found) = again.ok().or(pulled) else {
            return Err(CheckFailure::passing(
                "spec.plugin.image was not pulled before its turn to be compiled",
            ));
        };
        // Once more: what is allowed may have changed meanwhile.
        self.admit_found(spec, place, &found)?;
        // What is being compiled is one component at a time, and needs no room among those that wait.
        let FoundComponent { component, source, room } = found;
        drop(room);
        let sha256 = component.sha256().to_owned();
        let began = Instant::now();
        let result = self.loader.clone().compile(component, place.account(), turn).await;
        self.metrics.compiled_plugin(began.elapsed());
        if let Err(error) = &result {
            self.refusals.put((place.kind, sha256.clone()), error, &place.owner);
        }
        info!(sha256, took = ?began.elapsed(), works = result.is_ok(), "compiled a plugin");
        self.compiled.send_replace(sha256);
        result.map(|plugin| (plugin, source.clone())).map_err(|error| refused(&source, &error))
    }

    async fn read(
        &self,
        spec: &PluginSpec,
        place: &Place<'_>,
        access: &RegistryAccess,
        read: &mut Versions,
    ) -> Result<Content, CheckFailure> {
        if let Ok(PluginSource::Builtin(name)) = spec.source()
            && let Some(sha256) = self.sources.builtins.known(name)
        {
            let name = builtin_source(name);
            self.admit(spec, place.kind, &sha256).map_err(|error| refused(&name, &error))?;
            if let Some(plugin) = self.in_use(&sha256, &name, place).await? {
                return Ok(Content::InUse((plugin, name)));
            }
        }
        let found = match self.read_without_registry(spec, place, read).await? {
            Ok(found) => found,
            Err(source) => {
                let located = self.images.locate(source, place, access).await?;
                let (name, sha256) = (located.to_string(), located.sha256());
                // By what its manifest says, before it is pulled. How the component of that digest did is told to nobody who
                // has not shown that it may have it: anybody can name a digest.
                self.admit(spec, place.kind, sha256).map_err(|error| refused(&name, &error))?;
                self.images.check_signature(&located, place, access).await?;
                if located.is_known
                    && let Some(plugin) = self.in_use(sha256, &name, place).await?
                {
                    return Ok(Content::InUse((plugin, name)));
                }
                self.images.component(&located, place, access).await?
            }
        };
        self.admit_found(spec, place, &found)?;
        Ok(Content::Bytes(found))
    }

    /// The plugin with this digest, if it is in use, so that nothing need be read. `source` is where it is from.
    async fn in_use(
        &self,
        sha256: &str,
        source: &str,
        place: &Place<'_>,
    ) -> Result<Option<Arc<dyn Loaded>>, CheckFailure> {
        self.check_refusals(place.kind, sha256).map_err(|error| refused(source, &error))?;
        let in_use = self.loader.clone().in_use(sha256.to_owned(), place.account()).await;
        let plugin = in_use.map_err(|error| refused(source, &error))?;
        if plugin.is_some() {
            Span::current().record("plugin", source);
        }
        Ok(plugin)
    }

    /// What no registry is asked for; or the image that is to be pulled.
    async fn read_without_registry<'a>(
        &self,
        spec: &'a PluginSpec,
        place: &Place<'_>,
        read: &mut Versions,
    ) -> Result<Result<FoundComponent, &'a ImageSource>, CheckFailure> {
        Ok(match spec.source().map_err(CheckFailure::permanent)? {
            PluginSource::ConfigMap(source) => Ok(self.sources.config_map(source, place, read).await?),
            PluginSource::Builtin(name) => Ok(self.sources.builtin(name, place).await?),
            PluginSource::Image(source) => Err(source),
        })
    }

    fn admit_found(
        &self,
        spec: &PluginSpec,
        place: &Place<'_>,
        found: &FoundComponent,
    ) -> Result<(), CheckFailure> {
        Span::current().record("plugin", &found.source);
        let sha256 = found.component.sha256();
        let admitted = self.admit(spec, place.kind, sha256);
        let admitted = admitted.and_then(|()| self.check_refusals(place.kind, sha256));
        admitted.map_err(|error| refused(&found.source, &error))
    }

    /// Whether the spec and the policy let it run. What may not run is not even looked into.
    fn admit(&self, spec: &PluginSpec, kind: IssuerKind, sha256: &str) -> Result<(), String> {
        let policy = self.policy.borrow().clone();
        admit_component(&policy, kind, spec, sha256).map_err(|refused| refused.to_string())
    }

    fn check_refusals(&self, kind: IssuerKind, sha256: &str) -> Result<(), String> {
        self.refusals.get(&(kind, sha256.to_owned())).map_or(Ok(()), Err)
    }
}

/// What is not found is absent.
fn begin(spec: &PluginSpec, read: &mut Versions) {
    if spec.config_map.is_some() {
        read.insert(Dependency::Plugin, Version::Absent);
    }
}

/// Wait until the digest that is sent is this one.
async fn becomes(compiled: &mut watch::Receiver<String>, sha256: &str) {
    while compiled.changed().await.is_ok() {
        if *compiled.borrow_and_update() == sha256 {
            return;
        }
    }
    std::future::pending().await
}

fn refused(source: &str, error: &dyn std::fmt::Display) -> CheckFailure {
    CheckFailure::passing(format!("{source}: {error}"))
}
