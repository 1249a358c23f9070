//! Who computes when processors are short.
//!
//! Most calls need a millisecond and run at once. One that has computed for longer takes turns with those like it, and so do
//! all calls of a namespace that has spent its [`Allowance`]: of many short ones a crowd is as bad. Turns are on all
//! processors but one, so however many plugins loop, a short call finds a processor free. A turn lasts until its call gives
//! the thread back: at the tick, or to wait for something. Namespaces take turns, and within them Issuers: of one Issuer's
//! calls only one waits in the queue of all.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking, yield_now};

use super::allowance::Allowance;
use super::engine::TICK;
use super::fair::{FairSlots, Owner};
use super::lock::lock;
use super::thread::{CallThread, Turn, spending};

/// How long a call computes before it has to take turns.
const SHORT: Duration = TICK;

/// The turns of all calls.
#[derive(Clone)]
pub struct Turns {
    slots: Arc<FairSlots>,
    /// Those of the namespaces that have calls.
    allowances: Arc<Mutex<HashMap<Arc<str>, Weak<Allowance>>>>,
}

/// The turns of one Issuer's calls.
#[derive(Clone)]
pub struct IssuerTurns(Arc<Semaphore>);

/// The turns of one call.
pub struct CallTurns {
    all: Turns,
    issuer: IssuerTurns,
    owner: Owner,
    allowance: Arc<Allowance>,
    /// What runs it.
    pub thread: Arc<CallThread>,
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
        Self { slots: FairSlots::new(calls), allowances: Arc::default() }
    }

    fn allowance(&self, namespace: &Arc<str>) -> Arc<Allowance> {
        let mut all = lock(&self.allowances);
        if let Some(allowance) = all.get(namespace).and_then(Weak::upgrade) {
            return allowance;
        }
        all.retain(|_, allowance| allowance.strong_count() > 0);
        let allowance = Arc::new(Allowance::new());
        all.insert(namespace.clone(), Arc::downgrade(&allowance));
        allowance
    }
}

impl IssuerTurns {
    /// For one at a time.
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl CallTurns {
    /// For a call that has not computed yet, on this owner's account.
    pub fn new(all: Turns, issuer: IssuerTurns, owner: Owner) -> Self {
        let allowance = all.allowance(&owner.namespace);
        let thread = Arc::new(CallThread::new(allowance.clone()));
        Self { all, issuer, owner, allowance, thread, waits: Arc::default() }
    }

    /// Whether the call waits for its turn, or did so when it was dropped.
    pub fn waits(&self) -> bool {
        self.waits.load(Ordering::Relaxed)
    }

    /// The call begins when this is done.
    pub fn first(&self) -> impl Future<Output = ()> + Send + use<> {
        self.turn(self.allowance.is_spent())
    }

    /// The call has had its thread for one more tick; it may go on when this is done.
    pub fn next(&self) -> impl Future<Output = ()> + Send + use<> {
        self.turn(self.thread.computed() > SHORT || self.allowance.is_spent())
    }

    /// Does work of the host's that takes longer than a tick: in a turn, and not on a thread that others wait for. It goes on
    /// to its end where the call does not.
    pub fn compute<T: Send + 'static, W: FnOnce() -> T + Send + 'static>(
        &self,
        work: W,
    ) -> impl Future<Output = Result<T, JoinError>> + Send + use<T, W> {
        let (turn, allowance, waits) = (self.acquire(), self.allowance.clone(), self.waits.clone());
        waits.store(true, Ordering::Relaxed);
        async move {
            let turn = turn.await;
            waits.store(false, Ordering::Relaxed);
            let work = move || {
                let _turn = turn;
                spending(&allowance, work)
            };
            spawn_blocking(work).await
        }
    }

    fn turn(&self, is_taken: bool) -> impl Future<Output = ()> + Send + use<> {
        let taken = is_taken.then(|| (self.acquire(), self.thread.clone()));
        let waits = self.waits.clone();
        waits.store(true, Ordering::Relaxed);
        async move {
            match taken {
                None => yield_now().await,
                Some((turn, thread)) => thread.hold(turn.await),
            }
            waits.store(false, Ordering::Relaxed);
        }
    }

    fn acquire(&self) -> impl Future<Output = Turn> + Send + use<> {
        let (issuer, all, owner) = (self.issuer.0.clone(), self.all.slots.clone(), self.owner.clone());
        async move {
            // It is never closed.
            let issuer = issuer.acquire_owned().await.ok();
            (issuer, all.acquire(&owner).await)
        }
    }
}
