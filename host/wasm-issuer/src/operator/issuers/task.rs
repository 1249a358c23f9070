//! One Issuer's task: loads its plugin, reads its Secret, checks, writes its status, and starts over when something
//! that it depends on changes.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::field::Empty;
use tracing::{Span, info, instrument, warn};
use wasm_issuer_core::issuance::condition;
use wasm_issuer_core::issuance::issuer::{
    self, Attempt, CheckFailure, CheckFailureKind, Credence, History, IssuerPlan, NewIssuerStatus,
};
use wasm_issuer_core::issuance::plan::{FIRST_STATUS_AFTER, Next, Notice};

use super::complaints::Complaints;
use super::dependency::{Change, Dependencies};
use super::object::{self, ObservedIssuer};
use super::place::owner;
use super::prepare::{Preparation, Prepared};
use super::rest::Rest;
use super::shared::Shared;
use super::unanswered::Unanswered;
use super::wake::Wake;
use crate::api::IssuerKind;
use crate::operator::apply::{ApplyError, apply_status};
use crate::operator::clock::moment;
use crate::operator::registry::{IssuerEntry, Serving};
use crate::policy::CurrentPolicy;

/// How soon after a change the next one may start a check: a folder of manifests is applied in one go.
const SETTLE: Duration = Duration::from_millis(50);

/// The task of one Issuer.
pub struct IssuerTask {
    shared: Arc<Shared>,
    object: watch::Receiver<Arc<ObservedIssuer>>,
    policy: CurrentPolicy,
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
        Self {
            shared,
            object,
            policy,
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
        // What its status says is true until a check says otherwise: requests wait for the plugin, silently.
        self.publish();
        let mut due = false;
        loop {
            if !due {
                self.take_newest();
                let (shared, current) = (&self.shared, &self.current);
                let namespace = shared.preparer.namespace_of(&current.key);
                self.dependencies.watch(&shared.watches, namespace, &current.spec);
                self.stop_what_is_outdated();
            }
            let mut policy = self.policy.clone();
            let next = tokio::select! {
                // An Issuer that has nothing to do needs no room for what it does.
                next = Box::pin(self.attempt(due)) => next,
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
                Wake::Policy | Wake::Due | Wake::NotReady(_) => {}
            }
            self.touched |= matches!(wake, Wake::Touched);
            due = matches!(wake, Wake::Due) && !self.is_outdated();
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
        let attempt = Attempt {
            result: preparation.result,
            credence,
            plugin: self.prepared.as_ref().map(|prepared| prepared.plugin_facts()),
            refused_plugin: preparation.refused,
        };
        let candidate = self.prepared.as_ref().map(|prepared| prepared.serving.clone());
        let serves =
            self.serving.as_ref().zip(candidate.as_ref()).is_some_and(|(old, new)| Arc::ptr_eq(old, new));
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
        let due = due && self.dependencies.are_known();
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
        tokio::select! {
            preparation = &mut preparation => return preparation,
            () = sleep(FIRST_STATUS_AFTER) => {}
        }
        match issuer::initializing(&self.current.state, Timestamp::now()) {
            // Side by side: the preparation may hold a turn that the write waits for.
            Some(status) => futures::join!(preparation, self.write(status, vec![])).0,
            None => preparation.await,
        }
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
                    Ok(()) => self.take_newest(),
                },
                Ok(()) = self.policy.changed() => return Wake::Policy,
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

    /// Whether the watch has brought a spec that is not the one looked at.
    fn is_outdated(&self) -> bool {
        self.current.has_other_spec(&self.object.borrow())
    }

    fn is_touched(&self) -> bool {
        let newest = self.object.borrow();
        !newest.target.is_older_than(&self.current.target) && self.current.is_touched_by(&newest)
    }

    /// Take in what the watch has brought, unless it is older than what this task wrote.
    fn take_newest(&mut self) {
        let newest = self.object.borrow_and_update();
        if !newest.target.is_older_than(&self.current.target) {
            self.current = newest.clone();
        }
        drop(newest);
        let events = self.unanswered.landed(&self.current.state.conditions);
        self.shared.events.publish(&self.current.target.reference, events);
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

    /// Write the status onto the object that was read. False if it did not land; the newer object is on its way.
    async fn write(&mut self, status: NewIssuerStatus, events: Vec<Notice>) -> bool {
        let (observed, api) = (&self.current, &self.shared.api);
        let turn = api.turn(&owner(&observed.key)).await;
        let content = object::status(&status);
        let written = Box::pin(apply_status(&api.client, &observed.target, &content)).await;
        drop(turn);
        self.shared.metrics.wrote_status(&observed.target.reference, &written);
        match written {
            Ok(target) => {
                if let Some(ready) = condition::find(&status.conditions, condition::READY) {
                    Span::current().record("outcome", &ready.reason);
                    info!(reason = ready.reason, said = ready.message, "status written");
                }
                self.shared.events.publish(&observed.target.reference, events);
                self.unanswered = Unanswered::default();
                let current = Arc::make_mut(&mut self.current);
                current.target = target;
                current.state.conditions = status.conditions;
                current.state.plugin = status.plugin;
                true
            }
            // Deleted: the watch says so in a moment.
            Err(ApplyError::Conflict | ApplyError::Gone) => false,
            Err(error) => {
                warn!(%error, "could not write the status");
                self.unanswered = Unanswered::after(&error, &status, events);
                false
            }
        }
    }

    /// Tell those who run the operator what no status says.
    fn report_unknown(&self, result: &Result<(), CheckFailure>) {
        if let Err(CheckFailure { message, kind: CheckFailureKind::Unknown }) = result {
            warn!(error = message, "the Issuer could not be checked; it stays as it is");
        }
    }
}
