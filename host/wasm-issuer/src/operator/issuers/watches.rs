//! Watches of the ConfigMaps and Secrets that Issuers name. Only their metadata is sent; whoever needs the content reads
//! it after a change.
//!
//! A watch is a connection that stays open, so there are only so many, which namespaces share fairly. Few objects of a
//! kind in a namespace have a watch each, by name. Where Issuers name more of them, one watch of the whole namespace
//! takes their place; what it says of other objects is dropped as it comes. Where the operator may not do that (RBAC by
//! `resourceNames`) it goes on by name. An object whose watch has not begun, or is broken, has an unknown version, and
//! the Issuers that name it read it with each of their checks.
//!
//! | module | what it is |
//! |---|---|
//! | `version` | what is watched, and what is known of it |
//! | `group` | the decisions: how the objects of a kind in a namespace are watched, and what is known of them |
//! | `follow` | one watch, from its turn to its end, over and over |

mod follow;
mod group;
#[cfg(test)]
mod tests;
mod version;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use follow::Followed;
use group::{Group, Heard, Scope, Task};
use kube::Client;
use tokio::sync::watch;
pub use version::{Version, Watched};
use wasm_issuer_runtime::FairSlots;

use crate::operator::metrics::Metrics;

/// How many watches are open at a time.
const OPEN: usize = 256;

/// A kind and a namespace.
type Key = (Watched, Arc<str>);

/// The watches in use, however many Issuers name an object.
pub struct Watches(Arc<Shared>);

struct Shared {
    client: Client,
    open: Arc<FairSlots>,
    metrics: Arc<Metrics>,
    groups: Mutex<HashMap<Key, Group>>,
}

/// An Issuer's interest in an object. The watch ends with the last one.
pub struct Subscription {
    shared: Arc<Shared>,
    key: Key,
    name: Box<str>,
    version: watch::Receiver<Version>,
}

impl Subscription {
    /// A receiver of the object's version.
    pub fn receiver(&self) -> watch::Receiver<Version> {
        self.version.clone()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut groups = self.shared.lock();
        if groups.get_mut(&self.key).is_some_and(|group| group.release(&self.name)) {
            groups.remove(&self.key);
        }
    }
}

impl Watches {
    pub fn new(client: Client, metrics: Arc<Metrics>) -> Self {
        Self::with(client, FairSlots::new(OPEN), metrics)
    }

    /// With so many watches.
    fn with(client: Client, open: Arc<FairSlots>, metrics: Arc<Metrics>) -> Self {
        Self(Arc::new(Shared { client, open, metrics, groups: Mutex::default() }))
    }

    /// Watch an object. What is read of it from now on is as new as the version that this tells, or newer.
    pub fn subscribe(&self, what: Watched, namespace: &str, name: &str) -> Subscription {
        let mut groups = self.0.lock();
        let entry = groups.entry((what, namespace.into()));
        let key = entry.key().clone();
        let group = entry.or_default();
        let (version, begin) = group.add(name);
        self.0.begin(&key, group, begin);
        Subscription { shared: self.0.clone(), key, name: name.into(), version }
    }
}

impl Shared {
    /// Take note of what a watch has told, and begin others if that is what follows.
    fn hear(self: &Arc<Self>, key: &Key, scope: &Scope, heard: Heard) {
        let mut groups = self.lock();
        let Some(group) = groups.get_mut(key) else { return };
        let begin = group.hear(scope, heard);
        self.begin(key, group, begin);
    }

    fn begin(self: &Arc<Self>, key: &Key, group: &mut Group, scopes: Vec<Scope>) {
        for scope in scopes {
            let (shared, heard_of, within) = (self.clone(), key.clone(), scope.clone());
            let hear = Box::new(move |heard| shared.hear(&heard_of, &within, heard));
            let (shared, names_of, within) = (self.clone(), key.clone(), scope.clone());
            let names = Box::new(move || shared.names(&names_of, &within));
            let (what, namespace) = key.clone();
            let (client, open, metrics) = (self.client.clone(), self.open.clone(), self.metrics.clone());
            let followed =
                Followed { client, open, metrics, what, namespace, scope: scope.clone(), hear, names };
            group.began(&scope, Task(tokio::spawn(followed.follow())));
        }
    }

    /// The names that a watch is to tell about.
    fn names(&self, key: &Key, scope: &Scope) -> Vec<Arc<str>> {
        self.lock().get(key).map(|group| group.names(scope)).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Group>> {
        // A panic while the lock was held leaves versions behind that the next answer puts right.
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
