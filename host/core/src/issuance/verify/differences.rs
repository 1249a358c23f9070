//! Which differences between a request and its certificate are refused, and which are told and no more.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::mismatch::Mismatch;

/// How strictly a certificate is compared with its request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// What happens to differences that a CA's profile may decide.
    pub mode: Mode,
    /// Those that are refused otherwise, and are told here.
    pub allow: Vec<Difference>,
}

/// What happens to a certificate that differs from its request where a CA's profile may decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub enum Mode {
    /// It is published; an Event and a metric tell the difference.
    #[default]
    Reported,
    /// It is refused, whatever is allowed.
    Strict,
}

/// A difference that gives the holder more than was asked for: it is refused unless it is allowed by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub enum Difference {
    /// Attributes in the subject that the CSR does not have, but a common name that repeats one of the names.
    Subject,
    /// Extended key usages beyond `server auth` and `client auth` that were not asked for.
    ExtendedKeyUsages,
    /// It expires after its issuer.
    OutlivesIssuer,
    /// Further extensions than those that say who issued it and where its revocation is told.
    Extensions,
}

impl Difference {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::Subject, Self::ExtendedKeyUsages, Self::OutlivesIssuer, Self::Extensions];
}

/// As in an Issuer's spec.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Something in which a certificate differs from its request.
pub(super) struct Found {
    pub mismatch: Mismatch,
    /// What allows it; none where it is the CA's to decide.
    pub needs: Option<Difference>,
}

impl Found {
    /// A difference that is the CA's to decide.
    pub fn told(mismatch: Mismatch) -> Self {
        Self { mismatch, needs: None }
    }

    /// One that needs to be allowed.
    pub fn needing(needs: Difference, mismatch: Mismatch) -> Self {
        Self { mismatch, needs: Some(needs) }
    }
}

impl Verification {
    /// Nothing may differ.
    pub fn strict() -> Self {
        Self { mode: Mode::Strict, allow: Vec::new() }
    }

    /// The differences to tell, or the first that is refused.
    pub(super) fn judge(&self, found: Vec<Found>) -> Result<Vec<Mismatch>, Mismatch> {
        let told = |Found { mismatch, needs }| match (self.mode, needs) {
            (Mode::Strict, _) => Err(mismatch),
            (Mode::Reported, Some(needs)) if !self.allow.contains(&needs) => Err(Mismatch {
                message: format!("{} (spec.verification.allow does not have {needs})", mismatch.message),
                ..mismatch
            }),
            (Mode::Reported, _) => Ok(mismatch),
        };
        found.into_iter().map(told).collect()
    }
}
