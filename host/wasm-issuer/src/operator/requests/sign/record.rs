//! Carries out a plan, with a record of it where it decides something for good.

use std::sync::Arc;

use tokio::time::Instant;
use wasm_issuer_core::issuance::request::{self, RequestPlan, Tries};
use wasm_issuer_core::issuance::request_issuer::AskedIssuer;
use wasm_issuer_core::issuance::write::Found;

use super::Signing;
use crate::operator::audit::Ticket;
use crate::operator::clock::now;
use crate::operator::leadership::Fence;
use crate::operator::requests::asked::Asked;
use crate::operator::requests::audited::{self, Called};
use crate::operator::requests::handled::{Handled, Parked};
use crate::operator::requests::observe::Observed;

/// Of a decision that is in its object already: no status has to be told from others.
const NO_MARK: u64 = 0;

impl Signing {
    /// Carry out a plan that was made just now, as long as the fence stands. `asked` is the Issuer whose plugin answered it,
    /// `newest` the one that the request names.
    pub(super) async fn carry_out(
        &self,
        current: Arc<Observed>,
        fence: Fence,
        (plan, before): (RequestPlan, Tries),
        (asked, newest): (Option<AskedIssuer>, Option<AskedIssuer>),
        called: Option<Called>,
    ) -> Handled {
        let since = Instant::now();
        let is_recorded = self.audit.is_on() && audited::is_decision(plan.status.as_ref());
        let ticket = if is_recorded {
            let wanted = self.asked_of_any(&current).await;
            let (current, wanted) = (&*current, wanted.as_deref());
            audited::decided(
                &self.audit,
                (current, wanted),
                (&plan, before),
                called.as_ref(),
                newest.as_ref(),
            )
        } else {
            None
        };
        let parked = Parked { plan, asked, fence, ticket, since, place: None, tried: false };
        self.execute_in_turn(current, parked, before).await
    }

    /// A CertificateSigningRequest that was not finished has been denied. Nobody writes to it, but it is a decision: it is
    /// recorded by whom works for its Issuer at that moment.
    pub fn record_denial(&self, request: &Observed, tries: Tries) {
        if !self.audit.is_on() || self.fence_of(request).is_none() {
            return;
        }
        let Some(plan) = request::denial(&request.view, tries, now()) else { return };
        let (_, newest) = self.issuer_of(request);
        let asked = request.asked.as_deref();
        let record = audited::record((request, asked), (&plan, tries), None, newest.as_ref());
        let ticket = record.and_then(|record| self.audit.decided(NO_MARK, record));
        ticket.into_iter().for_each(Ticket::written);
    }

    /// What is asked for by a request whatever has become of it, if it is still there.
    async fn asked_of_any(&self, current: &Observed) -> Option<Arc<Asked>> {
        if current.asked.is_some() {
            return current.asked.clone();
        }
        let _turn = self.reads.acquire(&current.owner()).await;
        match self.read(current).await {
            Found::There(newer) => newer.asked,
            Found::Gone | Found::Unknown => None,
        }
    }
}
