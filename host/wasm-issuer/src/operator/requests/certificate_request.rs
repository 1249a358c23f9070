//! From a CertificateRequest to what the operator keeps of it, and back. No client.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, Time};
use wasm_issuer_core::issuance::condition::{Condition, READY};
use wasm_issuer_core::issuance::outcome::Unsignable;
use wasm_issuer_core::issuance::plan::RequestStatus;
use wasm_issuer_core::issuance::request::{IssuerName, is_final};
use wasm_issuer_core::issuance::request_kind::RequestKind;
use wasm_issuer_core::issuance::request_spec::RequestSpec;
use wasm_issuer_core::issuance::signer::Requester;
use wasm_issuer_core::issuance::{FIELD_MANAGER, GROUP};
use wasm_issuer_core::text::clean;

use super::asked::{Asked, Given, MAX_NAME, Spec, fingerprint};
use super::observe::{Observed, RequestObject, Seen, signer};
use crate::api::cert_manager::{
    CertificateRequest, CertificateRequestCondition, CertificateRequestSpec, CertificateRequestStatus,
};
use crate::api::duration::DurationError;
use crate::api::{IssuerKey, IssuerKind};
use crate::operator::apply::Target;

impl RequestObject for CertificateRequest {
    const KIND: RequestKind = RequestKind::CertificateRequest;

    fn observe(self) -> Option<Observed> {
        let issuer_ref = &self.spec.issuer_ref;
        if issuer_ref.group != GROUP {
            return None;
        }
        let namespace = self.metadata.namespace.clone()?;
        let kind_name = match issuer_ref.kind.as_str() {
            "" => IssuerKind::Namespaced.as_str(),
            name => name,
        };
        let kind = kind_name.parse::<IssuerKind>().ok();
        let named = kind.filter(|_| issuer_ref.name.len() <= MAX_NAME);
        let issuer = named.map(|kind| IssuerKey {
            kind,
            namespace: (kind == IssuerKind::Namespaced).then_some(namespace),
            name: issuer_ref.name.clone(),
        });
        let called = IssuerName {
            kind: clean(kind_name, MAX_NAME),
            name: clean(&issuer_ref.name, MAX_NAME),
            signer: issuer.as_ref().and_then(signer),
        };
        let target = Target::of(&self);
        let mut meta = self.metadata;
        let managed_fields = meta.managed_fields.take().unwrap_or_default();
        let annotations = meta.annotations.take().unwrap_or_default().into_iter().collect();
        Observed::new(Seen {
            kind: Self::KIND,
            target,
            meta,
            issuer,
            called,
            end: end(&self.status),
            conditions: self.status.conditions.into_iter().map(condition).collect(),
            owned: owned_conditions(&managed_fields),
            asked: Asked::new(self.spec, annotations),
        })
    }
}

impl Spec for CertificateRequestSpec {
    fn fingerprint(&self) -> u64 {
        fingerprint(self)
    }

    fn pieces(&self) -> Box<dyn Iterator<Item = usize> + '_> {
        let issuer = &self.issuer_ref;
        let fields = [&self.request, &self.username, &self.uid, &issuer.name, &issuer.kind, &issuer.group];
        let lists = self.usages.iter().flatten().chain(&self.groups);
        let extra = self.extra.iter().flat_map(|(key, values)| values.iter().chain([key]));
        Box::new(fields.into_iter().chain(&self.duration).chain(lists).chain(extra).map(String::len))
    }

    fn csr_len(&self) -> usize {
        let padding = self.request.bytes().rev().take_while(|byte| *byte == b'=').count();
        (self.request.len() / 4 * 3).saturating_sub(padding)
    }

    fn csr(&self) -> Result<Cow<'_, [u8]>, Unsignable> {
        let pem = self.csr_pem().map_err(|e| format!("spec.request is not base64: {e}"))?;
        Ok(Cow::Owned(pem))
    }

    fn given(&self, _: &[(String, String)]) -> Given<'_> {
        let duration = self.duration().map_err(|e| format!("spec.duration: {e}").into());
        Given {
            usages: self.usages.as_deref().unwrap_or_default(),
            is_ca: self.is_ca,
            duration: duration.map(|given| given.map(|d| d.0)),
        }
    }

    fn decide(&self, annotations: &[(String, String)]) -> Result<RequestSpec, Unsignable> {
        let Given { usages, is_ca, duration } = self.given(annotations);
        let decided = RequestSpec::new(duration?, is_ca, usages);
        Ok(decided.map_err(|e| e.to_string())?)
    }

    fn requester(&self) -> Requester {
        Requester {
            username: self.username.clone(),
            uid: self.uid.clone(),
            groups: self.groups.clone(),
            extra: self.extra.clone().into_iter().collect(),
        }
    }

    fn misnamed(&self) -> Option<String> {
        let issuer = &self.issuer_ref;
        let names = [("spec.issuerRef.name", &issuer.name), ("spec.issuerRef.kind", &issuer.kind)];
        let (field, long) = names.into_iter().find(|(_, name)| name.len() > MAX_NAME)?;
        Some(format!("{field} has {} bytes; a name has {MAX_NAME} at most", long.len()))
    }

    /// Approvers are written in Go, and a duration that Go cannot read, such as `90d`, makes the whole object unreadable
    /// for them.
    fn unreadable(&self) -> Option<String> {
        match self.duration() {
            Err(error) if error != DurationError::Negative => {
                Some(clean(&format!("spec.duration: {error}"), 1024))
            }
            _ => None,
        }
    }
}

/// Tells the end of a request from others, as far as this operator writes it; none of one that is not finished.
pub fn end(status: &CertificateRequestStatus) -> Option<u64> {
    let ready = status.conditions.iter().find(|c| c.type_ == READY && is_final(&c.status, &c.reason))?;
    let failed_at = status.failure_time.as_ref().map(|Time(at)| at.as_second());
    Some(fingerprint((&ready.status, &ready.reason, &ready.message, &status.certificate, failed_at)))
}

/// A status as it is written.
pub fn status(status: &RequestStatus) -> CertificateRequestStatus {
    let encode = |pem: &String| base64::Engine::encode(&base64::prelude::BASE64_STANDARD, pem);
    CertificateRequestStatus {
        conditions: status.conditions.iter().map(written_condition).collect(),
        certificate: status.certificate.as_ref().map(encode),
        ca: status.ca.as_ref().map(encode),
        failure_time: status.failure_time.map(Time),
    }
}

fn condition(read: CertificateRequestCondition) -> Condition {
    Condition {
        type_: read.type_,
        status: read.status,
        reason: read.reason,
        message: read.message,
        last_transition: read.last_transition_time.map(|Time(at)| at),
        observed_generation: None,
    }
}

fn written_condition(condition: &Condition) -> CertificateRequestCondition {
    CertificateRequestCondition {
        type_: condition.type_.clone(),
        status: condition.status.clone(),
        reason: condition.reason.clone(),
        message: condition.message.clone(),
        last_transition_time: condition.last_transition.map(Time),
    }
}

/// The types of the conditions that this operator applied, by the keys `k:{"type":"Ready"}` of its managed fields.
fn owned_conditions(entries: &[ManagedFieldsEntry]) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct ListKey {
        r#type: String,
    }
    let ours = |e: &&ManagedFieldsEntry| {
        e.manager.as_deref() == Some(FIELD_MANAGER) && e.operation.as_deref() == Some("Apply")
    };
    entries
        .iter()
        .filter(ours)
        .filter_map(|e| e.fields_v1.as_ref()?.0.pointer("/f:status/f:conditions")?.as_object())
        .flat_map(|conditions| conditions.keys())
        .filter_map(|key| serde_json::from_str::<ListKey>(key.strip_prefix("k:")?).ok())
        .map(|key| key.r#type)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn request(conditions: Value) -> CertificateRequest {
        serde_json::from_value(json!({
            "metadata": {
                "name": "web-1", "namespace": "team-a", "uid": "u", "resourceVersion": "7",
                "managedFields": [
                    {"manager": "cert-manager", "operation": "Apply", "subresource": "status",
                     "fieldsV1": {"f:status": {"f:conditions": {"k:{\"type\":\"Approved\"}": {}}}}},
                    {"manager": FIELD_MANAGER, "operation": "Apply", "subresource": "status",
                     "fieldsV1": {"f:status": {"f:conditions": {
                        "k:{\"type\":\"Ready\"}": {".": {}}, "k:{\"type\":\"Odd \\\"one\\\"\"}": {}}}}},
                ],
            },
            "spec": {"request": "", "issuerRef": {"group": GROUP, "name": "ca"}},
            "status": {"conditions": conditions},
        }))
        .unwrap()
    }

    #[test]
    fn foreign_requests_are_not_ours() {
        let mut foreign = request(json!([]));
        foreign.spec.issuer_ref.group = "cert-manager.io".to_owned();
        assert!(foreign.observe().is_none());
    }

    #[test]
    fn an_empty_kind_means_the_namespaced_one() {
        let observed = request(json!([])).observe().unwrap();
        let key = observed.issuer.unwrap();
        assert_eq!(key.to_string(), "WasmIssuer team-a/ca");
        assert_eq!(observed.view.issuer.kind, "WasmIssuer");
    }

    #[test]
    fn an_unknown_kind_of_our_group_has_no_issuer_and_keeps_its_name() {
        let mut odd = request(json!([]));
        odd.spec.issuer_ref.kind = "Issuer".to_owned();
        let observed = odd.observe().unwrap();
        assert_eq!((observed.issuer, observed.view.issuer.kind.as_str()), (None, "Issuer"));
    }

    #[test]
    fn owned_conditions_are_those_of_our_managed_fields() {
        assert_eq!(request(json!([])).observe().unwrap().view.owned, ["Odd \"one\"", "Ready"]);
    }

    #[test]
    fn own_writes_are_no_news_and_foreign_ones_are() {
        let old = request(json!([{"type": "Ready", "status": "Unknown"}])).observe().unwrap();
        let own =
            request(json!([{"type": "Ready", "status": "False", "reason": "Pending"}])).observe().unwrap();
        let approved =
            json!([{"type": "Ready", "status": "Unknown"}, {"type": "Approved", "status": "True"}]);
        assert!(!old.differs(&own));
        assert!(old.differs(&request(approved).observe().unwrap()));
        assert!(old.differs(&request(json!([])).observe().unwrap()), "Ready was taken away: look again");
    }

    #[test]
    fn a_duration_that_no_approver_can_read_is_not_waited_for() {
        let asked = |duration: &str, conditions: Value| {
            let mut request = request(conditions);
            request.spec.duration = Some(duration.to_owned());
            request.observe().unwrap().refusal().map(|why| why.message)
        };
        for (duration, why) in
            [("90d", "90 days are 2160h"), ("soon", "not a duration"), ("999999999h", "shorter")]
        {
            let message = asked(duration, json!([])).unwrap();
            assert!(message.starts_with("spec.duration: ") && message.contains(why), "{message}");
            for decided in ["Approved", "Denied"] {
                assert_eq!(asked(duration, json!([{"type": decided, "status": "True"}])), None, "{decided}");
            }
            let failed = json!([{"type": "Ready", "status": "False", "reason": "Failed"}]);
            assert_eq!(asked(duration, failed), None, "said already");
        }
        // Go reads this one; it is refused once it is approved.
        assert_eq!(asked("-5s", json!([])), None);
        assert_eq!(asked("2160h", json!([])), None);
    }

    #[test]
    fn ca_requests_get_cert_sign_and_defaults_are_cert_managers() {
        let key = rcgen::KeyPair::generate().unwrap();
        let csr = rcgen::CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
        let mut ca = request(json!([]));
        ca.spec.request = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, csr);
        ca.spec.is_ca = true;
        let ca = ca.observe().unwrap();
        let signing = ca.sign_request(ca.asked.as_ref().unwrap()).unwrap();
        assert_eq!(signing.usages, ["digital signature", "key encipherment", "cert sign"]);
        assert_eq!(signing.duration.as_secs(), 7_776_000);
    }
}
