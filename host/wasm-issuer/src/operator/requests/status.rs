//! Writes a request's status, and reads what has become of it.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, info, warn};
use wasm_issuer_core::issuance::condition;
use wasm_issuer_core::issuance::plan::{Notice, RequestStatus, SYNC_FAILED};
use wasm_issuer_core::issuance::request::{self, Tries};
use wasm_issuer_core::issuance::request_issuer::is_publishable;
use wasm_issuer_core::issuance::write::{AfterWrite, Found, Wanted, WriteFailure, after_failure, is_wanted};

use super::handled::{Handled, Parked};
use super::objects;
use super::observe::{Observed, RequestKey};
use super::sign::Signing;
use crate::operator::apply::{ApplyError, apply_status};
use crate::operator::clock::now;
use crate::operator::read::in_time;

impl Signing {
    /// Say that a request waits for its turn. Returns it as it is then.
    pub async fn tell_waiting(&self, observed: &Observed) -> Option<Observed> {
        let status = request::waiting_for_its_turn(&observed.view, now())?;
        let written = self.write(observed, &status).await;
        written.inspect_err(|error| debug!(request = %observed.key.name, %error, "a wait was not told")).ok()
    }

    /// Write the first status. If that fails, the final write meets the same obstacle and deals with it.
    pub(super) async fn announce(&self, current: &mut Arc<Observed>) {
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

    /// Write a status. What the object has no place for is remembered with the request alone.
    async fn write(&self, observed: &Observed, status: &RequestStatus) -> Result<Observed, ApplyError> {
        let Some(body) = objects::written(observed, status) else {
            return Ok(observed.with_status(status, observed.target.clone()));
        };
        let written = apply_status(&self.client, &observed.target, &body).await;
        self.metrics.wrote(written.as_ref().err().map_or("written", ApplyError::label));
        Ok(observed.with_status(status, written?))
    }

    /// Write a plan's status, once.
    pub(super) async fn execute(&self, current: Arc<Observed>, parked: Parked, before: Tries) -> Handled {
        let Parked { plan, asked, since } = &parked;
        let Some(status) = &plan.status else { return Handled::again(before, Duration::ZERO) };
        if let Some(asked) = asked {
            let newest = current.issuer.as_ref().and_then(|key| self.registry.find(key).1);
            if !is_publishable(status, asked, newest.as_ref()) {
                info!(
                    kind = %current.key.kind,
                    namespace = current.key.namespace,
                    request = current.key.name,
                    "an answer is dropped: the Issuer has changed since its plugin was asked"
                );
                return Handled::again(before, Duration::ZERO);
            }
        }
        let error = match self.write(&current, status).await {
            Ok(newer) => {
                log(&newer);
                self.publish(&current, plan.events.clone());
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
            Err(error) => error,
        };
        let why = WriteFailure::from(&error);
        if matches!(why, WriteFailure::Refused | WriteFailure::Unanswered) {
            self.report(&current, "write the status", &error);
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
    pub(super) async fn write_again(&self, observed: Arc<Observed>, parked: Parked, tries: Tries) -> Handled {
        match self.look_again(&observed, tries).await {
            Ok(Some(newer)) => self.execute(Arc::new(newer), parked, tries).await,
            // It lands on the version that was read before or nowhere.
            Ok(None) => self.execute(observed, parked, tries).await,
            Err(looked) => looked,
        }
    }

    /// The request as it is now, or nothing if the API server does not say. Else it is not to be gone on with.
    pub(super) async fn look_again(&self, old: &Observed, tries: Tries) -> Result<Option<Observed>, Handled> {
        let found = self.read(old).await;
        match (is_wanted(found.view(|observed| &observed.view)), found) {
            (Wanted::Yes, Found::There(newer)) => Ok(Some(newer)),
            (Wanted::Yes, _) => Ok(None),
            (Wanted::Otherwise, Found::There(newer)) => {
                Err(Handled { now: Some(Arc::new(newer)), ..Handled::again(tries, Duration::ZERO) })
            }
            (Wanted::Otherwise, _) => Err(Handled::again(tries, Duration::ZERO)),
            (Wanted::No, _) => Err(Handled::gone(tries)),
        }
    }

    /// What has become of a request.
    async fn read(&self, old: &Observed) -> Found<Observed> {
        let Ok(newer) = in_time(objects::read(&self.client, &old.key)).await else { return Found::Unknown };
        match newer {
            Some(mut newer) if newer.uid() == old.uid() && newer.fingerprint.spec == old.fingerprint.spec => {
                newer.remember(old);
                Found::There(newer)
            }
            _ => Found::Gone,
        }
    }

    /// Tell people that the API server does not do what is needed for a request.
    pub(super) fn report(&self, observed: &Observed, doing: &str, error: &dyn Display) {
        let RequestKey { kind, namespace, name } = &observed.key;
        warn!(%kind, namespace, request = name, %error, "could not {doing}");
        let note = format!("Got an unexpected error while processing the {kind}: {error}");
        self.publish(observed, vec![Notice::warning("UnexpectedError", SYNC_FAILED, &note)]);
    }

    /// Publish Events about a request.
    pub(super) fn publish(&self, observed: &Observed, notices: Vec<Notice>) {
        self.events.publish_for(observed.account(), &observed.target.reference, notices);
    }
}

fn log(observed: &Observed) {
    if let Some(ready) = condition::find(&observed.view.conditions, condition::READY) {
        info!(
            kind = %observed.key.kind,
            namespace = observed.key.namespace,
            request = observed.key.name,
            reason = ready.reason,
            message = ready.message,
            "status"
        );
    }
}
