//! One Issuer's task: loads its plugin, reads its Secret, checks, writes its status, and starts over when something
//! that it depends on changes.

mod begun;
mod newest;
mod standing;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::field::Empty;
use tracing::{instrument, warn};
use wasm_issuer_core::issuance::condition;
use wasm_issuer_core::issuance::issuer::{
    self, Attempt, CheckFailure, CheckFailureKind, Credence, History, IssuerPlan, NewIssuerStatus,
};
use wasm_issuer_core::issuance::plan::{Next, Notice};

use self::begun::begun;
use super::complaints::Complaints;
use super::dependency::{Change, Dependencies};
use super::object::ObservedIssuer;
use super::prepare::{Preparation, Prepared};
use super::rest::Rest;
use super::shared::Shared;
use super::unanswered::Unanswered;
use super::wake::Wake;
use super::write::write;
use crate::api::IssuerKind;
use crate::operator::clock::moment;
use crate::operator::leadership::Fence;
use crate::operator::registry::{IssuerEntry, Serving};
use crate::policy::CurrentPolicy;

/// How soon after a change the next one may start a check: a folder of manifests is applied in one go.
const SETTLE: Duration = Duration::from_millis(50);

/// The task of one Issuer.
pub struct IssuerTask {
    shared: Arc<Shared>,
    object: watch::Receiver<Arc<ObservedIssuer>>,
    policy: CurrentPolicy,
    standing: watch::Receiver<Option<Fence>>,
    /// As long as this process works for the Issuer. Else it only keeps ready what that takes.
    fence: Option<Fence>,
    /// The object with this task's own writes, which the watch brings later.
    current: Arc<ObservedIssuer>,
    complaints: Complaints,
    history: History,
    /// Somebody did something about the Issuer, and its requests do not know yet.
    touched: bool,
    prepared: Option<Arc<Prepared>>,
    /// What signs.
    serving: Option<Arc<Serving>>,
    /// Why the plugin that the source holds is not the one in use.
    refused: Option<String>,
    dependencies: Dependencies,
    rest: Rest,
    unanswered: Unanswered,
}

impl IssuerTask {
    /// A task for the Issuer in this channel; it ends when the channel closes.
    pub fn new(shared: Arc<Shared>, object: watch::Receiver<Arc<ObservedIssuer>>) -> Self {
        let current = object.borrow().clone();
        let mut policy = shared.preparer.policy.clone();
        policy.mark_unchanged();
        let mut standing = shared.leadership.follow(&current.key.to_string());
        standing.mark_changed();
        Self {
            shared,
            object,
            policy,
            standing,
            fence: None,
            current,
            complaints: Complaints::new(),
            history: History::default(),
            touched: false,
            prepared: None,
            serving: None,
            refused: None,
            dependencies: Dependencies::default(),
            rest: Rest::default(),
            unanswered: Unanswered::default(),
        }
    }

    /// Serve the Issuer until it is deleted.
    pub async fn run(mut self) {
        let mut due = false;
        loop {
            if !due {
                self.take_newest();
                let (shared, current) = (&self.shared, &self.current);
                let namespace = shared.preparer.namespace_of(&current.key);
                self.dependencies.watch(&shared.watches, namespace, &current.spec);
                self.stop_what_is_outdated();
            }
            self.take_up();
            let (mut policy, mut standing) = (self.policy.clone(), self.standing.clone());
            let next = tokio::select! {
                // An Issuer that has nothing to do needs no room for what it does.
                next = Box::pin(self.work(due)) => next,
                Ok(()) = standing.changed() => {
                    due = self.is_prepared();
                    continue;
                }
                // What is being prepared is of no use any more, and what serves meanwhile must not.
                Ok(()) = policy.changed() => {
                    self.policy = policy;
                    due = false;
                    continue;
                }
            };
            let wake = match self.wait(next).await {
                Wake::NotReady(message) => Box::pin(self.relapse(&message)).await,
                wake => wake,
            };
            match wake {
                Wake::Deleted => return,
                Wake::Touched | Wake::Dependency => sleep(SETTLE).await,
                Wake::Policy | Wake::Standing | Wake::Due | Wake::NotReady(_) => {}
            }
            self.touched |= matches!(wake, Wake::Touched);
            due = match wake {
                Wake::Due => !self.is_outdated(),
                Wake::Standing => self.is_prepared(),
                _ => false,
            };
        }
    }

    /// Nothing is signed by a spec or under a policy that is not any more, and what is being signed is not published.
    fn stop_what_is_outdated(&mut self) {
        let preparer = &self.shared.preparer;
        if self.prepared.as_ref().is_some_and(|old| preparer.is_outdated(old, &self.current)) {
            self.serving = None;
            self.shared.registry.revoke(&self.current.key);
            self.publish();
        }
    }

    /// Load, check, write the status, and say when to check again. `due`: nothing has changed, it is only time.
    #[instrument(level = "error", name = "check", skip_all, fields(issuer = %self.current.key, outcome = Empty))]
    async fn attempt(&mut self, due: bool) -> Next {
        self.rest = Rest::default();
        self.complaints.begin_check();
        let Some(preparation) = self.prepare(due).await else {
            self.touched = true;
            return Next::After(Duration::ZERO);
        };
        let is_new = self.prepared.as_ref().is_some_and(|old| old.read != preparation.read);
        let credence = if is_new { Credence::Likely } else { self.complaints.credence() };
        self.report_unknown(&preparation.result);
        self.prepared = preparation.prepared;
        self.refused = preparation.refused.clone();
        self.dependencies.read = preparation.read;
        let candidate = self.prepared.as_ref().map(|prepared| prepared.serving.clone());
        let serves =
            self.serving.as_ref().zip(candidate.as_ref()).is_some_and(|(old, new)| Arc::ptr_eq(old, new));
        if !serves {
            self.complaints.forget_breaks();
        }
        let attempt = Attempt {
            result: preparation.result,
            credence,
            plugin: self.prepared.as_ref().map(|prepared| prepared.plugin_facts()),
            refused_plugin: preparation.refused,
            breaks: self.complaints.breaks(),
        };
        let interval = self.current.spec.check_interval.0;
        let checked =
            issuer::checked(&self.current.state, &attempt, serves, self.history, interval, moment());
        let next = self.execute(checked.plan, candidate.filter(|_| checked.serves)).await;
        let is_fine = attempt.result.is_ok() && self.refused.is_none() && self.history.write_failures == 0;
        if is_fine {
            self.rest = Rest::after_check(&self.current.spec, rand::random());
        }
        next
    }

    /// Load and check. An Issuer without a status gets its first one where this takes longer than the grace time. None
    /// if the spec has changed meanwhile.
    async fn prepare(&mut self, due: bool) -> Option<Preparation> {
        let shared = self.shared.clone();
        let observed = self.current.clone();
        let before = self.prepared.clone();
        let was_refused = self.refused.is_some();
        // What serves is checked as it is only where nothing else can have changed.
        let due = due && self.dependencies.are_known() && !observed.spec.plugin.may_move();
        let mut newer = self.object.clone();
        let preparation = Box::pin(async {
            match before {
                Some(before) if due && !was_refused && before.generation == observed.state.generation => {
                    shared.preparer.recheck(before).await
                }
                before => shared.preparer.prepare(&observed, before).await,
            }
        });
        let preparation = async {
            tokio::select! {
                preparation = preparation => Some(preparation),
                () = observed.other_spec(&mut newer) => None,
            }
        };
        tokio::pin!(preparation);
        let status = tokio::select! {
            preparation = &mut preparation => return preparation,
            status = begun(&shared.api, &observed) => status,
        };
        // Side by side: the preparation may hold a turn that the write waits for.
        futures::join!(preparation, self.write(status, vec![])).0
    }

    /// Wait for the next thing to do.
    async fn wait(&mut self, next: Next) -> Wake {
        let after_delay = || next.delay().map(|delay| Instant::now() + delay);
        let mut due = self.rests_until().or_else(after_delay);
        loop {
            let at = due.into_iter().chain(self.complaints.check_at()).min();
            let timer = async {
                match at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = self.object.changed() => match changed {
                    Err(_) => return Wake::Deleted,
                    Ok(()) if self.is_touched() => return Wake::Touched,
                    // A status, most likely this task's own write.
                    Ok(()) if self.fence.is_some() => self.take_newest(),
                    // Another process's. Requests go by it as soon as they are this one's.
                    Ok(()) => {
                        self.take_newest();
                        self.publish();
                    }
                },
                Ok(()) = self.policy.changed() => return Wake::Policy,
                Ok(()) = self.standing.changed() => {
                    self.standing.mark_changed();
                    return Wake::Standing;
                }
                change = self.dependencies.changed() => match change {
                    Change::News => return Wake::Dependency,
                    Change::Lost => due = due.min(after_delay()),
                },
                () = timer => match self.rests_until() {
                    // What it names is watched again.
                    Some(end) => due = Some(end),
                    None => return Wake::Due,
                },
                Some(feedback) = self.complaints.next() => {
                    let is_shared = self.current.key.kind == IssuerKind::Cluster;
                    let serving = self.serving.as_ref();
                    let fault = self.complaints.learn(feedback, serving, is_shared, &mut self.history);
                    if let Some(message) = fault {
                        return Wake::NotReady(message);
                    }
                }
            }
        }
    }

    /// Until when a check could say nothing new; none where one could now.
    fn rests_until(&self) -> Option<Instant> {
        let now = Instant::now();
        let is_called_for = self.complaints.check_at().is_some_and(|at| at <= now);
        let rests = !is_called_for && self.dependencies.are_known();
        self.rest.end().filter(|end| rests && *end > now)
    }

    /// Signing fails by the Issuer's fault: not ready until a check after a growing delay.
    #[instrument(level = "error", skip_all, fields(issuer = %self.current.key, outcome = Empty))]
    async fn relapse(&mut self, message: &str) -> Wake {
        self.rest = Rest::default();
        let plan = issuer::relapsed(&self.current.state, message, self.history, moment());
        let next = self.execute(plan, None).await;
        self.wait(next).await
    }

    /// Carry out a plan, remember what it taught, and let the requests know.
    async fn execute(&mut self, plan: IssuerPlan, serving: Option<Arc<Serving>>) -> Next {
        let landed = match plan.status {
            Some(status) => self.write(status, plan.events).await,
            None => true,
        };
        // Requests look at the status as it is, too: what may not sign by that does not sign.
        self.serving = serving;
        self.publish();
        if !landed {
            let (history, delay) = History::write_failed(plan.remember, rand::random());
            self.history = history;
            return Next::After(delay);
        }
        self.history = History::written(plan.remember);
        if self.touched && self.serving.is_some() {
            self.touched = false;
            self.shared.registry.touched(&self.current.key);
        }
        plan.next
    }

    fn publish(&self) {
        let state = &self.current.state;
        let entry = IssuerEntry {
            uid: self.current.uid().to_owned(),
            generation: state.generation,
            ready: condition::find(&state.conditions, condition::READY).cloned(),
            serving: self.serving.clone(),
            feedback: self.complaints.sender(),
        };
        self.shared.registry.put(&self.current.key, entry);
    }

    /// Write the status onto the object that was read. False if it did not land.
    async fn write(&mut self, status: NewIssuerStatus, events: Vec<Notice>) -> bool {
        let Some(fence) = &self.fence else { return false };
        let target = match write(&self.shared, fence, &self.current, &status, events).await {
            Ok(target) => target,
            Err(unanswered) => {
                self.unanswered = unanswered;
                return false;
            }
        };
        self.unanswered = Unanswered::default();
        let current = Arc::make_mut(&mut self.current);
        current.target = target;
        current.state.conditions = status.conditions;
        current.state.plugin = status.plugin;
        // An older CustomResourceDefinition may have no place for what is new.
        current.state.is_old = false;
        true
    }

    /// Tell those who run the operator what no status says.
    fn report_unknown(&self, result: &Result<(), CheckFailure>) {
        if let Err(CheckFailure { message, kind: CheckFailureKind::Unknown }) = result {
            warn!(error = message, "the Issuer could not be checked; it stays as it is");
        }
    }
}
