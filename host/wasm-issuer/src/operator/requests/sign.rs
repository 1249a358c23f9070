//! Handles one request once: look, decide, act, and report when to look again.

mod look;
mod record;
mod write;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use tokio::time::{Instant, sleep};
use tracing::field::{self, Empty};
use tracing::{instrument, warn};
use wasm_issuer_core::issuance::outcome;
use wasm_issuer_core::issuance::plan::{FIRST_STATUS_AFTER, Next, Plan};
use wasm_issuer_core::issuance::request::{self, Gate, RequestPlan, Tries};
use wasm_issuer_core::issuance::request_issuer::AskedIssuer;
use wasm_issuer_core::issuance::signer::{FailureKind, SignRequest, Signed};
use wasm_issuer_core::issuance::verify::{self, Mismatch, Verified};
use wasm_issuer_runtime::{CallError, FairSlots, Turns};

use super::asked::Asked;
use super::audited::Called;
use super::handled::{Handled, Parked};
use super::observe::Observed;
use crate::operator::api_turns::{ApiTurns, Pace};
use crate::operator::audit::Audit;
use crate::operator::clock::{moment, now};
use crate::operator::events::Events;
use crate::operator::leadership::{Fence, Leadership, Lost};
use crate::operator::metrics::{Metrics, SignCall, SignOutcome};
use crate::operator::registry::{self, Complaint, Feedback, IssuerEntry, Registry, Serving};

/// How many requests are read at a time because there was no room for them.
const READS: usize = 8;
/// How many statuses are written, or read after a write that failed, at a time: not more than requests are handled.
const CALLS: usize = 128;
/// Of these, how many the API server works for: as many as keep it busy.
const BUSY: usize = 8;
/// In place of that, for a namespace that is alone: its Issuer has a third, which is as many as make the API server faster.
const ALONE: usize = 96;
/// As long as that, it may be busy with them; else it is further away than any that people have.
const SILENT: Duration = Duration::from_millis(100);

/// What handling a request needs.
pub struct Signing {
    /// Writes statuses, and reads requests whose status did not land.
    pub(super) client: Client,
    /// Where the Issuers' side puts what serves.
    registry: Arc<Registry>,
    /// For which of them this process works.
    pub leadership: Leadership,
    /// Issuers that are not in the registry may be another operator's, by their labels.
    is_selective: bool,
    pub events: Events,
    pub metrics: Arc<Metrics>,
    pub audit: Audit,
    /// For what takes long to verify.
    turns: Turns,
    /// Turns to read requests for which there was no room: each may be as large as the API server takes.
    reads: Arc<FairSlots>,
    /// Turns to call the API server.
    calls: ApiTurns,
    /// How often statuses are written that only tell where a request stands.
    pace: Arc<Pace>,
    /// The same of those that tell of an order again, and of those that hold what a CA has done and were refused: they wait
    /// for none of the above.
    costly: Arc<Pace>,
}

impl Signing {
    pub fn new(
        client: Client,
        registry: Arc<Registry>,
        leadership: Leadership,
        events: Events,
        metrics: Arc<Metrics>,
        audit: Audit,
        turns: Turns,
    ) -> Self {
        let (reads, calls) =
            (FairSlots::new(READS), ApiTurns::new(CALLS, FairSlots::new(BUSY), SILENT).with_alone(ALONE));
        Self {
            client,
            registry,
            leadership,
            is_selective: false,
            events,
            metrics,
            audit,
            turns,
            reads,
            calls,
            pace: Arc::default(),
            costly: Arc::default(),
        }
    }

    /// One that leaves requests alone whose Issuer it does not know, where `is_selective`: other operators work for other
    /// Issuers.
    pub fn selective(self, is_selective: bool) -> Self {
        Self { is_selective, ..self }
    }

    /// What stands for this process, and no other, handling a request; none if it is not to.
    pub fn fence_of(&self, observed: &Observed) -> Option<Fence> {
        let issuer = observed.issuer.as_ref();
        let is_unknown = || issuer.is_none_or(|issuer| self.registry.find(issuer).1.is_none());
        if self.is_selective && is_unknown() {
            return None;
        }
        self.leadership.of(&issuer.map_or_else(|| observed.key.to_string(), ToString::to_string))
    }

    /// Handle a request of which `tries` is remembered and of whose last plan `parked` is left to do.
    #[instrument(level = "error", name = "request", skip_all, fields(
        kind = %observed.key.kind,
        namespace = observed.key.namespace,
        request = observed.key.name,
        issuer = observed.issuer.as_ref().map(field::display),
        outcome = Empty,
    ))]
    pub async fn handle(&self, observed: Arc<Observed>, tries: Tries, parked: Option<Parked>) -> Handled {
        if let Some(mut parked) = parked {
            if let Some(place) = parked.place.take() {
                place.take();
            }
            return match parked.tried {
                true => self.write_again(observed, parked, tries).await,
                false => self.execute(observed, parked, tries).await,
            };
        }
        let Some(fence) = self.fence_of(&observed) else { return Handled::others(tries) };
        let mut current = observed;
        let refusal = match current.refusal() {
            Some(why) => Some(why),
            None => match self.denied_reference(&mut current, &fence, tries).await {
                Ok(denied) => denied,
                Err(looked) => return looked,
            },
        };
        let (mut entry, mut newest) = self.issuer_of(&current);
        if let Some(why) = refusal {
            let plan = outcome::invalid(&current.view, &why, tries, now());
            return self.carry_out(current, fence, (plan, tries), (None, newest), None).await;
        }
        let mut called = None;
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
                        Ok((plan, call)) => {
                            called = call;
                            (plan, newest.clone())
                        }
                        Err(Lost) => return Handled::others(tries),
                    }
                }
                None => (Plan::idle(Next::WithIssuer, tries), None),
            },
        };
        if plan.status.is_none() {
            self.publish(&current, &fence, plan.events);
            return Handled { next: plan.next, ..Handled::again(plan.remember, Duration::ZERO) };
        }
        self.carry_out(current, fence, (plan, tries), (asked, newest), called).await
    }

    /// Its Issuer, and the newest object of it.
    fn issuer_of(&self, observed: &Observed) -> (Option<IssuerEntry>, Option<AskedIssuer>) {
        observed.issuer.as_ref().map(|key| self.registry.find(key)).unwrap_or_default()
    }

    /// Call the plugin, verify what it returns, and plan what that means. Returns the call as well, if there was one.
    async fn sign(
        &self,
        current: &mut Arc<Observed>,
        asked: &Asked,
        serving: &Arc<Serving>,
        entry: &IssuerEntry,
        fence: &Fence,
        tries: Tries,
    ) -> Result<(RequestPlan, Option<Called>), Lost> {
        let request = match current.sign_request(asked) {
            Ok(request) => request,
            Err(why) => return Ok((outcome::invalid(&current.view, &why, tries, now()), None)),
        };
        let (csr, tries) =
            (request.csr.clone(), Tries { attempts: tries.attempts.saturating_add(1), ..tries });
        let started = Instant::now();
        let signed = fence.guard(self.call(current, serving, fence, &request)).await?;
        let (took, issuer) = (started.elapsed(), current.issuer.clone());
        let called = Some(Called { serving: serving.clone(), csr, took });
        let call =
            SignCall { issuer: issuer.as_ref(), took, is_retry: tries.failures > 0 || tries.refusals > 0 };
        let since = entry.ready_since();
        let error = match signed {
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
                return Ok((plan, called));
            }
            Err(error) => error,
        };
        let is_broken = matches!(&error, CallError::Broken(breakage) if breakage.is_the_plugins_fault());
        let failure = error.into_failure();
        self.metrics.signed(&call, SignOutcome::from(&failure.kind));
        let complaint = || Complaint {
            serving: serving.clone(),
            message: failure.message.clone(),
            namespace: current.account().to_owned(),
            request: current.uid().to_owned(),
        };
        if failure.kind == FailureKind::Issuer {
            let _ = entry.feedback.try_send(Feedback::Failed(Box::new(complaint())));
        } else if is_broken {
            let _ = entry.feedback.try_send(Feedback::Broke(Box::new(complaint())));
        }
        Ok((outcome::failure(&current.view, &failure, &serving.retry, since, tries, moment()), called))
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
    ) -> Result<Signed, CallError> {
        let mut call = serving.signer.sign(request);
        let lull = async {
            sleep(FIRST_STATUS_AFTER).await;
            self.pace.lull(&current.owner()).await;
        };
        let answer = tokio::select! {
            answer = &mut call => answer,
            () = lull => {
                self.announce(current, fence).await;
                call.await
            }
        };
        answer.inspect_err(|error| {
            if let CallError::Broken(breakage) = error {
                self.metrics.broke(breakage);
                warn!(kind = breakage.label(), %breakage, "the plugin broke");
            }
        })
    }
}
