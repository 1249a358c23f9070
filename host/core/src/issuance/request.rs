//! The decisions about one request before it is signed: whether to sign it, and what to do if not.
//! [`super::outcome`] decides what comes of it, [`super::write`] what to do when that cannot be written.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::approval;
use super::backoff::Backoff;
use super::condition::{
    self, APPROVED, Condition, DENIED, FAILED, FALSE, NOT_BEFORE, READY, RESUME, TRUE, UNKNOWN,
};
use super::plan::{FIRST_STATUS_AFTER, Next, Notice, Plan, RequestStatus, SYNC_FAILED, SYNCED};
use super::request_issuer::IssuerView;
use super::request_kind::RequestKind;
use crate::text::{self, MAX_MESSAGE};

/// How long a request may wait for an approver before somebody is told.
const APPROVAL_PATIENCE: SignedDuration = SignedDuration::from_secs(60);

/// What to do about a request.
pub type RequestPlan = Plan<RequestStatus, Tries>;

/// What is observed of a request that refers to one of our kinds.
#[derive(Clone, Debug)]
pub struct RequestView {
    /// Which kind of request it is.
    pub kind: RequestKind,
    /// All of its conditions. Ready is among them for both kinds: where the object has none, this process remembers what it
    /// would say.
    pub conditions: Vec<Condition>,
    /// The types of those that this operator wrote, as far as that is known, and of Ready where it is remembered.
    pub owned: Vec<String>,
    /// `metadata.creationTimestamp`.
    pub created: Timestamp,
    /// How its Issuer is called in messages.
    pub issuer: IssuerName,
}

/// How an Issuer is called in messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerName {
    /// Its kind: `spec.issuerRef.kind` with its default applied, or that of `spec.signerName`.
    pub kind: String,
    /// Its name; after its namespace and a slash where the request is in none and the Issuer is.
    pub name: String,
    /// What RBAC calls it as a signer, by [`approval::signer_name`]; none where no Issuer can be of this kind or name.
    pub signer: Option<String>,
}

/// How long to go on trying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How long after its retry window opened a request may still be retried.
    pub max_duration: Duration,
    /// The delays between tries.
    pub backoff: Backoff,
}

/// What happened to earlier tries; in memory only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tries {
    /// Calls of the plugin.
    pub attempts: u32,
    /// Failures in a row that were not `pending`.
    pub failures: u32,
    /// Certificates that were refused.
    pub refusals: u32,
    /// Answers of `pending` in a row.
    pub polls: u32,
    /// Whether the missing approval was reported.
    pub told_unapproved: bool,
    /// Whether it was looked at before while its Issuer's plugin was being loaded.
    pub told_waiting: bool,
    /// Writes of its status that failed in a row.
    pub write_failures: u32,
    /// The CA does not want to be asked before. What is worth a write is in [`NOT_BEFORE`] too.
    pub not_before: Option<Timestamp>,
    /// Somebody did something about the Issuer since: that the CA asked for a delay does not count any more.
    pub hurried: bool,
}

impl Tries {
    /// What to remember of a plan whose status is written.
    pub fn written(planned: Self) -> Self {
        Self { write_failures: 0, ..planned }
    }

    /// What to remember, after `self`, of a plan whose status could not be written: that the plugin was called, because
    /// a CA must not be asked at the pace of the API server's troubles, but not that somebody was told.
    pub fn write_failed(self, planned: Self, write_failures: u32) -> Self {
        Self {
            told_unapproved: self.told_unapproved,
            told_waiting: self.told_waiting,
            write_failures,
            ..planned
        }
    }
}

/// What to do with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Carry out this plan; there is nothing to sign (yet).
    Act(RequestPlan),
    /// Nothing stands in the way of a certificate: call the plugin.
    Sign,
}

impl RequestView {
    /// What is known so far.
    pub fn ready(&self) -> Option<&Condition> {
        condition::find(&self.conditions, READY)
    }

    /// Whether its status has a place for what it waits for.
    fn tells_waits(&self) -> bool {
        self.kind == RequestKind::CertificateRequest
    }

    fn holds(&self, type_: &str) -> bool {
        condition::find(&self.conditions, type_).is_some_and(|c| c.status == TRUE)
    }

    /// Whether nothing is left to do for ever.
    pub fn is_finished(&self) -> bool {
        self.ready().is_some_and(|ready| is_final(&ready.status, &ready.reason))
    }

    /// Whether it may be signed.
    pub fn is_approved(&self) -> bool {
        self.holds(APPROVED) && !self.holds(DENIED)
    }

    /// Whether nobody has approved or denied it yet.
    pub fn awaits_approval(&self) -> bool {
        !self.is_finished() && !self.holds(APPROVED) && !self.holds(DENIED)
    }

    /// The plugin's token of the last `pending`.
    pub fn resume(&self) -> Option<&str> {
        condition::find(&self.conditions, RESUME).map(|c| c.message.as_str())
    }

    /// Whether a newer version has news: not what this operator wrote, so that its own writes do not wake it, but that its
    /// Ready was taken away.
    pub fn differs(&self, newer: &Self) -> bool {
        let foreign = |view: &Self| -> Vec<Condition> {
            view.conditions.iter().filter(|c| view.is_news(&c.type_)).cloned().collect()
        };
        let lost_ready = self.owned.iter().any(|o| o == READY) && newer.ready().is_none();
        lost_ready || foreign(self) != foreign(newer)
    }

    /// Whether a change of this condition can be news. The API server does not tell who wrote the conditions of a
    /// CertificateSigningRequest; those that decide over it are others' or an end.
    fn is_news(&self, type_: &str) -> bool {
        match self.kind {
            RequestKind::CertificateRequest => !self.owned.iter().any(|o| o == type_),
            RequestKind::CertificateSigningRequest => [APPROVED, DENIED, FAILED].contains(&type_),
        }
    }

    /// When the CA may be asked again, as the last answer of its plugin said.
    fn not_before(&self) -> Option<Timestamp> {
        condition::find(&self.conditions, NOT_BEFORE)?.message.parse().ok()
    }

    /// The conditions that this operator owns now.
    pub(super) fn owned_conditions(&self) -> Vec<Condition> {
        self.conditions.iter().filter(|c| self.owned.contains(&c.type_)).cloned().collect()
    }

    /// A status with Ready set to this, and the other owned conditions as they are.
    pub(super) fn status(&self, status: &str, reason: &str, message: &str, now: Timestamp) -> RequestStatus {
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
    pub(super) fn if_changed(&self, status: RequestStatus) -> Option<RequestStatus> {
        let same = status.conditions.iter().all(|c| self.conditions.contains(c))
            && self.owned.iter().all(|o| condition::find(&status.conditions, o).is_some());
        (!same || status.certificate.is_some() || status.failure_time.is_some()).then_some(status)
    }

    /// Wait for something that is not the request's: told once for each reason.
    pub(super) fn wait(
        &self,
        message: &str,
        event: &'static str,
        remember: Tries,
        now: Timestamp,
    ) -> RequestPlan {
        let status = self.if_changed(self.status(FALSE, "Pending", message, now));
        let events = status.iter().map(|_| Notice::normal(event, SYNCED, message)).collect();
        Plan { status, events, next: Next::WithIssuer, remember }
    }
}

/// Whether a Ready condition with this status and reason is the end of a request.
pub fn is_final(status: &str, reason: &str) -> bool {
    status == TRUE || (status == FALSE && (reason == "Failed" || reason == DENIED))
}

/// Whether to sign the request, and if not, what to do instead.
pub fn gate(view: &RequestView, issuer: &IssuerView, tries: Tries, now: Timestamp) -> Gate {
    if view.is_finished() {
        return Gate::Act(Plan::idle(Next::Settled, tries));
    }
    if view.holds(DENIED) {
        return Gate::Act(denied(view, tries, now));
    }
    if !view.holds(APPROVED) {
        return Gate::Act(unapproved(view, tries, now));
    }
    let IssuerView::Present { generation, ready, serving } = issuer else {
        let IssuerName { kind, name, .. } = &view.issuer;
        let message = format!(r#"{kind}.{} "{name}" not found. Waiting for it to be created."#, super::GROUP);
        return Gate::Act(view.wait(&message, "WaitingForIssuerExist", tries, now));
    };
    let current = match ready {
        None => "<none>.".to_owned(),
        Some(r) if r.observed_generation.is_some_and(|g| g < *generation) => "is outdated.".to_owned(),
        Some(r) if r.status != TRUE => format!(r#"is "{}": {}."#, r.reason, r.message),
        Some(_) if !serving => return Gate::Act(await_plugin(view, tries, now)),
        Some(_) => {
            return match ca_wants_rest(view, tries, now) {
                Some(left) => Gate::Act(Plan::idle(Next::After(left), tries)),
                None => Gate::Sign,
            };
        }
    };
    let colon = if ready.is_none() { ":" } else { "" };
    let message =
        format!("Waiting for issuer to become ready. Current issuer ready condition{colon} {current}");
    Gate::Act(view.wait(&message, "WaitingForIssuerReady", tries, now))
}

/// The Issuer is ready by its status, but this process is still loading its plugin: most likely it has just started, and
/// in a moment there is something better to say.
fn await_plugin(view: &RequestView, tries: Tries, now: Timestamp) -> RequestPlan {
    if tries.told_waiting {
        return Plan { status: initializing(view, now), ..Plan::idle(Next::WithIssuer, tries) };
    }
    Plan::idle(Next::After(FIRST_STATUS_AFTER), Tries { told_waiting: true, ..tries })
}

/// How long the CA wants to be left alone (its Retry-After), if it does.
fn ca_wants_rest(view: &RequestView, tries: Tries, now: Timestamp) -> Option<Duration> {
    let until = tries.not_before.max(view.not_before()).filter(|_| !tries.hurried)?;
    let left = until.duration_since(now);
    left.is_positive().then(|| left.unsigned_abs())
}

/// A CertificateSigningRequest is finished by its denial, without a word of ours.
fn denied(view: &RequestView, remember: Tries, now: Timestamp) -> RequestPlan {
    let message = "Detected that the CertificateRequest is denied, so it will never be Ready.";
    let mut status = view.status(FALSE, DENIED, message, now);
    status.failure_time = Some(now);
    let events = vec![Notice::warning("PermanentError", SYNC_FAILED, message)];
    Plan { status: Some(status), events, next: Next::Settled, remember }
}

/// The end that an approver's denial puts to a CertificateSigningRequest, as a plan of which nothing is carried out: its object
/// says so already. None where it is not denied, and for the other kind, where the end is written.
pub fn denial(view: &RequestView, remember: Tries, now: Timestamp) -> Option<RequestPlan> {
    let denied = condition::find(&view.conditions, DENIED).filter(|denied| denied.status == TRUE)?;
    if view.tells_waits() {
        return None;
    }
    let ready = Condition::new(READY, FALSE, DENIED, &denied.message, now);
    let status = RequestStatus { conditions: vec![ready, denied.clone()], ..RequestStatus::default() };
    Some(Plan { status: Some(status), ..Plan::idle(Next::Settled, remember) })
}

fn unapproved(view: &RequestView, tries: Tries, now: Timestamp) -> RequestPlan {
    let left = APPROVAL_PATIENCE - now.duration_since(view.created);
    if tries.told_unapproved {
        return Plan::idle(Next::Settled, tries);
    }
    if left.is_positive() {
        return Plan::idle(Next::After(left.unsigned_abs()), tries);
    }
    let IssuerName { kind, name, signer } = &view.issuer;
    let way_out = match signer {
        Some(signer) => approval::way_out(view.kind, signer),
        None => format!(r#"Nobody can: {} has no kind "{kind}" with an object "{name}"."#, super::GROUP),
    };
    let (asked, waited) = (view.kind, APPROVAL_PATIENCE.as_secs());
    let note = format!("Nobody has approved or denied this {asked} for {waited} s. {way_out}");
    Plan {
        events: vec![Notice::warning("WaitingApproval", SYNCED, &note).once()],
        ..Plan::idle(Next::Settled, Tries { told_unapproved: true, ..tries })
    }
}

/// The status that says that work has begun, for when the final one takes longer than [`FIRST_STATUS_AFTER`].
pub fn initializing(view: &RequestView, now: Timestamp) -> Option<RequestStatus> {
    if view.ready().is_some() || !view.tells_waits() {
        return None;
    }
    let message = format!("{} has started reconciling this {}", super::FIELD_MANAGER, view.kind);
    Some(view.status(UNKNOWN, "Initializing", &message, now))
}

/// The status that says that work will begin, for a request that may be signed and has waited longer than
/// [`FIRST_STATUS_AFTER`] for its turn among the others.
pub fn waiting_for_its_turn(view: &RequestView, now: Timestamp) -> Option<RequestStatus> {
    if view.ready().is_some() || !view.is_approved() || !view.tells_waits() {
        return None;
    }
    let message = format!("{} is busy: this {} waits for its turn", super::FIELD_MANAGER, view.kind);
    Some(view.status(UNKNOWN, "Initializing", &message, now))
}

#[cfg(test)]
mod tests;
