//! The first status of an Issuer.

use std::future::pending;

use jiff::Timestamp;
use tokio::time::sleep;
use wasm_issuer_core::issuance::issuer::{self, NewIssuerStatus};
use wasm_issuer_core::issuance::plan::FIRST_STATUS_AFTER;

use crate::operator::issuers::api_server::ApiServer;
use crate::operator::issuers::object::ObservedIssuer;
use crate::operator::issuers::place::owner;

/// Wait until it is to be told that work on an Issuer has begun: for ever, if it has a status.
pub async fn begun(api: &ApiServer, observed: &ObservedIssuer) -> NewIssuerStatus {
    sleep(FIRST_STATUS_AFTER).await;
    match issuer::initializing(&observed.state, Timestamp::now()) {
        Some(status) => {
            api.turn_to_announce(&owner(&observed.key)).await;
            status
        }
        None => pending().await,
    }
}
