//! Which CA certificates are published: clients trust all of them, so a plugin adds none of its own.

use std::collections::BTreeSet;

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::chain;
use super::mismatch::Mismatch;
use crate::x509::{Certificate, pem};

/// The CA certificates that whoever runs the Issuer vouches for: those in its Secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedCas(BTreeSet<Vec<u8>>);

impl TrustedCas {
    /// The certificates among values that may hold anything: PEM, whatever else stands beside them, or DER.
    pub fn among<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self(values.into_iter().flat_map(certificates).collect())
    }

    fn holds(&self, certificate: &Certificate<'_>) -> bool {
        self.0.contains(certificate.der())
    }

    /// The certificates that can be read; others vouch for nothing.
    pub(super) fn parsed(&self) -> Vec<Certificate<'_>> {
        self.0.iter().filter_map(|der| Certificate::parse(der).ok()).collect()
    }
}

fn certificates(value: &[u8]) -> Vec<Vec<u8>> {
    if value.first() == Some(&0x30) {
        return Certificate::parse(value).map(|it| vec![it.der().to_vec()]).unwrap_or_default();
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
) -> Result<Vec<&'c Certificate<'a>>, Mismatch> {
    let mut path: Vec<_> = published.iter().collect();
    if let Some(given) = given {
        let anchor = chain::anchor(&path, &preferred(given.iter(), trusted), now)?;
        if path.last().is_none_or(|top| top.der() != anchor.der()) {
            path.push(anchor);
        }
    }
    let all = preferred(given.unwrap_or_default().iter().chain(trusted_cas), trusted);
    while path.last().is_some_and(|top| !top.is_self_signed()) {
        let others: Vec<_> =
            all.iter().copied().filter(|it| path.iter().all(|passed| passed.der() != it.der())).collect();
        match chain::anchor(&path, &others, now) {
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
