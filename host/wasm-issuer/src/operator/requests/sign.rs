//! Handles one request once: look, decide, act, and report when to look again.

mod look;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};
use wasm_issuer_core::issuance::plan::{FIRST_STATUS_AFTER, Next, Notice, Plan, RequestStatus, SYNC_FAILED};
use wasm_issuer_core::issuance::request::{self, Gate, RequestPlan, Tries};
use wasm_issuer_core::issuance::request_issuer::{AskedIssuer, is_publishable};
use wasm_issuer_core::issuance::signer::{Failure, FailureKind, SignRequest, Signed};
use wasm_issuer_core::issuance::verify::{self, Mismatch, Verified};
use wasm_issuer_core::issuance::write::{AfterWrite, Found, Wanted, WriteFailure, after_failure, is_wanted};
use wasm_issuer_core::issuance::{condition, outcome};
use wasm_issuer_runtime::{CallError, FairSlots, Turns};

use super::asked::Asked;
use super::handled::{Handled, Parked};
use super::observe::{self, Observed, RequestKey};
use crate::operator::apply::{ApplyError, apply_status};
use crate::operator::clock::{moment, now};
use crate::operator::events::Events;
use crate::operator::leadership::{Fence, Leadership, Lost};
use crate::operator::metrics::Metrics;
use crate::operator::registry::{self, Complaint, Feedback, IssuerEntry, Registry, Serving};

/// How many requests are read at a time because there was no room for them.
const READS: usize = 8;

/// What handling a request needs.
pub struct Signing {
    /// Writes statuses, and reads requests whose status did not land.
    client: Client,
    /// Where the Issuers' side puts what serves.
    registry: Arc<Registry>,
    /// For which of them this process works.
    pub leadership: Leadership,
    /// Issuers that are not in the registry may be another operator's, by their labels.
    is_selective: bool,
    events: Events,
    pub metrics: Arc<Metrics>,
    /// For what takes long to verify.
    turns: Turns,
    /// Turns to read requests for which there was no room: each may be as large as the API server takes.
    reads: Arc<FairSlots>,
}

impl Signing {
    pub fn new(
        client: Client,
        registry: Arc<Registry>,
        leadership: Leadership,
        events: Events,
        metrics: Arc<Metrics>,
        turns: Turns,
    ) -> Self {
        let reads = FairSlots::new(READS);
        Self { client, registry, leadership, is_selective: false, events, metrics, turns, reads }
    }

    /// One that leaves requests alone whose Issuer it does not know, where `is_selective`: other operators work for other
    /// Issuers.
    pub fn selective(self, is_selective: bool) -> Self {
        Self { is_selective, ..self }
    }

    /// What stands for this process, and no other, handling a request; none if it is not to.
    pub fn fence_of(&self, observed: &Observed) -> Option<Fence> {
        let RequestKey { namespace, name } = &observed.key;
        let issuer = observed.issuer.as_ref();
        let is_unknown = || issuer.is_none_or(|issuer| self.registry.find(issuer).1.is_none());
        if self.is_selective && is_unknown() {
            return None;
        }
        self.leadership.of(&issuer.map_or_else(|| format!("{namespace}/{name}"), ToString::to_string))
    }

    /// Handle a request of which `tries` is remembered and of whose last plan `parked` is left to do.
    pub async fn handle(&self, observed: Arc<Observed>, tries: Tries, parked: Option<Parked>) -> Handled {
        if let Some(parked) = parked {
            return self.write_again(observed, parked, tries).await;
        }
        let Some(fence) = self.fence_of(&observed) else { return Handled::others(tries) };
        let since = Instant::now();
        if let Some(message) = observed.unapprovable() {
            let plan = outcome::invalid(&observed.view, message, tries, now());
            return self.execute(observed, Parked { plan, asked: None, fence, since }, tries).await;
        }
        let mut current = observed;
        let (mut entry, mut newest) = self.issuer_of(&current);
        let mut gate = request::gate(&current.view, &registry::view(entry.as_ref()), tries, now());
        if matches!(gate, Gate::Sign) {
            match self.refresh(&mut current, &fence, tries).await {
                Ok(false) => {}
                Ok(true) => {
                    (entry, newest) = self.issuer_of(&current);
                    gate = request::gate(&current.view, &registry::view(entry.as_ref()), tries, now());
                }
                Err(looked) => return looked,
            }
        }
        let (plan, asked) = match gate {
            Gate::Act(plan) => (plan, None),
            Gate::Sign => match entry.as_ref().and_then(|e| e.serving.as_ref().map(|s| (e, s))) {
                Some((entry, serving)) => {
                    let asked = match self.asked(&mut current, tries).await {
                        Ok(asked) => asked,
                        Err(looked) => return looked,
                    };
                    match self.sign(&mut current, &asked, serving, entry, &fence, tries).await {
                        Ok(plan) => (plan, newest),
                        Err(Lost) => return Handled::others(tries),
                    }
                }
                None => (Plan::idle(Next::WithIssuer, tries), None),
            },
        };
        if plan.status.is_none() {
            self.events.publish(&fence, &current.target.reference, plan.events);
            return Handled { next: plan.next, ..Handled::again(plan.remember, Duration::ZERO) };
        }
        self.execute(current, Parked { plan, asked, fence, since: Instant::now() }, tries).await
    }

    /// Its Issuer, and the newest object of it.
    fn issuer_of(&self, observed: &Observed) -> (Option<IssuerEntry>, Option<AskedIssuer>) {
        observed.issuer.as_ref().map(|key| self.registry.find(key)).unwrap_or_default()
    }

    /// Call the plugin, verify what it returns, and plan what that means.
    async fn sign(
        &self,
        current: &mut Arc<Observed>,
        asked: &Asked,
        serving: &Arc<Serving>,
        entry: &IssuerEntry,
        fence: &Fence,
        tries: Tries,
    ) -> Result<RequestPlan, Lost> {
        let request = match current.sign_request(asked) {
            Ok(request) => request,
            Err(message) => return Ok(outcome::invalid(&current.view, &message, tries, now())),
        };
        let started = Instant::now();
        let signed = fence.guard(self.call(current, serving, fence, &request)).await?;
        let took = started.elapsed();
        let since = entry.ready_since();
        let failure = match signed {
            Ok(signed) => {
                let verified = self.verify(current, request, signed, serving).await;
                self.metrics.signed(if verified.is_ok() { "issued" } else { "refused" }, took);
                return Ok(match verified {
                    Ok(verified) => {
                        // The channel is full only if the Issuer is busy, and then this news is not needed.
                        let _ = entry.feedback.try_send(Feedback::Signed);
                        outcome::issued(&current.view, verified, tries, now())
                    }
                    Err(why) => outcome::refused(&current.view, &why, &serving.retry, since, tries, moment()),
                });
            }
            Err(failure) => failure,
        };
        self.metrics.signed(label(&failure.kind), took);
        if failure.kind == FailureKind::Issuer {
            let complaint = Complaint {
                serving: serving.clone(),
                message: failure.message.clone(),
                namespace: current.key.namespace.clone(),
                request: current.uid().to_owned(),
            };
            let _ = entry.feedback.try_send(Feedback::Failed(Box::new(complaint)));
        }
        Ok(outcome::failure(&current.view, &failure, &serving.retry, since, tries, moment()))
    }

    /// Check what the plugin returned, and count where it differs from the request.
    async fn verify(
        &self,
        current: &Observed,
        request: SignRequest,
        signed: Signed,
        serving: &Arc<Serving>,
    ) -> Result<Verified, Mismatch> {
        let is_quick = verify::is_quick(&signed, &serving.trusted);
        let serving = serving.clone();
        let job = move || {
            let Serving { trusted, verification, .. } = &*serving;
            verify::verify(&request, &signed, trusted, Timestamp::now(), verification)
        };
        let verified = if is_quick { job() } else { self.turns.compute(&current.owner(), job).await };
        match &verified {
            Ok(verified) => verified.warnings.iter().for_each(|m| self.metrics.mismatch(m.field, false)),
            Err(mismatch) => self.metrics.mismatch(mismatch.field, true),
        }
        verified
    }

    /// Call the plugin. A call that takes longer than the grace time is announced in the status.
    async fn call(
        &self,
        current: &mut Arc<Observed>,
        serving: &Serving,
        fence: &Fence,
        request: &SignRequest,
    ) -> Result<Signed, Failure> {
        let mut call = serving.signer.sign(request);
        let answer = tokio::select! {
            answer = &mut call => answer,
            () = sleep(FIRST_STATUS_AFTER) => {
                self.announce(current, fence).await;
                call.await
            }
        };
        answer.map_err(|error| {
            if let CallError::Broken(breakage) = &error {
                self.metrics.broke(breakage.label());
                warn!(namespace = current.key.namespace, request = current.key.name, kind = breakage.label(), %breakage, "the plugin broke");
            }
            error.into_failure()
        })
    }

    /// Say that a request waits for its turn. Returns it as it is then.
    pub async fn tell_waiting(&self, observed: &Observed) -> Option<Observed> {
        let fence = self.fence_of(observed)?;
        let status = request::waiting_for_its_turn(&observed.view, now())?;
        let written = self.write(&fence, observed, &status).await;
        written.inspect_err(|error| debug!(request = %observed.key.name, %error, "a wait was not told")).ok()
    }

    /// Write the first status. If that fails, the final write meets the same obstacle and deals with it.
    async fn announce(&self, current: &mut Arc<Observed>, fence: &Fence) {
        let Some(status) = request::initializing(&current.view, now()) else { return };
        let mut written = self.write(fence, current, &status).await;
        if let Err(ApplyError::Conflict) = written {
            // Somebody else wrote a condition meanwhile.
            let found = self.read(current).await;
            if let (Wanted::Yes, Found::There(newer)) = (is_wanted(found.view(|o| &o.view)), found) {
                written = self.write(fence, &newer, &status).await;
            }
        }
        match written {
            Ok(newer) => *current = Arc::new(newer),
            Err(error) => debug!(request = %current.key.name, %error, "first status not written"),
        }
    }

    async fn write(
        &self,
        fence: &Fence,
        observed: &Observed,
        status: &RequestStatus,
    ) -> Result<Observed, ApplyError> {
        let written = apply_status(&self.client, fence, &observed.target, &observe::status(status)).await;
        self.metrics.wrote(written.as_ref().err().map_or("written", ApplyError::label));
        Ok(observed.with_status(status, written?))
    }

    /// Write a plan's status, once.
    async fn execute(&self, current: Arc<Observed>, parked: Parked, before: Tries) -> Handled {
        let Parked { plan, asked, fence, since } = &parked;
        let Some(status) = &plan.status else { return Handled::again(before, Duration::ZERO) };
        if let Some(asked) = asked {
            let newest = current.issuer.as_ref().and_then(|key| self.registry.find(key).1);
            if !is_publishable(status, asked, newest.as_ref()) {
                info!(
                    namespace = current.key.namespace,
                    request = current.key.name,
                    "an answer is dropped: the Issuer has changed since its plugin was asked"
                );
                return Handled::again(before, Duration::ZERO);
            }
        }
        let error = match self.write(fence, &current, status).await {
            Ok(newer) => {
                log(&newer);
                self.events.publish(fence, &current.target.reference, plan.events.clone());
                let finished = newer.view.is_finished();
                let tries = Tries::written(plan.remember);
                return Handled {
                    now: Some(Arc::new(newer)),
                    finished,
                    tries,
                    next: plan.next,
                    parked: None,
                };
            }
            // Who works for the Issuer now decides anew.
            Err(ApplyError::Lost(_)) => return Handled::others(before),
            Err(error) => error,
        };
        let why = WriteFailure::from(&error);
        if matches!(why, WriteFailure::Refused | WriteFailure::Unanswered) {
            self.report(fence, &current, &error);
        }
        let failures = before.write_failures.saturating_add(1);
        let tries = before.write_failed(plan.remember, failures);
        match after_failure(status, why, failures, since.elapsed(), rand::random()) {
            AfterWrite::Forget => Handled::gone(tries),
            AfterWrite::LookAgain(delay) => Handled::again(tries, delay),
            AfterWrite::WriteAgain(delay) => Handled { parked: Some(parked), ..Handled::again(tries, delay) },
        }
    }

    /// Write what could not be written before, onto what has become of the request.
    async fn write_again(&self, observed: Arc<Observed>, parked: Parked, tries: Tries) -> Handled {
        match self.look_again(&observed, tries).await {
            Ok(Some(newer)) => self.execute(Arc::new(newer), parked, tries).await,
            // It lands on the version that was read before or nowhere.
            Ok(None) => self.execute(observed, parked, tries).await,
            Err(looked) => looked,
        }
    }

    fn report(&self, fence: &Fence, observed: &Observed, error: &ApplyError) {
        let RequestKey { namespace, name } = &observed.key;
        warn!(namespace, request = name, %error, "could not write the status");
        let note = format!("Got an unexpected error while processing the CertificateRequest: {error}");
        let notice = Notice::warning("UnexpectedError", SYNC_FAILED, &note);
        self.events.publish(fence, &observed.target.reference, vec![notice]);
    }
}

/// What came of a call that failed, for metrics.
fn label(kind: &FailureKind) -> &'static str {
    match kind {
        FailureKind::Retry { .. } => "retry",
        FailureKind::Permanent => "permanent",
        FailureKind::Issuer => "issuer",
        FailureKind::Pending { .. } => "pending",
    }
}

fn log(observed: &Observed) {
    if let Some(ready) = condition::find(&observed.view.conditions, condition::READY) {
        info!(
            namespace = observed.key.namespace,
            request = observed.key.name,
            reason = ready.reason,
            message = ready.message,
            "status written"
        );
    }
}
