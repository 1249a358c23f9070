//! What the operator keeps of a request, of whichever kind. No client.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use serde::de::DeserializeOwned;
use wasm_issuer_core::issuance::approval::signer_name;
use wasm_issuer_core::issuance::condition::{self, Condition};
use wasm_issuer_core::issuance::outcome::Unsignable;
use wasm_issuer_core::issuance::plan::RequestStatus;
use wasm_issuer_core::issuance::request::{IssuerName, RequestView};
use wasm_issuer_core::issuance::request_kind::RequestKind;
use wasm_issuer_core::issuance::signer::SignRequest;
use wasm_issuer_runtime::{FairBytes, Owner};

use super::asked::{Asked, Fingerprint};
use crate::api::{IssuerKey, IssuerKind, ObjectName};
use crate::operator::apply::Target;
use crate::operator::clock::uptime;

/// An object of one of the kinds of requests.
pub trait RequestObject:
    Resource<DynamicType = ()> + Clone + fmt::Debug + DeserializeOwned + Send + Sync + 'static
{
    /// Which of them it is.
    const KIND: RequestKind;

    /// What is to be kept of it; none if it refers to somebody else's issuer.
    fn observe(self) -> Option<Observed>;
}

/// What tells a request from all others in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestKey {
    pub kind: RequestKind,
    /// None for a CertificateSigningRequest.
    pub namespace: Option<String>,
    pub name: String,
}

/// `<namespace>/<name>`, or the name alone where there is no namespace.
impl fmt::Display for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        f.write_str(&self.name)
    }
}

/// An unfinished request for one of our kinds.
#[derive(Clone)]
pub struct Observed {
    pub key: RequestKey,
    /// Where its status is written.
    pub target: Target,
    /// Its Issuer; none where it names a kind that this group does not have, or an Issuer that cannot be.
    pub issuer: Option<IssuerKey>,
    /// What the decisions see.
    pub view: RequestView,
    /// What is asked for; none where there is no room for it, and then it is read when it is needed.
    pub asked: Option<Arc<Asked>>,
    /// When it was read.
    pub read_at: Duration,
    /// Tells that apart from what another version asks for.
    pub fingerprint: Fingerprint,
    /// Tells the end of its object, as it was read, from other ends; none of one that is not finished.
    pub end: Option<u64>,
    /// Why it is refused, whatever is decided over it.
    excess: Option<String>,
    /// Why nobody will ever approve it.
    unreadable: Option<String>,
}

/// What is read from an object of either kind.
pub struct Seen {
    pub kind: RequestKind,
    pub target: Target,
    pub meta: ObjectMeta,
    pub issuer: Option<IssuerKey>,
    /// How its Issuer is called in messages.
    pub called: IssuerName,
    pub conditions: Vec<Condition>,
    /// The types of those that this operator wrote.
    pub owned: Vec<String>,
    /// Tells its end from others, if it has one.
    pub end: Option<u64>,
    pub asked: Asked,
}

/// How RBAC calls an Issuer. What no object can be called is no signer, and goes into no manifest.
pub fn signer(issuer: &IssuerKey) -> Option<String> {
    let IssuerKey { kind, namespace, name } = issuer;
    name.parse::<ObjectName>().ok()?;
    Some(signer_name(kind.plural(), namespace.as_deref(), name))
}

impl Observed {
    /// None for an object without a name, which there is not.
    pub fn new(seen: Seen) -> Option<Self> {
        let Seen { kind, target, meta, issuer, called, conditions, owned, end, asked } = seen;
        let view = RequestView {
            kind,
            conditions,
            owned,
            created: meta.creation_timestamp.map_or(Timestamp::UNIX_EPOCH, |Time(at)| at),
            issuer: called,
        };
        Some(Self {
            key: RequestKey { kind, namespace: meta.namespace, name: meta.name? },
            target,
            issuer,
            view,
            fingerprint: asked.fingerprint(),
            end,
            excess: asked.excess(),
            unreadable: asked.spec.unreadable(),
            asked: Some(Arc::new(asked)),
            read_at: uptime(),
        })
    }

    /// `metadata.uid`.
    pub fn uid(&self) -> &str {
        self.target.uid()
    }

    /// The namespace on whose account it is kept and worked on: its own. One without a namespace is on its Issuer's, if that
    /// has one, as soon as it is approved: an approver speaks for the Issuer, but anybody may name it.
    pub fn account(&self) -> &str {
        let issuer = self.issuer.as_ref().filter(|_| self.view.is_approved());
        let of_issuer = issuer.and_then(|issuer| issuer.namespace.as_deref());
        self.key.namespace.as_deref().or(of_issuer).unwrap_or_default()
    }

    /// On whose account work for it is done.
    pub fn owner(&self) -> Owner {
        let issuer = self.issuer.as_ref().map(|issuer| format!("{}/{}", issuer.kind, issuer.name));
        Owner::new(self.account(), &issuer.unwrap_or_default())
    }

    /// The Issuer that its requester must be allowed to refer to: that of a namespace which the request is not in.
    pub fn referred(&self) -> Option<&IssuerKey> {
        let is_open = self.view.is_approved() && !self.view.is_finished();
        let issuer = self.issuer.as_ref().filter(|_| is_open && self.key.namespace.is_none());
        issuer.filter(|issuer| issuer.kind == IssuerKind::Namespaced)
    }

    /// Whether a newer version of the request has to be looked at.
    pub fn differs(&self, newer: &Observed) -> bool {
        self.uid() != newer.uid() || self.fingerprint != newer.fingerprint || self.view.differs(&newer.view)
    }

    /// Remember what the object of a CertificateSigningRequest does not tell, as it was known of this other version of it:
    /// what Ready would say, and which conditions this process wrote.
    pub fn remember(&mut self, before: &Self) {
        if self.key.kind == RequestKind::CertificateRequest || self.uid() != before.uid() {
            return;
        }
        let view = &mut self.view;
        if view.ready().is_none() {
            view.conditions.extend(before.view.ready().cloned());
        }
        let is_there = |type_: &&String| condition::find(&view.conditions, type_).is_some();
        let known = before.view.owned.iter().filter(is_there).filter(|type_| !view.owned.contains(type_));
        let known: Vec<String> = known.cloned().collect();
        view.owned.extend(known);
    }

    /// Keep what is asked for only if there is room for it. What `before` has of it stays in memory once.
    pub fn keep(&mut self, before: Option<&Self>, memory: &Arc<FairBytes>) {
        let same = before.filter(|before| before.fingerprint == self.fingerprint);
        if let Some(kept) = same.and_then(|before| before.asked.clone()) {
            self.asked = Some(kept);
        }
        let is_excess = self.excess.is_some();
        let account = self.account().to_owned();
        self.asked.take_if(|asked| is_excess || !asked.is_kept(memory, &account));
    }

    /// Why it is refused, if so, before anything else is decided: it is too much, names what cannot be, or would wait for
    /// ever. A CertificateRequest is told before anybody has approved it.
    pub fn refusal(&self) -> Option<Unsignable> {
        let awaits_approval = self.view.awaits_approval();
        let is_told = self.key.kind == RequestKind::CertificateRequest || self.view.is_approved();
        let unreadable = self.unreadable.as_ref().filter(|_| awaits_approval);
        let excess = self.excess.as_ref().filter(|_| is_told && !self.view.is_finished());
        excess.or(unreadable).cloned().map(Unsignable::from)
    }

    /// The request for the plugin, or why there can be none: the CSR or the spec is at fault.
    pub fn sign_request(&self, asked: &Asked) -> Result<SignRequest, Unsignable> {
        let (csr, decided) = asked.decide()?;
        Ok(SignRequest {
            namespace: self.key.namespace.clone(),
            name: self.key.name.clone(),
            uid: self.uid().to_owned(),
            csr,
            duration: decided.duration,
            is_ca: decided.is_ca,
            usages: decided.usages,
            annotations: asked.annotations.clone(),
            requester: asked.spec.requester(),
            resume: self.view.resume().map(str::to_owned),
        })
    }

    /// The request as it is after this status was written.
    pub fn with_status(&self, status: &RequestStatus, target: Target) -> Self {
        let mut new = Self { target, ..self.clone() };
        new.view.conditions.retain(|c| !self.view.owned.contains(&c.type_));
        new.view.conditions.retain(|c| status.conditions.iter().all(|s| s.type_ != c.type_));
        new.view.conditions.extend(status.conditions.iter().cloned());
        new.view.owned = status.conditions.iter().map(|c| c.type_.clone()).collect();
        new
    }
}
