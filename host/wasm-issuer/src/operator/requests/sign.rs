//! Handles one request once: look, decide, act, and report when to look again.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Api, Client};
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};
use wasm_issuer_core::issuance::plan::{FIRST_STATUS_AFTER, Next, Notice, Plan, RequestStatus, SYNC_FAILED};
use wasm_issuer_core::issuance::request::{self, Gate, RequestPlan, Tries};
use wasm_issuer_core::issuance::signer::{Failure, FailureKind, SignRequest, Signed};
use wasm_issuer_core::issuance::verify::{self, Verification, Verified};
use wasm_issuer_core::issuance::write::{
    self, AfterWrite, Found, Wanted, WriteFailure, is_wanted, unwritten,
};
use wasm_issuer_core::issuance::{condition, outcome};
use wasm_issuer_runtime::CallError;

use super::observe::{Observed, RequestKey, observe};
use crate::api::cert_manager::CertificateRequest;
use crate::operator::apply::{ApplyError, apply_status};
use crate::operator::clock::{moment, now};
use crate::operator::events::Events;
use crate::operator::metrics::Metrics;
use crate::operator::registry::{self, Feedback, IssuerEntry, Registry, Serving};

/// What handling a request needs.
pub struct Signing {
    /// Writes statuses, and reads requests whose status did not land.
    pub client: Client,
    /// Where the Issuers' side puts what serves.
    pub registry: Arc<Registry>,
    pub events: Events,
    pub metrics: Arc<Metrics>,
}

/// What handling a request came to.
pub struct Handled {
    /// The request as it is now, if this process changed it; finished ones are dropped.
    pub now: Option<Arc<Observed>>,
    /// Whether nothing is left to do for it: it is gone, or `now` is its end.
    pub finished: bool,
    pub tries: Tries,
    pub next: Next,
}

impl Signing {
    /// Handle a request of which `tries` is remembered.
    pub async fn handle(&self, observed: Arc<Observed>, tries: Tries) -> Handled {
        let entry = observed.issuer.as_ref().and_then(|key| self.registry.get(key));
        let mut current = observed;
        let plan = match request::gate(&current.view, &registry::view(entry.as_ref()), tries, now()) {
            Gate::Act(plan) => plan,
            Gate::Sign => match entry.as_ref().and_then(|e| e.serving.as_ref().map(|s| (e, s))) {
                Some((entry, serving)) => self.sign(&mut current, serving, entry, tries).await,
                None => Plan::idle(Next::WithIssuer, tries),
            },
        };
        self.execute(current, plan, tries).await
    }

    /// Call the plugin, verify what it returns, and plan what that means.
    async fn sign(
        &self,
        current: &mut Arc<Observed>,
        serving: &Arc<Serving>,
        entry: &IssuerEntry,
        tries: Tries,
    ) -> RequestPlan {
        let request = match current.sign_request() {
            Ok(request) => request,
            Err(message) => return outcome::invalid(&current.view, &message, tries, now()),
        };
        let started = Instant::now();
        let signed = self.call(current, serving, &request).await;
        let took = started.elapsed();
        let verified = signed.and_then(|signed| self.verify(&request, &signed, serving.verification));
        self.metrics.signed(outcome_label(&verified), took);
        match verified {
            Ok(verified) => {
                // The channel is full only if the Issuer is busy, and then this news is not needed.
                let _ = entry.feedback.try_send(Feedback::Signed);
                outcome::issued(&current.view, verified, tries, now())
            }
            Err(failure) => {
                if failure.kind == FailureKind::Issuer {
                    // It must arrive: the request waits for what the Issuer makes of it.
                    let news =
                        Feedback::Failed { serving: serving.clone(), message: failure.message.clone() };
                    let _ = entry.feedback.send(news).await;
                }
                let since = entry.ready_since();
                outcome::failure(&current.view, &failure, &serving.retry, since, tries, moment())
            }
        }
    }

    /// Check what the plugin returned, and count where it differs from the request.
    fn verify(
        &self,
        request: &SignRequest,
        signed: &Signed,
        policy: Verification,
    ) -> Result<Verified, Failure> {
        let verified = verify::verify(request, signed, Timestamp::now(), policy);
        match &verified {
            Ok(verified) => verified.warnings.iter().for_each(|m| self.metrics.mismatch(m.field, false)),
            Err(mismatch) => self.metrics.mismatch(mismatch.field, true),
        }
        verified.map_err(|why| outcome::refused(&why))
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
                self.metrics.broke(breakage.label());
                warn!(namespace = current.key.namespace, request = current.key.name, kind = breakage.label(), %breakage, "the plugin broke");
            }
            error.into_failure()
        })
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
            Err(error) => debug!(request = %current.key.name, %error, "first status not written"),
        }
    }

    async fn write(&self, observed: &Observed, status: &RequestStatus) -> Result<Observed, ApplyError> {
        let body = observed.apply_body(status);
        let written = apply_status(&self.client, &observed.collection, &observed.key.name, &body).await;
        self.metrics.wrote(written.as_ref().err().map_or("written", ApplyError::label));
        let version = written?;
        Ok(observed.with_status(status, version))
    }

    async fn execute(&self, mut current: Arc<Observed>, plan: RequestPlan, before: Tries) -> Handled {
        let reference = current.reference.clone();
        let Some(status) = plan.status else {
            self.events.publish(&reference, plan.events);
            return Handled { now: None, finished: false, tries: plan.remember, next: plan.next };
        };
        let began = Instant::now();
        let mut failures = before.write_failures;
        loop {
            let error = match self.write(&current, &status).await {
                Ok(newer) => {
                    log(&newer);
                    self.events.publish(&reference, plan.events);
                    let (finished, tries) = (newer.view.is_finished(), Tries::written(plan.remember));
                    return Handled { now: Some(Arc::new(newer)), finished, tries, next: plan.next };
                }
                Err(error) => error,
            };
            failures = failures.saturating_add(1);
            let tries = before.unwritten(plan.remember, failures);
            let jitter = rand::random();
            let why = WriteFailure::from(&error);
            if why == WriteFailure::Unanswered {
                self.report(&reference, &current.key, &error);
            }
            match unwritten(&status, why, failures, began.elapsed(), jitter) {
                AfterWrite::Forget => return Handled::gone(tries),
                AfterWrite::LookAgain(delay) => return Handled::unwritten(tries, delay),
                AfterWrite::WriteAgain(delay) => sleep(delay).await,
            }
            let found = self.read(&current).await;
            match (is_wanted(found.view(|observed| &observed.view)), found) {
                (Wanted::Yes, Found::There(newer)) => current = Arc::new(newer),
                (Wanted::Yes, _) => sleep(write::delay(failures, jitter)).await,
                (Wanted::Otherwise, _) => {
                    return Handled::unwritten(tries, write::delay(failures, jitter));
                }
                (Wanted::No, _) => return Handled::gone(tries),
            }
        }
    }

    /// What has become of a request.
    async fn read(&self, old: &Observed) -> Found<Observed> {
        let api: Api<CertificateRequest> = Api::namespaced(self.client.clone(), &old.key.namespace);
        match api.get_opt(&old.key.name).await.map(|newer| newer.and_then(observe)) {
            Err(_) => Found::Unknown,
            Ok(Some(newer)) if newer.uid == old.uid && newer.spec == old.spec => Found::There(newer),
            Ok(_) => Found::Gone,
        }
    }

    fn report(&self, reference: &ObjectReference, key: &RequestKey, error: &ApplyError) {
        warn!(namespace = key.namespace, request = key.name, %error, "could not write the status");
        let note = format!("Got an unexpected error while processing the CertificateRequest: {error}");
        self.events.publish(reference, vec![Notice::warning("UnexpectedError", SYNC_FAILED, &note)]);
    }
}

impl Handled {
    fn gone(tries: Tries) -> Self {
        Self { now: None, finished: true, tries, next: Next::Settled }
    }

    fn unwritten(tries: Tries, delay: Duration) -> Self {
        Self { now: None, finished: false, tries, next: Next::After(delay) }
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
