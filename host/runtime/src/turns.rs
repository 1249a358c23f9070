//! Who computes when processors are short.
//!
//! Most calls need a millisecond and run at once. One that has computed for longer takes turns with those like it, and so do
//! all calls of a namespace that has spent its [`Allowance`]: of many short ones a crowd is as bad. Turns are on all
//! processors but one, and in the [`Background`], so however many plugins loop, a short call finds a processor free. A turn
//! lasts until its call gives the thread back: at the tick, or to wait for something. Namespaces take turns, and within them
//! Issuers: of one Issuer's calls only one waits in the queue of all.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::yield_now;

use super::allowance::Allowance;
use super::background::Background;
use super::engine::TICK;
use super::fair::{FairSlots, Owner};
use super::lock::lock;
use super::panic;
use super::thread::{CallThread, Turn, spending};

/// How long a call computes before it has to take turns.
const SHORT: Duration = TICK;

/// As many are parsed, unpacked or hashed in a millisecond.
const FEW_BYTES: usize = 64 << 10;

/// The turns of all calls, and of what else the host computes for somebody that takes long.
#[derive(Clone)]
pub struct Turns {
    slots: Arc<FairSlots>,
    background: Arc<Background>,
    /// Those of the namespaces that have calls, or had some a moment ago.
    allowances: Arc<Mutex<HashMap<Arc<str>, Arc<Allowance>>>>,
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
    /// As many at a time as this machine has processors, less one for what is short. Fails if it gives no threads.
    pub fn new() -> io::Result<Self> {
        let processors = available_parallelism().map_or(1, usize::from);
        Self::at_a_time(processors.saturating_sub(1))
    }

    /// So many at a time, at least one.
    pub fn at_a_time(calls: usize) -> io::Result<Self> {
        let calls = calls.max(1);
        Ok(Self {
            slots: FairSlots::new(calls),
            background: Arc::new(Background::new(calls)?),
            allowances: Arc::default(),
        })
    }

    /// Do a job that takes long in this owner's turn, and not on a thread that others wait for. It goes on to its end, in its
    /// turn, also if nobody waits for it any more.
    ///
    /// # Panics
    ///
    /// If the job does.
    pub async fn compute<T: Send + 'static>(
        &self,
        owner: &Owner,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let turn = self.slots.acquire(owner).await;
        self.compute_in(turn, self.allowance(&owner.namespace), job).await
    }

    /// The same for a job about so many bytes: at once where they are few, so that it takes a millisecond.
    pub async fn compute_of<T: Send + 'static>(
        &self,
        bytes: usize,
        owner: &Owner,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        if bytes <= FEW_BYTES { job() } else { self.compute(owner, job).await }
    }

    async fn compute_in<T: Send + 'static>(
        &self,
        turn: impl Send + 'static,
        allowance: Arc<Allowance>,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let job = move || {
            let _turn = turn;
            spending(&allowance, job)
        };
        self.background.compute(job).await
    }

    /// How many namespaces are remembered.
    #[cfg(test)]
    pub fn namespaces(&self) -> usize {
        lock(&self.allowances).len()
    }

    /// Whether nobody computes in the background.
    #[cfg(test)]
    pub fn is_idle(&self) -> bool {
        self.background.is_idle()
    }

    fn allowance(&self, namespace: &Arc<str>) -> Arc<Allowance> {
        let mut all = lock(&self.allowances);
        if let Some(allowance) = all.get(namespace) {
            return allowance.clone();
        }
        // Calls one after the other are to have no new one each.
        all.retain(|_, allowance| Arc::strong_count(allowance) > 1 || !allowance.is_whole());
        all.entry(namespace.clone()).or_insert_with(|| Arc::new(Allowance::new())).clone()
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
        let thread = Arc::new(CallThread::new(allowance.clone(), all.background.clone()));
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
    ) -> impl Future<Output = T> + Send + use<T, W> {
        let (all, allowance) = (self.all.clone(), self.allowance.clone());
        let (turn, waits) = (self.acquire(), self.waits.clone());
        waits.store(true, Ordering::Relaxed);
        async move {
            let turn = turn.await;
            waits.store(false, Ordering::Relaxed);
            all.compute_in(turn, allowance, || panic::in_call(work)).await
        }
    }

    fn turn(&self, is_taken: bool) -> impl Future<Output = ()> + Send + use<> {
        let taken = is_taken.then(|| (self.acquire(), self.thread.clone()));
        let waits = self.waits.clone();
        waits.store(true, Ordering::Relaxed);
        async move {
            if let Some((turn, thread)) = taken {
                thread.to_background();
                // Gives up the thread, which may not be one of the background yet.
                yield_now().await;
                thread.hold(turn.await);
            } else {
                yield_now().await;
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
