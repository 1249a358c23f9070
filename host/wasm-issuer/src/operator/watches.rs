//! Watches of single ConfigMaps and Secrets: those that an Issuer names, and no other. Only their metadata travels;
//! who wants the content reads it once something changed.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::core::PartialObjectMeta;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::sync::watch;
use tracing::warn;

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Watched {
    /// A ConfigMap.
    ConfigMap,
    /// A Secret.
    Secret,
}

/// The object's resource version; `Some(None)` when there is no such object, `None` before the first answer.
pub type Version = Option<Option<String>>;

type Key = (Watched, String, String);

/// The watches in use, one for each object however many Issuers name it.
pub struct Watches {
    client: Client,
    open: Mutex<HashMap<Key, Weak<Subscription>>>,
}

/// A share of a watch; it ends with its last share.
pub struct Subscription {
    version: watch::Receiver<Version>,
    task: tokio::task::JoinHandle<()>,
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
    /// No watches yet.
    pub fn new(client: Client) -> Self {
        Self { client, open: Mutex::default() }
    }

    /// Watch an object.
    pub fn subscribe(&self, what: Watched, namespace: &str, name: &str) -> Arc<Subscription> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (what, namespace.to_owned(), name.to_owned());
        if let Some(subscription) = open.get(&key).and_then(Weak::upgrade) {
            return subscription;
        }
        open.retain(|_, subscription| subscription.strong_count() > 0);
        let (sender, version) = watch::channel(None);
        let task = match what {
            Watched::ConfigMap => tokio::spawn(follow::<ConfigMap>(
                self.client.clone(),
                namespace.to_owned(),
                name.to_owned(),
                sender,
            )),
            Watched::Secret => tokio::spawn(follow::<Secret>(
                self.client.clone(),
                namespace.to_owned(),
                name.to_owned(),
                sender,
            )),
        };
        let subscription = Arc::new(Subscription { version, task });
        open.insert(key, Arc::downgrade(&subscription));
        subscription
    }
}

async fn follow<K>(client: Client, namespace: String, name: String, version: watch::Sender<Version>)
where
    K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope> + Clone + Send + 'static,
    PartialObjectMeta<K>: Debug,
{
    let api: Api<PartialObjectMeta<K>> = Api::namespaced(client, &namespace);
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut events = watcher::watcher(api, config).default_backoff().boxed();
    let mut listed = None;
    let mut warned = false;
    while let Some(event) = events.next().await {
        let new = match event {
            Ok(watcher::Event::Init) => {
                listed = None;
                continue;
            }
            Ok(watcher::Event::InitApply(object)) => {
                listed = object.resource_version();
                continue;
            }
            Ok(watcher::Event::InitDone) => listed.take(),
            Ok(watcher::Event::Apply(object)) => object.resource_version(),
            Ok(watcher::Event::Delete(_)) => None,
            Err(error) => {
                // The stream goes on by itself; meanwhile the Issuer's periodic check reads the object.
                if version.send_replace(None).is_some() || !warned {
                    warn!(namespace, name, %error, "cannot watch an object that an Issuer names");
                    warned = true;
                }
                continue;
            }
        };
        version.send_if_modified(|old| {
            let changed = old.as_ref() != Some(&new);
            *old = Some(new);
            changed
        });
    }
}
