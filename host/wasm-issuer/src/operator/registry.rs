//! What the requests' side knows of the Issuers: their readiness and, where they are ready, the plugin to call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::mpsc;
use wasm_issuer_core::issuance::condition::{Condition, TRUE};
use wasm_issuer_core::issuance::request::{IssuerView, RetryPolicy};
use wasm_issuer_core::issuance::verify::Verification;

use super::signer::Signer;
use crate::api::IssuerKey;

/// What an Issuer's requests are signed with.
pub struct Serving {
    /// A plugin whose check has passed, with what the Issuer lends it.
    pub signer: Arc<dyn Signer>,
    /// How long its requests are retried.
    pub retry: RetryPolicy,
    /// How strictly certificates are compared with their requests.
    pub verification: Verification,
}

/// What signing tells the Issuer's side.
pub enum Feedback {
    /// A certificate was issued, so the Issuer is able to sign.
    Signed,
    /// Signing failed by the Issuer's fault.
    Failed {
        /// What was called: a failure of something that was replaced since tells nothing about what serves now.
        serving: Arc<Serving>,
        /// The plugin's own words.
        message: String,
    },
}

/// One Issuer as the requests' side sees it.
#[derive(Clone)]
pub struct IssuerEntry {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.generation`.
    pub generation: i64,
    /// Its Ready condition, none before its first status.
    pub ready: Option<Condition>,
    /// Set once its check has succeeded in this process.
    pub serving: Option<Arc<Serving>>,
    /// Leads to the Issuer's task.
    pub feedback: mpsc::Sender<Feedback>,
}

impl IssuerEntry {
    /// When it became ready, if it is.
    pub fn ready_since(&self) -> Option<Timestamp> {
        self.ready.as_ref().filter(|r| r.status == TRUE).and_then(|r| r.last_transition)
    }

    fn differs(&self, newer: &IssuerEntry) -> bool {
        let serving = |e: &IssuerEntry| e.serving.as_ref().map(Arc::as_ptr);
        let ready = |e: &IssuerEntry| e.ready.as_ref().map(|r| (r.status.clone(), r.observed_generation));
        self.generation != newer.generation || ready(self) != ready(newer) || serving(self) != serving(newer)
    }
}

/// Every Issuer that exists. The Issuers' side writes it, the requests' side reads it.
pub struct Registry {
    entries: Mutex<HashMap<IssuerKey, IssuerEntry>>,
    changes: mpsc::UnboundedSender<IssuerKey>,
}

impl Registry {
    /// An empty registry, and where it says which Issuer changed.
    pub fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<IssuerKey>) {
        let (changes, receiver) = mpsc::unbounded_channel();
        (Arc::new(Self { entries: Mutex::default(), changes }), receiver)
    }

    /// Put or replace an Issuer. Its requests are woken only by news: they may be waiting for their next try.
    pub fn put(&self, key: &IssuerKey, entry: IssuerEntry) {
        let is_news = self.lock().insert(key.clone(), entry.clone()).is_none_or(|old| old.differs(&entry));
        if is_news {
            self.tell(key);
        }
    }

    /// Take an Issuer out, unless another one has its name by now.
    pub fn remove(&self, key: &IssuerKey, uid: &str) {
        let mut entries = self.lock();
        if entries.get(key).is_some_and(|entry| entry.uid == uid) {
            entries.remove(key);
        }
        drop(entries);
        self.tell(key);
    }

    /// How many Issuers there are, and how many of them can sign.
    pub fn count(&self) -> (usize, usize) {
        let entries = self.lock();
        (entries.len(), entries.values().filter(|e| e.serving.is_some()).count())
    }

    /// The Issuer as it was put last.
    pub fn get(&self, key: &IssuerKey) -> Option<IssuerEntry> {
        self.lock().get(key).cloned()
    }

    fn tell(&self, key: &IssuerKey) {
        // No receiver: the operator is stopping.
        let _ = self.changes.send(key.clone());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IssuerKey, IssuerEntry>> {
        // A panic while the lock was held leaves a whole map behind: every change is one insert or remove.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the decisions see of an Issuer.
pub fn view(entry: Option<&IssuerEntry>) -> IssuerView {
    match entry {
        None => IssuerView::Missing,
        Some(e) => IssuerView::Present {
            generation: e.generation,
            ready: e.ready.clone(),
            serving: e.serving.is_some(),
        },
    }
}
