//! What the audit is told of requests.

use std::sync::Arc;
use std::time::Duration;

use kube::runtime::watcher::Event;
use wasm_issuer_core::issuance::audit::{self, Facts, IssuerFacts, ObjectName, Record};
use wasm_issuer_core::issuance::condition::READY;
use wasm_issuer_core::issuance::plan::RequestStatus;
use wasm_issuer_core::issuance::request::{RequestPlan, Tries, is_final};
use wasm_issuer_core::issuance::request_issuer::AskedIssuer;
use wasm_issuer_core::issuance::request_spec::DEFAULT_DURATION;
use wasm_issuer_core::x509::Csr;

use super::asked::Asked;
use super::objects;
use super::observe::Observed;
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
    let mark = objects::end(observed, plan.status.as_ref()?)?;
    audit.decided(mark, record((observed, asked), (plan, before), called, issuer)?)
}

/// The record of a plan that decides something for good; none of one that does not.
pub fn record(
    (observed, asked): (&Observed, Option<&Asked>),
    (plan, before): (&RequestPlan, Tries),
    called: Option<&Called>,
    issuer: Option<&AskedIssuer>,
) -> Option<Box<Record>> {
    let reference = &observed.target.reference;
    let read = asked.filter(|_| called.is_none()).and_then(csr);
    let requester = asked.map(|asked| asked.spec.requester());
    let given = asked.map(|asked| asked.spec.given(&asked.annotations));
    let key = observed.issuer.as_ref();
    let name = |name: &Option<String>| name.clone().unwrap_or_default();
    let facts = Facts {
        object: ObjectName {
            kind: name(&reference.kind),
            namespace: reference.namespace.clone(),
            name: name(&reference.name),
            uid: name(&reference.uid),
        },
        created: observed.view.created,
        asked: requester.as_ref().zip(given).map(|(who, given)| audit::Asked {
            username: &who.username,
            uid: &who.uid,
            groups: &who.groups,
            usages: given.usages,
            is_ca: given.is_ca,
            duration: given.duration.ok().map(|given| given.unwrap_or(DEFAULT_DURATION)),
            csr: called.map(|called| &called.csr).or(read.as_ref()),
        }),
        issuer: IssuerFacts {
            kind: observed.view.issuer.kind.clone(),
            namespace: key.and_then(|key| key.namespace.clone()),
            name: key.map_or_else(|| observed.view.issuer.name.clone(), |key| key.name.clone()),
            uid: issuer.map(|issuer| issuer.uid.clone()),
            generation: issuer.map(|issuer| issuer.generation),
        },
        plugin: called.map(|called| &called.serving.plugin),
        took: called.map(|called| called.took),
    };
    audit::record(plan, before, facts, now())
}

/// The CSR, if it can be accepted.
fn csr(asked: &Asked) -> Option<Csr> {
    Csr::from_pem_or_der(&asked.spec.csr().ok()?).ok()
}

/// Tell what the watch has brought.
pub fn saw_event(audit: &Audit, event: &Event<Option<Observed>>) {
    let (Event::Apply(Some(request)) | Event::InitApply(Some(request)) | Event::Delete(Some(request))) =
        event
    else {
        return;
    };
    saw(audit, request);
    if let Event::Delete(_) = event {
        audit.saw_deleted(request.uid());
    }
}

/// Tell what a request is now.
pub fn saw(audit: &Audit, request: &Observed) {
    if let Some(end) = request.end
        && audit.is_waiting()
    {
        audit.saw(request.uid(), end);
    }
}

/// Whether a status is the end of a request.
pub fn is_decision(status: Option<&RequestStatus>) -> bool {
    let ready = status.and_then(|status| status.conditions.iter().find(|condition| condition.type_ == READY));
    ready.is_some_and(|ready| is_final(&ready.status, &ready.reason))
}
