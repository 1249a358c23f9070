//! What a plugin returns is checked against the request before anybody sees it.
//!
//! Some rules always hold, or nothing is published: the key is the CSR's; it has every requested subject alternative
//! name, and no other except the CSR's common name; it is a CA certificate if and only if one was requested; the chain
//! links up in order; everything is valid now; sizes are bounded. Where a certificate has no subject alternative name
//! its subject is all that it says about its holder (a Kubernetes client's user and groups, for instance), so then the
//! subject may hold nothing that the CSR's does not.
//!
//! Others are the CA's to decide by its profile, so they are reported, and enforced only with [`Verification::Strict`]:
//! the subject, the key usages, the duration.
//!
//! Not judged: name constraints, revocation, extensions beyond those named here.

pub mod chain;
mod leaf;
mod mismatch;

use std::slice;

use jiff::Timestamp;
pub use mismatch::{CA, CHAIN, Mismatch, VALIDITY};
use serde::{Deserialize, Serialize};

use super::signer::{SignRequest, Signed};

/// What happens when a certificate's key usages or lifetime differ from the request's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize)]
pub enum Verification {
    /// The certificate is published; an Event and a metric tell the difference.
    #[default]
    Reported,
    /// The certificate is refused.
    Strict,
}

/// A certificate that may be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// PEM, leaf first, without the root, encoded anew.
    pub certificate: String,
    /// PEM, for `status.ca`.
    pub ca: Option<String>,
    /// Where the CA decided otherwise than requested.
    pub warnings: Vec<Mismatch>,
    /// The leaf's serial number in hexadecimal.
    pub serial: String,
    /// When the leaf starts to be valid.
    pub not_before: Timestamp,
    /// When the leaf expires.
    pub not_after: Timestamp,
}

/// Checks what a plugin returned for `request`. The error is the first rule that does not hold; with
/// [`Verification::Strict`] every difference is one.
pub fn verify(
    request: &SignRequest,
    signed: &Signed,
    now: Timestamp,
    policy: Verification,
) -> Result<Verified, Mismatch> {
    let ders = chain::decode(CHAIN, &signed.chain)?;
    let whole = chain::parse(CHAIN, &ders)?;
    let leaf = whole.first().ok_or_else(Mismatch::empty)?;

    leaf::enforce(request, leaf)?;
    let warnings = leaf::compare(request, leaf)?;
    if let (Verification::Strict, Some(first)) = (policy, warnings.first()) {
        return Err(first.clone());
    }

    chain::check_validity(&whole, now)?;
    chain::check_links(&whole)?;
    let (published, root) = chain::split_root(&whole);
    let ca = match &signed.ca {
        Some(given) => {
            let ders = chain::decode(CA, given)?;
            let authorities = chain::parse(CA, &ders)?;
            chain::anchor(published, &authorities, now)?;
            Some(chain::encode(&authorities))
        }
        None => root.map(|root| chain::encode(slice::from_ref(root))),
    };

    Ok(Verified {
        certificate: chain::encode(published),
        ca,
        warnings,
        serial: leaf.serial(),
        not_before: chain::timestamp(leaf.not_before()),
        not_after: chain::timestamp(leaf.not_after()),
    })
}

#[cfg(test)]
mod tests;
