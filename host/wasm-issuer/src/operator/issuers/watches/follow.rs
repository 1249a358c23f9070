//! One watch, from its turn to its end, over and over.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource, ResourceExt};
use tokio::time::sleep;
use tracing::{debug, warn};
use wasm_issuer_core::issuance::backoff::Backoff;
use wasm_issuer_runtime::Owner;

use super::group::{Heard, Scope};
use super::{Key, Shared, Version, Watched};

/// How long others that follow are waited for: a folder of manifests is applied in one go.
const SETTLE: Duration = Duration::from_millis(100);
/// After how many seconds the API server ends a watch that goes on where it was: how soon a connection that died silently
/// is noticed. They differ, so that not all watches begin anew in the same moment.
const SECONDS: std::ops::RangeInclusive<u32> = 15..=20;
/// Objects in a page of a list. Even metadata can have 256 KiB each.
const PAGE: u32 = 100;
const BROKEN: Backoff = Backoff { min: Duration::from_millis(500), max: Duration::from_secs(4) };
/// Rights change seldom.
const FORBIDDEN: Backoff = Backoff { min: Duration::from_secs(60), max: Duration::from_secs(600) };

/// Watch until the task is ended.
pub async fn follow(shared: Arc<Shared>, key: Key, scope: Scope) {
    match key.0 {
        Watched::ConfigMap => repeat::<ConfigMap>(&shared, &key, &scope).await,
        Watched::Secret => repeat::<Secret>(&shared, &key, &scope).await,
    }
}

async fn repeat<K>(shared: &Arc<Shared>, key: &Key, scope: &Scope)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Send + 'static,
    PartialObjectMeta<K>: Debug,
{
    let (what, namespace) = key;
    let owner = match scope {
        Scope::Name(name) => Owner::new(namespace, name),
        Scope::Namespace => Owner::new(namespace, "*"),
    };
    sleep(SETTLE).await;
    let mut failures: u32 = 0;
    loop {
        let turn = shared.open.acquire(&owner).await;
        // Whoever waits for a turn needs no room for what comes after it.
        let (worked, error) = Box::pin(listen::<K>(shared, key, scope)).await;
        // Nobody is kept from watching by what cannot be watched.
        drop(turn);
        failures = if worked { 1 } else { failures.saturating_add(1) };
        match failures {
            1 => warn!(kind = what.as_str(), %namespace, ?scope, %error, "cannot watch what Issuers name"),
            _ => debug!(kind = what.as_str(), %namespace, ?scope, %error, "still cannot watch it"),
        }
        let forbidden = is_forbidden(&error);
        shared.hear(key, scope, Heard::Broken { forbidden });
        let backoff = if forbidden { FORBIDDEN } else { BROKEN };
        sleep(backoff.delay(failures, rand::random(), None)).await;
    }
}

/// List and watch until that fails. Returns whether it had worked, and why it does not any more.
async fn listen<K>(shared: &Arc<Shared>, key: &Key, scope: &Scope) -> (bool, watcher::Error)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Send + 'static,
    PartialObjectMeta<K>: Debug,
{
    let api: Api<PartialObjectMeta<K>> = Api::namespaced(shared.client.clone(), &key.1);
    let mut events = std::pin::pin!(watcher(api, config(scope)));
    let mut missing = HashSet::new();
    let mut worked = false;
    let tell = |heard| shared.hear(key, scope, heard);
    loop {
        // The stream has no end.
        let Some(event) = events.next().await else { return (worked, watcher::Error::NoResourceVersion) };
        match event {
            Ok(Event::Init) => missing = shared.names(key, scope).into_iter().collect(),
            Ok(Event::InitApply(object)) => {
                let name: Arc<str> = object.name_any().into();
                missing.remove(&name);
                tell(Heard::Is(name, Version::of(Some(&object))));
            }
            Ok(Event::InitDone) => {
                worked = true;
                tell(Heard::Listed { absent: std::mem::take(&mut missing) });
            }
            Ok(Event::Apply(object)) => tell(Heard::Is(object.name_any().into(), Version::of(Some(&object)))),
            Ok(Event::Delete(object)) => tell(Heard::Is(object.name_any().into(), Version::Absent)),
            Err(error) => return (worked, error),
        }
    }
}

fn config(scope: &Scope) -> watcher::Config {
    let config = watcher::Config::default().timeout(rand::random_range(SECONDS)).page_size(PAGE);
    match scope {
        Scope::Name(name) => config.fields(&format!("metadata.name={name}")),
        Scope::Namespace => config,
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
