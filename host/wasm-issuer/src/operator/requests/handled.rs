//! What handling a request came to.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use wasm_issuer_core::issuance::plan::Next;
use wasm_issuer_core::issuance::request::{RequestPlan, Tries};
use wasm_issuer_core::issuance::request_issuer::AskedIssuer;

use super::observe::Observed;
use super::parking::Size;
use crate::operator::api_turns::Place;
use crate::operator::audit::Ticket;
use crate::operator::leadership::Fence;

/// What handling a request came to.
pub struct Handled {
    /// The request as it is now, if this process changed it; finished ones are dropped.
    pub now: Option<Arc<Observed>>,
    /// Whether nothing is left to do for it: it is gone, or `now` is its end.
    pub finished: bool,
    pub tries: Tries,
    pub next: Next,
    /// What is still to be written.
    pub parked: Option<Parked>,
}

/// A plan whose status is to be written, before it is tried or between two tries: it waits without a slot.
pub struct Parked {
    pub plan: RequestPlan,
    /// The Issuer whose plugin answered it.
    pub asked: Option<AskedIssuer>,
    /// It is written by whom its Issuer belonged to when it was decided, or by nobody.
    pub fence: Fence,
    /// What the audit is told by, if it is one that decides something for good.
    pub ticket: Option<Ticket>,
    /// When it was first tried to be written, or held back.
    pub since: Instant,
    /// Its place among the writes of its namespace that can wait.
    pub place: Option<Place>,
    /// Whether it was tried. If not, it is decided anew if anything happens to its request or Issuer.
    pub tried: bool,
}

impl Parked {
    /// Whether it is of no use any more, if something `has_happened` since it was decided.
    pub fn is_overtaken(&self, has_happened: bool) -> bool {
        has_happened && !self.tried
    }
}

impl Size for Parked {
    fn size(&self) -> usize {
        let status = self.plan.status.as_ref();
        let texts = status.into_iter().flat_map(|status| {
            let conditions = status.conditions.iter().map(|c| c.message.len());
            conditions.chain([&status.certificate, &status.ca].into_iter().flatten().map(String::len))
        });
        let record = self.ticket.as_ref().map_or(0, Ticket::size);
        size_of::<Self>() + texts.sum::<usize>() + record
    }
}

impl Handled {
    /// Nothing is left to do for it.
    pub fn gone(tries: Tries) -> Self {
        Self { finished: true, next: Next::Settled, ..Self::again(tries, Duration::ZERO) }
    }

    /// Another process handles it, or nobody yet.
    pub fn others(tries: Tries) -> Self {
        Self { next: Next::WithIssuer, ..Self::again(tries, Duration::ZERO) }
    }

    /// To be looked at again after so long.
    pub fn again(tries: Tries, delay: Duration) -> Self {
        Self { now: None, finished: false, tries, next: Next::After(delay), parked: None }
    }
}
