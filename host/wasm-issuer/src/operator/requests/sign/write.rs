//! Writes a request's status, and deals with what comes of that.

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, info};
use wasm_issuer_core::issuance::plan::{Next, RequestStatus};
use wasm_issuer_core::issuance::request::{self, RequestPlan, Tries};
use wasm_issuer_core::issuance::request_issuer::is_publishable;
use wasm_issuer_core::issuance::write::{
    AfterWrite, Found, Wanted, WriteFailure, after_failure, hurries, is_costly, is_wanted,
};

use super::Signing;
use crate::operator::apply::{ApplyError, apply_status};
use crate::operator::audit::Ticket;
use crate::operator::clock::now;
use crate::operator::leadership::Fence;
use crate::operator::requests::handled::{Handled, Parked};
use crate::operator::requests::objects;
use crate::operator::requests::observe::{Observed, RequestKey};

impl Signing {
    /// Say that a request waits for its turn. Returns it as it is then.
    pub async fn tell_waiting(&self, observed: &Observed) -> Option<Observed> {
        let fence = self.fence_of(observed)?;
        let status = request::waiting_for_its_turn(&observed.view, now())?;
        let written = self.write(&fence, observed, &status).await;
        let RequestKey { kind, namespace, name } = &observed.key;
        written
            .inspect_err(|error| debug!(%kind, namespace, request = name, %error, "a wait was not told"))
            .ok()
    }

    /// Write the first status. If that fails, the final write meets the same obstacle and deals with it.
    pub(super) async fn announce(&self, current: &mut Arc<Observed>, fence: &Fence) {
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
            Err(error) => debug!(%error, "first status not written"),
        }
    }

    /// Write a status, as long as the fence stands. What the object has no place for is remembered with the request alone.
    async fn write(
        &self,
        fence: &Fence,
        observed: &Observed,
        status: &RequestStatus,
    ) -> Result<Observed, ApplyError> {
        let Some(body) = objects::written(observed, status) else {
            return Ok(observed.with_status(status, observed.target.clone()));
        };
        let turn = self.calls.turn(&observed.owner()).await;
        let written = apply_status(&self.client, fence, &observed.target, &body).await;
        drop(turn);
        self.metrics.wrote_status(&observed.target.reference, &written);
        Ok(observed.with_status(status, written?))
    }

    /// Write a plan's status when its namespace may have one written.
    pub(super) async fn execute_in_turn(
        &self,
        current: Arc<Observed>,
        parked: Parked,
        before: Tries,
    ) -> Handled {
        let Some(status) = &parked.plan.status else { return self.execute(current, parked, before).await };
        let owner = current.owner();
        if hurries(status, &current.view) {
            return self.execute(current, parked, before).await;
        }
        if is_costly(status) {
            // It is not decided anew: its slot is its place, so that few wait, and not for long.
            self.costly.turn(&owner).await;
            return self.execute(current, parked, before).await;
        }
        let place = self.pace.place(&owner);
        let wait = place.wait();
        if wait.is_zero() {
            place.take();
            return self.execute(current, parked, before).await;
        }
        let parked = Parked { place: Some(place), ..parked };
        Handled {
            now: Some(current),
            next: Next::WithIssuerOrAfter(wait),
            parked: Some(parked),
            ..Handled::again(before, Duration::ZERO)
        }
    }

    /// Write a plan's status, once.
    pub(super) async fn execute(&self, current: Arc<Observed>, mut parked: Parked, before: Tries) -> Handled {
        let Parked { plan, asked, fence, ticket, since, .. } = &mut parked;
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
        let error = match self.write(fence, &current, status).await {
            Ok(newer) => return self.written(newer, plan, fence, ticket),
            Err(error) => error,
        };
        if let ApplyError::Lost(_) = error {
            if let Some(ticket) = ticket {
                // It may have been under way.
                ticket.not_written(&error.to_string(), true);
            }
            // Who works for the Issuer now decides anew.
            return Handled::others(before);
        }
        let why = WriteFailure::from(&error);
        // It, or one before it, may have landed all the same, and then the watch has brought that most likely.
        let may_have_landed =
            why == WriteFailure::Unanswered || (why == WriteFailure::Conflict && before.write_failures > 0);
        if may_have_landed
            && let Found::There(newer) = self.read(&current).await
            && objects::has_landed(status, &newer)
        {
            let newer = newer.with_status(status, newer.target.clone());
            return self.written(newer, plan, fence, ticket);
        }
        if let Some(ticket) = ticket {
            ticket.not_written(&error.to_string(), why == WriteFailure::Unanswered);
        }
        if matches!(why, WriteFailure::Refused | WriteFailure::Unanswered) {
            self.report(fence, &current, "write the status", &error);
        }
        let failures = before.write_failures.saturating_add(1);
        let tries = before.write_failed(plan.remember, failures);
        match after_failure(status, why, failures, since.elapsed(), rand::random()) {
            AfterWrite::Forget => Handled::gone(tries),
            AfterWrite::LookAgain(delay) => Handled::again(tries, delay),
            AfterWrite::WriteAgain(delay) => {
                // Many that fail together are not tried again together.
                parked.place = (!delay.is_zero()).then(|| self.costly.place(&current.owner()));
                parked.tried = true;
                let delay = parked.place.as_ref().map_or(delay, |place| place.wait().max(delay));
                Handled { parked: Some(parked), ..Handled::again(tries, delay) }
            }
        }
    }

    /// A plan's status is there: tell it.
    fn written(
        &self,
        newer: Observed,
        plan: &RequestPlan,
        fence: &Fence,
        ticket: &mut Option<Ticket>,
    ) -> Handled {
        ticket.take().into_iter().for_each(Ticket::written);
        self.log(&newer);
        self.publish(&newer, fence, plan.events.clone());
        let finished = newer.view.is_finished();
        let tries = Tries::written(plan.remember);
        Handled { now: Some(Arc::new(newer)), finished, tries, next: plan.next, parked: None }
    }

    /// Write what could not be written before, onto what has become of the request.
    pub(super) async fn write_again(&self, observed: Arc<Observed>, parked: Parked, tries: Tries) -> Handled {
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
}
