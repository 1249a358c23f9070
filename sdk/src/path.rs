//! From a CA to its root: which of the certificates that somebody gave are its chain.
//!
//! People keep more in a Secret than one chain: the CA of last year and its successor with the same key, cross-signed
//! forms, a bundle of roots. So a certificate's issuer is one whose name *and* key fit, and of all paths the best is
//! taken: one that will be accepted, up to a root, that lasts longest. What else was given does not matter.

use std::cmp::Reverse;

use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};

use crate::keys::VerifyError;
use crate::{ParsedCertificate, Signer};

/// The longest chain, the root included.
pub(crate) const MAX_CHAIN: usize = 20;
/// How many partial paths are looked at. Ten generations of two certificates each make a thousand.
const MAX_STEPS: usize = 4096;

/// A certificate that the CA's owner gave.
pub(crate) struct Given {
    pub certificate: ParsedCertificate,
    /// Where it stands, for messages: "certificate 2 of tls.crt".
    pub place: String,
    /// Whether it was given as one that clients trust (`ca.crt`).
    pub is_trusted: bool,
}

/// What [`find`] chose.
pub(crate) struct Path {
    /// The CA's own certificate, then each the issuer of the one before it.
    pub chain: Vec<ParsedCertificate>,
    /// Whether the last one is self-signed.
    pub has_root: bool,
    /// What a person might want to know although it works.
    pub remark: Option<String>,
}

impl Given {
    fn describe(&self) -> String {
        format!("{}, {},", self.certificate.describe(), self.place)
    }
}

/// The best path from a certificate of the `key` at `now` (seconds since 1970). The error says which certificate is in
/// the way, and what would mend it.
pub(crate) fn find(key: &impl Signer, given: &[Given], now: u64) -> Result<Path, String> {
    let own: Vec<usize> =
        (0..given.len()).filter(|&at| given[at].certificate.public_key() == key.public_key()).collect();
    if own.is_empty() {
        return Err(format!(
            "none of the certificates is for the private key; there are {}: put the key's own certificate there",
            list(given)
        ));
    }
    let mut search = Search { key, given, now, links: vec![None; given.len()], found: None, steps: 0 };
    for start in own {
        search.walk(&mut vec![start]);
    }
    let Some(best) = search.found.take() else { return Err("the certificates have no end".into()) };
    if let Some(flaw) = best.flaw.clone().or_else(|| search.leads_nowhere(&best)) {
        return Err(flaw);
    }
    let left_out = best.left_out.map(|root| {
        let why = invalid_at(&given[root].certificate, now).unwrap_or_default();
        format!(
            "{} {why}; it is left out, and the certificate below it published as the CA: renew the root",
            given[root].describe()
        )
    });
    Ok(Path {
        chain: best.path.iter().map(|&at| given[at].certificate.clone()).collect(),
        has_root: best.has_root,
        remark: left_out,
    })
}

/// A certificate may have been signed by another: its name fits, and its key does not contradict.
#[derive(Clone)]
struct Link {
    issuer: usize,
    /// Why the signature cannot be verified.
    flaw: Option<String>,
}

struct Candidate {
    path: Vec<usize>,
    has_root: bool,
    /// The root above it, which is not valid now.
    left_out: Option<usize>,
    flaw: Option<String>,
    rank: (bool, bool, bool, u64, Reverse<usize>),
}

struct Search<'a, K> {
    key: &'a K,
    given: &'a [Given],
    now: u64,
    /// The issuers of each certificate, once somebody asked.
    links: Vec<Option<Vec<Link>>>,
    found: Option<Candidate>,
    steps: usize,
}

impl<K: Signer> Search<'_, K> {
    /// Looks at every path that begins with this one.
    fn walk(&mut self, path: &mut Vec<usize>) {
        self.steps += 1;
        let Some(&top) = path.last().filter(|_| self.steps <= MAX_STEPS) else { return };
        let links = self.issuers(top);
        if links.iter().any(|link| link.issuer == top) {
            return self.consider(path, true, None);
        }
        let mut is_top = true;
        for link in links {
            if path.len() > MAX_CHAIN || path.iter().any(|&at| self.is_same_authority(at, link.issuer)) {
                continue;
            }
            is_top = false;
            if self.is_root(link.issuer)
                && invalid_at(&self.given[link.issuer].certificate, self.now).is_some()
            {
                self.consider(path, false, Some(link.issuer));
            }
            path.push(link.issuer);
            self.walk(path);
            path.pop();
        }
        if is_top {
            self.consider(path, false, None);
        }
    }

    /// Keeps the path if it is better than the best so far.
    fn consider(&mut self, path: &[usize], has_root: bool, left_out: Option<usize>) {
        let flaw = self.flaw(path);
        let until = path.iter().map(|&at| self.given[at].certificate.until()).min().unwrap_or_default();
        let is_trusted = path.iter().chain(&left_out).any(|&at| self.given[at].is_trusted);
        let rank = (flaw.is_none(), has_root, is_trusted, until, Reverse(path.len()));
        if self.found.as_ref().is_none_or(|best| best.rank < rank) {
            self.found = Some(Candidate { path: path.to_vec(), has_root, left_out, flaw, rank });
        }
    }

    fn issuers(&mut self, of: usize) -> Vec<Link> {
        if let Some(known) = &self.links[of] {
            return known.clone();
        }
        let links: Vec<Link> = (0..self.given.len()).filter_map(|issuer| self.link(of, issuer)).collect();
        self.links[of] = Some(links.clone());
        links
    }

    fn link(&self, of: usize, issuer: usize) -> Option<Link> {
        let (certificate, other) = (&self.given[of].certificate, &self.given[issuer].certificate);
        if certificate.issuer() != other.subject() {
            return None;
        }
        let flaw = |what: String, why, fix| Some(Link { issuer, flaw: Some(format!("{what} {why}: {fix}")) });
        match certificate.verify_signed_by(other, self.key) {
            Ok(()) => Some(Link { issuer, flaw: None }),
            Err(VerifyError::OtherKey) => None,
            // Nothing rests on a root's own signature.
            Err(VerifyError::Algorithm(_)) if of == issuer => Some(Link { issuer, flaw: None }),
            Err(VerifyError::Algorithm(why)) => {
                flaw(self.given[of].describe(), why, "have it signed with another")
            }
            Err(VerifyError::Key(why)) => {
                flaw(self.given[issuer].describe(), why, "use a CA whose chain has none but these")
            }
        }
    }

    fn is_root(&mut self, at: usize) -> bool {
        self.issuers(at).iter().any(|link| link.issuer == at)
    }

    /// Renewed and cross-signed certificates are one authority; a path passes it once.
    fn is_same_authority(&self, one: usize, other: usize) -> bool {
        let (one, other) = (&self.given[one].certificate, &self.given[other].certificate);
        one.subject() == other.subject() && one.public_key() == other.public_key()
    }

    /// What keeps certificates that are issued below this path from being accepted.
    fn flaw(&self, path: &[usize]) -> Option<String> {
        let link = |of: usize, issuer: usize| {
            self.links[of].as_ref()?.iter().find(|link| link.issuer == issuer)?.flaw.clone()
        };
        let links = path.windows(2).find_map(|pair| link(pair[0], pair[1]));
        let root = || path.last().and_then(|&top| link(top, top));
        let certificates = || {
            path.iter().enumerate().find_map(|(at, &index)| {
                let given = &self.given[index];
                let below =
                    path[..at].iter().filter(|&&at| !self.given[at].certificate.is_self_issued()).count();
                let why = unfit(&given.certificate, below).or_else(|| {
                    invalid_at(&given.certificate, self.now).map(|why| format!("{why}: renew it"))
                });
                why.map(|why| format!("{} {why}", given.describe()))
            })
        };
        let too_long = || {
            let top = path.last().filter(|_| path.len() > MAX_CHAIN)?;
            let top = self.given[*top].describe();
            Some(format!(
                "the chain is longer than {MAX_CHAIN} certificates, up to {top} and more: use a CA nearer to its root"
            ))
        };
        links.or_else(root).or_else(certificates).or_else(too_long)
    }

    /// Why a path without a root is not what the CA's owner meant.
    fn leads_nowhere(&self, candidate: &Candidate) -> Option<String> {
        if candidate.has_root || candidate.left_out.is_some() {
            return None;
        }
        let &top = candidate.path.last()?;
        let is_issuer = |at| self.links[top].iter().flatten().any(|link| link.issuer == at);
        let (top, given) = (&self.given[top], self.given);
        let namesake = given.iter().enumerate().find(|(at, other)| {
            let has_its_name = other.certificate.subject() == top.certificate.issuer();
            has_its_name && !candidate.path.contains(at) && !is_issuer(*at)
        });
        if let Some((_, other)) = namesake {
            return Some(format!(
                "{} has been signed in the name of {} but by another key: put the certificate of that key there",
                top.describe(),
                other.describe()
            ));
        }
        let mut trusted = given.iter().filter(|given| given.is_trusted).peekable();
        let is_expected = trusted.peek().is_some() && !candidate.path.iter().any(|&at| given[at].is_trusted);
        is_expected.then(|| {
            format!(
                "{} does not lead to what clients are to trust, {}: put its root there, and the certificates between \
                 them below it",
                top.describe(),
                list(trusted)
            )
        })
    }
}

/// Why a certificate does not let its key sign others (RFC 5280, 4.2.1.3 and 4.2.1.9), with so many intermediates between
/// it and the last certificate.
fn unfit(certificate: &ParsedCertificate, below: usize) -> Option<String> {
    // Version 1 has no extensions. Trust in such a root comes from elsewhere, and Go, OpenSSL and the operator take it.
    if certificate.is_version_1() && certificate.is_self_issued() {
        return None;
    }
    let malformed = |what, e| Some(format!("has malformed {what} ({e}): issue it anew"));
    let constraints = match certificate.decode::<BasicConstraints>() {
        Ok(Some(constraints)) if constraints.ca => constraints,
        Ok(_) => return Some("is no CA, its basic constraints lack CA:TRUE: use a CA's certificate".into()),
        Err(e) => return malformed("basic constraints", e),
    };
    match certificate.decode::<KeyUsage>() {
        Ok(Some(usage)) if !usage.key_cert_sign() => {
            return Some(
                "may not sign others, its key usage lacks cert sign: issue it with the usage \"cert sign\""
                    .into(),
            );
        }
        Err(e) => return malformed("key usage", e),
        Ok(_) => {}
    }
    if let Some(limit) = constraints.path_len_constraint.filter(|&limit| usize::from(limit) < below) {
        return Some(format!(
            "allows {limit} intermediates below it (pathLenConstraint), and there are {below}: use a CA nearer to it"
        ));
    }
    None
}

fn invalid_at(certificate: &ParsedCertificate, now: u64) -> Option<String> {
    let validity = certificate.validity();
    if now >= certificate.until() {
        Some(format!("expired at {}", validity.not_after))
    } else if now < validity.not_before.to_unix_duration().as_secs() {
        Some(format!("is not valid before {}", validity.not_before))
    } else {
        None
    }
}

/// Which certificates there are, for messages.
fn list<'a>(given: impl IntoIterator<Item = &'a Given>) -> String {
    const SHOWN: usize = 5;
    let given: Vec<&Given> = given.into_iter().collect();
    let mut shown: Vec<String> =
        given.iter().take(SHOWN).map(|it| format!("{} ({})", it.certificate.describe(), it.place)).collect();
    match given.len() {
        0 => return "no certificates".into(),
        n if n > SHOWN => shown.push(format!("{} more", n - SHOWN)),
        _ => {}
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests;
