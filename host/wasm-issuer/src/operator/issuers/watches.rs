//! Watches of single ConfigMaps and Secrets: those that an Issuer names, and no other. Only their metadata is sent;
//! whoever needs the content reads it after a change.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::watch_object;
use kube::{Api, Client, Resource, ResourceExt};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::warn;

/// A kind that Issuers name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Watched {
    /// Holds a plugin.
    ConfigMap,
    /// Holds what a plugin authenticates with, and how it does so.
    Secret,
}

/// What is known of an object's version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Version {
    /// Nothing: the API server has not answered, or the watch is broken.
    Unknown,
    /// There is no such object.
    Absent,
    /// Its `metadata.resourceVersion`.
    At(String),
}

impl Version {
    /// The version of an object that was read; none where there was no such object.
    pub fn of(object: Option<&impl ResourceExt>) -> Self {
        object.and_then(ResourceExt::resource_version).map_or(Self::Absent, Self::At)
    }
}

type Key = (Watched, String, String);

/// The watches in use, one for each object however many Issuers name it.
pub struct Watches {
    client: Client,
    open: Mutex<HashMap<Key, Weak<Subscription>>>,
}

/// A share of a watch; it ends with its last share.
pub struct Subscription {
    version: watch::Receiver<Version>,
    task: JoinHandle<()>,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Subscription {
    /// A receiver of the object's version.
    pub fn receiver(&self) -> watch::Receiver<Version> {
        self.version.clone()
    }
}

impl Watches {
    pub fn new(client: Client) -> Self {
        Self { client, open: Mutex::default() }
    }

    /// A share of the watch of an object, which begins now if it is the first.
    pub fn subscribe(&self, what: Watched, namespace: &str, name: &str) -> Arc<Subscription> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (what, namespace.to_owned(), name.to_owned());
        if let Some(subscription) = open.get(&key).and_then(Weak::upgrade) {
            return subscription;
        }
        open.retain(|_, subscription| subscription.strong_count() > 0);
        let (sender, version) = watch::channel(Version::Unknown);
        let task = match what {
            Watched::ConfigMap => tokio::spawn(follow(self.api::<ConfigMap>(namespace), key.clone(), sender)),
            Watched::Secret => tokio::spawn(follow(self.api::<Secret>(namespace), key.clone(), sender)),
        };
        let subscription = Arc::new(Subscription { version, task });
        open.insert(key, Arc::downgrade(&subscription));
        subscription
    }

    /// An API that asks for nothing but metadata.
    fn api<K>(&self, namespace: &str) -> Api<PartialObjectMeta<K>>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }
}

async fn follow<K>(api: Api<PartialObjectMeta<K>>, key: Key, version: watch::Sender<Version>)
where
    K: Resource<DynamicType = ()> + Clone + Send + 'static,
    PartialObjectMeta<K>: Debug,
{
    let (_, namespace, name) = key;
    let mut answers = watch_object(api, &name).default_backoff().boxed();
    let mut warned = false;
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(object) => {
                let new = Version::of(object.as_ref());
                version.send_if_modified(|old| std::mem::replace(old, new.clone()) != new);
            }
            // The stream goes on by itself; meanwhile the Issuer's periodic check reads the object.
            Err(error) => {
                if version.send_replace(Version::Unknown) != Version::Unknown || !warned {
                    warn!(namespace, name, %error, "cannot watch an object that an Issuer names");
                    warned = true;
                }
            }
        }
    }
}
