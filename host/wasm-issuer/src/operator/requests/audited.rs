//! What the audit is told of requests.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use kube::core::DeserializeGuard;
use kube::runtime::watcher::Event;
use wasm_issuer_core::issuance::audit::{self, Facts, IssuerFacts, ObjectName};
use wasm_issuer_core::issuance::condition::READY;
use wasm_issuer_core::issuance::plan::RequestStatus;
use wasm_issuer_core::issuance::request::{RequestPlan, Tries, is_final};
use wasm_issuer_core::issuance::request_issuer::AskedIssuer;
use wasm_issuer_core::issuance::request_spec::DEFAULT_DURATION;
use wasm_issuer_core::x509::Csr;

use super::asked::Asked;
use super::observe::{self, Observed};
use crate::api::cert_manager::{CertificateRequest, CertificateRequestStatus};
use crate::operator::audit::{Audit, Ticket};
use crate::operator::clock::now;
use crate::operator::registry::Serving;

/// A call of a plugin for a request.
pub struct Called {
    pub serving: Arc<Serving>,
    pub csr: Csr,
    pub took: Duration,
}

/// Tell that a plan for a request is to be carried out; `before` is what was remembered when it was made. Returns what its
/// end is told by, if it decides something for good.
pub fn decided(
    audit: &Audit,
    (observed, asked): (&Observed, Option<&Asked>),
    (plan, before): (&RequestPlan, Tries),
    called: Option<&Called>,
    issuer: Option<&AskedIssuer>,
) -> Option<Ticket> {
    let mark = mark(&observe::status(plan.status.as_ref()?));
    let reference = &observed.target.reference;
    let read = asked.filter(|_| called.is_none()).and_then(csr);
    let name = |name: &Option<String>| name.clone().unwrap_or_default();
    let facts = Facts {
        object: ObjectName {
            kind: name(&reference.kind),
            namespace: reference.namespace.clone(),
            name: name(&reference.name),
            uid: name(&reference.uid),
        },
        created: observed.view.created,
        asked: asked.map(|Asked { spec, .. }| audit::Asked {
            username: &spec.username,
            uid: &spec.uid,
            groups: &spec.groups,
            usages: spec.usages.as_deref().unwrap_or_default(),
            is_ca: spec.is_ca,
            duration: spec.duration().ok().map(|given| given.map_or(DEFAULT_DURATION, |given| given.0)),
            csr: called.map(|called| &called.csr).or(read.as_ref()),
        }),
        issuer: IssuerFacts {
            kind: observed.view.issuer.kind.clone(),
            namespace: observed.issuer.as_ref().and_then(|key| key.namespace.clone()),
            name: observed.view.issuer.name.clone(),
            uid: issuer.map(|issuer| issuer.uid.clone()),
            generation: issuer.map(|issuer| issuer.generation),
        },
        plugin: called.map(|called| &called.serving.plugin),
        took: called.map(|called| called.took),
    };
    audit.decided(mark, audit::record(plan, before, facts, now())?)
}

/// The CSR, if it can be accepted.
fn csr(asked: &Asked) -> Option<Csr> {
    Csr::from_pem_or_der(&asked.spec.csr_pem().ok()?).ok()
}

/// Tell what the watch has brought.
pub fn saw_event(audit: &Audit, event: &Event<DeserializeGuard<CertificateRequest>>) {
    let (Event::Apply(guard) | Event::InitApply(guard) | Event::Delete(guard)) = event else { return };
    let Ok(request) = &guard.0 else { return };
    saw(audit, request);
    if let (Event::Delete(_), Some(uid)) = (event, &request.metadata.uid) {
        audit.saw_deleted(uid);
    }
}

/// Tell what a request is now.
pub fn saw(audit: &Audit, request: &CertificateRequest) {
    let Some(uid) = request.metadata.uid.as_ref().filter(|_| audit.is_waiting()) else { return };
    let ready = request.status.conditions.iter().find(|condition| condition.type_ == READY);
    if ready.is_some_and(|ready| is_final(&ready.status, &ready.reason)) {
        audit.saw(uid, mark(&request.status));
    }
}

/// Tells the end of a request from others, as far as this operator writes it.
fn mark(status: &CertificateRequestStatus) -> u64 {
    static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    let ready = status.conditions.iter().find(|condition| condition.type_ == READY);
    let failed_at = status.failure_time.as_ref().map(|time| time.0.as_second());
    HASHER.hash_one((
        ready.map(|ready| (&ready.status, &ready.reason, &ready.message)),
        &status.certificate,
        failed_at,
    ))
}

/// Whether a status is the end of a request.
pub fn is_decision(status: Option<&RequestStatus>) -> bool {
    let ready = status.and_then(|status| status.conditions.iter().find(|condition| condition.type_ == READY));
    ready.is_some_and(|ready| is_final(&ready.status, &ready.reason))
}
