//! From a CertificateRequest to what the operator keeps of it. No client.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, Time};
use wasm_issuer_core::issuance::approval::signer_name;
use wasm_issuer_core::issuance::condition::Condition;
use wasm_issuer_core::issuance::plan::RequestStatus;
use wasm_issuer_core::issuance::request::{IssuerName, RequestView};
use wasm_issuer_core::issuance::request_spec::RequestSpec;
use wasm_issuer_core::issuance::signer::{Requester, SignRequest};
use wasm_issuer_core::issuance::{FIELD_MANAGER, GROUP};
use wasm_issuer_core::text::clean;
use wasm_issuer_core::x509::Csr;
use wasm_issuer_runtime::{FairBytes, Owner};

use super::asked::{Asked, Fingerprint, MAX_NAME};
use crate::api::cert_manager::{CertificateRequest, CertificateRequestCondition, CertificateRequestStatus};
use crate::api::{IssuerKey, IssuerKind, ObjectName};
use crate::operator::apply::Target;
use crate::operator::clock::uptime;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestKey {
    pub namespace: String,
    pub name: String,
}

/// An unfinished request for one of our kinds.
#[derive(Clone)]
pub struct Observed {
    pub key: RequestKey,
    /// Where its status is written.
    pub target: Target,
    /// Its Issuer; none where it names a kind that this group does not have.
    pub issuer: Option<IssuerKey>,
    /// What the decisions see.
    pub view: RequestView,
    /// What is asked for; none where there is no room for it, and then it is read when it is needed.
    pub asked: Option<Arc<Asked>>,
    /// When it was read.
    pub read_at: Duration,
    /// Tells that apart from what another version asks for.
    pub fingerprint: Fingerprint,
    /// Why it is refused, whatever is decided over it.
    excess: Option<String>,
    /// Why nobody will ever approve it.
    unreadable: Option<String>,
}

/// What is to be kept of a request; none if it refers to somebody else's issuer.
pub fn observe(request: CertificateRequest) -> Option<Observed> {
    if request.spec.issuer_ref.group != GROUP {
        return None;
    }
    let target = Target::of(&request);
    let meta = request.metadata;
    let key = RequestKey { namespace: meta.namespace?, name: meta.name? };
    let issuer_ref = &request.spec.issuer_ref;
    let kind_name = match issuer_ref.kind.as_str() {
        "" => IssuerKind::Namespaced.as_str(),
        name => name,
    };
    let kind = kind_name.parse::<IssuerKind>().ok();
    let named = kind.filter(|_| issuer_ref.name.len() <= MAX_NAME);
    let issuer = named.map(|kind| IssuerKey {
        kind,
        namespace: (kind == IssuerKind::Namespaced).then(|| key.namespace.clone()),
        name: issuer_ref.name.clone(),
    });
    let view = RequestView {
        conditions: request.status.conditions.into_iter().map(condition).collect(),
        owned: owned_conditions(meta.managed_fields.as_deref().unwrap_or_default()),
        created: meta.creation_timestamp.map_or(Timestamp::UNIX_EPOCH, |Time(at)| at),
        issuer: IssuerName {
            kind: clean(kind_name, MAX_NAME),
            name: clean(&issuer_ref.name, MAX_NAME),
            signer: issuer.as_ref().and_then(signer),
        },
    };
    let asked = Asked::new(request.spec, meta.annotations.unwrap_or_default().into_iter().collect());
    Some(Observed {
        target,
        key,
        issuer,
        view,
        fingerprint: asked.fingerprint(),
        excess: asked.excess(),
        unreadable: asked.unreadable(),
        asked: Some(Arc::new(asked)),
        read_at: uptime(),
    })
}

/// How RBAC calls an Issuer. What no object can be called is no signer, and goes into no manifest.
fn signer(issuer: &IssuerKey) -> Option<String> {
    let IssuerKey { kind, namespace, name } = issuer;
    name.parse::<ObjectName>().ok()?;
    Some(signer_name(kind.plural(), namespace.as_deref(), name))
}

impl Observed {
    /// `metadata.uid`.
    pub fn uid(&self) -> &str {
        self.target.uid()
    }

    /// On whose account work for it is done.
    pub fn owner(&self) -> Owner {
        let issuer = self.issuer.as_ref().map(|issuer| format!("{}/{}", issuer.kind, issuer.name));
        Owner::new(&self.key.namespace, &issuer.unwrap_or_default())
    }

    /// Whether a newer version of the request has to be looked at.
    pub fn differs(&self, newer: &Observed) -> bool {
        self.uid() != newer.uid() || self.fingerprint != newer.fingerprint || self.view.differs(&newer.view)
    }

    /// Keep what is asked for only if there is room for it. What `before` has of it stays in memory once.
    pub fn keep(&mut self, before: Option<&Self>, memory: &Arc<FairBytes>) {
        let same = before.filter(|before| before.fingerprint == self.fingerprint);
        if let Some(kept) = same.and_then(|before| before.asked.clone()) {
            self.asked = Some(kept);
        }
        let is_excess = self.excess.is_some();
        self.asked.take_if(|asked| is_excess || !asked.is_kept(memory, &self.key.namespace));
    }

    /// Why it can be refused before anybody has approved it, if so: it is too much, or would wait for ever.
    pub fn unapprovable(&self) -> Option<&str> {
        let awaits_approval = self.view.awaits_approval();
        let unreadable = self.unreadable.as_deref().filter(|_| awaits_approval);
        self.excess.as_deref().filter(|_| !self.view.is_finished()).or(unreadable)
    }

    /// The request for the plugin, or why there can be none: the CSR or the spec is at fault.
    pub fn sign_request(&self, asked: &Asked) -> Result<SignRequest, String> {
        let Asked { spec, annotations, .. } = asked;
        let pem = spec.csr_pem().map_err(|e| format!("spec.request is not base64: {e}"))?;
        let csr = Csr::from_pem_or_der(&pem).map_err(|e| format!("spec.request: {e}"))?;
        let duration = spec.duration().map_err(|e| format!("spec.duration: {e}"))?;
        let usages = spec.usages.as_deref().unwrap_or_default();
        let decided =
            RequestSpec::new(duration.map(|d| d.0), spec.is_ca, usages).map_err(|e| e.to_string())?;
        decided.check(&csr).map_err(|e| e.to_string())?;
        Ok(SignRequest {
            namespace: Some(self.key.namespace.clone()),
            name: self.key.name.clone(),
            uid: self.uid().to_owned(),
            csr,
            duration: decided.duration,
            is_ca: decided.is_ca,
            usages: decided.usages,
            annotations: annotations.clone(),
            requester: Requester {
                username: spec.username.clone(),
                uid: spec.uid.clone(),
                groups: spec.groups.clone(),
                extra: spec.extra.clone().into_iter().collect(),
            },
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
        assert!(observe(foreign).is_none());
    }

    #[test]
    fn an_empty_kind_means_the_namespaced_one() {
        let observed = observe(request(json!([]))).unwrap();
        let key = observed.issuer.unwrap();
        assert_eq!(key.to_string(), "WasmIssuer team-a/ca");
        assert_eq!(observed.view.issuer.kind, "WasmIssuer");
    }

    #[test]
    fn an_unknown_kind_of_our_group_has_no_issuer_and_keeps_its_name() {
        let mut odd = request(json!([]));
        odd.spec.issuer_ref.kind = "Issuer".to_owned();
        let observed = observe(odd).unwrap();
        assert_eq!((observed.issuer, observed.view.issuer.kind.as_str()), (None, "Issuer"));
    }

    #[test]
    fn owned_conditions_are_those_of_our_managed_fields() {
        assert_eq!(observe(request(json!([]))).unwrap().view.owned, ["Odd \"one\"", "Ready"]);
    }

    #[test]
    fn own_writes_are_no_news_and_foreign_ones_are() {
        let old = observe(request(json!([{"type": "Ready", "status": "Unknown"}]))).unwrap();
        let own =
            observe(request(json!([{"type": "Ready", "status": "False", "reason": "Pending"}]))).unwrap();
        let approved =
            json!([{"type": "Ready", "status": "Unknown"}, {"type": "Approved", "status": "True"}]);
        assert!(!old.differs(&own));
        assert!(old.differs(&observe(request(approved)).unwrap()));
        assert!(old.differs(&observe(request(json!([]))).unwrap()), "Ready was taken away: look again");
    }

    #[test]
    fn a_duration_that_no_approver_can_read_is_not_waited_for() {
        let asked = |duration: &str, conditions: Value| {
            let mut request = request(conditions);
            request.spec.duration = Some(duration.to_owned());
            observe(request).unwrap().unapprovable().map(str::to_owned)
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
        let ca = observe(ca).unwrap();
        let signing = ca.sign_request(ca.asked.as_ref().unwrap()).unwrap();
        assert_eq!(signing.usages, ["digital signature", "key encipherment", "cert sign"]);
        assert_eq!(signing.duration.as_secs(), 7_776_000);
    }
}
