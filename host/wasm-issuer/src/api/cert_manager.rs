//! The part of cert-manager's `CertificateRequest` that an issuer reads and writes.
//!
//! The definition is cert-manager's: <https://cert-manager.io/docs/reference/api-docs/#cert-manager.io/v1.CertificateRequest>.
//! One object that cannot be read would stall the watch of all of them, so every field may be absent or null, unknown
//! ones are ignored, and values that can be wrong (the CSR, the duration) stay text until someone decides over them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use kube::core::NamespaceResourceScope;
use serde::{Deserialize, Deserializer, Serialize};

use super::GoDuration;
use super::duration::DurationError;

/// The API group of cert-manager.
pub const GROUP: &str = "cert-manager.io";

/// A request for one certificate.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct CertificateRequest {
    /// Name, namespace, uid and resourceVersion are used, and the managed fields.
    pub metadata: ObjectMeta,
    /// What is asked for; cert-manager's webhook makes it immutable.
    #[serde(default, deserialize_with = "null_is_default")]
    pub spec: CertificateRequestSpec,
    /// The conditions and, once it is signed, the certificate.
    #[serde(default, deserialize_with = "null_is_default")]
    pub status: CertificateRequestStatus,
}

/// `spec` of a CertificateRequest, as cert-manager or a user wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CertificateRequestSpec {
    /// The PKCS#10 CSR, PEM in base64; see [`CertificateRequestSpec::csr_pem`].
    #[serde(deserialize_with = "null_is_default")]
    pub request: String,
    /// The lifetime, a Go duration; see [`CertificateRequestSpec::duration`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// Whether a CA certificate is asked for.
    #[serde(rename = "isCA", deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub is_ca: bool,
    /// Key usages and extended key usages, by cert-manager's names; absent means its defaults.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usages: Option<Vec<String>>,
    /// The issuer that shall sign.
    #[serde(deserialize_with = "null_is_default")]
    pub issuer_ref: IssuerRef,
    /// The user that created the request; this and the three below are filled in by cert-manager's webhook.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub username: String,
    /// The UID of that user, which a later user of the same name does not have.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub uid: String,
    /// The groups that the API server knew that user to be in.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub groups: Vec<String>,
    /// What the authenticator told of that user besides.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub extra: BTreeMap<String, Vec<String>>,
}

/// A reference to an issuer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(default)]
pub struct IssuerRef {
    /// The issuer's name: any text, not necessarily an [`super::ObjectName`].
    #[serde(deserialize_with = "null_is_default")]
    pub name: String,
    /// The issuer's kind; empty means the namespaced one.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub kind: String,
    /// The issuer's API group; empty means cert-manager's own.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub group: String,
}

/// What came of a request.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CertificateRequestStatus {
    /// The conditions, at most one of each type; the list merges by type.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub conditions: Vec<CertificateRequestCondition>,
    /// The chain, PEM in base64, leaf first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// The CA certificate, PEM in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// When the request failed for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_time: Option<Time>,
}

/// One condition of a request. Unlike metav1.Condition it has no observedGeneration, and most of it is optional.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CertificateRequestCondition {
    /// `Ready`, `Approved`, `Denied`, `InvalidRequest` or an issuer's own.
    #[serde(rename = "type", deserialize_with = "null_is_default")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    #[serde(deserialize_with = "null_is_default")]
    pub status: String,
    /// CamelCase, for machines.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub reason: String,
    /// What happened, for people.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub message: String,
    /// When the status last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Time>,
}

impl CertificateRequestSpec {
    /// The bytes of the CSR, PEM if the requester did it right.
    pub fn csr_pem(&self) -> Result<Vec<u8>, base64::DecodeError> {
        BASE64_STANDARD.decode(&self.request)
    }

    /// The lifetime that is asked for, if one is.
    pub fn duration(&self) -> Result<Option<GoDuration>, DurationError> {
        self.duration.as_deref().map(str::parse).transpose()
    }
}

impl Resource for CertificateRequest {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind(_: &()) -> Cow<'_, str> {
        "CertificateRequest".into()
    }

    fn group(_: &()) -> Cow<'_, str> {
        GROUP.into()
    }

    fn version(_: &()) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural(_: &()) -> Cow<'_, str> {
        "certificaterequests".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn null_is_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_a_request() {
        let request: CertificateRequest = serde_json::from_value(json!({
            "apiVersion": "cert-manager.io/v1",
            "kind": "CertificateRequest",
            "metadata": {"name": "web-1", "namespace": "team-a"},
            "spec": {
                "request": "Y3Ny",
                "duration": "2160h0m0s",
                "isCA": true,
                "usages": ["digital signature", "server auth"],
                "issuerRef": {"name": "my-ca", "kind": "WasmIssuer", "group": "wasm-issuer.dev"},
                "username": "system:serviceaccount:cert-manager:cert-manager",
                "extra": {"authentication.kubernetes.io/node-name": ["a"]},
                "somethingNew": {"in": "a later version"},
            },
            "status": {"conditions": [{
                "type": "Approved", "status": "True", "lastTransitionTime": "2026-01-02T03:04:05Z",
            }]},
        }))
        .unwrap();
        assert_eq!(request.spec.csr_pem().unwrap(), b"csr");
        assert_eq!(request.spec.duration(), Ok(Some(GoDuration::from_secs(2160 * 3600))));
        let [approved] = request.status.conditions.as_slice() else { panic!("one condition") };
        assert!(request.spec.is_ca && approved.type_ == "Approved" && approved.status == "True");
    }

    #[test]
    fn absent_and_null_fields_break_nothing() {
        let condition = json!({"type": null, "status": null, "reason": null, "lastTransitionTime": null});
        for value in [
            json!({"metadata": {}}),
            json!({"metadata": {}, "spec": null, "status": null}),
            json!({"metadata": {}, "spec": {}, "status": {}}),
            json!({"metadata": {}, "spec": {"request": null, "duration": null, "isCA": null, "usages": null,
                   "issuerRef": null, "username": null, "uid": null, "groups": null, "extra": null}}),
            json!({"metadata": {}, "status": {"conditions": null, "certificate": null, "failureTime": null}}),
        ] {
            let request: CertificateRequest = serde_json::from_value(value).unwrap();
            assert_eq!(request, CertificateRequest::default());
        }
        let read: CertificateRequestCondition = serde_json::from_value(condition).unwrap();
        assert_eq!(read, CertificateRequestCondition::default());
    }

    #[test]
    fn wrong_values_are_found_when_they_are_used() {
        let spec: CertificateRequestSpec =
            serde_json::from_value(json!({"request": "not base64!", "duration": "soon"})).unwrap();
        assert!(spec.csr_pem().is_err());
        assert_eq!(spec.duration(), Err(DurationError::Syntax));
    }

    #[test]
    fn writes_only_what_is_set() {
        assert_eq!(serde_json::to_value(CertificateRequestStatus::default()).unwrap(), json!({}));
        let condition = CertificateRequestCondition {
            type_: "Ready".to_owned(),
            status: "False".to_owned(),
            ..CertificateRequestCondition::default()
        };
        assert_eq!(serde_json::to_value(condition).unwrap(), json!({"type": "Ready", "status": "False"}));
    }
}
