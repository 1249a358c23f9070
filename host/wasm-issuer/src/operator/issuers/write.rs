//! Writes an Issuer's status.

use tracing::{Span, info, warn};
use wasm_issuer_core::issuance::condition;
use wasm_issuer_core::issuance::issuer::NewIssuerStatus;
use wasm_issuer_core::issuance::plan::Notice;

use super::object::{self, ObservedIssuer};
use super::place::owner;
use super::shared::Shared;
use super::unanswered::Unanswered;
use crate::operator::apply::{ApplyError, Target, apply_status};
use crate::operator::leadership::Fence;

/// Write a status onto the object that was read, and then tell people. Returns the object at its new version; if it did
/// not land, what remains to be told: the newer object is on its way, or another process writes it.
pub async fn write(
    shared: &Shared,
    fence: &Fence,
    observed: &ObservedIssuer,
    status: &NewIssuerStatus,
    events: Vec<Notice>,
) -> Result<Target, Unanswered> {
    let api = &shared.api;
    let turn = api.turn_to_write(&owner(&observed.key)).await;
    let content = object::status(status);
    let written = Box::pin(apply_status(&api.client, fence, &observed.target, &content)).await;
    drop(turn);
    shared.metrics.wrote_status(&observed.target.reference, &written);
    match written {
        Ok(target) => {
            if let Some(ready) = condition::find(&status.conditions, condition::READY) {
                Span::current().record("outcome", &ready.reason);
                info!(reason = ready.reason, said = ready.message, "status written");
            }
            shared.events.publish(fence, &observed.target.reference, events);
            Ok(target)
        }
        // Deleted: the watch says so in a moment. Lost: so does the fence.
        Err(ApplyError::Conflict | ApplyError::Gone | ApplyError::Lost(_)) => Err(Unanswered::default()),
        Err(error) => {
            warn!(%error, "could not write the status");
            Err(Unanswered::after(&error, status, events))
        }
    }
}
