//! What a process does for an Issuer that another process works for, and when it takes over.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, instrument};
use wasm_issuer_core::issuance::issuer::{CheckFailure, History};
use wasm_issuer_core::issuance::plan::Next;

use super::IssuerTask;
use crate::operator::issuers::prepare::Prepared;
use crate::operator::issuers::rest::Rest;
use crate::operator::issuers::unanswered::Unanswered;

impl IssuerTask {
    /// Learn whether this process works for the Issuer. What its status says is true until a check says otherwise: requests
    /// wait for the plugin, silently, unless it is at hand and the process before has found that it works.
    pub(super) fn take_up(&mut self) {
        if !self.standing.has_changed().unwrap_or_default() {
            return;
        }
        self.take_newest();
        self.fence = self.standing.borrow_and_update().clone();
        self.touched = false;
        self.history = History::default();
        self.rest = Rest::default();
        self.unanswered = Unanswered::default();
        let vouched_for = |prepared: &&Arc<Prepared>| {
            !self.shared.preparer.is_outdated(prepared, &self.current)
                && prepared.generation == self.current.state.generation
                && self.current.state.vouches_for(&prepared.plugin_facts().sha256)
        };
        let at_hand = self.prepared.as_ref().filter(|_| self.fence.is_some()).filter(vouched_for);
        self.serving = at_hand.map(|prepared| prepared.serving.clone());
        self.publish();
    }

    /// Whether a check is all that is to be done.
    pub(super) fn is_prepared(&self) -> bool {
        self.prepared.is_some() && !self.is_outdated()
    }

    /// What this process does for the Issuer: everything, or what makes that go fast once it does.
    pub(super) async fn work(&mut self, due: bool) -> Next {
        match self.fence.clone() {
            // Where it is lost, the next thing to happen is that this is told.
            Some(fence) => fence.guard(self.attempt(due)).await.unwrap_or(Next::Settled),
            None => self.warm().await,
        }
    }

    /// Load what another process works with, in case that this one has to.
    #[instrument(level = "error", skip_all, fields(issuer = %self.current.key))]
    async fn warm(&mut self) -> Next {
        let (shared, observed) = (self.shared.clone(), self.current.clone());
        let mut preparation = pin!(shared.preparer.warm(&observed, self.prepared.clone()));
        let preparation = loop {
            tokio::select! {
                preparation = &mut preparation => break preparation,
                changed = self.object.changed() => {
                    if changed.is_err() || observed.has_other_spec(&self.object.borrow()) {
                        self.object.mark_changed();
                        return Next::After(Duration::ZERO);
                    }
                    // The other process's status. Requests go by it, should they be this one's before the plugin is there.
                    self.take_newest();
                    self.publish();
                }
            }
        };
        self.dependencies.read = preparation.read;
        self.prepared = preparation.prepared.or(self.prepared.take());
        if let Err(CheckFailure { message, .. }) = preparation.result {
            debug!(error = message, "not ready to take over");
            return Next::After(self.current.spec.check_interval.0);
        }
        Next::Settled
    }
}
