//! The Issuers' side: watches both Issuer kinds and runs one task for each Issuer.

mod admission;
mod api_server;
mod builtins;
mod complaints;
mod config;
mod dependency;
mod images;
mod kept;
mod lend;
mod object;
mod place;
mod plugins;
mod prepare;
mod refusals;
mod report;
mod rest;
mod retry;
mod shared;
mod source_error;
mod sources;
mod task;
mod unanswered;
mod wake;
mod watches;
mod write;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

pub use admission::{Inadmissible, admit_component, admit_spec};
use api_server::ApiServer;
pub use config::ObservedConfig;
pub use dependency::Dependency;
use futures::stream::select_all;
use futures::{Stream, StreamExt};
use kube::core::DeserializeGuard;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
pub use object::ObservedIssuer;
pub use place::account;
use prepare::Preparer;
pub use prepare::Settings;
use report::Reporter;
pub use retry::{RETRY, retry_policy};
use shared::Shared;
pub use source_error::SourceError;
pub use sources::{gunzip, plugin_bytes};
use task::IssuerTask;
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::warn;
use watches::Watches;

use super::events::Events;
use super::health::Synced;
use super::leadership::Leadership;
use super::metrics::Metrics;
use super::namespaces::{Namespaces, Part};
use super::registry::Registry;
use super::signer::Loader;
use super::watching;
use crate::api::{self, IssuerKey, IssuerKind, WasmClusterIssuer, WasmIssuer};

/// What to look at where Issuers cannot be watched.
const HINT: &str = "is the CRD installed (deploy/crds.yaml) and may the ServiceAccount list it?";

/// The API server cannot read the label selector by which the Issuers are selected: it never will.
#[derive(Debug, Error)]
#[error("--issuer-selector {selector:?} is no label selector, says the API server: {why}")]
pub struct BadSelector {
    selector: String,
    why: String,
}

/// The Issuers' side, ready to run.
pub struct Issuers {
    shared: Arc<Shared>,
    namespaces: Namespaces,
    selector: Option<String>,
}

impl Issuers {
    /// Nothing is watched yet. What serves goes into `registry`.
    pub fn new(
        client: Client,
        loader: Arc<dyn Loader>,
        settings: Settings,
        registry: Arc<Registry>,
        events: Events,
        leadership: Leadership,
        metrics: Arc<Metrics>,
    ) -> Self {
        let reporter =
            Reporter::new(events.clone(), leadership.clone(), settings.policy.clone(), metrics.clone());
        let api = ApiServer::new(client.clone());
        let namespaces = settings.namespaces.clone();
        let shared = Shared {
            preparer: Preparer::new(api.clone(), loader, settings, reporter),
            watches: Watches::new(client, metrics.clone()),
            api,
            registry,
            events,
            metrics,
            leadership,
        };
        Self { shared: Arc::new(shared), namespaces, selector: None }
    }

    /// Those whose labels this selects, as Kubernetes writes label selectors; all where there is none.
    pub fn selecting(self, selector: Option<String>) -> Self {
        Self { selector, ..self }
    }

    /// Run the tasks of all Issuers that are served until the future is dropped.
    pub async fn run(self, synced: Synced) -> Result<(), BadSelector> {
        let Self { shared, namespaces, selector } = self;
        let (client, metrics, selector) = (&shared.api.client, &shared.metrics, selector.as_deref());
        let namespaced = namespaces.apis(client);
        let namespaced = events::<WasmIssuer>(namespaced, IssuerKind::Namespaced, selector, metrics.clone());
        let cluster = namespaces.serves(IssuerKind::Cluster).then(|| (None, Api::all(client.clone())));
        let cluster = cluster.into_iter().collect();
        let cluster = events::<WasmClusterIssuer>(cluster, IssuerKind::Cluster, selector, metrics.clone());
        let mut events = std::pin::pin!(futures::stream::select(namespaced, cluster));
        let mut tasks = Tasks { shared, running: HashMap::new(), listed: HashMap::new() };
        let mut pulse = synced.pulse("Issuers");
        loop {
            let (kind, part, event) = tokio::select! {
                event = events.next() => match event {
                    Some(event) => event?,
                    None => return Ok(()),
                },
                () = pulse.beat() => continue,
            };
            if tasks.observe(kind, &part, event) {
                synced.mark(kind.as_str(), &part);
            }
        }
    }
}

/// The changes of one kind in all parts. An object that cannot be read is logged and left out; it does not stop the others.
fn events<K: api::IssuerObject>(
    apis: Vec<(Part, Api<DeserializeGuard<K>>)>,
    kind: IssuerKind,
    selector: Option<&str>,
    metrics: Arc<Metrics>,
) -> impl Stream<Item = Result<(IssuerKind, Part, Event<ObservedIssuer>), BadSelector>> + use<K> {
    let config = || selector.into_iter().fold(watching::config(), |config, selector| config.labels(selector));
    let selector = selector.map(str::to_owned);
    let all = apis.into_iter().map(|(part, api)| watching::follow(part, api, config()));
    select_all(all).filter_map(move |(part, event)| {
        std::future::ready(match event {
            Ok(event) => convert(event, kind).map(|event| Ok((kind, part, event))),
            Err(error) => {
                if let Some(bad) = BadSelector::of(selector.as_deref(), &error) {
                    return std::future::ready(Some(Err(bad)));
                }
                metrics.watch_broke(kind.into());
                let what = format!("{}s", kind.as_str());
                watching::tell_broken(&what, part.as_deref(), &error, HINT);
                None
            }
        })
    })
}

impl BadSelector {
    /// What a watch that broke says of its selector: nothing else of what it asks for could be malformed.
    fn of(selector: Option<&str>, error: &watcher::Error) -> Option<Self> {
        let watcher::Error::InitialListFailed(kube::Error::Api(status)) = error else { return None };
        let selector = selector.filter(|_| status.code == 400)?.to_owned();
        Some(Self { selector, why: status.message.clone() })
    }
}

fn convert<K: api::IssuerObject>(
    event: Event<DeserializeGuard<K>>,
    kind: IssuerKind,
) -> Option<Event<ObservedIssuer>> {
    let read = |guard: DeserializeGuard<K>| match guard.0 {
        Ok(object) => ObservedIssuer::of(&object, kind),
        Err(invalid) => {
            let (namespace, name) = (&invalid.metadata.namespace, &invalid.metadata.name);
            warn!(kind = kind.as_str(), namespace, name, error = %invalid.error, "an Issuer that cannot be read is ignored");
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

struct Running {
    uid: String,
    object: watch::Sender<Arc<ObservedIssuer>>,
    task: JoinHandle<()>,
}

struct Tasks {
    shared: Arc<Shared>,
    running: HashMap<IssuerKey, Running>,
    listed: HashMap<(IssuerKind, Part), HashSet<IssuerKey>>,
}

impl Tasks {
    /// Take in what a watch of a part delivers. True at the end of a list.
    fn observe(&mut self, kind: IssuerKind, part: &Part, event: Event<ObservedIssuer>) -> bool {
        match event {
            Event::Init => {
                self.listed.insert((kind, part.clone()), HashSet::new());
            }
            Event::InitApply(object) => {
                self.listed.entry((kind, part.clone())).or_default().insert(object.key.clone());
                self.apply(object);
            }
            Event::InitDone => {
                self.drop_unlisted(kind, part);
                return true;
            }
            Event::Apply(object) => self.apply(object),
            Event::Delete(object) => self.delete(&object.key),
        }
        false
    }

    fn apply(&mut self, mut object: ObservedIssuer) {
        let key = object.key.clone();
        let (uid, generation) = (object.uid().to_owned(), object.state.generation);
        if let Some(running) = self.running.get(&key) {
            // A task that ended by a panic is started anew at the object's next change.
            if running.uid == object.uid() && !running.task.is_finished() {
                object.share_spec_of(&running.object.borrow());
                let asks_otherwise = running.object.borrow().asks_otherwise(&object.spec, &object.config);
                self.shared.registry.observe(&key, &uid, generation, asks_otherwise);
                running.object.send_replace(Arc::new(object));
                return;
            }
            self.delete(&key);
        }
        self.shared.registry.observe(&key, &uid, generation, true);
        let (sender, receiver) = watch::channel(Arc::new(object));
        let task = tokio::spawn(IssuerTask::new(self.shared.clone(), receiver).run());
        self.running.insert(key, Running { uid, object: sender, task });
    }

    fn delete(&mut self, key: &IssuerKey) {
        if let Some(running) = self.running.remove(key) {
            running.task.abort();
            self.shared.forget(key, &running.uid);
            // It may have been about to publish itself once more.
            let (shared, key) = (self.shared.clone(), key.clone());
            tokio::spawn(async move {
                let _ = running.task.await;
                shared.forget(&key, &running.uid);
            });
        }
    }

    fn drop_unlisted(&mut self, kind: IssuerKind, part: &Part) {
        let listed = self.listed.remove(&(kind, part.clone())).unwrap_or_default();
        let is_in = |key: &&IssuerKey| part.is_none() || key.namespace.as_deref() == part.as_deref();
        let of = self.running.keys().filter(|key| key.kind == kind).filter(is_in);
        let gone: Vec<IssuerKey> = of.filter(|key| !listed.contains(key)).cloned().collect();
        for key in gone {
            self.delete(&key);
        }
    }
}
