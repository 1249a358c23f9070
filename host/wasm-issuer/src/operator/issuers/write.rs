//! Writes an Issuer's status.

use tracing::{info, warn};
use wasm_issuer_core::issuance::condition;
use wasm_issuer_core::issuance::issuer::NewIssuerStatus;
use wasm_issuer_core::issuance::plan::Notice;

use super::object::{self, ObservedIssuer};
use super::place::owner;
use super::shared::Shared;
use crate::operator::apply::{ApplyError, Target, apply_status};
use crate::operator::leadership::Fence;

/// Write a status onto the object that was read, and then tell people. None if it did not land: the newer object is on its
/// way, or another process writes it. Else, the object at its new version.
pub async fn write(
    shared: &Shared,
    fence: &Fence,
    observed: &ObservedIssuer,
    status: &NewIssuerStatus,
    events: Vec<Notice>,
) -> Option<Target> {
    let api = &shared.api;
    let turn = api.turn(&owner(&observed.key)).await;
    let content = object::status(status);
    let written = Box::pin(apply_status(&api.client, fence, &observed.target, &content)).await;
    drop(turn);
    match written {
        Ok(target) => {
            if let Some(ready) = condition::find(&status.conditions, condition::READY) {
                let (reason, message) = (&ready.reason, &ready.message);
                info!(issuer = %observed.key, reason, message, "status written");
            }
            shared.events.publish(fence, &observed.target.reference, events);
            Some(target)
        }
        // Deleted: the watch says so in a moment. Lost: so does the fence.
        Err(ApplyError::Conflict | ApplyError::Gone | ApplyError::Lost(_)) => None,
        Err(error) => {
            warn!(issuer = %observed.key, %error, "could not write the status");
            None
        }
    }
}
