//! Handles one request once: look, decide, act, and report when to look again.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Api, Client};
use tokio::time::Instant;
use tracing::{debug, info, warn};
use wasm_issuer_core::issuance::backoff::Backoff;
use wasm_issuer_core::issuance::plan::{Next, Notice, Plan, RequestStatus, SYNC_FAILED};
use wasm_issuer_core::issuance::request::{self, GRACE, Gate, Tries};
use wasm_issuer_core::issuance::signer::{Failure, FailureKind, SignRequest, Signed};
use wasm_issuer_core::issuance::verify::Verification;
use wasm_issuer_core::issuance::{condition, verify};
use wasm_issuer_runtime::CallError;

use super::observe::{Observed, RequestKey, observe};
use crate::api::cert_manager::CertificateRequest;
use crate::operator::apply::{ApplyError, apply_status};
use crate::operator::clock::{moment, now};
use crate::operator::events::Events;
use crate::operator::metrics::Metrics;
use crate::operator::registry::{self, Feedback, Registry, Serving};

/// How long a status that holds what a CA has done is tried to be written before signing starts over.
const KEEP_WRITING: std::time::Duration = std::time::Duration::from_secs(600);
/// The delays after a write that failed.
const WRITE_BACKOFF: Backoff =
    Backoff { min: std::time::Duration::from_millis(200), max: std::time::Duration::from_secs(30) };

/// What handling a request needs.
pub struct Signing {
    /// The client.
    pub client: Client,
    /// The Issuers.
    pub registry: Arc<Registry>,
    /// Where Events go.
    pub events: Events,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// What has become of a request whose status could not be written.
enum Newest {
    /// It is another version of the same request, and wants its certificate.
    Wanted(Arc<Observed>),
    /// It was denied.
    Unwanted,
    /// It was deleted, or made anew, or somebody finished it.
    Gone,
    /// The API server does not say.
    Unknown,
}

/// What handling a request came to.
pub struct Handled {
    /// The request as it is now, if this process changed it; finished ones are dropped.
    pub now: Option<Arc<Observed>>,
    /// Whether nothing is left to do for it: it is gone, or `now` is its end.
    pub finished: bool,
    /// What to remember.
    pub tries: Tries,
    /// When to look again.
    pub next: Next,
}

impl Signing {
    /// Handle a request.
    pub async fn handle(&self, observed: Arc<Observed>, mut tries: Tries) -> Handled {
        let entry = observed.issuer.as_ref().and_then(|key| self.registry.get(key));
        let mut current = observed;
        let plan = match request::gate(&current.view, &registry::view(entry.as_ref()), &mut tries, moment()) {
            Gate::Act(plan) => plan,
            Gate::AwaitPlugin if !tries.told_waiting => {
                tries.told_waiting = true;
                Plan { status: None, events: vec![], next: Next::After(GRACE) }
            }
            Gate::AwaitPlugin => Plan {
                status: request::initializing(&current.view, now()),
                events: vec![],
                next: Next::WithIssuer,
            },
            Gate::Sign => match entry.as_ref().and_then(|e| e.serving.as_ref().map(|s| (e, s))) {
                Some((entry, serving)) => self.sign(&mut current, serving, entry, &mut tries).await,
                None => Plan { status: None, events: vec![], next: Next::WithIssuer },
            },
        };
        self.execute(current, plan, tries).await
    }

    /// Call the plugin, verify what it returns, and plan what that means.
    async fn sign(
        &self,
        current: &mut Arc<Observed>,
        serving: &Arc<Serving>,
        entry: &registry::IssuerEntry,
        tries: &mut Tries,
    ) -> Plan<RequestStatus> {
        let request = match current.sign_request() {
            Ok(request) => request,
            Err(message) => return request::invalid(&current.view, &message, now()),
        };
        let started = Instant::now();
        let outcome = self.call(current, serving, &request).await;
        let took = started.elapsed();
        let verified = match outcome {
            Ok(signed) => self.verify(&request, &signed, serving.verification).map_err(|why| Failure {
                kind: FailureKind::Permanent,
                message: format!("the certificate that the plugin returned was refused: {why}"),
                condition: None,
            }),
            Err(failure) => Err(failure),
        };
        self.metrics.signed(outcome_label(&verified), took);
        match verified {
            Ok(verified) => {
                // The channel is full only if the Issuer is busy, and then this news is not needed.
                let _ = entry.feedback.try_send(Feedback::Signed);
                request::issued(&current.view, verified, now())
            }
            Err(failure) => {
                if failure.kind == FailureKind::Issuer {
                    // It must arrive: the request waits for what the Issuer makes of it.
                    let news =
                        Feedback::Failed { serving: serving.clone(), message: failure.message.clone() };
                    let _ = entry.feedback.send(news).await;
                }
                request::failure(
                    &current.view,
                    &failure,
                    &serving.retry,
                    entry.ready_since(),
                    tries,
                    moment(),
                )
            }
        }
    }

    /// Check what the plugin returned, and count where it differs from the request.
    fn verify(
        &self,
        request: &SignRequest,
        signed: &Signed,
        policy: Verification,
    ) -> Result<verify::Verified, verify::Mismatch> {
        let verified = verify::verify(request, signed, Timestamp::now(), policy);
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
        let call = serving.signer.sign(request);
        tokio::pin!(call);
        let outcome = tokio::select! {
            outcome = &mut call => outcome,
            () = tokio::time::sleep(GRACE) => {
                if let Some(status) = request::initializing(&current.view, now()) {
                    let mut written = self.write(current, &status).await;
                    if let Err(ApplyError::Conflict) = written
                        && let Newest::Wanted(newer) = self.newest(current).await
                    {
                        // Somebody else wrote a condition meanwhile.
                        written = self.write(&newer, &status).await;
                    }
                    match written {
                        Ok(newer) => *current = Arc::new(newer),
                        // The final write meets the same obstacle and deals with it.
                        Err(error) => debug!(request = %current.key.name, %error, "first status not written"),
                    }
                }
                call.await
            }
        };
        outcome.map_err(|error| {
            if let CallError::Broken(breakage) = &error {
                self.metrics.broke(breakage.label());
                warn!(namespace = current.key.namespace, request = current.key.name, kind = breakage.label(), %breakage, "the plugin broke");
            }
            error.into_failure()
        })
    }

    async fn write(&self, observed: &Observed, status: &RequestStatus) -> Result<Observed, ApplyError> {
        let body = observed.apply_body(status);
        let written = apply_status(&self.client, &observed.collection, &observed.key.name, &body).await;
        self.metrics.wrote(written.as_ref().err().map_or("written", ApplyError::label));
        let version = written?;
        Ok(observed.with_status(status, version))
    }

    /// Carry out a plan. What a CA has done is not lost by a write that fails: the write is tried again, not the
    /// signing, which would leave a certificate or an order at the CA that nobody knows of.
    async fn execute(
        &self,
        mut current: Arc<Observed>,
        plan: Plan<RequestStatus>,
        mut tries: Tries,
    ) -> Handled {
        let reference = current.reference.clone();
        let Some(status) = plan.status else {
            self.events.publish(&reference, plan.events);
            return Handled { now: None, finished: false, tries, next: plan.next };
        };
        let give_up = Instant::now() + KEEP_WRITING;
        loop {
            let error = match self.write(&current, &status).await {
                Ok(newer) => {
                    tries.write_failures = 0;
                    let finished = newer.view.is_finished();
                    log(&newer);
                    self.events.publish(&reference, plan.events);
                    return Handled { now: Some(Arc::new(newer)), finished, tries, next: plan.next };
                }
                Err(ApplyError::Gone) => return gone(tries),
                Err(error) => error,
            };
            tries.write_failures = tries.write_failures.saturating_add(1);
            let delay = WRITE_BACKOFF.delay(tries.write_failures, rand::random(), None);
            let later = |next| Handled { now: None, finished: false, tries, next: Next::After(next) };
            let is_conflict = matches!(error, ApplyError::Conflict);
            if !is_conflict {
                self.report(&reference, &current.key, &error);
            }
            match (is_costly(&status), Instant::now() < give_up) {
                // The watch brings the newer version, and with it the next look.
                (false, _) => return later(delay),
                (true, false) => return later(KEEP_WRITING),
                (true, true) if is_conflict => {}
                (true, true) => tokio::time::sleep(delay).await,
            }
            match self.newest(&current).await {
                Newest::Wanted(newer) => current = newer,
                Newest::Unwanted => return later(delay),
                Newest::Gone => return gone(tries),
                Newest::Unknown => tokio::time::sleep(delay).await,
            }
        }
    }

    /// What has become of a request.
    async fn newest(&self, old: &Observed) -> Newest {
        let api: Api<CertificateRequest> = Api::namespaced(self.client.clone(), &old.key.namespace);
        let newer = match api.get_opt(&old.key.name).await {
            Ok(newer) => newer.and_then(observe),
            Err(_) => return Newest::Unknown,
        };
        match newer {
            Some(newer) if newer.uid == old.uid && newer.spec == old.spec && !newer.view.is_finished() => {
                if newer.view.is_approved() {
                    Newest::Wanted(Arc::new(newer))
                } else {
                    Newest::Unwanted
                }
            }
            _ => Newest::Gone,
        }
    }

    fn report(&self, reference: &ObjectReference, key: &RequestKey, error: &ApplyError) {
        warn!(namespace = key.namespace, request = key.name, %error, "could not write the status");
        let note = format!("Got an unexpected error while processing the CertificateRequest: {error}");
        self.events.publish(reference, vec![Notice::warning("UnexpectedError", SYNC_FAILED, &note)]);
    }
}

/// What came of a call, for metrics.
fn outcome_label<T>(outcome: &Result<T, Failure>) -> &'static str {
    match outcome.as_ref().map_err(|failure| &failure.kind) {
        Ok(_) => "issued",
        Err(FailureKind::Retry { .. }) => "retry",
        Err(FailureKind::Permanent) => "permanent",
        Err(FailureKind::Issuer) => "issuer",
        Err(FailureKind::Pending { .. }) => "pending",
    }
}

/// Whether a plugin should not be asked again only because somebody else wrote to the object: it would leave a second
/// certificate, or a second order, at the CA.
fn is_costly(status: &RequestStatus) -> bool {
    status.certificate.is_some() || condition::find(&status.conditions, condition::RESUME).is_some()
}

fn gone(tries: Tries) -> Handled {
    Handled { now: None, finished: true, tries, next: Next::Settled }
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
