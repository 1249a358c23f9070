//! Handles one request once: look, decide, act, and report when to look again.

mod record;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::{Api, Client};
use tokio::time::{Instant, sleep};
use tracing::field::{self, Empty};
use tracing::{debug, info, instrument, warn};
use wasm_issuer_core::issuance::outcome;
use wasm_issuer_core::issuance::plan::{FIRST_STATUS_AFTER, Next, Plan, RequestStatus};
use wasm_issuer_core::issuance::request::{self, Gate, RequestPlan, Tries};
use wasm_issuer_core::issuance::request_issuer::is_publishable;
use wasm_issuer_core::issuance::signer::{Failure, FailureKind, SignRequest, Signed};
use wasm_issuer_core::issuance::verify::{self, Mismatch, Verified};
use wasm_issuer_core::issuance::write::{
    AfterWrite, Found, Wanted, WriteFailure, after_failure, has_landed, is_wanted,
};
use wasm_issuer_runtime::{CallError, FairSlots, Turns};

use super::asked::Asked;
use super::audited::{self, Called};
use super::handled::{Handled, Parked};
use super::observe::{self, Observed, observe};
use crate::api::cert_manager::CertificateRequest;
use crate::operator::apply::{ApplyError, apply_status};
use crate::operator::audit::{Audit, Ticket};
use crate::operator::clock::{moment, now};
use crate::operator::events::Events;
use crate::operator::metrics::{Metrics, SignCall, SignOutcome};
use crate::operator::read::in_time;
use crate::operator::registry::{self, Complaint, Feedback, IssuerEntry, Registry, Serving};

/// How many requests are read at a time because there was no room for them.
const READS: usize = 8;
/// When to look again at a request that could not be read.
const READ_AGAIN: Duration = Duration::from_secs(5);

/// What handling a request needs.
pub struct Signing {
    /// Writes statuses, and reads requests whose status did not land.
    client: Client,
    /// Where the Issuers' side puts what serves.
    registry: Arc<Registry>,
    pub events: Events,
    pub metrics: Arc<Metrics>,
    pub audit: Audit,
    /// For what takes long to verify.
    turns: Turns,
    /// Turns to read requests for which there was no room: each may be as large as the API server takes.
    reads: Arc<FairSlots>,
}

impl Signing {
    pub fn new(
        client: Client,
        registry: Arc<Registry>,
        events: Events,
        metrics: Arc<Metrics>,
        audit: Audit,
        turns: Turns,
    ) -> Self {
        Self { client, registry, events, metrics, audit, turns, reads: FairSlots::new(READS) }
    }

    /// Handle a request of which `tries` is remembered and of whose last plan `parked` is left to do.
    #[instrument(level = "error", name = "request", skip_all, fields(
        namespace = observed.key.namespace,
        request = observed.key.name,
        issuer = observed.issuer.as_ref().map(field::display),
        outcome = Empty,
    ))]
    pub async fn handle(&self, observed: Arc<Observed>, tries: Tries, parked: Option<Parked>) -> Handled {
        if let Some(parked) = parked {
            return self.write_again(observed, parked, tries).await;
        }
        let key = observed.issuer.as_ref();
        let (entry, newest) = key.map(|key| self.registry.find(key)).unwrap_or_default();
        if let Some(message) = observed.unapprovable() {
            let plan = outcome::invalid(&observed.view, message, tries, now());
            return self.carry_out(observed, (plan, tries), (None, newest), None).await;
        }
        let mut current = observed;
        let mut called = None;
        let (plan, asked) = match request::gate(&current.view, &registry::view(entry.as_ref()), tries, now())
        {
            Gate::Act(plan) => (plan, None),
            Gate::Sign => match entry.as_ref().and_then(|e| e.serving.as_ref().map(|s| (e, s))) {
                Some((entry, serving)) => {
                    let asked = match self.asked(&mut current, tries).await {
                        Ok(asked) => asked,
                        Err(looked) => return looked,
                    };
                    let (plan, call) = self.sign(&mut current, &asked, serving, entry, tries).await;
                    called = call;
                    (plan, newest.clone())
                }
                None => (Plan::idle(Next::WithIssuer, tries), None),
            },
        };
        if plan.status.is_none() {
            self.events.publish(&current.target.reference, plan.events);
            return Handled { next: plan.next, ..Handled::again(plan.remember, Duration::ZERO) };
        }
        self.carry_out(current, (plan, tries), (asked, newest), called).await
    }

    /// What is asked for, read again if there was no room for it. Else, there is nothing to sign for now.
    async fn asked(&self, current: &mut Arc<Observed>, tries: Tries) -> Result<Arc<Asked>, Handled> {
        if let Some(asked) = &current.asked {
            return Ok(asked.clone());
        }
        let turn = self.reads.acquire(&current.owner()).await;
        let newer = self.look_again(current, tries).await?;
        drop(turn);
        let read_again = || Handled::again(tries, READ_AGAIN);
        *current = Arc::new(newer.ok_or_else(read_again)?);
        current.asked.clone().ok_or_else(read_again)
    }

    /// Call the plugin, verify what it returns, and plan what that means. Returns the call as well, if there was one.
    async fn sign(
        &self,
        current: &mut Arc<Observed>,
        asked: &Asked,
        serving: &Arc<Serving>,
        entry: &IssuerEntry,
        tries: Tries,
    ) -> (RequestPlan, Option<Called>) {
        let request = match current.sign_request(asked) {
            Ok(request) => request,
            Err(message) => return (outcome::invalid(&current.view, &message, tries, now()), None),
        };
        let (csr, tries) =
            (request.csr.clone(), Tries { attempts: tries.attempts.saturating_add(1), ..tries });
        let started = Instant::now();
        let signed = self.call(current, serving, &request).await;
        let (took, issuer) = (started.elapsed(), current.issuer.clone());
        let called = Some(Called { serving: serving.clone(), csr, took });
        let call =
            SignCall { issuer: issuer.as_ref(), took, is_retry: tries.failures > 0 || tries.refusals > 0 };
        let since = entry.ready_since();
        let failure = match signed {
            Ok(signed) => {
                let verified = self.verify(current, request, signed, serving).await;
                let outcome = if verified.is_ok() { SignOutcome::Issued } else { SignOutcome::Refused };
                self.metrics.signed(&call, outcome);
                let plan = match verified {
                    Ok(verified) => {
                        self.metrics.issued(call.issuer, now(), verified.ca_not_after);
                        // The channel is full only if the Issuer is busy, and then this news is not needed.
                        let _ = entry.feedback.try_send(Feedback::Signed);
                        outcome::issued(&current.view, verified, tries, now())
                    }
                    Err(why) => outcome::refused(&current.view, &why, &serving.retry, since, tries, moment()),
                };
                return (plan, called);
            }
            Err(failure) => failure,
        };
        self.metrics.signed(&call, SignOutcome::from(&failure.kind));
        if failure.kind == FailureKind::Issuer {
            let complaint = Complaint {
                serving: serving.clone(),
                message: failure.message.clone(),
                namespace: current.key.namespace.clone(),
                request: current.uid().to_owned(),
            };
            let _ = entry.feedback.try_send(Feedback::Failed(Box::new(complaint)));
        }
        (outcome::failure(&current.view, &failure, &serving.retry, since, tries, moment()), called)
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
        request: &SignRequest,
    ) -> Result<Signed, Failure> {
        let mut call = serving.signer.sign(request);
        let answer = tokio::select! {
            answer = &mut call => answer,
            () = sleep(FIRST_STATUS_AFTER) => {
                self.announce(current).await;
                call.await
            }
        };
        answer.map_err(|error| {
            if let CallError::Broken(breakage) = &error {
                self.metrics.broke(breakage);
                warn!(kind = breakage.label(), %breakage, "the plugin broke");
            }
            error.into_failure()
        })
    }

    /// Say that a request waits for its turn. Returns it as it is then.
    pub async fn tell_waiting(&self, observed: &Observed) -> Option<Observed> {
        let status = request::waiting_for_its_turn(&observed.view, now())?;
        let written = self.write(observed, &status).await;
        written.inspect_err(|error| debug!(namespace = observed.key.namespace, request = observed.key.name, %error, "a wait was not told")).ok()
    }

    /// Write the first status. If that fails, the final write meets the same obstacle and deals with it.
    async fn announce(&self, current: &mut Arc<Observed>) {
        let Some(status) = request::initializing(&current.view, now()) else { return };
        let mut written = self.write(current, &status).await;
        if let Err(ApplyError::Conflict) = written {
            // Somebody else wrote a condition meanwhile.
            let found = self.read(current).await;
            if let (Wanted::Yes, Found::There(newer)) = (is_wanted(found.view(|o| &o.view)), found) {
                written = self.write(&newer, &status).await;
            }
        }
        match written {
            Ok(newer) => *current = Arc::new(newer),
            Err(error) => debug!(%error, "first status not written"),
        }
    }

    async fn write(&self, observed: &Observed, status: &RequestStatus) -> Result<Observed, ApplyError> {
        let written = apply_status(&self.client, &observed.target, &observe::status(status)).await;
        self.metrics.wrote_status(&observed.target.reference, &written);
        Ok(observed.with_status(status, written?))
    }

    /// Write a plan's status, once.
    async fn execute(&self, current: Arc<Observed>, mut parked: Parked, before: Tries) -> Handled {
        let Parked { plan, asked, ticket, since } = &mut parked;
        let Some(status) = &plan.status else { return Handled::again(before, Duration::ZERO) };
        if let Some(asked) = asked {
            let newest = current.issuer.as_ref().and_then(|key| self.registry.find(key).1);
            if !is_publishable(status, asked, newest.as_ref()) {
                if let Some(ticket) = ticket {
                    ticket.not_written("the Issuer has changed since its plugin was asked", false);
                }
                info!("an answer is dropped: the Issuer has changed since its plugin was asked");
                return Handled::again(before, Duration::ZERO);
            }
        }
        if let Some(ticket) = ticket {
            ticket.begin();
        }
        let error = match self.write(&current, status).await {
            Ok(newer) => return self.written(newer, plan, ticket),
            Err(error) => error,
        };
        let why = WriteFailure::from(&error);
        // It, or one before it, may have landed all the same, and then the watch has brought that most likely.
        let may_have_landed =
            why == WriteFailure::Unanswered || (why == WriteFailure::Conflict && before.write_failures > 0);
        if may_have_landed
            && let Found::There(newer) = self.read(&current).await
            && has_landed(status, &newer.view)
        {
            return self.written(newer, plan, ticket);
        }
        if let Some(ticket) = ticket {
            ticket.not_written(&error.to_string(), why == WriteFailure::Unanswered);
        }
        if matches!(why, WriteFailure::Refused | WriteFailure::Unanswered) {
            self.report(&current, &error);
        }
        let failures = before.write_failures.saturating_add(1);
        let tries = before.write_failed(plan.remember, failures);
        match after_failure(status, why, failures, since.elapsed(), rand::random()) {
            AfterWrite::Forget => Handled::gone(tries),
            AfterWrite::LookAgain(delay) => Handled::again(tries, delay),
            AfterWrite::WriteAgain(delay) => Handled { parked: Some(parked), ..Handled::again(tries, delay) },
        }
    }

    /// A plan's status is there: tell it.
    fn written(&self, newer: Observed, plan: &RequestPlan, ticket: &mut Option<Ticket>) -> Handled {
        ticket.take().into_iter().for_each(Ticket::written);
        self.log(&newer);
        self.events.publish(&newer.target.reference, plan.events.clone());
        let finished = newer.view.is_finished();
        let tries = Tries::written(plan.remember);
        Handled { now: Some(Arc::new(newer)), finished, tries, next: plan.next, parked: None }
    }

    /// Write what could not be written before, onto what has become of the request.
    async fn write_again(&self, observed: Arc<Observed>, parked: Parked, tries: Tries) -> Handled {
        match self.look_again(&observed, tries).await {
            Ok(Some(newer)) => self.execute(Arc::new(newer), parked, tries).await,
            // It lands on the version that was read before or nowhere.
            Ok(None) => self.execute(observed, parked, tries).await,
            Err(looked) => {
                if let Some(finished) = looked.now.as_ref().filter(|_| looked.finished) {
                    self.tell_landed(finished, Some(&parked));
                }
                looked
            }
        }
    }

    /// The request as it is now, or nothing if the API server does not say. Else it is not to be gone on with.
    async fn look_again(&self, old: &Observed, tries: Tries) -> Result<Option<Observed>, Handled> {
        let found = self.read(old).await;
        match (is_wanted(found.view(|observed| &observed.view)), found) {
            (Wanted::Yes, Found::There(newer)) => Ok(Some(newer)),
            (Wanted::Yes, _) => Ok(None),
            (Wanted::Otherwise, Found::There(newer)) => {
                Err(Handled { now: Some(Arc::new(newer)), ..Handled::again(tries, Duration::ZERO) })
            }
            (Wanted::Otherwise, _) => Err(Handled::again(tries, Duration::ZERO)),
            (Wanted::No, Found::There(finished)) => {
                Err(Handled { now: Some(Arc::new(finished)), ..Handled::gone(tries) })
            }
            (Wanted::No, _) => Err(Handled::gone(tries)),
        }
    }

    /// What has become of a request.
    async fn read(&self, old: &Observed) -> Found<Observed> {
        let api: Api<CertificateRequest> = Api::namespaced(self.client.clone(), &old.key.namespace);
        let Ok(newer) = in_time(api.get_opt(&old.key.name)).await else { return Found::Unknown };
        if let Some(request) = &newer {
            audited::saw(&self.audit, request);
        }
        match newer.and_then(observe) {
            Some(newer) if newer.uid() == old.uid() && newer.fingerprint.spec == old.fingerprint.spec => {
                Found::There(newer)
            }
            _ => Found::Gone,
        }
    }
}
