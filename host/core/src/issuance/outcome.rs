//! The decisions about one request after its plugin was called: what the outcome means.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::backoff::Backoff;
use super::condition::{
    self, APPROVED, Condition, DENIED, FAILED, FALSE, INVALID_REQUEST, NOT_BEFORE, READY, RESUME, TRUE,
};
use super::plan::{Moment, Next, Notice, Plan, RequestStatus, SYNC_FAILED, SYNCED};
use super::reason::{ConditionReason, EventReason};
use super::request::{RequestPlan, RequestView, RetryPolicy, Tries};
use super::request_kind::RequestKind;
use super::signer::{Failure, FailureCondition, FailureKind};
use super::verify::{Mismatch, Verified};
use crate::text::{self, MAX_MESSAGE};

/// The bounds of the time between two polls of a pending request.
const POLL: Backoff = Backoff { min: Duration::from_secs(1), max: Duration::from_secs(60) };
/// The longest time between two polls, whatever a plugin asks for.
const MAX_POLL: Duration = Duration::from_secs(3600);
/// A wait is worth a write from here on; a restart takes as long as a shorter one.
const LASTING: Duration = Duration::from_secs(10);
/// How many refused certificates a request may bring before it fails for good.
const MAX_REFUSALS: u32 = 3;
/// How many conditions a plugin may add to a request: every write carries them all.
const MAX_CONDITIONS: usize = 4;

/// Why a request can never be signed, whoever is asked: its CSR, its spec or its requester is at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsignable {
    /// For machines; only a CertificateSigningRequest shows it.
    pub reason: ConditionReason,
    /// For people.
    pub message: String,
}

impl From<String> for Unsignable {
    fn from(message: String) -> Self {
        Self { reason: ConditionReason::Failed, message }
    }
}

/// The plan for a request that was signed and verified.
pub fn issued(view: &RequestView, verified: Verified, remember: Tries, now: Timestamp) -> RequestPlan {
    let message = format!("Succeeded signing the {}", view.kind);
    let mut status = view.status(TRUE, ConditionReason::Issued, &message, now);
    status.conditions.retain(|c| ![RESUME, NOT_BEFORE].contains(&c.type_.as_str()));
    status.certificate = Some(verified.certificate);
    status.ca = verified.ca;
    let mut events = vec![Notice::normal(EventReason::Issued, SYNCED, &message)];
    if !verified.warnings.is_empty() {
        let all: Vec<String> = verified.warnings.iter().map(ToString::to_string).collect();
        let note = format!(
            "The certificate differs from the request (spec.verification.mode: Strict would refuse it): {}",
            all.join("; ")
        );
        events.push(Notice::warning(EventReason::CertificateDiffers, SYNCED, &note));
    }
    if !verified.dropped.is_empty() {
        let note = format!(
            "CA certificates that the plugin returned are not published, as the chain does not lead to them and they are \
             in none of the Issuer's Secrets (spec.authSecretName, spec.verification.caSecretName): {}",
            text::list(verified.dropped.iter(), 600)
        );
        events.push(Notice::warning(EventReason::CaCertificatesDropped, SYNCED, &note));
    }
    Plan { status: Some(status), events, next: Next::Settled, remember }
}

/// The plan for a request that can never be signed.
pub fn invalid(view: &RequestView, why: &Unsignable, remember: Tries, now: Timestamp) -> RequestPlan {
    let mut plan = failed(view, why.reason, &why.message, remember, now);
    // cert-manager alone knows this condition.
    if view.kind == RequestKind::CertificateRequest
        && let Some(status) = &mut plan.status
    {
        let message = text::clean(&why.message, MAX_MESSAGE);
        condition::set(
            &mut status.conditions,
            Condition::new(INVALID_REQUEST, TRUE, ConditionReason::InvalidRequest, message, now),
        );
    }
    plan
}

/// What tells of a CertificateSigningRequest that failed for this reason.
fn event_of(reason: ConditionReason) -> EventReason {
    match reason {
        ConditionReason::DeniedReference => EventReason::DeniedReference,
        ConditionReason::InvalidDuration => EventReason::InvalidDuration,
        ConditionReason::ErrorParseDuration => EventReason::ErrorParseDuration,
        _ => EventReason::PermanentError,
    }
}

/// The plan for a request that failed for good.
fn failed(
    view: &RequestView,
    reason: ConditionReason,
    error: &str,
    remember: Tries,
    now: Timestamp,
) -> RequestPlan {
    let message = match view.kind {
        RequestKind::CertificateRequest => format!("Failed permanently to sign CertificateRequest: {error}"),
        RequestKind::CertificateSigningRequest if reason == ConditionReason::Failed => {
            format!("CertificateSigningRequest has failed permanently: {error}")
        }
        RequestKind::CertificateSigningRequest => error.to_owned(),
    };
    let mut status = view.status(FALSE, ConditionReason::Failed, &message, now);
    status.conditions.retain(|c| ![RESUME, NOT_BEFORE].contains(&c.type_.as_str()));
    status.failure_time = Some(now);
    let mut event = EventReason::PermanentError;
    if view.kind == RequestKind::CertificateSigningRequest {
        let message = text::clean(&message, MAX_MESSAGE);
        condition::set(&mut status.conditions, Condition::new(FAILED, TRUE, reason, message, now));
        event = event_of(reason);
    }
    Plan {
        status: Some(status),
        events: vec![Notice::warning(event, SYNC_FAILED, &message)],
        next: Next::Settled,
        remember,
    }
}

/// The plan for a request whose certificate was refused, at the `now` of `moment`. A CA's clock or a stale answer may be
/// at fault, so it is asked for again, though not for long: each try leaves one more such certificate at the CA.
pub fn refused(
    view: &RequestView,
    why: &Mismatch,
    policy: &RetryPolicy,
    issuer_ready_since: Option<Timestamp>,
    tries: Tries,
    moment: Moment,
) -> RequestPlan {
    let tries = Tries { refusals: tries.refusals.saturating_add(1), ..tries };
    let kind = if tries.refusals < MAX_REFUSALS {
        FailureKind::Retry { after: None }
    } else {
        FailureKind::Permanent
    };
    let message = format!("the certificate that the plugin returned was refused: {why}");
    failure(view, &Failure { kind, message, condition: None }, policy, issuer_ready_since, tries, moment)
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
    tries: Tries,
    moment: Moment,
) -> RequestPlan {
    let now = moment.now;
    let tries = Tries { not_before: None, hurried: false, ..tries };
    let failed_again = Tries { failures: tries.failures.saturating_add(1), polls: 0, ..tries };
    let backoff = |after| policy.backoff.delay(failed_again.failures, moment.jitter, after);
    let mut plan = match &failure.kind {
        FailureKind::Permanent => failed(view, ConditionReason::Failed, &failure.message, tries, now),
        // Its Issuer's own task finds out what is to be made of it; the request never fails for it.
        FailureKind::Issuer => {
            let again = Again { delay: backoff(None), wish: None, until: None };
            retried(view, &failure.message, again, failed_again, now)
        }
        FailureKind::Pending { resume, poll_after } => {
            let polled_again = Tries { polls: tries.polls.saturating_add(1), failures: 0, ..tries };
            pending(view, &failure.message, resume.as_deref(), *poll_after, polled_again, moment)
        }
        FailureKind::Retry { after } => {
            let end = give_up_at(view, policy, issuer_ready_since);
            if now > end {
                failed(view, ConditionReason::Failed, &failure.message, tries, now)
            } else {
                // Once more when the time is over, whatever the CA wishes: then the request is told the truth.
                let left = end.duration_since(now).unsigned_abs().saturating_add(Duration::from_secs(1));
                let again = Again { delay: backoff(*after).min(left), wish: *after, until: Some(end) };
                retried(view, &failure.message, again, failed_again, now)
            }
        }
    };
    if let Some(wanted) = &failure.condition {
        add_condition(view, &mut plan, wanted, &failure.message, now);
    }
    plan
}

/// When a request is tried again.
struct Again {
    delay: Duration,
    /// What the CA asked for.
    wish: Option<Duration>,
    /// When the last try is; none where there is no end to them.
    until: Option<Timestamp>,
}

impl Again {
    /// In words, for the status: an Event is counted by its text, and the next one would be another. What differs from try to
    /// try is told of a wait that lasts, and else not: each time would be a write, and a tenant has many requests.
    fn words(&self, attempts: u32, now: Timestamp) -> String {
        let second = |at: Timestamp| Timestamp::from_second(at.as_second()).unwrap_or(at);
        let lasts = SignedDuration::try_from(self.delay).ok().filter(|_| self.delay >= LASTING);
        let next = lasts.and_then(|delay| now.checked_add(delay).ok());
        let next = next.map(|at| format!("attempt {attempts}, the next at {}", second(at)));
        let until = self.until.map(|at| format!("tried until {}", second(at)));
        let words: Vec<String> = next.into_iter().chain(until).collect();
        if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) }
    }
}

/// The plan for a request that is tried again.
fn retried(view: &RequestView, error: &str, again: Again, tries: Tries, now: Timestamp) -> RequestPlan {
    let message = format!("Failed to sign {}, will retry: {error}", view.kind);
    let words = again.words(tries.attempts, now);
    let shown = text::clean(&message, MAX_MESSAGE.saturating_sub(words.len()));
    let mut status = view.status(FALSE, ConditionReason::Pending, &format!("{shown}{words}"), now);
    let Again { delay, wish, .. } = again;
    let not_before = rest(&mut status, wish.map(|_| delay), now);
    Plan {
        status: view.if_changed(status),
        events: vec![Notice::warning(EventReason::RetryableError, SYNC_FAILED, &message)],
        next: if wish.is_some() { Next::After(delay) } else { Next::WithIssuerOrAfter(delay) },
        remember: Tries { not_before, ..tries },
    }
}

/// Note in a status how long the CA wants to be left alone, or that it has no such wish; when that ends.
fn rest(status: &mut RequestStatus, wish: Option<Duration>, now: Timestamp) -> Option<Timestamp> {
    status.conditions.retain(|c| c.type_ != NOT_BEFORE);
    let until = now.checked_add(SignedDuration::try_from(wish?).ok()?).ok()?;
    if wish? >= LASTING {
        // In whole seconds, and never sooner than asked.
        let text = Timestamp::from_second(until.as_second() + 1).ok()?.to_string();
        status.conditions.push(Condition::new(NOT_BEFORE, TRUE, ConditionReason::RetryAfter, text, now));
    }
    Some(until)
}

fn pending(
    view: &RequestView,
    reason: &str,
    resume: Option<&str>,
    poll_after: Option<Duration>,
    remember: Tries,
    moment: Moment,
) -> RequestPlan {
    let message = format!("Signing still in progress. Reason: {reason}");
    let mut status = view.status(FALSE, ConditionReason::Pending, &message, moment.now);
    if let Some(token) = resume {
        condition::set(
            &mut status.conditions,
            Condition::new(RESUME, TRUE, ConditionReason::Pending, token, moment.now),
        );
    }
    let wish = poll_after.map(|wish| wish.clamp(POLL.min, MAX_POLL));
    let not_before = rest(&mut status, wish, moment.now);
    let status = view.if_changed(status);
    let is_news = |status: &RequestStatus| ready_differs(view, status);
    let events = status
        .iter()
        .filter(|s| is_news(s))
        .map(|_| Notice::normal(EventReason::Pending, SYNCED, &message))
        .collect();
    let delay = wish.unwrap_or_else(|| POLL.delay(remember.polls, moment.jitter, None));
    Plan { status, events, next: Next::After(delay), remember: Tries { not_before, ..remember } }
}

/// Whether a status says something else of Ready, or has another token: a new time to ask again alone is nothing to tell.
fn ready_differs(view: &RequestView, status: &RequestStatus) -> bool {
    [READY, RESUME]
        .iter()
        .any(|type_| condition::find(&view.conditions, type_) != condition::find(&status.conditions, type_))
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
    plan: &mut RequestPlan,
    wanted: &FailureCondition,
    message: &str,
    now: Timestamp,
) {
    if [READY, APPROVED, DENIED, FAILED, RESUME, NOT_BEFORE].contains(&wanted.type_.as_str()) {
        return;
    }
    let before = condition::find(&view.conditions, &wanted.type_);
    let ours = [READY, FAILED, RESUME, NOT_BEFORE];
    let others = view.owned.iter().filter(|o| !ours.contains(&o.as_str()) && **o != wanted.type_);
    if before.is_none() && others.count() >= MAX_CONDITIONS {
        return;
    }
    let message = text::clean(message, MAX_MESSAGE);
    let new = Condition::for_reason(&wanted.type_, wanted.status, &wanted.reason, message, now);
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
