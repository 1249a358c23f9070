//! Who computes when processors are short.
//!
//! Most calls need a millisecond and run at once. One that has computed for longer, alone or with the others of its
//! namespace that are under way, takes turns with those like it, on all processors but one, so however many plugins loop, a
//! short call finds a processor free. Namespaces take turns, and within them Issuers: of one Issuer's long calls only one
//! waits in the queue of all. After a long call the next ones of its Issuer take turns from their start and with each
//! tick, until one was short.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking, yield_now};
use tokio::time::sleep;

use super::computed::Computed;
use super::engine::TICK;
use super::fair::{FairSlots, Owner};
use super::lock::lock;

/// How long a call computes before it has to take turns.
const SHORT: Duration = TICK;
/// How long all calls of a namespace that are under way compute together before they have to. Many that begin at once would
/// each be short for a while.
const SHORT_OF_ALL: Duration = Duration::from_millis(30);

/// The turns of all calls.
#[derive(Clone)]
pub struct Turns {
    slots: Arc<FairSlots>,
    /// What the calls that are under way have computed, by namespaces.
    computed: Arc<Mutex<HashMap<Arc<str>, Weak<AtomicU64>>>>,
}

/// The turns of one Issuer's calls.
#[derive(Clone)]
pub struct IssuerTurns {
    queue: Arc<Semaphore>,
    was_long: Arc<AtomicBool>,
}

/// The turns of one call.
pub struct CallTurns {
    all: Turns,
    issuer: IssuerTurns,
    owner: Owner,
    /// What it has computed.
    pub computed: Arc<Computed>,
    /// Whether it waits for its turn at each tick.
    takes_turns: bool,
    /// The host has worked long for it.
    worked: bool,
    waits: Arc<AtomicBool>,
}

impl Turns {
    /// As many at a time as this machine has processors, less one for short calls.
    pub fn new() -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        Self::at_a_time(processors.saturating_sub(1))
    }

    /// So many at a time, at least one.
    pub fn at_a_time(calls: usize) -> Self {
        Self { slots: FairSlots::new(calls), computed: Arc::default() }
    }

    /// What the calls of a namespace that are under way have computed, in nanoseconds.
    fn computed(&self, namespace: &Arc<str>) -> Arc<AtomicU64> {
        let mut all = lock(&self.computed);
        if let Some(computed) = all.get(namespace).and_then(Weak::upgrade) {
            return computed;
        }
        all.retain(|_, computed| computed.strong_count() > 0);
        let computed = Arc::default();
        all.insert(namespace.clone(), Arc::downgrade(&computed));
        computed
    }
}

impl IssuerTurns {
    /// For one at a time.
    pub fn new() -> Self {
        Self { queue: Arc::new(Semaphore::new(1)), was_long: Arc::default() }
    }
}

impl Drop for CallTurns {
    fn drop(&mut self) {
        let computed = self.computed.counted();
        // One that had no turn yet says nothing about the next.
        if self.worked || !computed.is_zero() {
            self.issuer.was_long.store(self.worked || computed > SHORT, Ordering::Relaxed);
        }
    }
}

impl CallTurns {
    /// For a call that has not computed yet, on this owner's account.
    pub fn new(all: Turns, issuer: IssuerTurns, owner: Owner) -> Self {
        let computed = Arc::new(Computed::among(all.computed(&owner.namespace)));
        Self { all, issuer, owner, computed, takes_turns: false, worked: false, waits: Arc::default() }
    }

    /// Whether the call waits for its turn, or did so when it was dropped.
    pub fn waits(&self) -> bool {
        self.waits.load(Ordering::Relaxed)
    }

    /// The call begins when this is done.
    pub fn first(&mut self) -> impl Future<Output = ()> + Send + use<> {
        self.takes_turns = self.issuer.was_long.load(Ordering::Relaxed);
        self.turn(self.takes_turns)
    }

    /// The call has had its thread for one more tick; it may go on when this is done.
    pub fn next(&mut self) -> impl Future<Output = ()> + Send + use<> {
        self.takes_turns |= self.computed.so_far() > SHORT || self.computed.of_all() > SHORT_OF_ALL;
        self.turn(self.takes_turns)
    }

    /// Does work of the host's that takes longer than a tick: in the call's turn, and not on a thread that others wait for.
    /// It goes on to its end where the call does not.
    pub fn compute<T: Send + 'static, W: FnOnce() -> T + Send + 'static>(
        &mut self,
        work: W,
    ) -> impl Future<Output = Result<T, JoinError>> + Send + use<T, W> {
        self.takes_turns = true;
        self.worked = true;
        let (issuer, all, owner) = (self.issuer.queue.clone(), self.all.slots.clone(), self.owner.clone());
        let waits = self.waits.clone();
        waits.store(true, Ordering::Relaxed);
        async move {
            let turn = (issuer.acquire_owned().await, all.acquire(&owner).await);
            waits.store(false, Ordering::Relaxed);
            let work = move || {
                let _turn = turn;
                work()
            };
            spawn_blocking(work).await
        }
    }

    fn turn(&self, is_taken: bool) -> impl Future<Output = ()> + Send + use<> {
        let taken = is_taken.then(|| (self.issuer.queue.clone(), self.all.slots.clone(), self.owner.clone()));
        let waits = self.waits.clone();
        waits.store(true, Ordering::Relaxed);
        async move {
            match taken {
                None => yield_now().await,
                Some((issuer, all, owner)) => {
                    // It is never closed.
                    let turn = (issuer.acquire_owned().await, all.acquire(&owner).await);
                    // It ends with the tick, also if the call waits for something else by then.
                    tokio::spawn(async move {
                        let _turn = turn;
                        sleep(TICK).await;
                    });
                }
            }
            waits.store(false, Ordering::Relaxed);
        }
    }
}
