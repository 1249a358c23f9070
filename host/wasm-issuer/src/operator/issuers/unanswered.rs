//! A write of an Issuer's status that was not answered: it may have landed, and then the watch brings it.

use wasm_issuer_core::issuance::condition::{self, Condition};
use wasm_issuer_core::issuance::issuer::NewIssuerStatus;
use wasm_issuer_core::issuance::plan::Notice;
use wasm_issuer_core::issuance::write::WriteFailure;

use crate::operator::apply::ApplyError;

/// What it would have the Issuer say, and what is to be told when it does.
#[derive(Default)]
pub struct Unanswered(Option<(Condition, Vec<Notice>)>);

impl Unanswered {
    /// What remains to be told of a write that failed with this error.
    pub fn after(error: &ApplyError, status: &NewIssuerStatus, events: Vec<Notice>) -> Self {
        let is_unanswered = WriteFailure::from(error) == WriteFailure::Unanswered;
        let ready = condition::find(&status.conditions, condition::READY).filter(|_| is_unanswered);
        Self(ready.map(|ready| (ready.clone(), events)))
    }

    /// What is to be told now that these are the Issuer's conditions.
    pub fn landed(&mut self, conditions: &[Condition]) -> Vec<Notice> {
        let landed = self.0.take_if(|(ready, _)| conditions.contains(ready));
        landed.map(|(_, events)| events).unwrap_or_default()
    }
}
