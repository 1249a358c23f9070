//! Whether this process, and no other, works for an Issuer.
//!
//! The Issuers belong to shards, one or more, and each shard is a Lease (see [`wasm_issuer_core::lease`]). Who holds it works
//! for its Issuers: has their plugins sign, checks them, writes their statuses and those of their requests, publishes
//! Events. The others are ready to: they watch all the same, and have loaded and compiled everything.
//!
//! Everything that only one may do is done behind a [`Fence`], which is looked at right before each step.

mod candidate;
mod election;
mod fence;
mod lease;
mod sight;

use std::sync::{Arc, Mutex, PoisonError};

pub use election::{Election, ElectionConfig};
pub use fence::{Fence, Lost};
use tokio::sync::watch;
use wasm_issuer_core::lease::shard_of;

/// What this process works for. Clones are the same one.
#[derive(Clone)]
pub struct Leadership(Arc<Inner>);

struct Inner {
    /// By shard: the fence of what is held and not about to be let go.
    shards: Vec<watch::Sender<Option<Fence>>>,
    changes: watch::Sender<u64>,
    taken: Mutex<Taken>,
}

/// The fences of single Leases.
struct Taken {
    /// Of the number of shards.
    layout: Option<Fence>,
    shards: Vec<Option<Fence>>,
}

impl Leadership {
    /// There is no other process: this one works for all Issuers.
    pub fn alone() -> Self {
        Self::new(Taken { layout: Some(Fence::alone()), shards: vec![Some(Fence::alone())] })
    }

    /// Nothing is held yet of so many shards.
    pub fn none_of(shards: usize) -> Self {
        // One is the same in every layout.
        let layout = (shards == 1).then(Fence::alone);
        Self::new(Taken { layout, shards: vec![None; shards] })
    }

    fn new(taken: Taken) -> Self {
        let shards = (0..taken.shards.len()).map(|shard| watch::channel(taken.fence(shard)).0).collect();
        Self(Arc::new(Inner { shards, changes: watch::channel(0).0, taken: Mutex::new(taken) }))
    }

    /// The fence for work for an Issuer, by its name as it is displayed; none where it is not this process's.
    pub fn of(&self, issuer: &str) -> Option<Fence> {
        self.shard(issuer)?.borrow().clone().filter(Fence::holds)
    }

    /// Tells when that changes.
    pub fn follow(&self, issuer: &str) -> watch::Receiver<Option<Fence>> {
        // There is a shard for every name; without one nobody would ever work for it.
        self.shard(issuer).map_or_else(|| watch::channel(None).1, watch::Sender::subscribe)
    }

    /// Tells when anything is held that was not, or the other way round.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// How many shards are held.
    pub fn held(&self) -> usize {
        self.0.shards.iter().filter(|shard| shard.borrow().as_ref().is_some_and(Fence::holds)).count()
    }

    /// A shard is held from now on, or is about to be let go, or is lost.
    fn put(&self, shard: usize, fence: Option<Fence>) {
        self.take(|taken| {
            if let Some(taken) = taken.shards.get_mut(shard) {
                *taken = fence;
            }
        });
    }

    /// The number of shards is agreed on, or not any more.
    fn put_layout(&self, fence: Option<Fence>) {
        self.take(|taken| taken.layout = fence);
    }

    fn take(&self, change: impl FnOnce(&mut Taken)) {
        // A panic while the lock was held leaves whole fences behind.
        let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut taken);
        for (shard, slot) in self.0.shards.iter().enumerate() {
            let fence = taken.fence(shard);
            slot.send_if_modified(|before| {
                let is_news = match (&*before, &fence) {
                    (Some(before), Some(fence)) => !before.is(fence),
                    (before, fence) => before.is_some() || fence.is_some(),
                };
                *before = fence;
                is_news
            });
        }
        self.0.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn shard(&self, issuer: &str) -> Option<&watch::Sender<Option<Fence>>> {
        self.0.shards.get(shard_of(issuer, self.0.shards.len()))
    }
}

impl Taken {
    /// What guards work for a shard.
    fn fence(&self, shard: usize) -> Option<Fence> {
        let shard = self.shards.get(shard).and_then(Option::as_ref);
        self.layout.as_ref().zip(shard).map(|(layout, shard)| shard.and(layout))
    }
}
