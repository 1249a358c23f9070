//! Watches both Issuer kinds and runs one task for each Issuer.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::{Stream, StreamExt};
use kube::core::DeserializeGuard;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, warn};

use super::health::Synced;
use super::issuer::{self, IssuerObject, IssuerTask};
use super::loading::Loader;
use super::registry::{IssuerKey, IssuerKind};
use crate::api::{self, WasmClusterIssuer, WasmIssuer};

/// Run the tasks of all Issuers of both kinds until the future is dropped.
pub async fn run(client: Client, loader: Arc<Loader>, synced: Synced) {
    let namespaced = events::<WasmIssuer>(client.clone(), IssuerKind::Namespaced);
    let cluster = events::<WasmClusterIssuer>(client, IssuerKind::Cluster);
    let mut events = std::pin::pin!(futures::stream::select(namespaced, cluster));
    let mut tasks = Tasks { loader, running: HashMap::new(), listed: HashMap::new() };
    while let Some((kind, event)) = events.next().await {
        match event {
            Event::Init => {
                tasks.listed.insert(kind, HashSet::new());
            }
            Event::InitApply(object) => {
                tasks.listed.entry(kind).or_default().insert(object.key.clone());
                tasks.apply(object);
            }
            Event::InitDone => {
                tasks.drop_unlisted(kind);
                synced.mark(kind.as_str());
            }
            Event::Apply(object) => tasks.apply(object),
            Event::Delete(object) => tasks.delete(&object.key),
        }
    }
}

/// The changes of one kind. An object that cannot be read is logged and left out; it does not stop the others.
fn events<K: api::IssuerObject>(
    client: Client,
    kind: IssuerKind,
) -> impl Stream<Item = (IssuerKind, Event<IssuerObject>)> {
    let api: Api<DeserializeGuard<K>> = Api::all(client);
    kube::runtime::watcher(api, watcher::Config::default()).default_backoff().filter_map(move |event| {
        std::future::ready(match event {
            Ok(event) => convert(event, kind).map(|event| (kind, event)),
            Err(error) => {
                error!(
                    kind = kind.as_str(),
                    %error,
                    "cannot watch; is the CRD installed (deploy/install.yaml) and may the ServiceAccount list it?"
                );
                None
            }
        })
    })
}

fn convert<K: api::IssuerObject>(
    event: Event<DeserializeGuard<K>>,
    kind: IssuerKind,
) -> Option<Event<IssuerObject>> {
    let read = |guard: DeserializeGuard<K>| match guard.0 {
        Ok(object) => object_of(&object, kind),
        Err(invalid) => {
            let name = invalid.metadata.name.as_deref().unwrap_or_default();
            warn!(kind = kind.as_str(), name, error = %invalid.error, "an Issuer that cannot be read is ignored");
            None
        }
    };
    Some(match event {
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
        Event::InitApply(guard) => Event::InitApply(read(guard)?),
        Event::Apply(guard) => Event::Apply(read(guard)?),
        Event::Delete(guard) => Event::Delete(read(guard)?),
    })
}

fn object_of<K: api::IssuerObject>(object: &K, kind: IssuerKind) -> Option<IssuerObject> {
    let meta = object.meta();
    Some(IssuerObject {
        key: IssuerKey { kind, namespace: meta.namespace.clone(), name: meta.name.clone()? },
        uid: meta.uid.clone().unwrap_or_default(),
        resource_version: meta.resource_version.clone().unwrap_or_default(),
        spec: object.spec().clone(),
        state: issuer::state(meta.generation.unwrap_or_default(), object.status()),
    })
}

struct Running {
    uid: String,
    object: watch::Sender<Arc<IssuerObject>>,
    task: JoinHandle<()>,
}

struct Tasks {
    loader: Arc<Loader>,
    running: HashMap<IssuerKey, Running>,
    listed: HashMap<IssuerKind, HashSet<IssuerKey>>,
}

impl Tasks {
    fn apply(&mut self, object: IssuerObject) {
        let key = object.key.clone();
        if let Some(running) = self.running.get(&key) {
            // A task that ended by a panic is started anew at the object's next change.
            if running.uid == object.uid && !running.task.is_finished() {
                running.object.send_replace(Arc::new(object));
                return;
            }
            self.delete(&key);
        }
        let uid = object.uid.clone();
        let (sender, receiver) = watch::channel(Arc::new(object));
        let task = tokio::spawn(IssuerTask::new(self.loader.clone(), receiver).run());
        self.running.insert(key, Running { uid, object: sender, task });
    }

    fn delete(&mut self, key: &IssuerKey) {
        if let Some(running) = self.running.remove(key) {
            running.task.abort();
            self.loader.forget(key, &running.uid);
            // It may have been about to publish itself once more.
            let (loader, key) = (self.loader.clone(), key.clone());
            tokio::spawn(async move {
                let _ = running.task.await;
                loader.forget(&key, &running.uid);
            });
        }
    }

    fn drop_unlisted(&mut self, kind: IssuerKind) {
        let listed = self.listed.remove(&kind).unwrap_or_default();
        let gone: Vec<IssuerKey> =
            self.running.keys().filter(|key| key.kind == kind && !listed.contains(key)).cloned().collect();
        for key in gone {
            self.delete(&key);
        }
    }
}
