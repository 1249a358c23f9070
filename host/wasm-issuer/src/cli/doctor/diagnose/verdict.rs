//! What one look at an object comes to.

use jiff::SignedDuration;

use super::super::finding::Finding;
use crate::api::{IssuerKey, IssuerKind};

/// How long anything may take to be noticed before its silence is a fault.
pub const PATIENCE: SignedDuration = SignedDuration::from_secs(30);

/// What becomes of an object that may not be as it should be.
pub enum Verdict {
    /// Nothing is wrong, or not yet.
    Fine,
    /// The fault is its own.
    Fault(Finding),
    /// It waits for an Issuer, which has a fault most likely; the finding is for where it has none.
    Issuer(IssuerKey, Finding),
    /// It waits for an Issuer of a kind that the cluster does not know.
    Kind(IssuerKind),
    /// It waits for an approver that may not approve.
    Approver,
    /// The operator has not looked at it.
    Operator,
}
