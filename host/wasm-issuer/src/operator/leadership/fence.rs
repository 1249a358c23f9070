//! What stands between a process and what only one process may do.

use std::convert::Infallible;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::select_all;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use crate::operator::clock::uptime;

/// How long after a shard was taken what the watches bring may still be older than what the process before wrote.
const WATCHES_LAG: Duration = Duration::from_secs(5);

/// Stands while this process is sure to hold some Leases, those of all these terms. Whoever has one keeps them from being let
/// go, as far as that waits.
#[derive(Clone)]
pub struct Fence(Vec<Term>);

/// From when a Lease is taken until it is lost or let go.
#[derive(Clone)]
struct Term {
    began: Duration,
    /// Until when it is held, unless it is renewed before.
    until: watch::Receiver<Duration>,
    /// Closed when the last fence is dropped.
    _open: mpsc::Sender<Infallible>,
}

/// The one end of a term: who holds the Lease decides how long the fences stand.
pub struct Tenure {
    until: watch::Sender<Duration>,
    fences: mpsc::Receiver<Infallible>,
}

/// The Lease was lost before the work was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("another process may work for the Issuer by now")]
pub struct Lost;

impl Tenure {
    /// A term until then, and its fence.
    pub fn begin(until: Duration) -> (Self, Fence) {
        let (sender, receiver) = watch::channel(until);
        let (open, fences) = mpsc::channel(1);
        let term = Term { began: uptime(), until: receiver, _open: open };
        (Self { until: sender, fences }, Fence(vec![term]))
    }

    /// It lasts until then.
    pub fn extend(&self, until: Duration) {
        self.until.send_replace(until);
    }

    /// Until when it lasts.
    pub fn until(&self) -> Duration {
        *self.until.borrow()
    }

    /// Wait until nobody has a fence of it.
    pub async fn unused(&mut self) {
        // Nothing is ever sent: it ends when all senders are gone.
        while self.fences.recv().await.is_some() {}
    }
}

impl Drop for Tenure {
    /// It is over, whoever has a fence of it.
    fn drop(&mut self) {
        self.until.send_replace(Duration::ZERO);
    }
}

impl Fence {
    /// One that always stands: there is no other process.
    pub fn alone() -> Self {
        Self(vec![])
    }

    /// One that stands while both do.
    pub fn and(&self, other: &Self) -> Self {
        Self(self.0.iter().chain(&other.0).cloned().collect())
    }

    /// Whether they are of the same terms.
    pub fn is(&self, other: &Self) -> bool {
        let same = |(a, b): (&Term, &Term)| a.until.same_channel(&b.until);
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(same)
    }

    /// Whether this process is sure to hold the Leases, now.
    pub fn holds(&self) -> bool {
        let now = uptime();
        self.0.iter().all(|term| now < *term.until.borrow())
    }

    /// Whether something that was read then may be older than what the process before has written.
    pub fn is_newer_than(&self, read: Duration) -> bool {
        self.0.iter().any(|term| read < term.began + WATCHES_LAG)
    }

    /// Do something as long as the fence stands: it is not begun, nor gone on with, when it does not.
    pub async fn guard<T>(&self, work: impl Future<Output = T>) -> Result<T, Lost> {
        let (mut work, mut lost) = (pin!(work), pin!(self.lost()));
        std::future::poll_fn(|cx| {
            // The clock, and not the timer alone: after a pause the work may be woken first.
            if lost.poll_unpin(cx).is_ready() || !self.holds() {
                return Poll::Ready(Err(Lost));
            }
            work.poll_unpin(cx).map(Ok)
        })
        .await
    }

    /// Wait until it does not stand any more.
    async fn lost(&self) {
        if self.0.is_empty() {
            return std::future::pending().await;
        }
        select_all(self.0.iter().map(|term| Box::pin(term.over()))).await;
    }
}

impl Term {
    async fn over(&self) {
        let mut until = self.until.clone();
        loop {
            let left = until.borrow_and_update().saturating_sub(uptime());
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = sleep(left) => {}
                Ok(()) = until.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::time::{Instant, advance};

    use super::*;
    use crate::operator::clock::let_the_machine_sleep;

    const TERM: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn work_is_dropped_when_the_term_ends_and_not_begun_after_it() {
        let (tenure, fence) = Tenure::begin(uptime() + TERM);
        assert_eq!(fence.guard(async { 1 }).await, Ok(1));
        let began = Instant::now();
        assert_eq!(fence.guard(sleep(2 * TERM)).await, Err(Lost));
        assert_eq!(began.elapsed(), TERM);
        let is_begun = AtomicBool::new(false);
        let work = async { is_begun.store(true, Ordering::Relaxed) };
        assert_eq!(fence.guard(work).await, Err(Lost));
        assert!(!is_begun.load(Ordering::Relaxed) && !fence.holds());
        drop(tenure);
    }

    #[tokio::test(start_paused = true)]
    async fn a_term_that_is_extended_goes_on_and_one_that_is_ended_does_not() {
        let (tenure, fence) = Tenure::begin(uptime() + TERM);
        let other = fence.clone();
        let work = tokio::spawn(async move { other.guard(sleep(TERM + TERM / 2)).await });
        sleep(TERM / 2).await;
        tenure.extend(uptime() + TERM);
        sleep(TERM / 2).await;
        assert!(fence.holds());
        drop(tenure);
        assert!(!fence.holds());
        assert_eq!(work.await.unwrap(), Err(Lost));
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_is_woken_after_a_pause_is_not_gone_on_with() {
        let (_tenure, fence) = Tenure::begin(uptime() + TERM);
        let (wake, mut woken) = mpsc::channel::<()>(1);
        let went_on = AtomicBool::new(false);
        let work = async {
            woken.recv().await;
            went_on.store(true, Ordering::Relaxed);
        };
        let paused = async {
            tokio::task::yield_now().await;
            wake.send(()).await.unwrap();
            // Nothing runs meanwhile.
            advance(2 * TERM).await;
        };
        // The pause comes first, so that both are due when the work is looked at again.
        let (guarded, ()) = futures::join!(fence.guard(work), paused);
        assert_eq!(guarded, Err(Lost));
        assert!(!went_on.load(Ordering::Relaxed));
    }

    /// Then no timer says that the term is over.
    #[tokio::test(start_paused = true)]
    async fn work_is_not_gone_on_with_after_the_machine_slept() {
        let (_tenure, fence) = Tenure::begin(uptime() + TERM);
        let went_on = AtomicBool::new(false);
        let work = async {
            sleep(TERM / 10).await;
            went_on.store(true, Ordering::Relaxed);
        };
        let asleep = async {
            tokio::task::yield_now().await;
            let_the_machine_sleep(TERM);
        };
        let (guarded, ()) = futures::join!(fence.guard(work), asleep);
        assert_eq!(guarded, Err(Lost));
        assert!(!went_on.load(Ordering::Relaxed));
    }

    #[tokio::test(start_paused = true)]
    async fn a_term_is_unused_when_the_last_fence_is_dropped() {
        let (mut tenure, fence) = Tenure::begin(uptime() + TERM);
        let work = tokio::spawn(async move { fence.guard(sleep(TERM / 2)).await });
        let began = Instant::now();
        tenure.unused().await;
        assert_eq!(began.elapsed(), TERM / 2);
        assert_eq!(work.await.unwrap(), Ok(()));
    }
}
