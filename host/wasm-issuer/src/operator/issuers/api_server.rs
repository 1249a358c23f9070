//! The API server as the tasks of all Issuers share it.

use std::sync::Arc;

use kube::Client;
use wasm_issuer_runtime::{FairSlot, FairSlots, Owner};

/// What all tasks together ask for at a time, reads and writes. Each is a connection, and at a start all want theirs.
const CALLS: usize = 64;

/// A client, and turns to use it. Watches have their own.
#[derive(Clone)]
pub struct ApiServer {
    /// Asks right away.
    pub client: Client,
    calls: Arc<FairSlots>,
}

impl ApiServer {
    pub fn new(client: Client) -> Self {
        Self { client, calls: FairSlots::new(CALLS) }
    }

    /// Wait for the turn to make one call, for as long as it takes. Whoever has one asks for no other: it is not to be
    /// held while something else is waited for.
    pub async fn turn(&self, owner: &Owner) -> FairSlot {
        self.calls.acquire(owner).await
    }
}
