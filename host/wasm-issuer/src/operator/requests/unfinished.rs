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
use super::queue::Place as QueuePlace;
use crate::api::IssuerKey;
use crate::operator::metrics::RequestState;
use crate::operator::namespaces::{Namespaces, Part};

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
    /// What it waits for, by its place in the queue.
    pub fn state(&self, place: QueuePlace) -> RequestState {
        match place {
            QueuePlace::Running => RequestState::InFlight,
            _ if self.observed.view.awaits_approval() => RequestState::Unapproved,
            QueuePlace::Lane => RequestState::Queued,
            QueuePlace::None if self.next.delay().is_none() => RequestState::WaitingForIssuer,
            _ if self.tries.polls > 0 => RequestState::Pending,
            _ => RequestState::Retrying,
        }
    }

    /// Something has happened: what was decided and is held back is decided anew.
    pub fn decide_anew(&mut self) {
        self.parked.take_if(|parked| parked.parked().is_overtaken(true));
    }

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
    /// This one was deleted.
    Gone(RequestKey),
    /// This one is finished.
    Finished(Box<Finished>),
}

/// A request that is finished.
pub struct Finished {
    pub request: Observed,
    /// What was remembered of it; none of one that was not among the unfinished.
    pub before: Option<Tries>,
    /// What was still to be written: perhaps it is what finished the request.
    pub parked: Option<Parked>,
}

/// All of them.
pub struct Unfinished {
    /// For what they ask for.
    memory: Arc<FairBytes>,
    namespaces: Namespaces,
    entries: HashMap<RequestKey, Entry>,
    by_issuer: HashMap<IssuerKey, HashSet<RequestKey>>,
    /// What the lists that are under way have brought.
    listed: HashMap<(RequestKind, Part), HashSet<RequestKey>>,
}

impl Unfinished {
    /// None yet.
    pub fn new(memory: Arc<FairBytes>, namespaces: Namespaces) -> Self {
        Self {
            memory,
            namespaces,
            entries: HashMap::new(),
            by_issuer: HashMap::new(),
            listed: HashMap::new(),
        }
    }

    /// Take in what this process has read or written of a request, if it is still the one with this uid.
    pub fn take_in(&mut self, now: Arc<Observed>) {
        if let Some(entry) = self.entries.get_mut(&now.key)
            && entry.observed.uid() == now.uid()
        {
            entry.take_in(now, &self.memory);
        }
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

    /// Take in what the watch of a kind in a part has brought.
    pub fn observe(&mut self, kind: RequestKind, part: &Part, event: Event<Option<Observed>>) -> Vec<Change> {
        let list = (kind, part.clone());
        match event {
            Event::Init => {
                self.listed.insert(list, HashSet::new());
            }
            Event::InitApply(observed) => {
                let Some(observed) = self.served(observed) else { return vec![] };
                self.listed.entry(list).or_default().insert(observed.key.clone());
                return self.apply(observed).into_iter().collect();
            }
            Event::InitDone => {
                let listed = self.listed.remove(&list).unwrap_or_default();
                let is_in = |key: &&RequestKey| {
                    key.kind == kind && (part.is_none() || key.namespace.as_deref() == part.as_deref())
                };
                let gone = self.entries.keys().filter(is_in).filter(|key| !listed.contains(key)).cloned();
                let gone: Vec<_> = gone.collect();
                gone.iter().for_each(|key| drop(self.remove(key)));
                return gone.into_iter().map(Change::Gone).collect();
            }
            Event::Apply(observed) => {
                return self.served(observed).and_then(|observed| self.apply(observed)).into_iter().collect();
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

    /// A request, if it is for an Issuer that is served here.
    fn served(&self, observed: Option<Observed>) -> Option<Observed> {
        let is_served = |issuer: &IssuerKey| self.namespaces.serves(issuer.kind);
        observed.filter(|request| request.issuer.as_ref().is_none_or(is_served))
    }

    /// Take in a version of a request.
    fn apply(&mut self, mut observed: Observed) -> Option<Change> {
        let key = observed.key.clone();
        if observed.view.is_finished() {
            // Nothing of a finished request stays in memory.
            let old = self.remove(&key);
            let before = old.as_ref().filter(|old| old.observed.uid() == observed.uid()).map(|old| old.tries);
            let parked = old.and_then(|old| old.parked).map(InParking::leave);
            return Some(Change::Finished(Box::new(Finished { request: observed, before, parked })));
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
            let mut all = Unfinished::new(FairBytes::new(1 << 20), Namespaces::All);
            all.observe(kinds[0], &None, Event::Apply(observed::<CertificateRequest>(request("web").1)));
            let other = observed::<CertificateSigningRequest>(signing_request("web", signer).1);
            all.observe(kinds[1], &None, Event::Apply(other));
            all.observe(listed, &None, Event::Init);
            let changes = all.observe(listed, &None, Event::InitDone);
            assert!(matches!(changes.as_slice(), [Change::Gone(key)] if key.kind == listed));
            assert_eq!(all.iter_mut().count(), 1);
        }
    }
}
