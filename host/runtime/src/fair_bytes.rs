//! Memory that namespaces share by the rule of [`super::fair`]: whoever takes some leaves as much free as it has then, so
//! the first one gets at most half, the next at most half of the rest, and a newcomer finds some.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::lock::lock;

/// A number of bytes.
pub struct FairBytes {
    limit: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    all: usize,
    by_owner: HashMap<Arc<str>, usize>,
}

/// Bytes of one owner, given back when this is dropped.
pub struct Share {
    pool: Arc<FairBytes>,
    owner: Arc<str>,
    bytes: usize,
}

/// The owner would have more than it leaves free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// What the owner holds already, in bytes.
    pub held: usize,
    /// What nobody holds, in bytes.
    pub free: usize,
}

impl FairBytes {
    /// So many bytes for all.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, held: Mutex::default() })
    }

    /// How many there are, for all.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// A share of this owner's, empty yet.
    pub fn share(self: &Arc<Self>, owner: &str) -> Share {
        Share { pool: self.clone(), owner: owner.into(), bytes: 0 }
    }

    /// What all owners hold, in bytes.
    #[cfg(any(test, feature = "fixtures"))]
    pub fn held(&self) -> usize {
        lock(&self.held).all
    }
}

impl Share {
    /// How many bytes there are in its pool, for all.
    pub fn limit(&self) -> usize {
        self.pool.limit
    }

    /// How many bytes it holds.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Take so many more.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Shortage> {
        if bytes == 0 {
            return Ok(());
        }
        let mut held = lock(&self.pool.held);
        let own = held.by_owner.get(&self.owner).copied().unwrap_or_default();
        let free = self.pool.limit.saturating_sub(held.all);
        let fits = own.checked_add(bytes).is_some_and(|own| own <= free.saturating_sub(bytes));
        if !fits {
            return Err(Shortage { held: own, free });
        }
        held.all += bytes;
        held.by_owner.insert(self.owner.clone(), own + bytes);
        self.bytes += bytes;
        Ok(())
    }

    /// Give so many back, or all where there are fewer.
    pub fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        let mut held = lock(&self.pool.held);
        held.all = held.all.saturating_sub(bytes);
        if let Some(own) = held.by_owner.get_mut(&self.owner) {
            *own = own.saturating_sub(bytes);
            if *own == 0 {
                held.by_owner.remove(&self.owner);
            }
        }
        self.bytes -= bytes;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many bytes an owner gets, one at a time.
    fn greedy(pool: &Arc<FairBytes>, owner: &str) -> Share {
        let mut share = pool.share(owner);
        while share.grow(1).is_ok() {}
        share
    }

    #[test]
    fn whoever_wants_all_bytes_leaves_half_of_what_is_free() {
        let pool = FairBytes::new(100);
        let shares = ["a", "b", "c", "d"].map(|owner| greedy(&pool, owner));
        assert_eq!(shares.each_ref().map(|share| share.bytes), [50, 25, 12, 6]);
        let mut more = pool.share("a");
        assert_eq!(more.grow(1), Err(Shortage { held: 50, free: 7 }), "be it in another share");
        drop(shares);
        assert_eq!(more.grow(50), Ok(()));
        assert_eq!(more.grow(usize::MAX), Err(Shortage { held: 50, free: 50 }));
    }

    #[test]
    fn what_is_given_back_is_free_and_its_owner_forgotten() {
        let pool = FairBytes::new(100);
        let mut share = pool.share("a");
        share.grow(40).unwrap();
        share.shrink(30);
        assert_eq!(pool.held(), 10);
        share.shrink(usize::MAX);
        assert_eq!(pool.held(), 0);
        assert!(lock(&pool.held).by_owner.is_empty());
    }
}
