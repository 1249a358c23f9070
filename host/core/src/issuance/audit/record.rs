//! What a record of the audit says. Its words are a contract: docs/audit.md explains them, and the JSON Schema beside it is
//! made of these types.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde::Serialize;

/// Which form of record this is. A field may be added; where one changes its meaning or goes, this changes.
pub const SCHEMA: &str = "wasm-issuer.dev/audit/v1";

/// One decision about one request for a certificate: what cannot be taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Which form of record this is.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: &'static str,
    /// When it was decided, by RFC 3339, in whole seconds.
    #[schemars(extend("format" = "date-time"))]
    pub decided_at: String,
    /// What was decided.
    pub decision: Decision,
    /// Whether that is in the request's status.
    pub written: Written,
    /// Why it is not, or why nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_written: Option<String>,
    /// The reason of the Ready condition, or of Failed on a CertificateSigningRequest.
    pub reason: String,
    /// The message of that condition; what it would say where a CertificateSigningRequest has none.
    pub message: String,
    /// Of a certificate that was issued: where it differs from the request, and what was left out of the CA's answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The request.
    pub object: ObjectName,
    /// Who asked; absent where the request is too large to be kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requester: Option<Who>,
    /// What was asked for; absent where the request is too large to be kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<AskedFor>,
    /// The Issuer that the request names.
    pub issuer: IssuerFacts,
    /// The plugin that was called last for this decision; absent where none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<PluginName>,
    /// The certificate; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateFacts>,
    /// How often the plugin was called for the request since this process knows of it.
    pub attempts: u32,
    /// How long the last of these calls took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign_milliseconds: Option<u64>,
    /// From the creation of the request to the decision, in seconds.
    pub age_seconds: i64,
}

/// What was decided about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Decision {
    /// There is a certificate, and it may be published.
    Issued,
    /// The request cannot be signed as it is, or what the plugin returned for it may not be published.
    Refused,
    /// The plugin, or its CA, did not sign it, and it is not tried again.
    Failed,
    /// An approver denied it.
    Denied,
}

/// Whether a decision is in the status of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Written {
    /// The API server has said so.
    Yes,
    /// No, and it will not be: a certificate exists that nobody can fetch.
    No,
    /// The API server has not answered, and nothing was seen of the request since.
    Unknown,
}

/// An object of Kubernetes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectName {
    /// Its kind.
    pub kind: String,
    /// Its namespace; absent for a kind that has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// `metadata.name`
    pub name: String,
    /// `metadata.uid`
    pub uid: String,
}

/// The Issuer that a request names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssuerFacts {
    /// Its kind, as the request has it; `WasmIssuer` where it has none.
    pub kind: String,
    /// Its namespace; absent for a WasmClusterIssuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// `metadata.uid`; absent where there was no such Issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// `metadata.generation` of the spec that was asked; absent where there was no such Issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
}

/// A plugin, and where it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PluginName {
    /// The SHA-256 of the component's bytes, in hexadecimal.
    pub sha256: String,
    /// What it was read from.
    pub source: String,
}

/// The user that created a request, as the API server knew them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Who {
    /// `spec.username`
    pub username: String,
    /// `spec.uid`
    pub uid: String,
    /// `spec.groups`
    pub groups: Vec<String>,
    /// How many more groups there are.
    #[serde(skip_serializing_if = "is_zero")]
    pub groups_left_out: usize,
}

/// What a request asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AskedFor {
    /// The attributes of the CSR's subject in their order, such as `CN=web`.
    pub subject: Vec<String>,
    /// How many more attributes there are.
    #[serde(skip_serializing_if = "is_zero")]
    pub subject_left_out: usize,
    /// The CSR's subject alternative names, such as `DNS:web.example.com`.
    pub names: Vec<String>,
    /// How many more names there are.
    #[serde(skip_serializing_if = "is_zero")]
    pub names_left_out: usize,
    /// `spec.usages`; none stands for cert-manager's defaults.
    pub usages: Vec<String>,
    /// How many more usages there are.
    #[serde(skip_serializing_if = "is_zero")]
    pub usages_left_out: usize,
    /// `spec.isCA`
    #[serde(rename = "isCA")]
    pub is_ca: bool,
    /// The lifetime in seconds, cert-manager's default applied; absent where it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<u64>,
    /// The SHA-256 of the CSR's DER, in hexadecimal; absent, and no names, where the CSR cannot be accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub csr_sha256: Option<String>,
}

/// What tells a certificate from all others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertificateFacts {
    /// The SHA-256 of its DER, in hexadecimal: its fingerprint.
    pub sha256: String,
    /// Its serial number, in hexadecimal.
    pub serial: String,
    /// The subject of the CA that signed it.
    pub issuer: String,
    /// When it starts to be valid, by RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub not_before: String,
    /// When it expires, by RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub not_after: String,
}

/// The JSON Schema of a record.
pub fn schema() -> Schema {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<Record>()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over like that")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}
