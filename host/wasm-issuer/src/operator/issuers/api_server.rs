//! The API server as the tasks of all Issuers share it.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio::sync::oneshot;
use tokio::time::timeout;
use wasm_issuer_runtime::{FairSlot, FairSlots, Owner};

/// What all tasks together ask for at a time, reads and writes. Each is a connection, and at a start all want theirs.
const CALLS: usize = 64;
/// Of these, how many the API server works for. It answers no more in a second if it is asked for more, and everybody else
/// waits for it, too.
const BUSY: usize = 16;
/// A call that is not answered by then keeps it busy no longer, for all we know: others get their turn.
const SILENT: Duration = Duration::from_millis(250);

/// A client, and turns to use it. Watches have their own.
#[derive(Clone)]
pub struct ApiServer {
    /// Asks right away.
    pub client: Client,
    calls: Arc<FairSlots>,
    busy: Arc<FairSlots>,
}

/// The turn to make one call, until it is dropped.
pub struct ApiTurn {
    _call: FairSlot,
    _ended: oneshot::Sender<()>,
}

impl ApiServer {
    pub fn new(client: Client) -> Self {
        Self { client, calls: FairSlots::new(CALLS), busy: FairSlots::new(BUSY) }
    }

    /// Wait for the turn to make one call, for as long as it takes. Whoever has one asks for no other: it is not to be
    /// held while something else is waited for.
    pub async fn turn(&self, owner: &Owner) -> ApiTurn {
        let call = self.calls.acquire(owner).await;
        let busy = self.busy.acquire(owner).await;
        let (ended, ends) = oneshot::channel();
        tokio::spawn(async move {
            let _ = timeout(SILENT, ends).await;
            drop(busy);
        });
        ApiTurn { _call: call, _ended: ended }
    }
}
