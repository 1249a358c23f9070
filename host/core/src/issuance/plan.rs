//! What a decision comes to: a value that one place carries out.

use std::time::Duration;

use jiff::Timestamp;

use super::condition::Condition;
use super::reason::EventReason;
use crate::text;

/// Now, and a random number from 0 to 1 for the spread of delays: what a decision needs besides what it looks at.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The wall clock.
    pub now: Timestamp,
    /// Drawn anew for each decision.
    pub jitter: f64,
}

/// What to do about an object: `S` is its status, `M` what to remember about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan<S, M> {
    /// The status to write; none where it would not change.
    pub status: Option<S>,
    /// What to tell people, once the status is written.
    pub events: Vec<Notice>,
    /// When to look again, once the status is written.
    pub next: Next,
    /// What to remember once the status is written; `M` says what of it counts although the write failed.
    pub remember: M,
}

impl<S, M> Plan<S, M> {
    /// Nothing to do but to look again.
    pub fn idle(next: Next, remember: M) -> Self {
        Self { status: None, events: vec![], next, remember }
    }
}

/// How long the first status of an object may wait for the final one, so that most objects cost one write.
pub const FIRST_STATUS_AFTER: Duration = Duration::from_millis(250);

/// When to look at an object again, if nothing about it changes before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Never: it is finished, or only a change can help.
    Settled,
    /// When its Issuer changes.
    WithIssuer,
    /// When its Issuer changes, and after so long at the latest.
    WithIssuerOrAfter(Duration),
    /// After so long.
    After(Duration),
}

impl Next {
    /// The longest time until then; none where no time brings it.
    pub fn delay(self) -> Option<Duration> {
        match self {
            Self::Settled | Self::WithIssuer => None,
            Self::WithIssuerOrAfter(delay) | Self::After(delay) => Some(delay),
        }
    }
}

/// One Event about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// `Warning` rather than `Normal`.
    pub warning: bool,
    /// What it is about, for machines.
    pub reason: EventReason,
    /// What was done.
    pub action: &'static str,
    /// What happened, for people; at most [`text::MAX_NOTE`] bytes.
    pub note: String,
    /// Whether the object has one such Event at most, whichever process tells it: a restart tells nothing anew.
    pub once: bool,
}

impl Notice {
    /// Something went as it should.
    pub fn normal(reason: EventReason, action: &'static str, note: &str) -> Self {
        Self { warning: false, reason, action, note: text::clean(note, text::MAX_NOTE), once: false }
    }

    /// Something did not.
    pub fn warning(reason: EventReason, action: &'static str, note: &str) -> Self {
        Self { warning: true, ..Self::normal(reason, action, note) }
    }

    /// The same, once for all processes.
    pub fn once(self) -> Self {
        Self { once: true, ..self }
    }
}

/// The action of Events about something that was done.
pub const SYNCED: &str = "Synced";
/// The action of Events about something that could not be done.
pub const SYNC_FAILED: &str = "SyncFailed";

/// The status of a request: all that this operator owns in it, because a server-side apply drops what
/// the manager applied before and leaves out now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestStatus {
    /// Every condition that the operator owns.
    pub conditions: Vec<Condition>,
    /// PEM: the leaf and its intermediates.
    pub certificate: Option<String>,
    /// PEM: what verifies the chain.
    pub ca: Option<String>,
    /// When the request failed for good.
    pub failure_time: Option<Timestamp>,
}
