//! From a CertificateSigningRequest of Kubernetes to what the operator keeps of it, and back. No client.
//!
//! It has no condition Ready: what Ready would say is remembered in this process, told by Events, and told once more after
//! a restart. What must not be lost with the process, the token of an order at a CA and when it wants to be asked again,
//! is in conditions of ours, as it is for a CertificateRequest. The API server does not keep who wrote a condition of such a
//! request (`GetResetFields` of its status), so an apply that leaves one out does not take it away: it is called False
//! instead, and what is False is taken for absent.

use std::borrow::Cow;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::{
    CertificateSigningRequest, CertificateSigningRequestCondition, CertificateSigningRequestSpec,
    CertificateSigningRequestStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use wasm_issuer_core::issuance::condition::{
    self, Condition, DENIED, FAILED, FALSE, NOT_BEFORE, READY, RESUME, TRUE,
};
use wasm_issuer_core::issuance::outcome::Unsignable;
use wasm_issuer_core::issuance::plan::RequestStatus;
use wasm_issuer_core::issuance::reason::ConditionReason;
use wasm_issuer_core::issuance::request::{IssuerName, RequestView};
use wasm_issuer_core::issuance::request_kind::RequestKind;
use wasm_issuer_core::issuance::request_spec::RequestSpec;
use wasm_issuer_core::issuance::signer::Requester;
use wasm_issuer_core::text::clean;

use super::asked::{Asked, Given, MAX_NAME, Spec, fingerprint};
use super::observe::{self, Observed, RequestObject, Seen};
use crate::api::GoDuration;
use crate::api::duration::DurationError;
use crate::api::signer_name::SignerName;
use crate::operator::apply::Target;

/// cert-manager's annotation with the lifetime, a Go duration. It comes before `spec.expirationSeconds`.
const DURATION: &str = "experimental.cert-manager.io/request-duration";
/// cert-manager's annotation that asks for a CA certificate; nothing else does.
const IS_CA: &str = "experimental.cert-manager.io/request-is-ca";
/// The shortest lifetime: the API server's bound of `spec.expirationSeconds`, and cert-manager's of its annotation.
const SHORTEST: GoDuration = GoDuration::from_secs(600);

/// The conditions that nobody else writes.
const OURS: [&str; 2] = [RESUME, NOT_BEFORE];

impl RequestObject for CertificateSigningRequest {
    const KIND: RequestKind = RequestKind::CertificateSigningRequest;

    fn observe(self) -> Option<Observed> {
        let signer = SignerName::read(&self.spec.signer_name)?;
        let name = match &signer.issuer {
            Some(issuer) => {
                issuer.namespace.iter().chain([&issuer.name]).cloned().collect::<Vec<_>>().join("/")
            }
            None => clean(&signer.path, MAX_NAME),
        };
        let target = Target::of(&self);
        let status = self.status.unwrap_or_default();
        let end = end(&status);
        let conditions = conditions(status);
        let mut meta = self.metadata;
        let annotations = meta.annotations.take().unwrap_or_default().into_iter().collect();
        Observed::new(Seen {
            kind: Self::KIND,
            target,
            meta,
            called: IssuerName {
                kind: signer.kind.as_str().to_owned(),
                name,
                signer: signer.issuer.as_ref().and_then(observe::signer),
            },
            issuer: signer.issuer,
            end,
            owned: OURS
                .iter()
                .filter(|type_| condition::find(&conditions, type_).is_some())
                .map(ToString::to_string)
                .collect(),
            conditions,
            asked: Asked::new(self.spec, annotations),
        })
    }
}

/// The conditions that count, and Ready where its end is known. That a condition is there counts, as to all other signers: the API
/// server takes the last three with the status `True` only.
fn conditions(status: CertificateSigningRequestStatus) -> Vec<Condition> {
    let read = status.conditions.unwrap_or_default().into_iter().map(read_condition);
    // One called Ready would be somebody else's, and no reason for anything.
    let counts = |c: &Condition| c.type_ != READY && (c.status == TRUE || !OURS.contains(&c.type_.as_str()));
    let mut conditions: Vec<Condition> = read.filter(counts).collect();
    let has = |type_| condition::find(&conditions, type_).is_some();
    let end = if status.certificate.is_some_and(|certificate| !certificate.0.is_empty()) {
        Some((TRUE, ConditionReason::Issued))
    } else if has(FAILED) {
        Some((FALSE, ConditionReason::Failed))
    } else {
        has(DENIED).then_some((FALSE, ConditionReason::Denied))
    };
    let ready = |(status, reason)| Condition::new(READY, status, reason, "", Timestamp::UNIX_EPOCH);
    conditions.extend(end.map(ready));
    conditions
}

/// Tells the end of a request from others, as far as this operator writes it; none of one that has none by an operator.
pub fn end(status: &CertificateSigningRequestStatus) -> Option<u64> {
    let certificate = status.certificate.as_ref().filter(|certificate| !certificate.0.is_empty());
    let failed = status.conditions.iter().flatten().find(|c| c.type_ == FAILED);
    let failed_at = failed.and_then(|failed| failed.last_transition_time.as_ref());
    let failed =
        failed.map(|failed| (&failed.reason, &failed.message, failed_at.map(|Time(at)| at.as_second())));
    let is_over = certificate.is_some() || failed.is_some();
    is_over.then(|| fingerprint((certificate.map(|certificate| &certificate.0), failed)))
}

fn read_condition(read: CertificateSigningRequestCondition) -> Condition {
    Condition {
        type_: read.type_,
        status: read.status,
        reason: read.reason.unwrap_or_default(),
        message: read.message.unwrap_or_default(),
        last_transition: read.last_transition_time.map(|Time(at)| at),
        observed_generation: None,
    }
}

impl Spec for CertificateSigningRequestSpec {
    fn fingerprint(&self) -> u64 {
        let asked = (&self.request.0, &self.signer_name, self.expiration_seconds, &self.usages);
        fingerprint((asked, &self.username, &self.uid, &self.groups, &self.extra))
    }

    fn pieces(&self) -> Box<dyn Iterator<Item = usize> + '_> {
        let user = self.username.iter().chain(&self.uid).chain(self.groups.iter().flatten());
        let extra = self.extra.iter().flatten().flat_map(|(key, values)| values.iter().chain([key]));
        let texts = user.chain(extra).chain(self.usages.iter().flatten()).chain([&self.signer_name]);
        Box::new(texts.map(String::len).chain([self.csr_len()]))
    }

    fn csr_len(&self) -> usize {
        self.request.0.len()
    }

    fn csr(&self) -> Result<Cow<'_, [u8]>, Unsignable> {
        Ok(Cow::Borrowed(&self.request.0))
    }

    fn given(&self, annotations: &[(String, String)]) -> Given<'_> {
        let annotated = |key| annotations.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str());
        let duration = duration(annotated(DURATION), self.expiration_seconds);
        Given {
            usages: self.usages.as_deref().unwrap_or_default(),
            is_ca: annotated(IS_CA) == Some("true"),
            duration: duration.map(|given| given.map(|d| d.0)),
        }
    }

    fn decide(&self, annotations: &[(String, String)]) -> Result<RequestSpec, Unsignable> {
        let Given { usages, is_ca, duration } = self.given(annotations);
        let decided = RequestSpec::of_signing_request(duration?, is_ca, usages);
        Ok(decided.map_err(|e| e.to_string())?)
    }

    fn requester(&self) -> Requester {
        Requester {
            username: self.username.clone().unwrap_or_default(),
            uid: self.uid.clone().unwrap_or_default(),
            groups: self.groups.clone().unwrap_or_default(),
            extra: self.extra.clone().unwrap_or_default().into_iter().collect(),
        }
    }

    fn misnamed(&self) -> Option<String> {
        SignerName::read(&self.signer_name)?.fault()
    }
}

/// The lifetime, if one is asked for. The reasons and the words are those of cert-manager's own issuers.
fn duration(annotated: Option<&str>, seconds: Option<i32>) -> Result<Option<GoDuration>, Unsignable> {
    let too_short = |asked: &str| Unsignable {
        reason: ConditionReason::InvalidDuration,
        message: format!(
            "CertificateSigningRequest minimum allowed duration is {SHORTEST}, requested {asked}"
        ),
    };
    let asked = match annotated.map(str::parse::<GoDuration>) {
        Some(Ok(duration)) => Some(duration),
        Some(Err(DurationError::Negative)) => return Err(too_short(annotated.unwrap_or_default())),
        Some(Err(error)) => {
            let message = format!("Failed to parse requested duration: the annotation {DURATION}: {error}");
            return Err(Unsignable { reason: ConditionReason::ErrorParseDuration, message });
        }
        None => seconds.map(|seconds| GoDuration::from_secs(u64::try_from(seconds).unwrap_or_default())),
    };
    match asked {
        Some(duration) if duration < SHORTEST => Err(too_short(&duration.to_string())),
        asked => Ok(asked),
    }
}

/// A status as it is written; none where the object would say nothing else than it does. There is no place in it for Ready,
/// a failure's time and a CA's certificate.
pub fn status(
    view: &RequestView,
    status: &RequestStatus,
    now: Timestamp,
) -> Option<CertificateSigningRequestStatus> {
    let has_place = |c: &&Condition| c.type_ != READY;
    let owned = view.conditions.iter().filter(|c| view.owned.contains(&c.type_)).filter(has_place);
    let wanted: Vec<&Condition> = status.conditions.iter().filter(has_place).collect();
    let is_same = owned.clone().count() == wanted.len() && owned.clone().all(|c| wanted.contains(&c));
    if is_same && status.certificate.is_none() {
        return None;
    }
    let is_over = |c: &&Condition| condition::find(&status.conditions, &c.type_).is_none();
    let over = owned.filter(is_over).map(|c| Condition::new(&c.type_, FALSE, ConditionReason::Over, "", now));
    let written = wanted.into_iter().cloned().chain(over).map(|c| CertificateSigningRequestCondition {
        type_: c.type_,
        status: c.status,
        reason: Some(c.reason),
        message: Some(c.message),
        last_update_time: Some(Time(now)),
        last_transition_time: c.last_transition.map(Time),
    });
    Some(CertificateSigningRequestStatus {
        conditions: Some(written.collect()),
        certificate: status.certificate.clone().map(|pem| ByteString(pem.into_bytes())),
    })
}

#[cfg(test)]
mod tests;
