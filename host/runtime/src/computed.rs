//! How long a call has computed: the processor time that its thread took while it ran the call. By the clock on the wall a
//! call that waits for a processor computes, too: on a busy node every one of them would pass for one that computes long.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The processor time of one call, which counts among that of all calls of its namespace as long as it is there.
pub struct Computed {
    all: Arc<AtomicU64>,
    /// Before it was given a thread last, in nanoseconds.
    before: AtomicU64,
    /// What that thread had taken by then, in nanoseconds.
    since: AtomicU64,
}

impl Computed {
    /// Nothing yet. `all` is what the calls of its namespace that are under way have computed, in nanoseconds.
    pub fn among(all: Arc<AtomicU64>) -> Self {
        Self { all, before: AtomicU64::default(), since: AtomicU64::default() }
    }

    /// How long all calls of its namespace that are under way have computed, up to their last rest.
    pub fn of_all(&self) -> Duration {
        Duration::from_nanos(self.all.load(Ordering::Relaxed))
    }

    /// Run the call, or a part of it, and count what it computes.
    pub async fn count<F: Future>(&self, call: F) -> F::Output {
        let mut call = pin!(call);
        poll_fn(|context| {
            self.since.store(thread_time(), Ordering::Relaxed);
            let polled = call.as_mut().poll(context);
            let now = self.nanoseconds();
            let before = self.before.swap(now, Ordering::Relaxed);
            self.all.fetch_add(now.saturating_sub(before), Ordering::Relaxed);
            polled
        })
        .await
    }

    /// How long it has computed so far, if asked by the call itself.
    pub fn so_far(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds())
    }

    /// How long it had computed when it gave its thread back last.
    pub fn counted(&self) -> Duration {
        Duration::from_nanos(self.before.load(Ordering::Relaxed))
    }

    fn nanoseconds(&self) -> u64 {
        let now = thread_time().saturating_sub(self.since.load(Ordering::Relaxed));
        self.before.load(Ordering::Relaxed).saturating_add(now)
    }
}

impl Drop for Computed {
    fn drop(&mut self) {
        self.all.fetch_sub(self.before.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// The processor time of this thread, in nanoseconds.
fn thread_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}
