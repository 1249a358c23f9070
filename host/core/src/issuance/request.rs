//! The decisions about one CertificateRequest: first whether to sign it, then what its outcome means.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::backoff::Backoff;
use super::condition::{
    self, APPROVED, Condition, DENIED, FALSE, INVALID_REQUEST, READY, RESUME, TRUE, UNKNOWN,
};
use super::plan::{Moment, Next, Notice, Plan, RequestStatus, SYNC_FAILED, SYNCED};
use super::signer::{Failure, FailureKind};
use super::verify::Verified;
use crate::text::{self, MAX_MESSAGE};

/// How long a request may wait for an approver before somebody is told.
const APPROVAL_PATIENCE: SignedDuration = SignedDuration::from_secs(60);
/// How long the first status may wait for the final one, so that most requests cost one write.
pub const GRACE: Duration = Duration::from_millis(250);
/// The bounds of the time between two polls of a pending request.
const POLL: Backoff = Backoff { min: Duration::from_secs(1), max: Duration::from_secs(60) };
/// How many conditions a plugin may add to a request: every write carries them all.
const MAX_CONDITIONS: usize = 4;
const MAX_POLL: Duration = Duration::from_secs(3600);

/// What is observed of a CertificateRequest that refers to one of our kinds.
#[derive(Clone, Debug)]
pub struct RequestView {
    /// All of its conditions.
    pub conditions: Vec<Condition>,
    /// The types of those that this operator wrote, by the object's managed fields.
    pub owned: Vec<String>,
    /// `metadata.creationTimestamp`.
    pub created: Timestamp,
    /// How its Issuer is called in messages.
    pub issuer: IssuerName,
}

/// How an Issuer is called in messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerName {
    /// `spec.issuerRef.kind` with its default applied.
    pub kind: String,
    /// `spec.issuerRef.name`.
    pub name: String,
}

/// What is observed of the Issuer.
#[derive(Clone, Debug)]
pub enum IssuerView {
    /// There is none.
    Missing,
    /// It exists.
    Present {
        /// `metadata.generation`.
        generation: i64,
        /// Its Ready condition.
        ready: Option<Condition>,
        /// Whether a plugin is loaded and checked in this process.
        serving: bool,
    },
}

/// How long to go on trying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How long after its retry window opened a request may still be retried.
    pub max_duration: Duration,
    /// The delays between tries.
    pub backoff: Backoff,
}

/// What happened to earlier tries; in memory only, so that a restart tries at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tries {
    /// Failures in a row that were not `pending`.
    pub failures: u32,
    /// Answers of `pending` in a row.
    pub polls: u32,
    /// Whether the missing approval was reported.
    pub told_unapproved: bool,
    /// Whether it was looked at before while its Issuer's plugin was being loaded.
    pub told_waiting: bool,
    /// Writes of its status that failed in a row.
    pub write_failures: u32,
}

/// What to do with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Carry out this plan; there is nothing to sign (yet).
    Act(Plan<RequestStatus>),
    /// The Issuer is ready by its status but this process is still loading its plugin.
    AwaitPlugin,
    /// Sign it.
    Sign,
}

impl RequestView {
    fn ready(&self) -> Option<&Condition> {
        condition::find(&self.conditions, READY)
    }

    fn holds(&self, type_: &str) -> bool {
        condition::find(&self.conditions, type_).is_some_and(|c| c.status == TRUE)
    }

    /// Whether nothing is left to do for ever.
    pub fn is_finished(&self) -> bool {
        self.ready().is_some_and(|r| {
            r.status == TRUE || (r.status == FALSE && (r.reason == "Failed" || r.reason == DENIED))
        })
    }

    /// Whether it may be signed.
    pub fn is_approved(&self) -> bool {
        self.holds(APPROVED) && !self.holds(DENIED)
    }

    /// The plugin's token of the last `pending`.
    pub fn resume(&self) -> Option<&str> {
        condition::find(&self.conditions, RESUME).map(|c| c.message.as_str())
    }

    /// The conditions that this operator owns now.
    fn owned_conditions(&self) -> Vec<Condition> {
        self.conditions.iter().filter(|c| self.owned.contains(&c.type_)).cloned().collect()
    }

    /// A status with Ready set to this, and the other owned conditions as they are.
    fn status(&self, status: &str, reason: &str, message: &str, now: Timestamp) -> RequestStatus {
        let mut conditions = self.owned_conditions();
        // A Ready that somebody else wrote is still what its transition time is compared with.
        if let Some(ready) = self.ready().filter(|_| !self.owned.iter().any(|o| o == READY)) {
            conditions.push(ready.clone());
        }
        let message = text::clean(message, MAX_MESSAGE);
        condition::set(&mut conditions, Condition::new(READY, status, reason, message, now));
        RequestStatus { conditions, ..RequestStatus::default() }
    }

    /// The status if it differs from what the object has.
    fn if_changed(&self, status: RequestStatus) -> Option<RequestStatus> {
        let same = status.conditions.iter().all(|c| self.conditions.contains(c))
            && self.owned.iter().all(|o| condition::find(&status.conditions, o).is_some());
        (!same || status.certificate.is_some() || status.failure_time.is_some()).then_some(status)
    }

    /// Wait for something that is not the request's: told once for each reason.
    fn wait(&self, message: &str, event: &'static str, now: Timestamp) -> Gate {
        let status = self.if_changed(self.status(FALSE, "Pending", message, now));
        let events = status.iter().map(|_| Notice::normal(event, SYNCED, message)).collect();
        Gate::Act(Plan { status, events, next: Next::WithIssuer })
    }
}

/// Whether to sign the request, and if not, what to do instead.
pub fn gate(view: &RequestView, issuer: &IssuerView, tries: &mut Tries, moment: Moment) -> Gate {
    let now = moment.now;
    if view.is_finished() {
        return Gate::Act(Plan { status: None, events: vec![], next: Next::Settled });
    }
    if view.holds(DENIED) {
        return Gate::Act(denied(view, now));
    }
    if !view.holds(APPROVED) {
        return Gate::Act(unapproved(view, tries, now));
    }
    let IssuerView::Present { generation, ready, serving } = issuer else {
        let IssuerName { kind, name } = &view.issuer;
        let message = format!(r#"{kind}.{} "{name}" not found. Waiting for it to be created."#, super::GROUP);
        return view.wait(&message, "WaitingForIssuerExist", now);
    };
    let current = match ready {
        None => "<none>.".to_owned(),
        Some(r) if r.observed_generation.is_some_and(|g| g < *generation) => "is outdated.".to_owned(),
        Some(r) if r.status != TRUE => format!(r#"is "{}": {}."#, r.reason, r.message),
        Some(_) if !serving => return Gate::AwaitPlugin,
        Some(_) => return Gate::Sign,
    };
    let colon = if ready.is_none() { ":" } else { "" };
    let message =
        format!("Waiting for issuer to become ready. Current issuer ready condition{colon} {current}");
    view.wait(&message, "WaitingForIssuerReady", now)
}

fn denied(view: &RequestView, now: Timestamp) -> Plan<RequestStatus> {
    let message = "Detected that the CertificateRequest is denied, so it will never be Ready.";
    let mut status = view.status(FALSE, DENIED, message, now);
    status.failure_time = Some(now);
    let events = vec![Notice::warning("PermanentError", SYNC_FAILED, message)];
    Plan { status: Some(status), events, next: Next::Settled }
}

fn unapproved(view: &RequestView, tries: &mut Tries, now: Timestamp) -> Plan<RequestStatus> {
    let left = APPROVAL_PATIENCE - now.duration_since(view.created);
    if tries.told_unapproved {
        return Plan { status: None, events: vec![], next: Next::Settled };
    }
    if left.is_positive() {
        return Plan { status: None, events: vec![], next: Next::After(left.unsigned_abs()) };
    }
    tries.told_unapproved = true;
    let plural = format!("{}s.{}", view.issuer.kind.to_lowercase(), super::GROUP);
    let note = format!(
        "Nobody has approved or denied this CertificateRequest for {} s. cert-manager's approver does so where \
         its ServiceAccount may \"approve\" signers.cert-manager.io named \"{plural}/*\" (see \
         deploy/install/approver.yaml); otherwise run `cmctl approve`.",
        APPROVAL_PATIENCE.as_secs()
    );
    Plan {
        status: None,
        events: vec![Notice::warning("WaitingApproval", SYNCED, &note)],
        next: Next::Settled,
    }
}

/// The status that says that work has begun, for when the final one takes longer than [`GRACE`].
pub fn initializing(view: &RequestView, now: Timestamp) -> Option<RequestStatus> {
    if view.ready().is_some() {
        return None;
    }
    let message = format!("{} has started reconciling this CertificateRequest", super::FIELD_MANAGER);
    Some(view.status(UNKNOWN, "Initializing", &message, now))
}

/// The plan for a request that was signed and verified.
pub fn issued(view: &RequestView, verified: Verified, now: Timestamp) -> Plan<RequestStatus> {
    const MESSAGE: &str = "Succeeded signing the CertificateRequest";
    let mut status = view.status(TRUE, "Issued", MESSAGE, now);
    status.conditions.retain(|c| c.type_ != RESUME);
    status.certificate = Some(verified.certificate);
    status.ca = verified.ca;
    let mut events = vec![Notice::normal("Issued", SYNCED, MESSAGE)];
    if !verified.warnings.is_empty() {
        let all: Vec<String> = verified.warnings.iter().map(ToString::to_string).collect();
        let note = format!(
            "The certificate differs from the request (spec.verification: Strict would refuse it): {}",
            all.join("; ")
        );
        events.push(Notice::warning("CertificateDiffers", SYNCED, &note));
    }
    Plan { status: Some(status), events, next: Next::Settled }
}

/// The plan for a request that can never be signed, whoever is asked: its CSR or its spec is at fault.
pub fn invalid(view: &RequestView, message: &str, now: Timestamp) -> Plan<RequestStatus> {
    let mut plan = failed(view, message, now);
    if let Some(status) = &mut plan.status {
        let message = text::clean(message, MAX_MESSAGE);
        condition::set(
            &mut status.conditions,
            Condition::new(INVALID_REQUEST, TRUE, "InvalidRequest", message, now),
        );
    }
    plan
}

/// The plan for a request that failed for good.
pub fn failed(view: &RequestView, message: &str, now: Timestamp) -> Plan<RequestStatus> {
    let message = format!("Failed permanently to sign CertificateRequest: {message}");
    let mut status = view.status(FALSE, "Failed", &message, now);
    status.conditions.retain(|c| c.type_ != RESUME);
    status.failure_time = Some(now);
    Plan {
        status: Some(status),
        events: vec![Notice::warning("PermanentError", SYNC_FAILED, &message)],
        next: Next::Settled,
    }
}

/// The plan for a request whose signing did not succeed.
///
/// `issuer_ready_since` is when the Issuer became ready last: an outage of the Issuer does not use up the
/// request's time.
pub fn failure(
    view: &RequestView,
    failure: &Failure,
    policy: &RetryPolicy,
    issuer_ready_since: Option<Timestamp>,
    tries: &mut Tries,
    moment: Moment,
) -> Plan<RequestStatus> {
    let now = moment.now;
    let mut plan = match &failure.kind {
        FailureKind::Permanent => failed(view, &failure.message, now),
        FailureKind::Issuer => {
            // A try of its own each: one request that always ends like this must not hold its Issuer down for ever.
            tries.failures = tries.failures.saturating_add(1);
            let next = Next::After(policy.backoff.delay(tries.failures, moment.jitter, None));
            Plan { next, ..waiting_for_issuer(view, &failure.message, now) }
        }
        FailureKind::Pending { resume, poll_after } => {
            pending(view, failure, resume.as_deref(), *poll_after, tries, moment)
        }
        FailureKind::Retry { .. } if now > give_up_at(view, policy, issuer_ready_since) => {
            failed(view, &failure.message, now)
        }
        FailureKind::Retry { after } => {
            tries.failures = tries.failures.saturating_add(1);
            tries.polls = 0;
            let message = format!("Failed to sign CertificateRequest, will retry: {}", failure.message);
            let status = view.status(FALSE, "Pending", &message, now);
            Plan {
                status: view.if_changed(status),
                events: vec![Notice::warning("RetryableError", SYNC_FAILED, &message)],
                next: Next::After(policy.backoff.delay(tries.failures, moment.jitter, *after)),
            }
        }
    };
    if let Some(wanted) = &failure.condition {
        add_condition(view, &mut plan, wanted, &failure.message, now);
    }
    plan
}

fn waiting_for_issuer(view: &RequestView, error: &str, now: Timestamp) -> Plan<RequestStatus> {
    let message = format!(
        r#"Waiting for issuer to become ready. Current issuer ready condition is "Pending": Not ready yet: {error}."#
    );
    let status = view.if_changed(view.status(FALSE, "Pending", &message, now));
    let events = status.iter().map(|_| Notice::normal("WaitingForIssuerReady", SYNCED, &message)).collect();
    Plan { status, events, next: Next::WithIssuer }
}

fn pending(
    view: &RequestView,
    failure: &Failure,
    resume: Option<&str>,
    poll_after: Option<Duration>,
    tries: &mut Tries,
    moment: Moment,
) -> Plan<RequestStatus> {
    tries.polls = tries.polls.saturating_add(1);
    tries.failures = 0;
    let message = format!("Signing still in progress. Reason: {}", failure.message);
    let mut status = view.status(FALSE, "Pending", &message, moment.now);
    if let Some(token) = resume {
        condition::set(&mut status.conditions, Condition::new(RESUME, TRUE, "Pending", token, moment.now));
    }
    let status = view.if_changed(status);
    let events = status.iter().map(|_| Notice::normal("Pending", SYNCED, &message)).collect();
    let next = match poll_after {
        Some(wish) => wish.clamp(POLL.min, MAX_POLL),
        None => POLL.delay(tries.polls, moment.jitter, None),
    };
    Plan { status, events, next: Next::After(next) }
}

/// When retries end: the window opens when all that the request waited for was there.
fn give_up_at(view: &RequestView, policy: &RetryPolicy, issuer_ready_since: Option<Timestamp>) -> Timestamp {
    let approved = condition::find(&view.conditions, APPROVED).and_then(|c| c.last_transition);
    let opened = [Some(view.created), approved, issuer_ready_since].into_iter().flatten().max();
    let window = SignedDuration::try_from(policy.max_duration).unwrap_or(SignedDuration::MAX);
    opened.unwrap_or(view.created).checked_add(window).unwrap_or(Timestamp::MAX)
}

/// Set the condition that a plugin asked for, if the plan does not write a status already, on top of what is there.
fn add_condition(
    view: &RequestView,
    plan: &mut Plan<RequestStatus>,
    wanted: &super::signer::FailureCondition,
    message: &str,
    now: Timestamp,
) {
    if [READY, APPROVED, DENIED, RESUME].contains(&wanted.type_.as_str()) {
        return;
    }
    let before = condition::find(&view.conditions, &wanted.type_);
    let others = view.owned.iter().filter(|o| ![READY, RESUME].contains(&o.as_str()) && **o != wanted.type_);
    if before.is_none() && others.count() >= MAX_CONDITIONS {
        return;
    }
    let message = text::clean(message, MAX_MESSAGE);
    let new = Condition::new(&wanted.type_, wanted.status, &wanted.reason, message, now);
    let mut status = plan
        .status
        .clone()
        .unwrap_or_else(|| RequestStatus { conditions: view.owned_conditions(), ..RequestStatus::default() });
    if let Some(before) = before.filter(|b| condition::find(&status.conditions, &b.type_).is_none()) {
        status.conditions.push(before.clone());
    }
    condition::set(&mut status.conditions, new);
    plan.status = match plan.status {
        Some(_) => Some(status),
        None => view.if_changed(status),
    };
}

#[cfg(test)]
mod tests;
