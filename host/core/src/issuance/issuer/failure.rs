//! Why a check failed, and what can make it pass.

use std::time::Duration;

use super::super::signer::{Failure, FailureKind};

/// Why an Issuer is not ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckFailure {
    /// What the Ready condition says of it, for people.
    pub message: String,
    /// Who or what can help.
    pub kind: CheckFailureKind,
}

/// What can make a failed check pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckFailureKind {
    /// Only a change of the Issuer, its Secret or its plugin.
    Permanent,
    /// Time may be enough.
    Passing {
        /// The CA's own wish for when to ask again.
        after: Option<Duration>,
    },
    /// Nothing is known of the Issuer or its CA: the API server did not say what the Issuer names, or this process had no
    /// room for the check.
    Unknown,
    /// This process has no room for what the Issuer would keep, which may last.
    NoRoom,
}

impl CheckFailure {
    /// A failure that may pass by itself.
    pub fn passing(error: impl ToString) -> Self {
        Self { message: error.to_string(), kind: CheckFailureKind::Passing { after: None } }
    }

    /// A failure that only a change of the Issuer mends.
    pub fn permanent(error: impl ToString) -> Self {
        Self { message: error.to_string(), kind: CheckFailureKind::Permanent }
    }

    /// A failure of the API server or of this process.
    pub fn unknown(error: impl ToString) -> Self {
        Self { message: error.to_string(), kind: CheckFailureKind::Unknown }
    }

    /// A lack of room in this process.
    pub fn no_room(error: impl ToString) -> Self {
        Self { message: error.to_string(), kind: CheckFailureKind::NoRoom }
    }

    /// Two at once, in the words of both. Together they are as lasting as the less lasting one: once that is over there is
    /// something else to say.
    pub fn and(self, other: Self) -> Self {
        let lasting = |failure: &Self| match failure.kind {
            CheckFailureKind::Unknown => 0,
            CheckFailureKind::NoRoom => 1,
            CheckFailureKind::Passing { .. } => 2,
            CheckFailureKind::Permanent => 3,
        };
        let kind = if lasting(&self) <= lasting(&other) { self.kind } else { other.kind };
        Self { message: format!("{}; {}", self.message, other.message), kind }
    }
}

impl From<Failure> for CheckFailure {
    /// A check that is pending has not passed, and one that blames the Issuer says no more than that it failed.
    fn from(Failure { kind, message, .. }: Failure) -> Self {
        let kind = match kind {
            FailureKind::Permanent => CheckFailureKind::Permanent,
            FailureKind::Retry { after } | FailureKind::Pending { poll_after: after, .. } => {
                CheckFailureKind::Passing { after }
            }
            FailureKind::Issuer => CheckFailureKind::Passing { after: None },
        };
        Self { message, kind }
    }
}
