//! What a call has of the threads that run it: processor time, and its turn for as long as one runs it.
//!
//! By the clock on the wall a call that waits for a processor computes, too: on a busy node every one of them would pass for
//! one that computes long.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::yield_now;

use super::allowance::Allowance;
use super::background::{Background, at_home};
use super::fair::FairSlot;
use super::lock::lock;

/// A turn to compute: the Issuer's, and among everybody's.
pub type Turn = (Option<OwnedSemaphorePermit>, FairSlot);

/// The threads of one call.
pub struct CallThread {
    allowance: Arc<Allowance>,
    background: Arc<Background>,
    /// It goes on in the background.
    leaves: AtomicBool,
    turn: Mutex<Option<Turn>>,
    /// What it had computed before it was given a thread last, in nanoseconds.
    before: AtomicU64,
    /// What that thread had computed by then, in nanoseconds.
    since: AtomicU64,
}

impl CallThread {
    /// Nothing is computed yet. What will be is spent of `allowance`.
    pub fn new(allowance: Arc<Allowance>, background: Arc<Background>) -> Self {
        Self {
            allowance,
            background,
            leaves: AtomicBool::default(),
            turn: Mutex::default(),
            before: AtomicU64::default(),
            since: AtomicU64::default(),
        }
    }

    /// Run the call: on the caller's threads until it has to take turns, and then in the background.
    pub async fn run<F>(self: Arc<Self>, call: F) -> F::Output
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let home = Handle::current();
        let (thread, background) = (self.clone(), self.background.clone());
        let mut call = Box::pin(async move { thread.count(at_home(home, call)).await });
        let here = poll_fn(|context| match call.as_mut().poll(context) {
            Poll::Ready(ended) => Poll::Ready(Some(ended)),
            Poll::Pending if self.leaves.load(Ordering::Relaxed) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        match here.await {
            Some(ended) => ended,
            None => background.run(call).await,
        }
    }

    /// From now on it runs in the background, as soon as it gives back the thread that it has.
    pub fn to_background(&self) {
        self.leaves.store(true, Ordering::Relaxed);
    }

    /// Run the call, or a part of it, and count what it computes.
    pub async fn count<F: Future>(&self, call: F) -> F::Output {
        let mut call = pin!(call);
        poll_fn(|context| {
            let since = thread_time();
            self.since.store(since, Ordering::Relaxed);
            let polled = call.as_mut().poll(context);
            let computed = thread_time().saturating_sub(since);
            self.before.fetch_add(computed, Ordering::Relaxed);
            self.allowance.spend(Duration::from_nanos(computed));
            self.end_turn();
            polled
        })
        .await
    }

    /// Others compute while this call waits for something. Those that can run, and did not know yet that they have to wait,
    /// come first: it is for the slots to say whose turn is next, not for the executor's queue.
    fn end_turn(&self) {
        let turn = lock(&self.turn).take();
        if let Some(turn) = turn {
            tokio::spawn(async {
                yield_now().await;
                drop(turn);
            });
        }
    }

    /// Hold a turn until the thread is given back.
    pub fn hold(&self, turn: Turn) {
        *lock(&self.turn) = Some(turn);
    }

    /// How long the call has computed so far, if asked by the call itself.
    pub fn computed(&self) -> Duration {
        let now = thread_time().saturating_sub(self.since.load(Ordering::Relaxed));
        Duration::from_nanos(self.before.load(Ordering::Relaxed).saturating_add(now))
    }
}

/// Do some work on this thread, and spend of `allowance` what it computes.
pub fn spending<T>(allowance: &Allowance, work: impl FnOnce() -> T) -> T {
    let since = thread_time();
    let done = work();
    allowance.spend(Duration::from_nanos(thread_time().saturating_sub(since)));
    done
}

/// The processor time of this thread, in nanoseconds.
fn thread_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}
