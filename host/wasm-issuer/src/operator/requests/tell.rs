//! Tells what became of a request's status.

use tracing::{Span, info, warn};
use wasm_issuer_core::issuance::condition;
use wasm_issuer_core::issuance::plan::{Notice, SYNC_FAILED};
use wasm_issuer_core::issuance::write::has_landed;

use super::handled::Parked;
use super::observe::Observed;
use super::sign::Signing;
use crate::operator::apply::ApplyError;
use crate::operator::leadership::Fence;

impl Signing {
    /// Tell what was to be told of a request that is finished, if it is so by what was still to be written.
    pub fn tell_landed(&self, finished: &Observed, parked: Option<&Parked>) {
        let Some(Parked { plan, fence, .. }) = parked else { return };
        if plan.status.as_ref().is_some_and(|status| has_landed(status, &finished.view)) {
            self.events.publish(fence, &finished.target.reference, plan.events.clone());
        }
    }

    /// Tell that a status could not be written.
    pub(super) fn report(&self, fence: &Fence, observed: &Observed, error: &ApplyError) {
        warn!(%error, "could not write the status");
        let note = format!("Got an unexpected error while processing the CertificateRequest: {error}");
        let notice = Notice::warning("UnexpectedError", SYNC_FAILED, &note);
        self.events.publish(fence, &observed.target.reference, vec![notice]);
    }

    /// Log what was written.
    pub(super) fn log(&self, observed: &Observed) {
        if let Some(ready) = condition::find(&observed.view.conditions, condition::READY) {
            Span::current().record("outcome", &ready.reason);
            info!(reason = ready.reason, said = ready.message, "status written");
        }
    }
}
