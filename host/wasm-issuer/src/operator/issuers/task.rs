//! One Issuer's task: loads its plugin, reads its Secret, checks, writes its status, and starts over when something
//! that it depends on changes.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{info, warn};
use wasm_issuer_core::issuance::condition;
use wasm_issuer_core::issuance::issuer::{self, Attempt, History, IssuerPlan, NewIssuerStatus};
use wasm_issuer_core::issuance::plan::{FIRST_STATUS_AFTER, Next, Notice};

use super::dependency::{Dependency, Versions};
use super::object::ObservedIssuer;
use super::prepare::{Preparation, Prepared, Preparer};
use super::watches::{Subscription, Version, Watched, Watches};
use crate::api;
use crate::api::IssuerKey;
use crate::operator::apply::{ApplyError, apply_status};
use crate::operator::clock::moment;
use crate::operator::events::Events;
use crate::operator::registry::{Feedback, IssuerEntry, Registry, Serving};

const FEEDBACK_CAPACITY: usize = 64;
/// How soon after a change the next one may start a check: a folder of manifests is applied in one go.
const SETTLE: Duration = Duration::from_millis(50);

/// What the tasks of all Issuers share.
pub struct Shared {
    pub client: Client,
    pub preparer: Preparer,
    pub watches: Watches,
    /// Where the requests' side finds what serves.
    pub registry: Arc<Registry>,
    pub events: Events,
}

impl Shared {
    /// Drop what is kept for an Issuer that is gone.
    pub fn forget(&self, key: &IssuerKey, uid: &str) {
        self.preparer.forget(uid);
        self.registry.remove(key, uid);
    }
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
    shared: Arc<Shared>,
    object: watch::Receiver<Arc<ObservedIssuer>>,
    /// The object with this task's own writes, which the watch brings later.
    current: ObservedIssuer,
    /// For whoever signs for this Issuer.
    feedback: mpsc::Sender<Feedback>,
    news: mpsc::Receiver<Feedback>,
    history: History,
    /// When signing failed last by the Issuer's fault.
    relapsed: Option<Instant>,
    prepared: Option<Prepared>,
    /// Why the plugin that the source holds is not the one in use.
    refused: Option<String>,
    /// Watches of what the spec names, and the versions that were read.
    watched: Vec<Watch>,
    read: Versions,
}

struct Watch {
    dependency: Dependency,
    version: watch::Receiver<Version>,
    _share: Arc<Subscription>,
}

impl IssuerTask {
    /// A task for the Issuer in this channel; it ends when the channel closes.
    pub fn new(shared: Arc<Shared>, object: watch::Receiver<Arc<ObservedIssuer>>) -> Self {
        let current = object.borrow().as_ref().clone();
        let (feedback, news) = mpsc::channel(FEEDBACK_CAPACITY);
        Self {
            shared,
            object,
            current,
            feedback,
            news,
            history: History::default(),
            relapsed: None,
            prepared: None,
            refused: None,
            watched: Vec::new(),
            read: Versions::new(),
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
        let namespace = self.shared.preparer.namespace_of(&self.current.key);
        let watches = &self.shared.watches;
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
        let preparation = self.prepare(due).await;
        self.prepared = preparation.prepared;
        self.refused = preparation.refused.clone();
        self.read = preparation.read;
        let attempt = Attempt {
            result: preparation.result,
            plugin: self.prepared.as_ref().map(Prepared::plugin_facts),
            refused_plugin: preparation.refused,
        };
        let ready = attempt.result.is_ok();
        let interval = self.current.spec.check_interval.0;
        let plan = issuer::checked(&self.current.state, &attempt, self.history, interval, moment());
        let serving = self.prepared.as_ref().filter(|_| ready).map(|p| p.serving.clone());
        self.execute(plan, serving).await
    }

    /// Load and check. An Issuer without a status gets its first one where this takes longer than the grace time.
    async fn prepare(&mut self, due: bool) -> Preparation {
        let shared = self.shared.clone();
        let object = self.current.clone();
        let before = self.prepared.take();
        let was_refused = self.refused.take().is_some();
        // A watch without an answer tells of no change.
        let due = due && self.watched.iter().all(|watch| *watch.version.borrow() != Version::Unknown);
        let preparation = async {
            match before {
                Some(before) if due && !was_refused && before.generation == object.state.generation => {
                    shared.preparer.recheck(before).await
                }
                before => shared.preparer.prepare(&object, before).await,
            }
        };
        tokio::pin!(preparation);
        tokio::select! {
            preparation = &mut preparation => preparation,
            () = sleep(FIRST_STATUS_AFTER) => {
                if let Some(status) = issuer::initializing(&self.current.state, Timestamp::now()) {
                    self.write(status, vec![]).await;
                }
                preparation.await
            }
        }
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
                Some(feedback) = self.news.recv() => match feedback {
                    Feedback::Signed => {
                        self.history = self.history.signed(self.relapsed.map(|at| at.elapsed()));
                    }
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
        let plan = issuer::relapsed(&self.current.state, &message, self.history, moment());
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

    /// Carry out a plan, remember what it taught, and let the requests know.
    async fn execute(&mut self, plan: IssuerPlan, serving: Option<Arc<Serving>>) -> Next {
        let landed = match plan.status {
            Some(status) => self.write(status, plan.events).await,
            None => true,
        };
        if !landed {
            let (history, delay) = History::unwritten(plan.remember, rand::random());
            self.history = history;
            self.publish(None);
            return Next::After(delay);
        }
        self.history = History::written(plan.remember);
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
            feedback: self.feedback.clone(),
        };
        self.shared.registry.put(&self.current.key, entry);
    }

    /// Write the status onto the object that was read. False if it did not land; the newer object is on its way.
    async fn write(&mut self, status: NewIssuerStatus, events: Vec<Notice>) -> bool {
        let object = &self.current;
        let body = object.apply_body(&status);
        let written = apply_status(&self.shared.client, &object.collection, &object.key.name, &body).await;
        match written {
            Ok(version) => {
                if let Some(ready) = condition::find(&status.conditions, condition::READY) {
                    let (reason, message) = (&ready.reason, &ready.message);
                    info!(issuer = %object.key, reason, message, "status written");
                }
                self.shared.events.publish(&object.reference, events);
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
                if version != Version::Unknown && Some(&version) != read.get(&watch.dependency) {
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
