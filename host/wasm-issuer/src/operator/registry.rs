//! What the requests' side knows of the Issuers: their readiness and, where they are ready, the plugin to call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::mpsc;
use wasm_issuer_core::issuance::audit::PluginName;
use wasm_issuer_core::issuance::condition::{Condition, TRUE};
use wasm_issuer_core::issuance::request::RetryPolicy;
use wasm_issuer_core::issuance::request_issuer::{AskedIssuer, IssuerNews, IssuerView};
use wasm_issuer_core::issuance::verify::{TrustedCas, Verification};

use super::signer::Signer;
use crate::api::IssuerKey;

/// What an Issuer's requests are signed with.
pub struct Serving {
    /// A plugin whose check has passed, with what the Issuer lends it.
    pub signer: Arc<dyn Signer>,
    /// Which plugin that is.
    pub plugin: PluginName,
    /// How long its requests are retried.
    pub retry: RetryPolicy,
    /// How strictly certificates are compared with their requests.
    pub verification: Verification,
    /// The CA certificates in the Issuer's Secrets.
    pub trusted: TrustedCas,
    /// What is on the Issuer's account as long as this is in use.
    #[expect(dead_code, reason = "it is held")]
    pub kept: Box<dyn Send + Sync>,
}

/// What signing tells the Issuer's side.
pub enum Feedback {
    /// A certificate was issued, so the Issuer is able to sign.
    Signed,
    /// Signing failed by the Issuer's fault. A box, because a channel has room for many, and each Issuer has a channel.
    Failed(Box<Complaint>),
    /// The plugin broke the call off.
    Broke(Box<Complaint>),
}

/// What a request has against its Issuer.
pub struct Complaint {
    /// What was called: a failure of something that was replaced since tells nothing about what serves now.
    pub serving: Arc<Serving>,
    /// The plugin's own words, or how it broke off.
    pub message: String,
    /// The request's namespace.
    pub namespace: String,
    /// The request's uid.
    pub request: String,
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

    /// What the decisions see of it.
    fn view(&self) -> IssuerView {
        IssuerView::Present {
            generation: self.generation,
            ready: self.ready.clone(),
            serving: self.serving.is_some(),
        }
    }

    fn serves_otherwise(&self, newer: &IssuerEntry) -> bool {
        self.serving.as_ref().map(Arc::as_ptr) != newer.serving.as_ref().map(Arc::as_ptr)
    }
}

/// Every Issuer that exists. The Issuers' side writes it, the requests' side reads it.
pub struct Registry {
    issuers: Mutex<HashMap<IssuerKey, Known>>,
    changes: mpsc::UnboundedSender<(IssuerKey, IssuerNews)>,
}

#[derive(Default)]
struct Known {
    /// The newest object that the watch has brought.
    newest: Option<AskedIssuer>,
    /// The generation since which nothing but the plugin has changed: what was made for an older one signs no more.
    since: i64,
    /// As its task put it last.
    entry: Option<IssuerEntry>,
}

/// Where the registry says which Issuer changed.
pub type IssuerChanges = mpsc::UnboundedReceiver<(IssuerKey, IssuerNews)>;

impl Registry {
    /// An empty registry, and where it says which Issuer changed.
    pub fn new() -> (Arc<Self>, IssuerChanges) {
        let (changes, receiver) = mpsc::unbounded_channel();
        (Arc::new(Self { issuers: Mutex::default(), changes }), receiver)
    }

    /// Note that there is an Issuer, at this generation, before its task has looked at it. `asks_otherwise` tells that more
    /// than the plugin has changed: then what serves stops signing now.
    pub fn observe(&self, key: &IssuerKey, uid: &str, generation: i64, asks_otherwise: bool) {
        let mut issuers = self.lock();
        let known = issuers.entry(key.clone()).or_default();
        if asks_otherwise {
            known.since = generation;
        }
        let revocations = known.newest.as_ref().map_or(0, |newest| newest.revocations);
        known.newest = Some(AskedIssuer { uid: uid.to_owned(), generation, revocations });
    }

    /// The policy has taken back what the Issuer was granted: what is being signed is not published.
    pub fn revoke(&self, key: &IssuerKey) {
        if let Some(newest) = self.lock().get_mut(key).and_then(|known| known.newest.as_mut()) {
            newest.revocations += 1;
        }
    }

    /// Put or replace an Issuer. Its requests are woken only by news: they may be waiting for their next try.
    pub fn put(&self, key: &IssuerKey, entry: IssuerEntry) {
        let old = self.lock().entry(key.clone()).or_default().entry.replace(entry.clone());
        let is_news =
            old.is_none_or(|old| entry.view().is_news_after(&old.view()) || old.serves_otherwise(&entry));
        if is_news {
            self.tell(key, IssuerNews::Changed);
        }
    }

    /// Somebody has done something about an Issuer, and it can sign: its requests need not wait any longer.
    pub fn touched(&self, key: &IssuerKey) {
        self.tell(key, IssuerNews::Touched);
    }

    /// Take an Issuer out, unless another one has its name by now.
    pub fn remove(&self, key: &IssuerKey, uid: &str) {
        let mut issuers = self.lock();
        if let Some(known) = issuers.get_mut(key) {
            if known.newest.take_if(|newest| newest.uid == uid).is_some() {
                known.since = 0;
            }
            known.entry.take_if(|entry| entry.uid == uid);
            if known.newest.is_none() && known.entry.is_none() {
                issuers.remove(key);
            }
        }
        drop(issuers);
        self.tell(key, IssuerNews::Changed);
    }

    /// The Issuers that there are, and whether each can sign.
    pub fn issuers(&self) -> Vec<(IssuerKey, bool)> {
        let can_sign = |known: &Known| Some(known.entry.as_ref()?.serving.is_some());
        self.lock().iter().filter_map(|(key, known)| Some((key.clone(), can_sign(known)?))).collect()
    }

    /// The Issuer as it was put last, without what it must not sign with any more, and its object as the watch has brought
    /// it last.
    pub fn find(&self, key: &IssuerKey) -> (Option<IssuerEntry>, Option<AskedIssuer>) {
        let issuers = self.lock();
        let Some(known) = issuers.get(key) else { return (None, None) };
        let mut entry = known.entry.clone();
        if let Some(entry) = &mut entry {
            entry.serving.take_if(|_| entry.generation < known.since);
        }
        (entry, known.newest.clone())
    }

    fn tell(&self, key: &IssuerKey, news: IssuerNews) {
        // No receiver: the operator is stopping.
        let _ = self.changes.send((key.clone(), news));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IssuerKey, Known>> {
        // A panic while the lock was held leaves a whole map behind: every change is one insert or remove.
        self.issuers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the decisions see of an Issuer.
pub fn view(entry: Option<&IssuerEntry>) -> IssuerView {
    entry.map_or(IssuerView::Missing, IssuerEntry::view)
}
