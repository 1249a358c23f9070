//! Turns to call the API server, shared between namespaces and then Issuers.
//!
//! What the API server does for one it does not do for others: a namespace that has it do much at a time makes everybody wait,
//! also for what this process has no part in.

mod pace;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use pace::{Pace, Place};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use wasm_issuer_runtime::{FairSlot, FairSlots, Owner};

/// After such a time without a call for any other namespace, one is alone.
const ALONE_AFTER: Duration = Duration::from_secs(30);

/// Turns to make calls of one sort.
#[derive(Clone)]
pub struct ApiTurns {
    calls: Arc<FairSlots>,
    busy: Arc<FairSlots>,
    /// In place of those, for a namespace that is alone.
    alone: Arc<FairSlots>,
    company: Arc<Mutex<Company>>,
    silent: Duration,
}

/// Whether a namespace is the only one that calls.
#[derive(Default)]
struct Company {
    last: Option<Arc<str>>,
    /// When the last call was for another namespace than the one before it.
    changed: Option<Instant>,
}

/// The turn to make one call, until it is dropped.
pub struct ApiTurn {
    _call: FairSlot,
    _ended: oneshot::Sender<()>,
}

impl ApiTurns {
    /// For so many calls at a time, each of which may be a connection; of these, the API server works for `busy`. One that is
    /// not answered after `silent` keeps it busy no longer, for all we know, but it is far away: others get their turn.
    pub fn new(calls: usize, busy: Arc<FairSlots>, silent: Duration) -> Self {
        let calls = FairSlots::new(calls);
        Self { calls, alone: busy.clone(), busy, company: Arc::default(), silent }
    }

    /// The same, where a namespace that is alone has its share of `alone` in place of `busy`: nobody waits for it. Whoever
    /// comes then waits for what that one has asked for by then, and for nothing after it.
    pub fn with_alone(self, alone: usize) -> Self {
        Self { alone: FairSlots::new(alone), ..self }
    }

    /// Wait for the turn to make one call, for as long as it takes. Whoever has one asks for no other: it is not to be
    /// held while something else is waited for.
    pub async fn turn(&self, owner: &Owner) -> ApiTurn {
        let call = self.calls.acquire(owner).await;
        let is_alone = self.company.lock().unwrap_or_else(PoisonError::into_inner).is_alone(&owner.namespace);
        let busy = if is_alone { &self.alone } else { &self.busy }.acquire(owner).await;
        let (silent, (ended, ends)) = (self.silent, oneshot::channel());
        tokio::spawn(async move {
            let _ = timeout(silent, ends).await;
            drop(busy);
        });
        ApiTurn { _call: call, _ended: ended }
    }
}

impl Company {
    /// Call for a namespace: whether there has been none for another for long.
    fn is_alone(&mut self, namespace: &Arc<str>) -> bool {
        let now = Instant::now();
        if self.last.as_ref() != Some(namespace) {
            // The first one has no other before it.
            self.changed = self.last.replace(namespace.clone()).map(|_| now);
        }
        self.changed.is_none_or(|changed| now.duration_since(changed) >= ALONE_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    /// So many Issuers of a namespace that make a call each, which is never answered. How many turns it has.
    fn hang(turns: &ApiTurns, namespace: &'static str, issuers: usize) -> impl Fn() -> usize + use<> {
        let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        for n in 0..issuers {
            let (turns, count) = (turns.clone(), count.clone());
            tokio::spawn(async move {
                let _turn = turns.turn(&Owner::new(namespace, &n.to_string())).await;
                count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                std::future::pending::<()>().await;
            });
        }
        move || count.load(std::sync::atomic::Ordering::Relaxed)
    }

    #[tokio::test(start_paused = true)]
    async fn no_namespace_keeps_the_api_server_busy_alone() {
        let turns = ApiTurns::new(64, FairSlots::new(16), Duration::from_millis(50));
        let loud = hang(&turns, "loud", 100);
        sleep(Duration::from_millis(20)).await;
        assert_eq!(loud(), 8);
        let quiet = hang(&turns, "quiet", 1);
        sleep(Duration::from_millis(1)).await;
        assert_eq!((loud(), quiet()), (8, 1));
        // Whoever is far away takes no more than half of the calls.
        sleep(Duration::from_secs(10)).await;
        assert_eq!(loud(), 32);
        let quiet = hang(&turns, "quiet", 1);
        sleep(Duration::from_millis(1)).await;
        assert_eq!(quiet(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_alone_has_more_until_another_comes() {
        let turns = ApiTurns::new(128, FairSlots::new(8), Duration::MAX).with_alone(96);
        let call = async |namespace, count: usize| {
            let owner = Owner::new(namespace, "ca");
            let turn = |_| timeout(Duration::from_secs(1), turns.turn(&owner));
            let turns = futures::future::join_all((0..count).map(turn)).await;
            turns.into_iter().flatten().collect::<Vec<_>>()
        };
        assert_eq!(call("loud", 100).await.len(), 32);
        let held = call("loud", 100).await;
        assert_eq!(call("quiet", 1).await.len(), 1, "it waits for nobody");
        // Also while what it had before goes on.
        assert_eq!(call("loud", 100).await.len(), 3);
        drop(held);
        assert_eq!(call("loud", 100).await.len(), 3);
        sleep(ALONE_AFTER).await;
        assert_eq!(call("loud", 100).await.len(), 32);
    }
}
