//! What signing says about an Issuer, and what its task makes of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use wasm_issuer_core::issuance::blame::{self, AfterBlame, Blame, Breaks};
use wasm_issuer_core::issuance::issuer::{Credence, History};

use crate::operator::registry::{Complaint, Feedback, Serving};

const FEEDBACK_CAPACITY: usize = 64;

/// What is heard of the requests of one Issuer.
pub struct Complaints {
    sender: mpsc::Sender<Feedback>,
    news: mpsc::Receiver<Feedback>,
    blame: Blame,
    breaks: Breaks,
    /// When signing failed last by the Issuer's fault, beyond doubt.
    relapsed: Option<Instant>,
    /// When a complaint calls for a check, and when one did so last.
    check_at: Option<Instant>,
    checked_at: Option<Instant>,
}

impl Complaints {
    /// None yet.
    pub fn new() -> Self {
        let (sender, news) = mpsc::channel(FEEDBACK_CAPACITY);
        Self {
            sender,
            news,
            blame: Blame::default(),
            breaks: Breaks::default(),
            relapsed: None,
            check_at: None,
            checked_at: None,
        }
    }

    /// For whoever signs for this Issuer.
    pub fn sender(&self) -> mpsc::Sender<Feedback> {
        self.sender.clone()
    }

    /// The next word of a request.
    pub async fn next(&mut self) -> Option<Feedback> {
        self.news.recv().await
    }

    /// Take in how signing goes with what serves. Returns the message of the last failure if the Issuer is at fault,
    /// whatever its check says.
    pub fn learn(
        &mut self,
        feedback: Feedback,
        serving: Option<&Arc<Serving>>,
        is_shared: bool,
        history: &mut History,
    ) -> Option<String> {
        match feedback {
            Feedback::Signed => {
                *history = history.signed(self.relapsed.map(|at| at.elapsed()));
                self.settle();
                if self.breaks.end() {
                    self.check_in(blame::next_check(self.last_check()));
                }
                None
            }
            Feedback::Broke(complaint) => {
                let Complaint { serving: called, message, namespace, .. } = *complaint;
                let is_current = serving.is_some_and(|now| Arc::ptr_eq(now, &called));
                if is_current && self.breaks.add(&namespace, message, is_shared) {
                    self.check_in(blame::next_check(self.last_check()));
                }
                None
            }
            Feedback::Failed(complaint) => {
                let Complaint { serving: called, message, namespace, request } = *complaint;
                // What was replaced since tells nothing about what serves now.
                serving.filter(|now| Arc::ptr_eq(now, &called))?;
                match self.blame.add(&namespace, &request, is_shared, self.last_check()) {
                    AfterBlame::NotReady => {
                        self.relapsed = Some(Instant::now());
                        self.settle();
                        Some(message)
                    }
                    AfterBlame::Check(delay) => {
                        self.check_in(delay);
                        None
                    }
                }
            }
        }
    }

    /// When a check is called for.
    pub fn check_at(&self) -> Option<Instant> {
        self.check_at
    }

    /// A check begins, which answers the complaints that called for one by now.
    pub fn begin_check(&mut self) {
        let now = Instant::now();
        if self.check_at.take_if(|at| *at <= now).is_some() {
            self.checked_at = Some(now);
        }
    }

    /// Something else serves, of which nothing is known yet.
    pub fn forget_breaks(&mut self) {
        self.breaks.end();
    }

    /// How what serves breaks off signing, if it does so at every call.
    pub fn breaks(&self) -> Option<String> {
        self.breaks.said().map(str::to_owned)
    }

    /// How far a failed check is believed.
    pub fn credence(&self) -> Credence {
        if self.blame.is_empty() { Credence::Alone } else { Credence::Likely }
    }

    fn last_check(&self) -> Option<Duration> {
        self.checked_at.map(|at| at.elapsed())
    }

    fn check_in(&mut self, delay: Duration) {
        let at = Instant::now() + delay;
        self.check_at = Some(self.check_at.map_or(at, |before| before.min(at)));
    }

    fn settle(&mut self) {
        self.blame = Blame::default();
        self.check_at = None;
    }
}
