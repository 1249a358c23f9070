//! What a plugin returns is checked against the request before anybody sees it.
//!
//! There are three kinds of rules. Some always hold, or nothing is published: [`form`] (what clients cannot read), [`leaf`]
//! (the key, the names, the powers of a CA), [`chain`] (it links up, is valid now, and keeps the constraints of the
//! CAs in it). Others are about what gives the holder more than was asked for: a [`Difference`], refused unless the
//! Issuer allows it by name. The rest is the CA's to decide by its profile, and reported. [`Mode::Strict`] refuses
//! whatever differs. `docs/verification.md` has the table.
//!
//! Not judged: revocation, policies, which extended key usages a CA above allows.

mod authorities;
pub mod chain;
mod differences;
mod form;
mod leaf;
mod mismatch;
mod profile;

use std::slice;
use std::time::SystemTime;

pub use authorities::TrustedCas;
pub use differences::{Difference, Mode, Verification};
use jiff::Timestamp;
pub use mismatch::{CA, CHAIN, Mismatch, NAME_CONSTRAINTS, VALIDITY};

use super::signer::{SignRequest, Signed};
use crate::x509::Certificate;

/// A certificate that may be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// PEM, leaf first, without the root, encoded anew.
    pub certificate: String,
    /// PEM, for `status.ca`.
    pub ca: Option<String>,
    /// Where the CA decided otherwise than requested.
    pub warnings: Vec<Mismatch>,
    /// The CA certificates that the plugin returned and that are not published, by subject and serial number.
    pub dropped: Vec<String>,
    /// The leaf's serial number in hexadecimal.
    pub serial: String,
    /// When the leaf starts to be valid.
    pub not_before: Timestamp,
    /// When the leaf expires.
    pub not_after: Timestamp,
}

/// Checks what a plugin returned for `request`. The error is the first rule that does not hold. `trusted` are the CA
/// certificates of the Issuer's own Secrets.
pub fn verify(
    request: &SignRequest,
    signed: &Signed,
    trusted: &TrustedCas,
    now: Timestamp,
    verification: &Verification,
) -> Result<Verified, Mismatch> {
    let ders = chain::decode(CHAIN, &signed.chain)?;
    let whole = chain::parse(CHAIN, &ders)?;
    let leaf = whole.first().ok_or_else(Mismatch::empty)?;
    leaf::check(request, leaf)?;

    let ca_ders = signed.ca.as_ref().map(|given| chain::decode(CA, given)).transpose()?;
    let given = ca_ders.as_ref().map(|ders| chain::parse(CA, ders)).transpose()?;
    let (published, root) = chain::split_root(&whole);
    let given = given.as_deref().or_else(|| root.map(slice::from_ref));
    let trusted_cas = trusted.parsed();
    let path = path(&whole, given, (trusted, &trusted_cas), now)?;
    form::check_leaf(leaf)?;
    let (kept, dropped) = authorities::choose(given.unwrap_or_default(), &path, trusted);
    kept.iter().try_for_each(|it| form::check_readable(it))?;

    let above = path.get(1..).unwrap_or_default();
    let warnings = verification.judge(profile::compare(request, leaf, above)?)?;
    Ok(Verified {
        certificate: chain::encode(published),
        ca: given.map(|_| chain::encode(kept)),
        warnings,
        dropped: dropped.into_iter().map(Certificate::describe).collect(),
        serial: leaf.serial(),
        not_before: chain::timestamp(leaf.not_before()),
        not_after: chain::timestamp(leaf.not_after()),
    })
}

/// Judges an answer by the rules that need no request: whether one that holds this chain could be published at all. For a
/// plugin's `check`, which is to find out before a request does.
pub fn judge(signed: &Signed, now: SystemTime) -> Result<(), Mismatch> {
    let now = Timestamp::try_from(now).unwrap_or(Timestamp::MAX);
    let ders = chain::decode(CHAIN, &signed.chain)?;
    let whole = chain::parse(CHAIN, &ders)?;
    let ca_ders = signed.ca.as_ref().map(|given| chain::decode(CA, given)).transpose()?;
    let given = ca_ders.as_ref().map(|ders| chain::parse(CA, ders)).transpose()?;
    let (_published, root) = chain::split_root(&whole);
    let given = given.as_deref().or_else(|| root.map(slice::from_ref));
    // What stands in the Issuer's Secret and is not in the answer is of no use to clients.
    let path = path(&whole, given, (&TrustedCas::default(), &[]), now)?;
    let (kept, _dropped) = authorities::choose(given.unwrap_or_default(), &path, &TrustedCas::default());
    kept.iter().try_for_each(|it| form::check_readable(it))
}

/// The rules that need no request: the certificates of a chain, leaf first, with those above it, all of which clients can
/// read, link up, are valid and keep each other's constraints.
fn path<'c, 'a>(
    whole: &'c [Certificate<'a>],
    given: Option<&'c [Certificate<'a>]>,
    trusted: (&TrustedCas, &'c [Certificate<'a>]),
    now: Timestamp,
) -> Result<Vec<&'c Certificate<'a>>, Mismatch> {
    chain::check_validity(whole, now)?;
    let (published, _root) = chain::split_root(whole);
    published.iter().try_for_each(form::check)?;
    chain::check_links(whole)?;
    let above = authorities::way_up(published, given, trusted, now)?;
    let path: Vec<_> = published.iter().chain(above).collect();
    chain::check_name_constraints(&path)?;
    Ok(path)
}

#[cfg(test)]
mod tests;
