//! A cluster in which nothing is wrong, to break.

use jiff::{SignedDuration, Timestamp};
use wasm_issuer_core::issuance::approval::signer_name;
use wasm_issuer_core::issuance::condition::{APPROVED, Condition, FALSE, READY, TRUE};
use wasm_issuer_core::issuance::reason::ConditionReason;
use wasm_issuer_core::issuance::request::{IssuerName, RequestView};
use wasm_issuer_core::issuance::request_kind::RequestKind;

use super::super::facts::Request;
use super::super::facts::{Certificate, Facts, Issuer, Operator, Policy, Source};
use super::super::finding::{Finding, ObjectRef};
use super::super::needs::needs;
use super::diagnose;
use crate::api::{IssuerKey, IssuerKind, IssuerSpec, PluginSpec, crds};

pub fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

/// So long ago that nothing is waited for any more.
pub fn long_ago() -> Timestamp {
    now() - SignedDuration::from_hours(1)
}

/// Everything is installed, runs, and may do what it has to.
pub fn healthy() -> Facts {
    let operator = Operator {
        name: "wasm-issuer".to_owned(),
        namespace: "wasm-issuer".to_owned(),
        wanted: 2,
        available: 2,
        cluster_resource_namespace: "wasm-issuer".to_owned(),
        ..Operator::default()
    };
    let all = |kind: IssuerKind| (signer_name(kind.plural(), None, "*"), true);
    Facts {
        now: now(),
        crds: Some(crds::crds()),
        has_cert_manager: Some(true),
        operator: Some(operator),
        service_account: ("wasm-issuer".to_owned(), "wasm-issuer".to_owned()),
        rights: needs().map(|need| (need, true)).collect(),
        approver: ("cert-manager".to_owned(), "cert-manager".to_owned()),
        approvals: IssuerKind::ALL.map(all).to_vec(),
        policy: Policy::Defaults,
        issuers: Some(vec![issuer("ca")]),
        ..Facts::default()
    }
}

/// A WasmIssuer of team-a that is ready.
pub fn issuer(name: &str) -> Issuer {
    let key = IssuerKey {
        kind: IssuerKind::Namespaced,
        namespace: Some("team-a".to_owned()),
        name: name.to_owned(),
    };
    Issuer {
        key,
        home: Some("team-a".to_owned()),
        created: long_ago(),
        generation: 1,
        spec: Ok(IssuerSpec::new(PluginSpec::builtin("in-memory-ca"))),
        ready: Some(says(TRUE, "Checked", "Succeeded checking the issuer").observing(1)),
        plugin_current: None,
        used: None,
        sources: vec![],
        plugin: None,
    }
}

/// The same, which the operator says is not ready.
pub fn failing(name: &str, message: &str) -> Issuer {
    Issuer { ready: Some(says(FALSE, "Pending", message).observing(1)), ..issuer(name) }
}

/// What Ready says.
pub fn says(status: &str, reason: &str, message: &str) -> Condition {
    condition(READY, status, reason, message)
}

/// One whose reason may be anybody's.
fn condition(type_: &str, status: &str, reason: &str, message: &str) -> Condition {
    let ours = Condition::new(type_, status, ConditionReason::Checked, message, long_ago());
    Condition { reason: reason.to_owned(), ..ours }
}

/// A condition that an approver has set.
pub fn decided(type_: &str, reason: &str, message: &str) -> Condition {
    condition(type_, TRUE, reason, message)
}

/// A Secret that an Issuer names.
pub fn secret(is_there: bool, is_granted: bool) -> Source {
    Source {
        kind: "Secret",
        field: "spec.authSecretName",
        name: "keys".to_owned(),
        is_there: Some(is_there),
        is_granted: Some(is_granted),
    }
}

/// An approved CertificateRequest of team-a for the WasmIssuer `ca`, of the Certificate `web`.
pub fn request(conditions: Vec<Condition>) -> Request {
    let approved = decided(APPROVED, "cert-manager.io", "");
    unapproved([vec![approved], conditions].concat())
}

/// The same without its approval.
pub fn unapproved(conditions: Vec<Condition>) -> Request {
    let key = issuer("ca").key;
    let signer = signer_name(key.kind.plural(), key.namespace.as_deref(), &key.name);
    let called = IssuerName { kind: key.kind.to_string(), name: "ca".to_owned(), signer: Some(signer) };
    Request {
        object: ObjectRef::new("CertificateRequest", "team-a", "web-1"),
        view: RequestView {
            kind: RequestKind::CertificateRequest,
            conditions,
            owned: vec![],
            created: long_ago(),
            issuer: called,
        },
        refusal: None,
        issuer: Some(key),
        certificate: Some("web".to_owned()),
        warning: None,
    }
}

/// A Certificate of team-a that is not ready.
pub fn certificate(group: &str, request: Option<Request>) -> Certificate {
    Certificate {
        object: ObjectRef::new("Certificate", "team-a", "web"),
        uid: "u".to_owned(),
        created: long_ago(),
        group: group.to_owned(),
        kind: "WasmIssuer".to_owned(),
        issuer: "ca".to_owned(),
        conditions: vec![says(FALSE, "DoesNotExist", "Issuing certificate as Secret does not exist")],
        request,
    }
}

/// The one thing that is wrong.
pub fn only(facts: &Facts) -> Finding {
    let mut findings = diagnose(facts);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    findings.remove(0)
}
