//! The two Issuer kinds, which differ only in their scope, and their status.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema, Resource};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{IssuerKind, IssuerSpec};

/// Which plugin issues the certificates, how it is configured, and what it is granted.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema, CustomResource)]
#[serde(transparent)]
#[kube(
    group = "wasm-issuer.dev",
    version = "v1alpha1",
    kind = "WasmIssuer",
    namespaced,
    shortname = "wiss",
    category = "cert-manager",
    label("app.kubernetes.io/name", "wasm-issuer"),
    status = "IssuerStatus",
    derive = "PartialEq",
    doc = "A cert-manager issuer whose CA logic is a WebAssembly plugin, for the requests of one namespace. Its \
           ConfigMap and its Secrets are in that namespace. Certificates refer to it with issuerRef {group: \
           wasm-issuer.dev, kind: WasmIssuer}."
)]
pub struct WasmIssuerSpec(pub IssuerSpec);

/// Which plugin issues the certificates, how it is configured, and what it is granted.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema, CustomResource)]
#[serde(transparent)]
#[kube(
    group = "wasm-issuer.dev",
    version = "v1alpha1",
    kind = "WasmClusterIssuer",
    shortname = "wciss",
    category = "cert-manager",
    label("app.kubernetes.io/name", "wasm-issuer"),
    status = "IssuerStatus",
    derive = "PartialEq",
    doc = "A cert-manager issuer whose CA logic is a WebAssembly plugin, for the requests of every namespace. Its \
           ConfigMap and its Secrets are in the operator's cluster resource namespace. Certificates refer to it with \
           issuerRef {group: wasm-issuer.dev, kind: WasmClusterIssuer}."
)]
pub struct WasmClusterIssuerSpec(pub IssuerSpec);

/// What the operator observed of an Issuer.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssuerStatus {
    /// The conditions of the Issuer. Requests are signed while `Ready` is True for the current generation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,

    /// What the condition `Ready` says, in one line, for the printer column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 120))]
    pub summary: Option<String>,

    /// The plugin that serves this Issuer now. When a new one fails to load, the old one goes on serving and the
    /// condition tells why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<PluginStatus>,

    /// The `metadata.generation` that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// The plugin that serves an Issuer.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PluginStatus {
    /// The SHA-256 digest of the component's bytes, 64 lower-case hex digits; the value to pin in `spec.plugin.sha256`.
    #[schemars(length(max = 64))]
    pub sha256: String,

    /// The first 12 hex digits of the digest.
    #[schemars(length(max = 12))]
    pub version: String,

    /// The name of its source and those digits, for the printer column: `cfssl-plugin@4f0c12345678`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 266))]
    pub label: Option<String>,

    /// Where the component was read: `ConfigMap team-a/cfssl-plugin plugin.wasm`, `builtin in-memory-ca` or
    /// `image registry.example/cfssl:1.2@sha256:...`.
    #[schemars(length(max = 1024))]
    pub source: String,

    /// When the component was loaded.
    pub loaded_at: Time,
}

impl PluginStatus {
    /// The status of a component with that digest, 64 hex digits, from that source.
    pub fn new(sha256: String, source: String, loaded_at: Time) -> Self {
        let version: String = sha256.chars().take(12).collect();
        // `ConfigMap <namespace>/<name> <key>` or `builtin <name>`: no name has a space in it.
        let name = source.split(' ').nth(1).map(|name| name.rsplit('/').next().unwrap_or(name));
        let label = name.map(|name| format!("{name}@{version}"));
        Self { sha256, version, label, source, loaded_at }
    }
}

/// Either Issuer kind, for code that serves both.
pub trait IssuerObject:
    Resource<DynamicType = ()> + Clone + fmt::Debug + DeserializeOwned + Serialize + Send + Sync + 'static
{
    /// Which of the two it is.
    const KIND: IssuerKind;

    /// What the user asks for.
    fn spec(&self) -> &IssuerSpec;
    /// What the operator last wrote.
    fn status(&self) -> Option<&IssuerStatus>;

    /// The condition of that type, if the operator has written one.
    fn condition(&self, type_: &str) -> Option<&Condition> {
        self.status()?.conditions.iter().find(|condition| condition.type_ == type_)
    }
}

impl IssuerObject for WasmIssuer {
    const KIND: IssuerKind = IssuerKind::Namespaced;

    fn spec(&self) -> &IssuerSpec {
        &self.spec.0
    }

    fn status(&self) -> Option<&IssuerStatus> {
        self.status.as_ref()
    }
}

impl IssuerObject for WasmClusterIssuer {
    const KIND: IssuerKind = IssuerKind::Cluster;

    fn spec(&self) -> &IssuerSpec {
        &self.spec.0
    }

    fn status(&self) -> Option<&IssuerStatus> {
        self.status.as_ref()
    }
}
