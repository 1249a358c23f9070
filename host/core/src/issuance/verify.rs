//! What a plugin returns is checked against the request before anybody sees it.
//!
//! There are three kinds of rules. Some always hold, or nothing is published: [`form`] (what clients cannot read), [`leaf`]
//! (the key, the names, the powers of a CA), [`chain`] (it links up, is valid now, and keeps the constraints of the
//! CAs in it). Others are about what gives the holder more than was asked for: a [`Difference`], refused unless the
//! Issuer allows it by name. The rest is the CA's to decide by its profile, and reported. [`Mode::Strict`] refuses
//! whatever differs. `docs/verification.md` has the table.
//!
//! Not judged: revocation, policies.

mod authorities;
pub mod chain;
mod differences;
mod effort;
mod extension_forms;
mod form;
mod leaf;
mod mismatch;
mod profile;
mod purposes;

use std::slice;
use std::time::SystemTime;

pub use authorities::TrustedCas;
pub use differences::{Difference, Mode, Verification};
pub use effort::Effort;
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
    /// When the first of the CA certificates expires that are published, in the chain or beside it; none where there are none.
    pub ca_not_after: Option<Timestamp>,
}

/// The bytes of an answer that is verified in some milliseconds, whatever is in it. What CAs return is shorter.
const QUICK_BYTES: usize = 16 << 10;
/// How many CA certificates of an Issuer's Secrets make no difference to that.
const QUICK_CAS: usize = 16;

/// Whether it takes little time to verify what a plugin returned. Else it may be 30 ms, most of it for signatures and
/// name constraints.
pub fn is_quick(signed: &Signed, trusted: &TrustedCas) -> bool {
    let bytes = signed.chain.len() + signed.ca.as_ref().map_or(0, String::len);
    bytes <= QUICK_BYTES && trusted.len() <= QUICK_CAS
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
    with_answer(signed, |answer| {
        let leaf = answer.whole.first().ok_or_else(Mismatch::empty)?;
        leaf::check(request, leaf)?;
        let above = trusted.above(answer.issuers())?;
        let mut effort = Effort::default();
        let path = answer.path((trusted, &above), now, &mut effort)?;
        chain::check_name_constraints(&path, &mut effort)?;
        form::check_leaf(leaf)?;
        let (kept, dropped) = answer.choose(&path, trusted)?;

        let above = path.get(1..).unwrap_or_default();
        let cas = answer.published.iter().skip(1).chain(kept.iter().copied());
        let ca_not_after = cas.map(|ca| chain::timestamp(ca.not_after())).min();
        let warnings = verification.judge(profile::compare(request, leaf, above)?)?;
        Ok(Verified {
            certificate: chain::encode(answer.published),
            ca: answer.given.map(|_| chain::encode(kept)),
            warnings,
            dropped: dropped.into_iter().map(Certificate::describe).collect(),
            serial: leaf.serial(),
            not_before: chain::timestamp(leaf.not_before()),
            not_after: chain::timestamp(leaf.not_after()),
            ca_not_after,
        })
    })
}

/// Judges an answer by the rules that need no request: whether one that holds this chain could be published at all. For a
/// plugin's `check`, which is to find out before a request does. The leaf stands for those to come: its names do not matter.
pub fn judge(signed: &Signed, now: SystemTime) -> Result<(), Mismatch> {
    let now = Timestamp::try_from(now).unwrap_or(Timestamp::MAX);
    with_answer(signed, |answer| {
        // What stands in the Issuer's Secret and is not in the answer is of no use to clients.
        let trusted = TrustedCas::default();
        let mut effort = Effort::default();
        let path = answer.path((&trusted, &[]), now, &mut effort)?;
        chain::check_name_constraints_of_cas(&path, &mut effort)?;
        answer.choose(&path, &trusted).map(|_| ())
    })
}

/// What a plugin returned, parsed.
struct Answer<'c, 'a> {
    /// Leaf first, with the root if it is there.
    whole: &'c [Certificate<'a>],
    /// The same without the root.
    published: &'c [Certificate<'a>],
    /// The CA certificates, or the chain's root where there are none.
    given: Option<&'c [Certificate<'a>]>,
}

fn with_answer<T>(
    signed: &Signed,
    judge: impl FnOnce(Answer<'_, '_>) -> Result<T, Mismatch>,
) -> Result<T, Mismatch> {
    let ders = chain::decode(CHAIN, &signed.chain)?;
    let whole = chain::parse(CHAIN, &ders)?;
    let ca_ders = signed.ca.as_ref().map(|given| chain::decode(CA, given)).transpose()?;
    let given = ca_ders.as_ref().map(|ders| chain::parse(CA, ders)).transpose()?;
    let (published, root) = chain::split_root(&whole);
    let given = given.as_deref().or_else(|| root.map(slice::from_ref));
    judge(Answer { whole: &whole, published, given })
}

impl<'c, 'a> Answer<'c, 'a> {
    /// The issuers of all its certificates.
    fn issuers(&self) -> impl Iterator<Item = &'a [u8]> {
        self.whole.iter().chain(self.given.unwrap_or_default()).map(Certificate::issuer_der)
    }

    /// The certificates of the chain, leaf first, with those above it, all of which clients can read, link up and are
    /// valid.
    fn path(
        &self,
        trusted: (&TrustedCas, &'c [Certificate<'a>]),
        now: Timestamp,
        effort: &mut Effort,
    ) -> Result<Vec<&'c Certificate<'a>>, Mismatch> {
        chain::check_validity(self.whole, now)?;
        self.published.iter().try_for_each(form::check)?;
        chain::check_links(self.whole)?;
        let above = authorities::way_up(self.published, self.given, trusted, now, effort)?;
        Ok(self.published.iter().chain(above).collect())
    }

    /// The CA certificates to publish, which clients can read, and those to drop.
    fn choose(&self, path: &[&Certificate<'_>], trusted: &TrustedCas) -> Result<Chosen<'c, 'a>, Mismatch> {
        let (kept, dropped) = authorities::choose(self.given.unwrap_or_default(), path, trusted);
        kept.iter().try_for_each(|it| form::check_readable(it))?;
        Ok((kept, dropped))
    }
}

type Chosen<'c, 'a> = (Vec<&'c Certificate<'a>>, Vec<&'c Certificate<'a>>);

#[cfg(test)]
mod tests;
