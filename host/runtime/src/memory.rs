//! The memory of plugins, counted over all memories and tables of a call and over all calls.

use std::sync::Arc;

use wasmtime::ResourceLimiter;

use super::budget::Budget;
use super::fair_bytes::{FairBytes, Share};

/// What the plugins of this process may hold together, shared between namespaces.
///
/// A small part of each call is not the pool's: calls that use no more go on however many large ones have used the pool
/// up.
pub struct MemoryPool {
    bytes: Arc<FairBytes>,
    own: usize,
}

impl MemoryPool {
    /// Both in bytes; `own` is what each call may use without asking the pool.
    pub fn new(limit: usize, own: usize) -> Arc<Self> {
        Arc::new(Self { bytes: FairBytes::new(limit), own })
    }

    /// How much of what a call uses is the pool's.
    fn share(&self, used: usize) -> usize {
        used.saturating_sub(self.own)
    }

    #[cfg(test)]
    pub fn used(&self) -> usize {
        self.bytes.held()
    }
}

/// Why memory was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The call reached its own limit.
    Call,
    /// All calls reached their limit, or those of its namespace their share of it.
    Process,
}

/// The memory of one call. wasmtime's own `StoreLimits` bounds each memory by itself; a component may have many.
pub struct MemoryLimiter {
    limit: usize,
    used: usize,
    /// What the last permitted growth took, in case it fails after all.
    last: usize,
    refusal: Option<Refusal>,
    pool: Arc<MemoryPool>,
    share: Share,
}

impl MemoryLimiter {
    /// `limit` is for this call, in bytes; what it takes of the pool is on the account of `namespace`.
    pub fn new(limit: usize, pool: Arc<MemoryPool>, namespace: &str) -> Self {
        let share = pool.bytes.share(namespace);
        Self { limit, used: 0, last: 0, refusal: None, pool, share }
    }

    /// Whether memory was refused: a plugin that traps afterwards most likely did so for the lack of it.
    pub fn refusal(&self) -> Option<Refusal> {
        self.refusal
    }

    /// What the call has, in bytes, and so the most that it had: nothing is given back before its end.
    pub fn used(&self) -> usize {
        self.used
    }

    /// What all calls may hold together, in bytes.
    pub fn pool_limit(&self) -> usize {
        self.pool.bytes.limit()
    }

    fn grow(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> bool {
        self.last = 0;
        if maximum.is_some_and(|maximum| desired > maximum) {
            return false; // the component's own limit
        }
        let more = desired.saturating_sub(current);
        if self.used.checked_add(more).is_none_or(|sum| sum > self.limit) {
            self.refusal = Some(Refusal::Call);
            return false;
        }
        if self.share.grow(self.pool.share(self.used + more) - self.pool.share(self.used)).is_err() {
            self.refusal = Some(Refusal::Process);
            return false;
        }
        self.used += more;
        self.last = more;
        true
    }

    fn undo(&mut self) {
        let before = self.used - self.last;
        self.share.shrink(self.pool.share(self.used) - self.pool.share(before));
        self.used = before;
        self.last = 0;
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        max: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.grow(current, desired, max))
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.undo();
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        max: Option<usize>,
    ) -> wasmtime::Result<bool> {
        const ELEMENT: usize = size_of::<usize>();
        Ok(self.grow(
            current.saturating_mul(ELEMENT),
            desired.saturating_mul(ELEMENT),
            max.map(|max| max.saturating_mul(ELEMENT)),
        ))
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.undo();
        Ok(())
    }

    // Each costs the host memory that is not counted above. A component within its budget has no more; these hold as
    // well where the budget should have miscounted.
    fn instances(&self) -> usize {
        count(Budget::WIDE.footprint.instances)
    }

    fn tables(&self) -> usize {
        count(Budget::WIDE.footprint.tables)
    }

    fn memories(&self) -> usize {
        count(Budget::WIDE.footprint.memories)
    }
}

fn count(bound: u64) -> usize {
    bound.try_into().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memories_and_tables_count_together() {
        let pool = MemoryPool::new(1 << 30, 0);
        let mut limiter = MemoryLimiter::new(1000, pool.clone(), "a");
        assert!(limiter.memory_growing(0, 600, None).unwrap());
        assert!(limiter.table_growing(0, 50, None).unwrap());
        assert!(!limiter.memory_growing(0, 1, None).unwrap());
        assert_eq!(limiter.refusal(), Some(Refusal::Call));
        assert_eq!(pool.used(), 1000);
        drop(limiter);
        assert_eq!(pool.used(), 0);
    }

    #[test]
    fn a_failed_growth_is_given_back_once() {
        let pool = MemoryPool::new(1 << 30, 0);
        let mut limiter = MemoryLimiter::new(1000, pool.clone(), "a");
        assert!(limiter.memory_growing(0, 600, None).unwrap());
        assert!(limiter.memory_growing(600, 800, None).unwrap());
        limiter.memory_grow_failed(wasmtime::Error::msg("no memory")).unwrap();
        limiter.memory_grow_failed(wasmtime::Error::msg("no memory")).unwrap();
        assert_eq!(pool.used(), 600);
        assert!(!limiter.memory_growing(600, 900, Some(700)).unwrap());
        limiter.memory_grow_failed(wasmtime::Error::msg("over its maximum")).unwrap();
        assert_eq!((pool.used(), limiter.refusal()), (600, None));
    }

    #[test]
    fn namespaces_share_the_pool() {
        let pool = MemoryPool::new(1000, 0);
        let call = |namespace: &str| MemoryLimiter::new(800, pool.clone(), namespace);
        let (mut first, mut second, mut neighbour) = (call("hostile"), call("hostile"), call("neighbour"));
        assert!(first.memory_growing(0, 400, None).unwrap());
        assert!(!second.memory_growing(0, 400, None).unwrap(), "half is the most");
        assert_eq!(second.refusal(), Some(Refusal::Process));
        assert!(neighbour.memory_growing(0, 300, None).unwrap());
        drop((first, neighbour));
        assert!(second.memory_growing(0, 400, None).unwrap());
    }

    #[test]
    fn small_calls_need_nothing_of_the_pool() {
        let pool = MemoryPool::new(2000, 100);
        let mut large = MemoryLimiter::new(5000, pool.clone(), "a");
        assert!(large.memory_growing(0, 1100, None).unwrap());
        assert!(!large.memory_growing(1100, 1101, None).unwrap());
        let mut small = MemoryLimiter::new(5000, pool.clone(), "a");
        assert!(small.memory_growing(0, 60, None).unwrap());
        assert!(small.memory_growing(60, 100, None).unwrap());
        assert!(!small.memory_growing(100, 101, None).unwrap());
        small.undo();
        drop(large);
        assert!(small.memory_growing(100, 150, None).unwrap());
        assert_eq!(pool.used(), 50);
        small.memory_grow_failed(wasmtime::Error::msg("no memory")).unwrap();
        assert_eq!(pool.used(), 0);
    }
}
