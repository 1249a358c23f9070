//! One watch, from its turn to its end, over and over.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};
use wasm_issuer_core::issuance::backoff::Backoff;
use wasm_issuer_runtime::{FairSlots, Owner};

use super::group::{Heard, Scope};
use super::version::{Version, Watched};
use crate::operator::metrics::Metrics;
use crate::operator::watching::{self, Delays};

/// How long others that follow are waited for: a folder of manifests is applied in one go.
const SETTLE: Duration = Duration::from_millis(100);
/// Rights change seldom.
const FORBIDDEN: Backoff = Backoff { min: Duration::from_secs(60), max: Duration::from_secs(600) };
/// But an API server that has just started refuses everything, lists too, until it has read its roles.
const LIST_FORBIDDEN: Backoff = Backoff { min: Duration::from_secs(5), ..FORBIDDEN };
/// Therefore what was allowed before is not forbidden until it has been refused for so long.
const STARTING: Duration = Duration::from_secs(60);
/// A watch that has lasted for so long was allowed. One that may list and not watch ends at once.
const ALLOWED: Duration = Duration::from_secs(5);

/// What a watch is about, and whom it tells.
pub struct Followed {
    pub client: Client,
    /// The turns of all watches.
    pub open: Arc<FairSlots>,
    pub metrics: Arc<Metrics>,
    pub what: Watched,
    pub namespace: Arc<str>,
    pub scope: Scope,
    /// Told of whatever happens.
    pub hear: Box<dyn Fn(Heard) + Send + Sync>,
    /// The names that the watch is to tell about.
    pub names: Box<dyn Fn() -> Vec<Arc<str>> + Send + Sync>,
}

impl Followed {
    /// Watch until the task is ended.
    pub async fn follow(self) {
        match self.what {
            Watched::ConfigMap => self.repeat::<ConfigMap>().await,
            Watched::Secret => self.repeat::<Secret>().await,
        }
    }

    async fn repeat<K>(&self)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Send + 'static,
        PartialObjectMeta<K>: Debug,
    {
        let Self { what, namespace, scope, .. } = self;
        let owner = match scope {
            Scope::Name(name) => Owner::new(namespace, name),
            Scope::Namespace => Owner::new(namespace, "*"),
        };
        sleep(SETTLE).await;
        let (mut failures, mut delays) = (0_u32, Delays::default());
        let (mut was_allowed, mut refused_since) = (false, None);
        loop {
            let turn = self.open.acquire(&owner).await;
            // Whoever waits for a turn needs no room for what comes after it.
            let (worked_for, error) = Box::pin(self.listen::<K>()).await;
            // Nobody is kept from watching by what cannot be watched.
            drop(turn);
            self.metrics.watch_broke(what.resource());
            failures = if worked_for.is_some() { 1 } else { failures.saturating_add(1) };
            was_allowed |= worked_for.is_some_and(|time| time >= ALLOWED);
            let forbidden = is_forbidden(&error);
            refused_since = refused_since.filter(|_| forbidden).or(forbidden.then(Instant::now));
            was_allowed &= refused_since.is_none_or(|since: Instant| since.elapsed() < STARTING);
            let forbidden = forbidden && !was_allowed;
            match (failures, scope) {
                (1, Scope::Name(_)) if forbidden => {
                    info!(kind = what.as_str(), %namespace, ?scope, %error, "may not watch what Issuers name; it is read with each check");
                }
                (1, Scope::Namespace) if forbidden => {
                    info!(kind = what.as_str(), %namespace, %error, "may not watch all that Issuers name; each is watched by its name");
                }
                (1, _) if watching::is_expired(&error) => {
                    debug!(kind = what.as_str(), %namespace, ?scope, %error, "what Issuers name is listed anew");
                }
                (1, _) => {
                    warn!(kind = what.as_str(), %namespace, ?scope, %error, "cannot watch what Issuers name");
                }
                _ => debug!(kind = what.as_str(), %namespace, ?scope, %error, "still cannot watch it"),
            }
            (self.hear)(Heard::Broken { forbidden });
            let refused = if worked_for.is_some() { FORBIDDEN } else { LIST_FORBIDDEN };
            sleep(match forbidden {
                true => refused.delay(failures, rand::random(), None),
                false => delays.after_failure(),
            })
            .await;
        }
    }

    /// List and watch until that fails. Returns for how long it had worked, if it had, and why it does not any more.
    async fn listen<K>(&self) -> (Option<Duration>, watcher::Error)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Send + 'static,
        PartialObjectMeta<K>: Debug,
    {
        let api: Api<PartialObjectMeta<K>> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut events = std::pin::pin!(watcher(api, config(&self.scope)));
        let mut missing = HashSet::new();
        let mut since: Option<Instant> = None;
        let worked_for = |since: Option<Instant>| since.map(|since| since.elapsed());
        let tell = &self.hear;
        loop {
            // The stream has no end.
            let Some(event) = events.next().await else {
                return (worked_for(since), watcher::Error::NoResourceVersion);
            };
            match event {
                Ok(Event::Init) => missing = (self.names)().into_iter().collect(),
                Ok(Event::InitApply(object)) => {
                    let name: Arc<str> = object.name_any().into();
                    missing.remove(&name);
                    tell(Heard::Is(name, Version::of(Some(&object))));
                }
                Ok(Event::InitDone) => {
                    since.get_or_insert_with(Instant::now);
                    tell(Heard::Listed { absent: std::mem::take(&mut missing) });
                }
                Ok(Event::Apply(object)) => {
                    tell(Heard::Is(object.name_any().into(), Version::of(Some(&object))));
                }
                Ok(Event::Delete(object)) => tell(Heard::Is(object.name_any().into(), Version::Absent)),
                Err(error) => return (worked_for(since), error),
            }
        }
    }
}

fn config(scope: &Scope) -> watcher::Config {
    match scope {
        Scope::Name(name) => watching::config().fields(&format!("metadata.name={name}")),
        Scope::Namespace => watching::config(),
    }
}

fn is_forbidden(error: &watcher::Error) -> bool {
    use watcher::Error::{InitialListFailed, WatchFailed, WatchStartFailed};
    match error {
        InitialListFailed(error) | WatchStartFailed(error) | WatchFailed(error) => {
            matches!(error, kube::Error::Api(status) if status.is_forbidden())
        }
        watcher::Error::WatchError(status) => status.is_forbidden(),
        watcher::Error::NoResourceVersion => false,
    }
}
