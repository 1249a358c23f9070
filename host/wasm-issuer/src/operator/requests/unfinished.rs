//! The unfinished requests, as the watch has brought them and this process has written them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use kube::runtime::watcher::Event;
use wasm_issuer_core::issuance::plan::Next;
use wasm_issuer_core::issuance::request::Tries;
use wasm_issuer_core::issuance::request_kind::RequestKind;
use wasm_issuer_runtime::FairBytes;

use super::handled::Parked;
use super::observe::{Observed, RequestKey};
use super::parking::InParking;
use crate::api::IssuerKey;

/// One of them, and what is remembered of it.
pub struct Entry {
    pub observed: Arc<Observed>,
    pub tries: Tries,
    /// What was decided last; nothing yet is `Settled`, because a new request is queued anyway.
    pub next: Next,
    /// What is still to be written.
    pub parked: Option<InParking<Parked>>,
}

impl Entry {
    /// Take in what this process has read or written, unless the watch has brought something newer.
    fn take_in(&mut self, mut now: Arc<Observed>, memory: &Arc<FairBytes>) {
        if !now.target.is_older_than(&self.observed.target) {
            Arc::make_mut(&mut now).keep(Some(&self.observed), memory);
            self.observed = now;
        }
    }
}

/// What follows from what the watch has brought.
pub enum Change {
    /// Something about this request is to be looked at.
    News(RequestKey),
    /// Nothing is left to do for this one: it is finished, or deleted.
    Gone(RequestKey),
}

/// All of them.
pub struct Unfinished {
    /// For what they ask for.
    memory: Arc<FairBytes>,
    entries: HashMap<RequestKey, Entry>,
    by_issuer: HashMap<IssuerKey, HashSet<RequestKey>>,
    /// What the lists that are under way have brought.
    listed: HashSet<RequestKey>,
}

impl Unfinished {
    /// None yet.
    pub fn new(memory: Arc<FairBytes>) -> Self {
        Self { memory, entries: HashMap::new(), by_issuer: HashMap::new(), listed: HashSet::new() }
    }

    /// Take in what this process has read or written of a request, if it is still the one with this uid.
    pub fn take_in(&mut self, now: Arc<Observed>) {
        if let Some(entry) = self.entries.get_mut(&now.key)
            && entry.observed.uid() == now.uid()
        {
            entry.take_in(now, &self.memory);
        }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn get_mut(&mut self, key: &RequestKey) -> Option<&mut Entry> {
        self.entries.get_mut(key)
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&RequestKey, &mut Entry)> {
        self.entries.iter_mut()
    }

    /// Those that refer to an Issuer.
    pub fn of(&self, issuer: &IssuerKey) -> Vec<RequestKey> {
        self.by_issuer.get(issuer).into_iter().flatten().cloned().collect()
    }

    /// Take in what the watch of a kind has brought.
    pub fn observe(&mut self, kind: RequestKind, event: Event<Option<Observed>>) -> Vec<Change> {
        match event {
            Event::Init => self.listed.retain(|key| key.kind != kind),
            Event::InitApply(observed) => {
                let Some(observed) = observed else { return vec![] };
                self.listed.insert(observed.key.clone());
                return self.apply(observed).into_iter().collect();
            }
            Event::InitDone => {
                let of_kind = self.entries.keys().filter(|key| key.kind == kind);
                let gone: Vec<_> = of_kind.filter(|key| !self.listed.contains(key)).cloned().collect();
                self.listed.retain(|key| key.kind != kind);
                gone.iter().for_each(|key| drop(self.remove(key)));
                return gone.into_iter().map(Change::Gone).collect();
            }
            Event::Apply(observed) => {
                return observed.and_then(|observed| self.apply(observed)).into_iter().collect();
            }
            Event::Delete(observed) => {
                if let Some(observed) = observed {
                    self.remove(&observed.key);
                    return vec![Change::Gone(observed.key)];
                }
            }
        }
        vec![]
    }

    /// Take in a version of a request.
    fn apply(&mut self, mut observed: Observed) -> Option<Change> {
        let key = observed.key.clone();
        if observed.view.is_finished() {
            // Nothing of a finished request stays in memory.
            self.remove(&key);
            return Some(Change::Gone(key));
        }
        let old = self.entries.get(&key);
        // A watch that is late must not undo what this process wrote: a plugin would be asked again without the token of
        // its order, or for what is finished.
        if old.is_some_and(|old| observed.target.is_older_than(&old.observed.target)) {
            return None;
        }
        if let Some(old) = old {
            observed.remember(&old.observed);
        }
        let is_news = old.is_none_or(|old| old.observed.differs(&observed));
        // What is remembered of one is not held against another one of the same name.
        let same = self.remove(&key).filter(|old| old.observed.uid() == observed.uid());
        observed.keep(same.as_ref().map(|old| &*old.observed), &self.memory);
        self.insert(key.clone(), Arc::new(observed), same);
        is_news.then_some(Change::News(key))
    }

    fn insert(&mut self, key: RequestKey, observed: Arc<Observed>, old: Option<Entry>) {
        if let Some(issuer) = &observed.issuer {
            self.by_issuer.entry(issuer.clone()).or_default().insert(key.clone());
        }
        let entry = match old {
            Some(old) => Entry { observed, ..old },
            None => Entry { observed, tries: Tries::default(), next: Next::Settled, parked: None },
        };
        self.entries.insert(key, entry);
    }

    /// Take a request out.
    pub fn remove(&mut self, key: &RequestKey) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        if let Some(issuer) = &entry.observed.issuer
            && let Some(keys) = self.by_issuer.get_mut(issuer)
        {
            keys.remove(key);
            if keys.is_empty() {
                self.by_issuer.remove(issuer);
            }
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
    use serde_json::Value;

    use super::super::observe::RequestObject;
    use super::*;
    use crate::api::cert_manager::CertificateRequest;
    use crate::operator::testing::{request, signing_request};

    fn observed<K: RequestObject>(mut object: Value) -> Option<Observed> {
        object["metadata"] = serde_json::json!({"name": "web", "namespace": "team-a", "uid": "u"});
        serde_json::from_value::<K>(object).unwrap().observe()
    }

    #[test]
    fn a_list_of_one_kind_says_nothing_of_the_other() {
        let signer = "wasmclusterissuers.wasm-issuer.dev/ca";
        let kinds = RequestKind::ALL;
        for listed in kinds {
            let mut all = Unfinished::new(FairBytes::new(1 << 20));
            all.observe(kinds[0], Event::Apply(observed::<CertificateRequest>(request("web").1)));
            let other = observed::<CertificateSigningRequest>(signing_request("web", signer).1);
            all.observe(kinds[1], Event::Apply(other));
            all.observe(listed, Event::Init);
            let changes = all.observe(listed, Event::InitDone);
            assert!(matches!(changes.as_slice(), [Change::Gone(key)] if key.kind == listed));
            assert_eq!(all.len(), 1);
        }
    }
}
