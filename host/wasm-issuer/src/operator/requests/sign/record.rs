//! Carries out a plan, with a record of it where it decides something for good.

use std::sync::Arc;

use tokio::time::Instant;
use wasm_issuer_core::issuance::request::{RequestPlan, Tries};
use wasm_issuer_core::issuance::request_issuer::AskedIssuer;
use wasm_issuer_core::issuance::write::Found;

use super::Signing;
use crate::operator::leadership::Fence;
use crate::operator::requests::asked::Asked;
use crate::operator::requests::audited::{self, Called};
use crate::operator::requests::handled::{Handled, Parked};
use crate::operator::requests::observe::Observed;

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
        self.execute(current, Parked { plan, asked, fence, ticket, since }, before).await
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
