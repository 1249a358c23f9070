//! What the tests of the decisions share.

use jiff::Timestamp;

use super::approval::signer_name;
use super::condition::{self, APPROVED, Condition, READY, TRUE};
use super::plan::{Moment, Notice, Plan, RequestStatus};
use super::request::{Gate, IssuerName, RequestPlan, RequestView, Tries, gate};
use super::request_issuer::IssuerView;
use super::request_kind::RequestKind;

/// That many seconds after 1970.
pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// The same with a delay's jitter in the middle.
pub fn moment(second: i64) -> Moment {
    Moment { now: at(second), jitter: 0.5 }
}

pub fn condition(type_: &str, status: &str, reason: &str, message: &str) -> Condition {
    Condition::for_reason(type_, status, reason, message, at(0))
}

/// A CertificateRequest created at 0 with these conditions, Ready owned by us where it is among them.
pub fn view(conditions: &[Condition]) -> RequestView {
    RequestView {
        kind: RequestKind::CertificateRequest,
        conditions: conditions.to_vec(),
        owned: conditions.iter().filter(|c| c.type_ == READY).map(|c| c.type_.clone()).collect(),
        created: at(0),
        issuer: IssuerName {
            kind: "WasmIssuer".into(),
            name: "my-ca".into(),
            signer: Some(signer_name("wasmissuers", Some("team-a"), "my-ca")),
        },
    }
}

/// The same of a CertificateSigningRequest.
pub fn signing_request(conditions: &[Condition]) -> RequestView {
    RequestView { kind: RequestKind::CertificateSigningRequest, ..view(conditions) }
}

pub fn approved() -> Condition {
    condition(APPROVED, TRUE, "cert-manager.io", "")
}

/// What [`gate`] plans at 10 s.
pub fn acted(view: &RequestView, issuer: &IssuerView) -> RequestPlan {
    match gate(view, issuer, Tries::default(), at(10)) {
        Gate::Act(plan) => plan,
        Gate::Sign => panic!("it is to be signed"),
    }
}

/// What a plan writes to Ready, as `status reason: message`.
pub fn written<M>(plan: &Plan<RequestStatus, M>) -> String {
    let status = plan.status.as_ref().expect("a status");
    let ready = condition::find(&status.conditions, READY).expect("Ready");
    format!("{} {}: {}", ready.status, ready.reason, ready.message)
}

/// What a plan writes to Ready, without when it is tried again.
pub fn retries<M>(plan: &Plan<RequestStatus, M>) -> String {
    let said = written(plan);
    let words = [" (attempt ", " (tried until "].iter().find_map(|start| said.split_once(start));
    words.map_or(said.clone(), |(before, _)| before.to_owned())
}

/// What a plan tells, as `type reason action: note`.
pub fn told<S, M>(plan: &Plan<S, M>) -> Vec<String> {
    let show = |n: &Notice| {
        let type_ = if n.warning { "Warning" } else { "Normal" };
        format!("{type_} {} {}: {}", n.reason, n.action, n.note)
    };
    plan.events.iter().map(show).collect()
}
