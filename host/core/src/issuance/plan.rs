//! What a decision comes to: a value that one place carries out.

use std::time::Duration;

use jiff::Timestamp;

use super::condition::Condition;
use crate::text;

/// Now, and a random number from 0 to 1 for the spread of delays: what a decision needs besides what it looks at.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The wall clock.
    pub now: Timestamp,
    /// Drawn anew for each decision.
    pub jitter: f64,
}

/// What to do about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan<S> {
    /// The status to write; none where it would not change.
    pub status: Option<S>,
    /// What to tell people.
    pub events: Vec<Notice>,
    /// When to look again.
    pub next: Next,
}

/// When to look at an object again, if nothing about it changes before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Never: it is finished, or only a change can help.
    Settled,
    /// When its Issuer changes.
    WithIssuer,
    /// After so long.
    After(Duration),
}

/// One Event about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// `Warning` rather than `Normal`.
    pub warning: bool,
    /// CamelCase, for machines.
    pub reason: &'static str,
    /// What was done.
    pub action: &'static str,
    /// For people.
    pub note: String,
}

impl Notice {
    /// Something went as it should.
    pub fn normal(reason: &'static str, action: &'static str, note: &str) -> Self {
        Self { warning: false, reason, action, note: text::clean(note, text::MAX_NOTE) }
    }

    /// Something did not.
    pub fn warning(reason: &'static str, action: &'static str, note: &str) -> Self {
        Self { warning: true, reason, action, note: text::clean(note, text::MAX_NOTE) }
    }
}

/// The action of Events about something that was done.
pub const SYNCED: &str = "Synced";
/// The action of Events about something that could not be done.
pub const SYNC_FAILED: &str = "SyncFailed";

/// The status of a CertificateRequest: all that this operator owns in it, because a server-side apply drops what
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
