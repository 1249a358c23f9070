//! Tells what became of a request.

use std::fmt::Display;

use tracing::{Span, info, warn};
use wasm_issuer_core::issuance::condition;
use wasm_issuer_core::issuance::plan::{Notice, SYNC_FAILED};
use wasm_issuer_core::issuance::reason::EventReason;

use super::handled::Parked;
use super::objects;
use super::observe::Observed;
use super::sign::Signing;
use crate::operator::leadership::Fence;

impl Signing {
    /// Tell what was to be told of a request that is finished, if it is so by what was still to be written.
    pub fn tell_landed(&self, finished: &Observed, parked: Option<&Parked>) {
        let Some(Parked { plan, fence, .. }) = parked else { return };
        if plan.status.as_ref().is_some_and(|status| objects::has_landed(status, finished)) {
            self.publish(finished, fence, plan.events.clone());
        }
    }

    /// Tell that the API server does not do what is needed for a request.
    pub(super) fn report(&self, fence: &Fence, observed: &Observed, doing: &str, error: &dyn Display) {
        warn!(%error, "could not {doing}");
        let kind = observed.key.kind;
        let note = format!("Got an unexpected error while processing the {kind}: {error}");
        self.publish(
            observed,
            fence,
            vec![Notice::warning(EventReason::UnexpectedError, SYNC_FAILED, &note)],
        );
    }

    /// Publish Events about a request, as long as the fence stands.
    pub(super) fn publish(&self, observed: &Observed, fence: &Fence, notices: Vec<Notice>) {
        self.events.publish_for(fence, observed.account(), &observed.target.reference, notices);
    }

    /// Log what was written, or is remembered where its object has no place for it.
    pub(super) fn log(&self, observed: &Observed) {
        if let Some(ready) = condition::find(&observed.view.conditions, condition::READY) {
            Span::current().record("outcome", &ready.reason);
            info!(reason = ready.reason, said = ready.message, "status written");
        }
    }
}
