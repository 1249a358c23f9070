//! One Lease, taken, renewed and let go by one process.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{debug, info, warn};
use wasm_issuer_core::lease::{Step, step};

use super::fence::{Fence, Tenure};
use super::lease::{LeaseClient, LeaseError};
use super::sight::{Known, Sight};
use crate::operator::clock::uptime;

/// How long what is under way may go on when the Lease is to be let go for another replica: as long as at a stop.
const LEAVE: Duration = Duration::from_secs(25);
/// The same when the process ends: by then nothing is under way that it waits for.
const END: Duration = Duration::from_secs(1);
/// When to try again after somebody else has written the Lease, or after it was let go.
const AFTER_CONFLICT: Duration = Duration::from_millis(200);
/// How often a release that conflicts is tried.
const RELEASES: usize = 3;

/// What a process wants of a Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// To hold it.
    Hold,
    /// To hold it as long as it does, and not to take it again: the process is about to end.
    Keep,
    /// To let it go once nothing is under way.
    Leave,
    /// The same, soon, and never to take it again.
    End,
}

/// A candidate for one Lease.
pub struct Candidate<T> {
    lease: LeaseClient,
    sight: Sight,
    news: watch::Receiver<Option<Known>>,
    wish: watch::Receiver<Wish>,
    /// Where the fence is put when it is taken, and none when it is lost or about to be let go.
    tell: T,
    held: Option<Held>,
    /// No other write before then.
    not_before: Duration,
}

struct Held {
    tenure: Tenure,
    /// When the last write that landed began.
    renewed: Duration,
    /// Until when what is under way may go on; none as long as the Lease is not to be let go.
    closing: Option<Duration>,
}

impl<T: FnMut(Option<Fence>)> Candidate<T> {
    /// One that holds nothing yet.
    pub fn new(lease: LeaseClient, sight: Sight, wish: watch::Receiver<Wish>, tell: T) -> Self {
        Self { lease, news: sight.follow(), sight, wish, tell, held: None, not_before: Duration::ZERO }
    }

    /// Do as is wished, until the wish is to end.
    pub async fn run(mut self) {
        loop {
            self.news.mark_unchanged();
            let wish = *self.wish.borrow_and_update();
            if wish == Wish::End && self.held.is_none() {
                // It may be held without this process's knowing: by a write whose answer was lost.
                return self.release().await;
            }
            self.close(wish);
            let now = uptime();
            match self.step() {
                Step::StepDown => self.step_down(),
                Step::Acquire if wish != Wish::Hold => self.idle(None).await,
                Step::Acquire | Step::Renew if now < self.not_before => {
                    self.idle(Some(self.not_before)).await;
                }
                Step::Acquire | Step::Renew => self.hold(now).await,
                Step::Wait(at) => self.idle(Some(at)).await,
            }
        }
    }

    fn step(&self) -> Step {
        let LeaseClient { me, terms, .. } = &self.lease;
        let renewed = self.held.as_ref().map(|held| held.renewed);
        match self.sight.known() {
            Some(known) => step(me, known.seen(terms).as_ref(), renewed, terms, uptime()),
            // Before the first list there may well be one.
            None => Step::Wait(Duration::MAX),
        }
    }

    /// Nothing new is begun from now on, if the Lease is to be let go.
    fn close(&mut self, wish: Wish) {
        let patience = match wish {
            Wish::Hold | Wish::Keep => return,
            Wish::Leave => LEAVE,
            Wish::End => END,
        };
        let Some(held) = &mut self.held else { return };
        let until = uptime() + patience;
        if held.closing.is_none() {
            (self.tell)(None);
        }
        held.closing = Some(held.closing.map_or(until, |before| before.min(until)));
    }

    /// Wait until something happens, or until then.
    async fn idle(&mut self, until: Option<Duration>) {
        let closing = self.held.as_ref().and_then(|held| held.closing);
        let mut held = self.held.as_mut();
        let until = until.into_iter().chain(closing).min();
        let timer = async {
            match until {
                Some(until) => sleep(until.saturating_sub(uptime())).await,
                None => std::future::pending().await,
            }
        };
        let unused = async {
            match held.take_if(|held| held.closing.is_some()) {
                Some(held) => held.tenure.unused().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Ok(()) = self.news.changed() => return,
            Ok(()) = self.wish.changed() => return,
            () = unused => {}
            () = timer => if closing.is_none_or(|closing| uptime() < closing) { return },
        }
        // What is still under way is not gone on with.
        self.step_down();
        self.release().await;
        self.not_before = uptime() + AFTER_CONFLICT;
    }

    /// Take the Lease, or renew it. It counts from before the request was sent.
    async fn hold(&mut self, began: Duration) {
        let before = self.sight.known().and_then(|known| known.lease);
        match self.lease.hold(before.as_ref(), self.time_for_a_request()).await {
            Ok(lease) => {
                self.sight.see(lease);
                self.not_before = Duration::ZERO;
                self.landed(began);
            }
            Err(error) => self.failed(error).await,
        }
    }

    fn landed(&mut self, began: Duration) {
        let until = began + self.lease.terms.deadline();
        match &mut self.held {
            Some(held) => {
                held.renewed = began;
                held.tenure.extend(until);
            }
            None => {
                let (tenure, fence) = Tenure::begin(until);
                self.held = Some(Held { tenure, renewed: began, closing: None });
                info!(lease = self.lease.name, identity = self.lease.me, "took the Lease");
                (self.tell)(Some(fence));
            }
        }
    }

    async fn failed(&mut self, error: LeaseError) {
        let jitter = self.lease.terms.retry().mul_f64(0.2 * rand::random::<f64>());
        self.not_before = uptime() + self.lease.terms.retry() + jitter;
        if let LeaseError::Conflict = error {
            debug!(lease = self.lease.name, "somebody else has written the Lease");
            self.not_before = uptime() + AFTER_CONFLICT + jitter / 10;
            self.look().await;
        } else {
            warn!(lease = self.lease.name, %error, "could not write the Lease");
        }
    }

    /// Read what somebody else has written.
    async fn look(&mut self) {
        let asked = uptime();
        match self.lease.read(self.time_for_a_request()).await {
            Ok(Some(lease)) => self.sight.see(lease),
            Ok(None) => self.sight.see_none(asked),
            Err(error) => warn!(lease = self.lease.name, %error, "could not read the Lease"),
        }
    }

    /// Never longer than the Lease is held.
    fn time_for_a_request(&self) -> Duration {
        let left = self.held.as_ref().map(|held| held.tenure.until().saturating_sub(uptime()));
        left.unwrap_or(Duration::MAX).min(self.lease.terms.request())
    }

    fn step_down(&mut self) {
        if let Some(held) = self.held.take() {
            (self.tell)(None);
            let is_wanted = held.closing.is_none();
            drop(held);
            if is_wanted {
                warn!(lease = self.lease.name, "lost the Lease: nothing of its Issuers is signed or written");
            }
        }
    }

    /// Let others take it at once, if it is still this process's.
    async fn release(&mut self) {
        if self.lease.is_shared {
            return;
        }
        for _ in 0..RELEASES {
            let Some(known) = self.sight.known() else { return };
            let is_ours = known.holder(&self.lease.terms).as_deref() == Some(&self.lease.me);
            let Some(lease) = known.lease.filter(|_| is_ours) else { return };
            match self.lease.release(&lease).await {
                Ok(lease) => {
                    info!(lease = self.lease.name, "released the Lease");
                    return self.sight.see(lease);
                }
                Err(LeaseError::Conflict) => self.look().await,
                Err(error) => {
                    warn!(lease = self.lease.name, %error, "could not release the Lease; it runs out");
                    return;
                }
            }
        }
    }
}
