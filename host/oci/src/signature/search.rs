//! Looks for a signature in a registry: what there is is read one by one, until one holds.

use std::collections::BTreeMap;
use std::fmt;

use http::Uri;
use wasm_issuer_core::text::{self, clean};

use super::bundle::{self, BUNDLE_TYPE};
use super::claim::{Claim, Fault, MAX_BYTES};
use super::key::SignerKey;
use super::listing::{self, Bundles, HeldLayer};
use super::simple;
use crate::client::Registry;
use crate::digest::Digest;
use crate::error::Error;
use crate::manifest::Layer;
use crate::pages::MAX_PAGES;
use crate::transport::Http;

/// How many signatures of each form are read.
const MAX_SIGNATURES: usize = 32;

/// Why nobody is known to have signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// It could not be found out: time may mend it.
    #[error(transparent)]
    Registry(#[from] Error),
    /// There is no signature that holds.
    #[error("{0}")]
    Unsigned(Unsigned),
}

/// What there is in place of a signature that holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unsigned {
    /// What is wrong with each signature that was read.
    pub faults: Vec<Fault>,
    /// How many more there are, which were not.
    pub unread: usize,
}

impl fmt::Display for Unsigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.faults.is_empty() {
            return f.write_str("it has no signature");
        }
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for fault in &self.faults {
            *counts.entry(fault.to_string()).or_default() += 1;
        }
        let counts = counts.iter().map(|(fault, count)| format!("{count} {fault}"));
        let total = self.faults.len();
        write!(f, "none of its signatures holds: it has {}", text::list(counts, 600))?;
        match self.unread {
            0 => Ok(()),
            unread => write!(f, "; only {total} are read, and {unread} were not"),
        }
    }
}

/// How a signature is written.
#[derive(Clone, Copy)]
enum Form {
    Bundle,
    Payload,
}

/// A signature that there is, of one form or the other, before it is read.
enum Candidate {
    /// A manifest that may hold a bundle.
    Bundle(Digest),
    /// A layer that is a payload.
    Payload(HeldLayer),
}

/// What may be signatures of a form.
struct Found {
    candidates: Vec<Candidate>,
    /// Why there may be more of them that are not known.
    rest: Option<Failure>,
}

/// The bundles that a registry lists.
pub(super) struct Listed {
    bundles: Bundles,
    /// Why there may be more of them: a further page cannot be had.
    rest: Option<Error>,
}

/// Why a signature, or all of a form, could not be read.
enum Failure {
    Registry(Error),
    Fault(Fault),
}

/// A search for a signature of a manifest by one of these keys.
struct Search<'a, 'k> {
    digest: &'a Digest,
    keys: &'k [SignerKey],
    found: Unsigned,
    /// The first thing that time may mend.
    trouble: Option<Error>,
}

impl<'k> Search<'_, 'k> {
    /// Take what is claimed, and say whose signature it is, if it holds.
    fn judge(&mut self, claim: &Claim) -> Option<&'k SignerKey> {
        let judged = claim.verify(self.digest, self.keys);
        judged.map_err(|fault| self.found.faults.push(fault)).ok()
    }

    /// Note what could not be read: others may be.
    fn failed(&mut self, failure: Failure) {
        match failure {
            Failure::Registry(error) if error.may_pass() => {
                self.trouble.get_or_insert(error);
            }
            Failure::Registry(error) => {
                self.found.faults.push(Fault::Missing(clean(&error.to_string(), 300)));
            }
            Failure::Fault(fault) => self.found.faults.push(fault),
        }
    }

    fn end(self) -> Unverified {
        self.trouble.map_or(Unverified::Unsigned(self.found), Unverified::Registry)
    }
}

impl<H: Http> Registry<H> {
    /// Which of these keys has signed the manifest with this digest. Of each form 32 signatures are read, of 64 KiB at most,
    /// out of a list of 8 pages at most; that takes no more than [`MAX_REQUESTS`](crate::MAX_REQUESTS) requests.
    pub async fn signer<'k>(
        &mut self,
        digest: &Digest,
        keys: &'k [SignerKey],
    ) -> Result<&'k SignerKey, Unverified> {
        let mut search = Search { digest, keys, found: Unsigned::default(), trouble: None };
        for form in [Form::Bundle, Form::Payload] {
            let Found { candidates, rest } = self.candidates(form, digest).await;
            if let Some(failure) = rest {
                search.failed(failure);
            }
            search.found.unread += candidates.len().saturating_sub(MAX_SIGNATURES);
            for candidate in candidates.iter().take(MAX_SIGNATURES) {
                match self.claim(candidate).await {
                    Ok(claim) => {
                        if let Some(signer) = claim.and_then(|claim| search.judge(&claim)) {
                            return Ok(signer);
                        }
                    }
                    Err(failure) => search.failed(failure),
                }
            }
        }
        Err(search.end())
    }

    async fn candidates(&mut self, form: Form, digest: &Digest) -> Found {
        match form {
            Form::Bundle => {
                let (listed, rest) = match self.referrers(digest).await {
                    Ok(Listed { bundles, rest }) => (bundles.digests(), rest.map(Failure::Registry)),
                    Err(error) => (vec![], Some(Failure::Registry(error))),
                };
                Found { candidates: listed.into_iter().map(Candidate::Bundle).collect(), rest }
            }
            Form::Payload => {
                let (layers, rest) = match self.payloads(digest).await {
                    Ok(layers) => (layers, None),
                    Err(failure) => (vec![], Some(failure)),
                };
                // The last ones are the newest.
                Found { candidates: layers.into_iter().rev().map(Candidate::Payload).collect(), rest }
            }
        }
    }

    /// What a candidate claims; none where it is no signature at all.
    async fn claim(&mut self, candidate: &Candidate) -> Result<Option<Claim>, Failure> {
        match candidate {
            Candidate::Bundle(manifest) => {
                let held = listing::layers(&self.manifest_json(manifest).await?)?;
                let Some(held) = held.iter().find(|held| held.media_type == BUNDLE_TYPE) else {
                    return Ok(None);
                };
                Ok(Some(bundle::claim(&self.small(&held.layer).await?)?))
            }
            Candidate::Payload(held) => {
                let signature = simple::signature(&held.media_type, &held.annotations)?;
                Ok(Some(simple::claim(self.small(&held.layer).await?, signature)?))
            }
        }
    }

    /// The manifests that refer to this one and may hold bundles: as the registry lists them or, where it lists none, under
    /// the tag that the distribution specification has for such registries.
    async fn referrers(&mut self, digest: &Digest) -> Result<Listed, Error> {
        if let Some(listed) = self.listed_referrers(digest).await? {
            return Ok(listed);
        }
        let index = self.referrers_tag(digest).await?;
        let bundles = index.and_then(|index| Bundles::read(&index)).unwrap_or_default();
        Ok(Listed { bundles, rest: None })
    }

    /// The same as the registry lists them itself; none where it does not. It is not asked for bundles alone: some registries
    /// do not know which of them are.
    pub(super) async fn listed_referrers(&mut self, digest: &Digest) -> Result<Option<Listed>, Error> {
        let url = self.url(&format!("referrers/{digest}"))?;
        let first = match self.page(&url).await {
            Ok(page) => page,
            // What is not allowed is what some say of everything that they do not know.
            Err(Error::NotFound(_) | Error::Denied(_) | Error::Unexpected(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        // So is what is no list.
        let Some(bundles) = Bundles::read(&first.bytes) else { return Ok(None) };
        Ok(Some(self.with_further_pages(Listed { bundles, rest: None }, first.next).await))
    }

    /// A list with its further pages: what is wrong with one hides none of those before it.
    async fn with_further_pages(
        &mut self,
        mut listed: Listed,
        mut next: Option<Result<Uri, Error>>,
    ) -> Listed {
        for _ in 1..MAX_PAGES {
            let page = match next {
                None => return listed,
                Some(Ok(url)) => self.page(&url).await,
                Some(Err(error)) => Err(error),
            };
            match page {
                Ok(page) => {
                    listed.bundles = listed.bundles.and(Bundles::read(&page.bytes).unwrap_or_default());
                    next = page.next;
                }
                Err(error) => return Listed { rest: Some(error), ..listed },
            }
        }
        Listed { rest: next.map(|_| Error::ManyPages(MAX_PAGES)), ..listed }
    }

    /// What is under the tag for what refers to a manifest, if there is such a tag.
    pub(super) async fn referrers_tag(&mut self, digest: &Digest) -> Result<Option<Vec<u8>>, Error> {
        let url = self.url(&format!("manifests/{}", tag(digest)))?;
        if_there(self.document(&url).await)
    }

    /// The layers that hold payloads, oldest first.
    async fn payloads(&mut self, digest: &Digest) -> Result<Vec<HeldLayer>, Failure> {
        let url = self.url(&format!("manifests/{}.sig", tag(digest)))?;
        let manifest = if_there(self.document(&url).await)?;
        Ok(manifest.map(|manifest| listing::layers(&manifest)).transpose()?.unwrap_or_default())
    }

    async fn small(&mut self, layer: &Layer) -> Result<Vec<u8>, Failure> {
        if layer.size > MAX_BYTES {
            return Err(Fault::TooLarge(layer.size).into());
        }
        Ok(self.layer(layer, MAX_BYTES as usize, &mut |_| {}).await?)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Registry(error)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// The tag for what refers to a manifest, where a registry does not list it. cosign's payloads have `.sig` behind it.
pub(super) fn tag(digest: &Digest) -> String {
    format!("sha256-{}", digest.hex())
}

fn if_there(answer: Result<Vec<u8>, Error>) -> Result<Option<Vec<u8>>, Error> {
    match answer {
        Err(Error::NotFound(_)) => Ok(None),
        answer => answer.map(Some),
    }
}
