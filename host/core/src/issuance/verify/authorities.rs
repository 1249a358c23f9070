//! Which CA certificates are published: clients trust all of them, so a plugin adds none of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::chain;
use super::effort::Effort;
use super::mismatch::{CA, Mismatch};
use crate::x509::{Certificate, pem};

/// How many certificates of the Issuer's Secrets may be above a chain, by their names.
const MAX_ABOVE: usize = 64;

/// What a certificate takes besides its bytes, and what a subject does: their places, and what the allocator adds.
const PER_CERTIFICATE: usize = 64;
const PER_SUBJECT: usize = 512;

/// The CA certificates that whoever runs the Issuer vouches for: those in its Secrets, which may be thousands. Clones share
/// them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedCas(Vec<Arc<BySubject>>);

type BySubject = BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>>;

impl TrustedCas {
    /// The certificates among values that may hold anything: PEM, whatever else stands beside them, or DER. Those that
    /// cannot be read vouch for nothing.
    pub fn among<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut by_subject: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for der in values.into_iter().flat_map(certificates) {
            if let Ok(certificate) = Certificate::parse(&der) {
                let subject = certificate.subject_der().to_vec();
                by_subject.entry(subject).or_default().insert(der);
            }
        }
        Self(if by_subject.is_empty() { vec![] } else { vec![Arc::new(by_subject)] })
    }

    /// Those of both.
    pub fn and(mut self, other: &Self) -> Self {
        self.0.extend(other.0.iter().cloned());
        self
    }

    /// The memory that they take, in bytes.
    pub fn size(&self) -> usize {
        let of_subject = |(subject, same): (&Vec<u8>, &BTreeSet<Vec<u8>>)| {
            let certificates: usize = same.iter().map(|der| der.capacity() + PER_CERTIFICATE).sum();
            subject.capacity() + PER_SUBJECT + certificates
        };
        self.0.iter().flat_map(|by_subject| by_subject.iter()).map(of_subject).sum()
    }

    /// The certificates of that subject, each once.
    fn of(&self, subject: &[u8]) -> BTreeSet<&Vec<u8>> {
        self.0.iter().filter_map(|by_subject| by_subject.get(subject)).flatten().collect()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.iter().flat_map(|by_subject| by_subject.values()).map(BTreeSet::len).sum()
    }

    fn holds(&self, certificate: &Certificate<'_>) -> bool {
        let holds = |same: &BTreeSet<Vec<u8>>| same.contains(certificate.der());
        self.0.iter().any(|by_subject| by_subject.get(certificate.subject_der()).is_some_and(holds))
    }

    /// Those that may be above certificates with these issuers, and above those, and so on.
    pub(super) fn above<'a>(
        &'a self,
        issuers: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Vec<Certificate<'a>>, Mismatch> {
        let mut issuers: Vec<_> = issuers.into_iter().collect();
        let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
        while let Some(issuer) = issuers.pop() {
            if !seen.insert(issuer) {
                continue;
            }
            for certificate in self.of(issuer).into_iter().flat_map(|der| Certificate::parse(der)) {
                if found.len() == MAX_ABOVE {
                    let message =
                        format!("the Issuer's Secrets hold more than {MAX_ABOVE} that may be above it");
                    return Err(Mismatch::new(CA, message));
                }
                issuers.push(certificate.issuer_der());
                found.push(certificate);
            }
        }
        Ok(found)
    }
}

fn certificates(value: &[u8]) -> Vec<Vec<u8>> {
    if value.first() == Some(&0x30) {
        return vec![value.to_vec()];
    }
    let Ok((blocks, _)) = pem::blocks(value, usize::MAX) else { return Vec::new() };
    let of_block = |block: pem::Block<'_>| -> Option<Zeroizing<Vec<u8>>> {
        if block.label == "CERTIFICATE" { block.decode().ok() } else { None }
    };
    blocks.into_iter().filter_map(of_block).map(|mut der| std::mem::take(&mut *der)).collect()
}

/// The certificates above a chain, leaf first, up to a root if that is at hand: the first is one of `given`, if there are
/// any, and has signed the chain's last certificate or is it. Those that are trusted come before others, a root before an
/// intermediate, and then whatever lasts longest.
pub(super) fn way_up<'c, 'a>(
    published: &'c [Certificate<'a>],
    given: Option<&'c [Certificate<'a>]>,
    (trusted, trusted_cas): (&TrustedCas, &'c [Certificate<'a>]),
    now: Timestamp,
    effort: &mut Effort,
) -> Result<Vec<&'c Certificate<'a>>, Mismatch> {
    let mut path: Vec<_> = published.iter().collect();
    if let Some(given) = given {
        let anchor = chain::anchor(&path, &preferred(given.iter(), trusted), now, effort)?;
        if path.last().is_none_or(|top| top.der() != anchor.der()) {
            path.push(anchor);
        }
    }
    let all = preferred(given.unwrap_or_default().iter().chain(trusted_cas), trusted);
    while path.last().is_some_and(|top| !top.is_self_signed()) {
        let others: Vec<_> =
            all.iter().copied().filter(|it| path.iter().all(|passed| passed.der() != it.der())).collect();
        match chain::signer(&path, &others, now, effort)? {
            Ok(next) => path.push(next),
            Err(_none) => break,
        }
    }
    Ok(path.split_off(published.len()))
}

fn preferred<'c, 'a>(
    candidates: impl Iterator<Item = &'c Certificate<'a>>,
    trusted: &TrustedCas,
) -> Vec<&'c Certificate<'a>> {
    let mut sorted: Vec<_> = candidates.collect();
    sorted
        .sort_by_cached_key(|it| std::cmp::Reverse((trusted.holds(it), it.is_self_issued(), it.not_after())));
    sorted
}

/// Of the CA certificates that a plugin returned, those to publish and those to drop: what the chain leads to by `path` or
/// is in the Issuer's Secrets stays.
pub(super) fn choose<'c, 'a>(
    given: &'c [Certificate<'a>],
    path: &[&Certificate<'_>],
    trusted: &TrustedCas,
) -> (Vec<&'c Certificate<'a>>, Vec<&'c Certificate<'a>>) {
    given.iter().partition(|it| trusted.holds(it) || path.iter().any(|on_it| on_it.der() == it.der()))
}
