//! One Issuer's task: loads its plugin, reads its Secret, checks, writes its status, and starts over when something
//! that it depends on changes.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition as MetaCondition, Time};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{info, warn};
use wasm_issuer_core::issuance::GROUP;
use wasm_issuer_core::issuance::backoff::Backoff;
use wasm_issuer_core::issuance::condition::{self, Condition};
use wasm_issuer_core::issuance::issuer::{self, Attempt, History, IssuerState, IssuerStatus, PluginFacts};
use wasm_issuer_core::issuance::plan::{Next, Notice, Plan};
use wasm_issuer_core::issuance::request::GRACE;

use super::apply::{ApplyError, apply_status};
use super::lending::{Dependency, Versions};
use super::loading::{Loader, Prepared};
use super::registry::{Feedback, IssuerEntry, IssuerKey, IssuerKind, Serving};
use super::sign::moment;
use super::watches::{Subscription, Version, Watched};
use crate::api::{self, IssuerSpec, VERSION};

const FEEDBACK_CAPACITY: usize = 64;
/// How long an Issuer has to sign without a relapse until earlier ones are forgotten.
const RELAPSE_MEMORY: Duration = Duration::from_secs(60);
const WRITE_BACKOFF: Backoff = Backoff { min: Duration::from_millis(100), max: Duration::from_secs(30) };
/// How soon after a change the next one may start a check: a folder of manifests is applied in one go.
const SETTLE: Duration = Duration::from_millis(50);

/// An Issuer as it was read.
#[derive(Clone, Debug)]
pub struct IssuerObject {
    /// Which one.
    pub key: IssuerKey,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub resource_version: String,
    /// Its spec.
    pub spec: IssuerSpec,
    /// Its generation and status.
    pub state: IssuerState,
}

/// What wakes an Issuer's task.
enum Wake {
    Spec,
    Dependency,
    Due,
    Feedback(Feedback),
    Deleted,
}

/// The task of one Issuer.
pub struct IssuerTask {
    loader: Arc<Loader>,
    object: watch::Receiver<Arc<IssuerObject>>,
    /// The object with this task's own writes, which the watch brings later.
    current: IssuerObject,
    feedback: (mpsc::Sender<Feedback>, mpsc::Receiver<Feedback>),
    history: History,
    /// When signing failed last by the Issuer's fault.
    relapsed: Option<Instant>,
    prepared: Option<Prepared>,
    /// Why the plugin that the source holds is not the one in use.
    refused: Option<String>,
    /// Watches of what the spec names, and the versions that were read.
    watched: Vec<Watch>,
    read: Versions,
    write_failures: u32,
}

struct Watch {
    dependency: Dependency,
    version: watch::Receiver<Version>,
    _share: Arc<Subscription>,
}

impl IssuerTask {
    /// A task for the Issuer in this channel; it ends when the channel closes.
    pub fn new(loader: Arc<Loader>, object: watch::Receiver<Arc<IssuerObject>>) -> Self {
        let current = object.borrow().as_ref().clone();
        Self {
            loader,
            object,
            current,
            feedback: mpsc::channel(FEEDBACK_CAPACITY),
            history: History::default(),
            relapsed: None,
            prepared: None,
            refused: None,
            watched: Vec::new(),
            read: Versions::new(),
            write_failures: 0,
        }
    }

    /// Serve the Issuer until it is deleted.
    pub async fn run(mut self) {
        // What its status says is true until a check says otherwise: requests wait for the plugin, silently.
        self.publish(None);
        let mut due = false;
        loop {
            if !due {
                self.take_newest();
                self.watch_dependencies();
                if self.prepared.as_ref().is_some_and(|old| old.asks_otherwise(&self.current.spec)) {
                    // Nothing is signed by a spec that is not any more.
                    self.publish(None);
                }
            }
            let next = self.attempt(due).await;
            let wake = match self.wait(next).await {
                Wake::Feedback(feedback) => self.learn(feedback).await,
                wake => wake,
            };
            match wake {
                Wake::Deleted => return,
                Wake::Spec | Wake::Dependency => sleep(SETTLE).await,
                Wake::Due | Wake::Feedback(_) => {}
            }
            due = matches!(wake, Wake::Due) && !self.spec_changed();
        }
    }

    /// Watch what the spec names, before it is read. Watches that go on are not interrupted.
    fn watch_dependencies(&mut self) {
        let namespace = self.loader.namespace_of(&self.current.key);
        let watches = &self.loader.watches;
        let watch = |(dependency, what, name): (Dependency, Watched, &api::ObjectName)| {
            let share = watches.subscribe(what, namespace, name);
            let mut version = share.receiver();
            version.borrow_and_update();
            Watch { dependency, version, _share: share }
        };
        self.watched = Dependency::of(&self.current.spec).map(watch).collect();
    }

    /// Load, check, write the status, and say when to check again. `due`: nothing has changed, it is only time.
    async fn attempt(&mut self, due: bool) -> Next {
        let loader = self.loader.clone();
        let object = self.current.clone();
        let before = self.prepared.take();
        let refused = self.refused.take();
        // A watch without an answer tells of no change.
        let due = due && self.watched.iter().all(|watch| watch.version.borrow().is_some());
        let prepared = async {
            match before {
                Some(before) if due && refused.is_none() && before.generation == object.state.generation => {
                    loader.recheck(before).await
                }
                before => loader.prepare(&object, before).await,
            }
        };
        tokio::pin!(prepared);
        let outcome = tokio::select! {
            outcome = &mut prepared => outcome,
            () = sleep(GRACE) => {
                if let Some(status) = issuer::initializing(&self.current.state, Timestamp::now()) {
                    self.write(status, vec![]).await;
                }
                prepared.await
            }
        };
        self.prepared = outcome.prepared;
        self.refused = outcome.refused.clone();
        self.read = outcome.read;
        let attempt = Attempt {
            result: outcome.result,
            plugin: self.prepared.as_ref().map(|p| PluginFacts {
                sha256: p.plugin.sha256().to_owned(),
                source: p.source.clone(),
                loaded_at: p.loaded_at,
            }),
            refused_plugin: outcome.refused,
        };
        let ready = attempt.result.is_ok();
        let interval = self.current.spec.check_interval.0;
        let plan = issuer::checked(&self.current.state, &attempt, &mut self.history, interval, moment());
        let serving = self.prepared.as_ref().filter(|_| ready).map(|p| p.serving.clone());
        self.execute(plan, serving).await
    }

    /// Wait for the next thing to do.
    async fn wait(&mut self, next: Next) -> Wake {
        let due = match next {
            Next::After(delay) => Some(Instant::now() + delay),
            Next::Settled | Next::WithIssuer => None,
        };
        loop {
            let timer = async {
                match due {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = self.object.changed() => match changed {
                    Err(_) => return Wake::Deleted,
                    Ok(()) if self.spec_changed() => return Wake::Spec,
                    // A status, most likely this task's own write.
                    Ok(()) => self.take_newest(),
                },
                () = dependency_changed(&mut self.watched, &self.read) => return Wake::Dependency,
                () = timer => return Wake::Due,
                Some(feedback) = self.feedback.1.recv() => match feedback {
                    // Calls that were under way at the relapse prove nothing.
                    Feedback::Signed if self.relapsed.is_none_or(|at| at.elapsed() > RELAPSE_MEMORY) => {
                        self.history.relapses = 0;
                    }
                    Feedback::Signed => {}
                    failed => return Wake::Feedback(failed),
                },
            }
        }
    }

    /// Signing failed by the Issuer's fault: not ready until a check after a growing delay.
    async fn learn(&mut self, feedback: Feedback) -> Wake {
        let Feedback::Failed { serving, message } = feedback else { return Wake::Due };
        let is_news = self.prepared.as_ref().is_some_and(|p| Arc::ptr_eq(&p.serving, &serving));
        if !is_news {
            return Wake::Due;
        }
        self.relapsed = Some(Instant::now());
        let plan = issuer::relapsed(&self.current.state, &message, &mut self.history, moment());
        let next = self.execute(plan, None).await;
        loop {
            match self.wait(next).await {
                // Calls that were under way when the first of them failed.
                Wake::Feedback(_) => {}
                wake => return wake,
            }
        }
    }

    fn spec_changed(&self) -> bool {
        let newest = self.object.borrow();
        newest.uid != self.current.uid || newest.state.generation != self.current.state.generation
    }

    fn take_newest(&mut self) {
        self.current = self.object.borrow_and_update().as_ref().clone();
    }

    /// Carry out a plan, and let the requests know.
    async fn execute(&mut self, plan: Plan<IssuerStatus>, serving: Option<Arc<Serving>>) -> Next {
        if let Some(status) = plan.status
            && !self.write(status, plan.events).await
        {
            self.write_failures = self.write_failures.saturating_add(1);
            let delay = WRITE_BACKOFF.delay(self.write_failures, rand::random(), None);
            self.publish(None);
            return Next::After(delay);
        }
        self.write_failures = 0;
        self.publish(serving);
        plan.next
    }

    fn publish(&self, serving: Option<Arc<Serving>>) {
        let state = &self.current.state;
        let entry = IssuerEntry {
            uid: self.current.uid.clone(),
            generation: state.generation,
            ready: condition::find(&state.conditions, condition::READY).cloned(),
            serving,
            feedback: self.feedback.0.clone(),
        };
        self.loader.registry.put(&self.current.key, entry);
    }

    /// Write the status onto the object that was read. False if it did not land; the newer object is on its way.
    async fn write(&mut self, status: IssuerStatus, events: Vec<Notice>) -> bool {
        let object = &self.current;
        let body = json!({
            "apiVersion": format!("{GROUP}/{VERSION}"),
            "kind": object.key.kind.as_str(),
            "metadata": {
                "name": object.key.name,
                "namespace": object.key.namespace,
                "resourceVersion": object.resource_version,
            },
            "status": written(&status),
        });
        let written =
            apply_status(&self.loader.client, &collection(&object.key), &object.key.name, &body).await;
        match written {
            Ok(version) => {
                if let Some(ready) = condition::find(&status.conditions, condition::READY) {
                    let (reason, message) = (&ready.reason, &ready.message);
                    info!(issuer = %object.key, reason, message, "status written");
                }
                self.loader.events.publish(&reference(object), events);
                self.current.resource_version = version;
                self.current.state.conditions = status.conditions;
                self.current.state.plugin = status.plugin;
                true
            }
            // Deleted: the watch says so in a moment.
            Err(ApplyError::Conflict | ApplyError::Gone) => false,
            Err(error) => {
                warn!(issuer = %object.key, %error, "could not write the status");
                false
            }
        }
    }
}

/// Wait until something that the Issuer names is another version than the one that was read.
async fn dependency_changed(watched: &mut [Watch], read: &Versions) {
    let changes = watched.iter_mut().map(|watch| {
        Box::pin(async move {
            while watch.version.changed().await.is_ok() {
                let version = watch.version.borrow_and_update().clone();
                // The first answer of a new watch tells what was just read.
                if version.is_some() && version.as_ref() != read.get(&watch.dependency) {
                    return;
                }
            }
            std::future::pending().await
        })
    });
    let changes: Vec<_> = changes.collect();
    if changes.is_empty() {
        std::future::pending::<()>().await;
    }
    futures::future::select_all(changes).await;
}

fn written(status: &IssuerStatus) -> api::IssuerStatus {
    api::IssuerStatus {
        conditions: status.conditions.iter().map(written_condition).collect(),
        plugin: status
            .plugin
            .as_ref()
            .map(|p| api::PluginStatus::new(p.sha256.clone(), p.source.clone(), Time(p.loaded_at))),
        observed_generation: Some(status.observed_generation),
    }
}

fn written_condition(condition: &Condition) -> MetaCondition {
    MetaCondition {
        type_: condition.type_.clone(),
        status: condition.status.clone(),
        reason: condition.reason.clone(),
        message: condition.message.clone(),
        last_transition_time: Time(condition.last_transition.unwrap_or_default()),
        observed_generation: condition.observed_generation,
    }
}

/// The state in an Issuer's status.
pub fn state(generation: i64, status: Option<&api::IssuerStatus>) -> IssuerState {
    let conditions = status.map(|s| s.conditions.as_slice()).unwrap_or_default();
    IssuerState {
        generation,
        conditions: conditions
            .iter()
            .map(|c| Condition {
                type_: c.type_.clone(),
                status: c.status.clone(),
                reason: c.reason.clone(),
                message: c.message.clone(),
                last_transition: Some(c.last_transition_time.0),
                observed_generation: c.observed_generation,
            })
            .collect(),
        plugin: status.and_then(|s| s.plugin.as_ref()).map(|p| PluginFacts {
            sha256: p.sha256.clone(),
            source: p.source.clone(),
            loaded_at: p.loaded_at.0,
        }),
    }
}

fn collection(key: &IssuerKey) -> String {
    match (key.kind, &key.namespace) {
        (IssuerKind::Namespaced, Some(namespace)) => {
            format!("/apis/{GROUP}/{VERSION}/namespaces/{namespace}/wasmissuers")
        }
        _ => format!("/apis/{GROUP}/{VERSION}/wasmclusterissuers"),
    }
}

/// What its Events refer to.
pub fn reference(object: &IssuerObject) -> ObjectReference {
    ObjectReference {
        api_version: Some(format!("{GROUP}/{VERSION}")),
        kind: Some(object.key.kind.as_str().to_owned()),
        name: Some(object.key.name.clone()),
        namespace: object.key.namespace.clone(),
        uid: Some(object.uid.clone()),
        ..ObjectReference::default()
    }
}
