//! The API server as the tasks of all Issuers share it.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio::time::{sleep, sleep_until};
use wasm_issuer_runtime::{FairSlots, Owner};

use crate::operator::api_turns::{ApiTurn, ApiTurns, Pace};

/// What all tasks together ask for at a time, reads and writes: at a start all want theirs.
const CALLS: usize = 64;
/// Of these, how many the API server works for: so many keep it busy where each namespace has a few Issuers.
const BUSY: usize = 16;
/// And how many for a namespace. More at a time would have no more done in a second, and everybody else would wait for them:
/// to apply a status takes the API server some 3 ms of a processor.
const BUSY_EACH: usize = 2;
/// They are as fast as the API server; one that is further away than this is asked for more at a time.
const SILENT: Duration = Duration::from_millis(50);

/// How many are told at a time that work on them has begun, and how long it is until the next ones are. Where many are new,
/// all wait for longer than one waits who is not told, and it would be a second write for each.
const ANNOUNCED: usize = 4;
const PAUSE: Duration = Duration::from_millis(100);

/// What is read costs the API server as much as a write, or more, for each so many bytes. Most of it is shorter, and free.
const BYTES_A_PLACE: usize = 128 << 10;

/// A client, and turns to use it. Watches have their own.
#[derive(Clone)]
pub struct ApiServer {
    /// Asks right away.
    pub client: Client,
    turns: ApiTurns,
    /// Of statuses.
    pace: Arc<Pace>,
    announced: Arc<FairSlots>,
    /// Of what is read, by its length.
    reads: Arc<Pace>,
}

impl ApiServer {
    pub fn new(client: Client) -> Self {
        Self {
            client,
            turns: ApiTurns::new(CALLS, FairSlots::capped(BUSY, BUSY_EACH), SILENT),
            pace: Arc::default(),
            announced: FairSlots::new(ANNOUNCED),
            reads: Arc::default(),
        }
    }

    /// Wait for the turn to tell that work has begun.
    pub async fn turn_to_announce(&self, owner: &Owner) {
        let turn = self.announced.acquire(owner).await;
        tokio::spawn(async move {
            sleep(PAUSE).await;
            drop(turn);
        });
    }

    /// Wait for the turn to write a status.
    pub async fn turn_to_write(&self, owner: &Owner) -> ApiTurn {
        self.pace.turn(owner).await;
        self.turn(owner).await
    }

    /// Wait for the turn to read what may be long, which the namespace is charged with by [`Self::has_read`].
    pub async fn turn_to_read(&self, owner: &Owner) -> ApiTurn {
        loop {
            let turn = self.turn(owner).await;
            // Others may have been waiting for this turn, too, and it is only known what they read when they have.
            let Some(until) = self.reads.charged_until(owner) else { return turn };
            drop(turn);
            sleep_until(until).await;
        }
    }

    /// So many bytes were read for somebody.
    pub fn has_read(&self, owner: &Owner, bytes: usize) {
        self.reads.charge(owner, u32::try_from(bytes / BYTES_A_PLACE).unwrap_or(u32::MAX));
    }

    /// Wait for the turn to make one call.
    pub async fn turn(&self, owner: &Owner) -> ApiTurn {
        self.turns.turn(owner).await
    }
}
