//! Objects of the API as JSON, and where the API has them.

use std::ops::Deref;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

/// A kind of object that tests use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    Namespace,
    ConfigMap,
    Secret,
    ServiceAccount,
    Event,
    CertificateRequest,
    CertificateSigningRequest,
    Certificate,
    Deployment,
    WasmIssuer,
    WasmClusterIssuer,
    Role,
    RoleBinding,
    ClusterRole,
    ClusterRoleBinding,
    ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
    CustomResourceDefinition,
}

impl Kind {
    /// `kind`.
    pub fn name(self) -> String {
        format!("{self:?}")
    }

    /// `apiVersion`.
    pub fn api_version(self) -> &'static str {
        match self {
            Self::Namespace | Self::ConfigMap | Self::Secret | Self::ServiceAccount => "v1",
            Self::Event => "events.k8s.io/v1",
            Self::CertificateRequest | Self::Certificate => "cert-manager.io/v1",
            Self::Deployment => "apps/v1",
            Self::CertificateSigningRequest => "certificates.k8s.io/v1",
            Self::Role | Self::RoleBinding | Self::ClusterRole | Self::ClusterRoleBinding => {
                "rbac.authorization.k8s.io/v1"
            }
            Self::WasmIssuer | Self::WasmClusterIssuer => "wasm-issuer.dev/v1alpha1",
            Self::ValidatingAdmissionPolicy | Self::ValidatingAdmissionPolicyBinding => {
                "admissionregistration.k8s.io/v1"
            }
            Self::CustomResourceDefinition => "apiextensions.k8s.io/v1",
        }
    }

    /// Whether its objects are in a namespace.
    pub fn is_namespaced(self) -> bool {
        !matches!(
            self,
            Self::Namespace
                | Self::CertificateSigningRequest
                | Self::WasmClusterIssuer
                | Self::ClusterRole
                | Self::ClusterRoleBinding
                | Self::ValidatingAdmissionPolicy
                | Self::ValidatingAdmissionPolicyBinding
                | Self::CustomResourceDefinition
        )
    }

    /// The URL path of the collection.
    pub fn collection(self, namespace: &str) -> String {
        let version = self.api_version();
        let root = if version.contains('/') { format!("/apis/{version}") } else { format!("/api/{version}") };
        let name = self.name().to_lowercase();
        let plural = match name.strip_suffix('y') {
            Some(stem) => format!("{stem}ies"),
            None => format!("{name}s"),
        };
        match self.is_namespaced() {
            true => format!("{root}/namespaces/{namespace}/{plural}"),
            false => format!("{root}/{plural}"),
        }
    }
}

/// An object as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Object(pub Value);

impl Deref for Object {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.0
    }
}

impl Object {
    /// A field of the metadata that is text; empty if it is not there.
    pub fn meta(&self, field: &str) -> &str {
        self["metadata"][field].as_str().unwrap_or_default()
    }

    /// `metadata.name`
    pub fn name(&self) -> &str {
        self.meta("name")
    }

    /// The condition of that type.
    pub fn condition(&self, type_: &str) -> Option<&Value> {
        self["status"]["conditions"].as_array()?.iter().find(|c| c["type"] == type_)
    }

    /// The condition of that type in one line, `False Pending: the message`; empty if there is none.
    pub fn says(&self, type_: &str) -> String {
        let Some(condition) = self.condition(type_) else { return String::new() };
        let text = |field: &str| condition[field].as_str().unwrap_or_default();
        format!("{} {}: {}", text("status"), text("reason"), text("message"))
    }

    /// [`Object::says`] of Ready.
    pub fn ready(&self) -> String {
        self.says("Ready")
    }

    /// The types of its conditions, in alphabetical order.
    pub fn condition_types(&self) -> Vec<&str> {
        let conditions = self["status"]["conditions"].as_array();
        let mut types: Vec<&str> =
            conditions.into_iter().flatten().filter_map(|c| c["type"].as_str()).collect();
        types.sort_unstable();
        types
    }

    /// A field of the status that is base64.
    pub fn status_bytes(&self, field: &str) -> Option<Vec<u8>> {
        self["status"][field].as_str().map(|text| BASE64_STANDARD.decode(text).expect("base64"))
    }

    /// All conditions, a line each.
    pub fn describe(&self) -> String {
        let lines =
            self.condition_types().into_iter().map(|type_| format!("  {type_} = {}\n", self.says(type_)));
        match lines.collect::<String>() {
            none if none.is_empty() => "  (no conditions)\n".to_owned(),
            lines => lines,
        }
    }
}

/// Whether a text is as wanted. A trailing `…` stands for anything, where another library's words or a number follow.
pub fn is(text: &str, wanted: &str) -> bool {
    match wanted.strip_suffix('…') {
        Some(start) => text.starts_with(start),
        None => text == wanted,
    }
}
