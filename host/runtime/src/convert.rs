//! Between the contract's types and the operator's own. What comes from a plugin is bounded and cleaned here.

use std::time::Duration;

use wasm_issuer_core::issuance::signer::{Failure, FailureCondition, FailureKind, SignRequest, Signed};
use wasm_issuer_core::text::MAX_MESSAGE;

use super::bindings::wasm_issuer::plugin::types as wit;
use super::error::Breakage;
use super::log::CallLog;
use super::session::Session;

/// What `chain` and `ca` may each hold.
const MAX_PEM: usize = 1 << 20;
const MAX_RESUME: usize = 4096;
/// The API server's limits for a condition's type and reason.
const MAX_CONDITION_TYPE: usize = 316;
const MAX_CONDITION_REASON: usize = 1024;
/// Conditions that belong to cert-manager and to this operator.
const RESERVED_CONDITIONS: [&str; 3] = ["Ready", "Approved", "Denied"];

pub fn issuer(session: &Session) -> wit::Issuer {
    let issuer = session.issuer.clone();
    wit::Issuer {
        kind: issuer.kind,
        namespace: issuer.namespace,
        name: issuer.name,
        config: session.config.to_string(),
    }
}

pub fn request(request: &SignRequest) -> wit::CertificateRequest {
    let requester = request.requester.clone();
    wit::CertificateRequest {
        namespace: request.namespace.clone(),
        name: request.name.clone(),
        uid: request.uid.clone(),
        csr: request.csr.der().to_vec(),
        duration_seconds: request.duration.as_secs(),
        is_ca: request.is_ca,
        usages: request.usages.clone(),
        annotations: request.annotations.clone(),
        requester: wit::Requester {
            username: requester.username,
            uid: requester.uid,
            groups: requester.groups,
            extra: requester.extra,
        },
        resume: request.resume.clone(),
    }
}

pub fn signed(certificate: wit::Certificate) -> Result<Signed, Breakage> {
    let wit::Certificate { chain, ca } = certificate;
    let parts = [("chain", chain.len()), ("ca", ca.as_ref().map_or(0, String::len))];
    match parts.into_iter().find(|(_, bytes)| *bytes > MAX_PEM) {
        Some((what, bytes)) => Err(Breakage::AnswerTooLarge { what, bytes, limit: MAX_PEM }),
        None => Ok(Signed { chain, ca }),
    }
}

pub fn failure(failure: wit::Failure, log: &CallLog) -> Result<Failure, Breakage> {
    let kind = match failure.kind {
        wit::FailureKind::Retry(after) => FailureKind::Retry { after: after.map(seconds) },
        wit::FailureKind::Permanent => FailureKind::Permanent,
        wit::FailureKind::Issuer => FailureKind::Issuer,
        wit::FailureKind::Pending(pending) => FailureKind::Pending {
            resume: pending.resume.map(|resume| checked_resume(resume, log)).transpose()?,
            poll_after: pending.poll_after_seconds.map(seconds),
        },
    };
    let message = match log.presentable(&failure.message, MAX_MESSAGE) {
        message if message.is_empty() => "the plugin gave no reason".to_owned(),
        message => message,
    };
    let message = log.with_hints(&message, MAX_MESSAGE);
    let condition = failure.condition.and_then(|condition| checked_condition(condition, log));
    Ok(Failure { kind, message, condition })
}

/// A token is handed back as it is or not at all, so it is refused where a message would be cut or redacted. It ends up
/// in the request's status, for everybody to read.
fn checked_resume(resume: String, log: &CallLog) -> Result<String, Breakage> {
    if resume.len() > MAX_RESUME {
        let (what, limit) = ("resume token", MAX_RESUME);
        return Err(Breakage::AnswerTooLarge { what, bytes: resume.len(), limit });
    }
    if resume.chars().any(char::is_control) {
        return Err(Breakage::AnswerInvalid("the resume token holds control characters"));
    }
    if log.finds_secret(&resume) {
        return Err(Breakage::AnswerInvalid("the resume token holds a value of the Secret"));
    }
    Ok(resume)
}

/// A condition that the API server would refuse, or that is not the plugin's to set, is dropped: the failure counts.
fn checked_condition(condition: wit::Condition, log: &CallLog) -> Option<FailureCondition> {
    let wit::Condition { type_, status, reason } = condition;
    let is_valid = is_camel_case(&type_, MAX_CONDITION_TYPE)
        && !RESERVED_CONDITIONS.contains(&type_.as_str())
        && is_camel_case(&reason, MAX_CONDITION_REASON)
        && !log.finds_secret(&type_)
        && !log.finds_secret(&reason);
    let status = match status {
        wit::ConditionStatus::TrueStatus => "True",
        wit::ConditionStatus::FalseStatus => "False",
        wit::ConditionStatus::Unknown => "Unknown",
    };
    is_valid.then_some(FailureCondition { type_, status, reason })
}

fn is_camel_case(text: &str, max: usize) -> bool {
    text.len() <= max
        && text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}
