//! Where an Issuer's plugin comes from. The doc comments become the CRD's descriptions.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wasm_issuer_core::text::clean;
use wasm_issuer_oci::{InvalidReference, Reference};

use super::ObjectName;
use super::name::{DATA_KEY_PATTERN, MAX_DATA_KEY};

/// Where the plugin comes from.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.configMap), has(self.image), has(self.builtin)].exists_one(set, set)")
    .message("exactly one of configMap, image and builtin must be set"))]
pub struct PluginSpec {
    /// The component is a key of a ConfigMap's `binaryData`, plain or gzip. `wasm-issuer plugin package` prints such a
    /// ConfigMap; one holds at most 1 MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map: Option<ConfigMapSource>,

    /// The component is an artifact in an OCI registry, with one layer of the type application/wasm:
    /// `wasm-issuer plugin push` makes such, and so do other tools (docs/oci.md).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageSource>,

    /// The component is one that the operator's image ships, by its name, such as `cfssl`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub builtin: Option<String>,

    /// The SHA-256 digest of the component's bytes (after gunzip), 64 lower-case hex digits. A component with another
    /// digest is refused. Works with every source. Default: no pin; `status.plugin.sha256` tells what was loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), regex(pattern = "^[0-9a-f]{64}$"))]
    pub sha256: Option<String>,
}

/// A key of a ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
pub struct ConfigMapSource {
    /// The ConfigMap, in the Issuer's namespace; for a WasmClusterIssuer, in the operator's cluster resource namespace.
    pub name: ObjectName,

    /// The key in `binaryData`. Default: plugin.wasm.
    #[serde(default = "default_config_map_key")]
    #[schemars(length(min = 1, max = MAX_DATA_KEY), regex(pattern = DATA_KEY_PATTERN))]
    pub key: String,
}

/// A component in an OCI registry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageSource {
    /// The reference, such as `registry.example/cfssl:1.2@sha256:...`. With a digest, which is the manifest's, nobody can
    /// exchange the component, and one that was pulled before needs no registry; a tag alone is resolved again with every
    /// check. The operator's policy says which registries may be named.
    #[schemars(length(min = 1, max = 512), regex(pattern = "^[a-zA-Z0-9][-._:/@a-zA-Z0-9]*$"))]
    pub reference: String,

    /// A Secret of type `kubernetes.io/dockerconfigjson` with the registry's credentials, in the namespace in which the
    /// other Secrets of this Issuer are. Of several entries the one that fits the reference best is used, as Kubernetes
    /// matches them. Default: none, the artifact is public.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_secret_name: Option<ObjectName>,

    /// A Secret whose key `ca.crt` holds the PEM certificates of the CAs that the registry's certificate must chain to,
    /// instead of the public ones. Default: the public CAs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle_secret_name: Option<ObjectName>,
}

impl ImageSource {
    /// The reference, read as container tools read it.
    pub fn reference(&self) -> Result<Reference, ReferenceError> {
        self.reference
            .parse()
            .map_err(|problem| ReferenceError { reference: clean(&self.reference, 300), problem })
    }
}

/// `spec.plugin.image.reference` cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "spec.plugin.image.reference {reference:?}: {problem}; write registry.example/name:tag or registry.example/name@sha256:..."
)]
pub struct ReferenceError {
    reference: String,
    problem: InvalidReference,
}

/// The one source that a [`PluginSpec`] names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PluginSource<'a> {
    /// A key of a ConfigMap.
    ConfigMap(&'a ConfigMapSource),
    /// A component in an OCI registry.
    Image(&'a ImageSource),
    /// A component in the operator's image.
    Builtin(&'a str),
}

/// A [`PluginSpec`] names no source, or several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("spec.plugin: exactly one of configMap, image and builtin must be set")]
pub struct NotOneSource;

/// A component is another one than a [`PluginSpec`] pins. Both digests are SHA-256, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the component's SHA-256 is {found}, but spec.plugin.sha256 pins {pinned}")]
pub struct PinMismatch {
    found: String,
    pinned: String,
}

impl PluginSpec {
    /// The source. That there is exactly one is a rule of the CRD, which a cluster may have in an older version.
    pub fn source(&self) -> Result<PluginSource<'_>, NotOneSource> {
        match (&self.config_map, &self.image, self.builtin.as_deref()) {
            (Some(source), None, None) => Ok(PluginSource::ConfigMap(source)),
            (None, Some(source), None) => Ok(PluginSource::Image(source)),
            (None, None, Some(name)) => Ok(PluginSource::Builtin(name)),
            _ => Err(NotOneSource),
        }
    }

    /// Refuses a component by its digest, 64 lower-case hex digits, where the spec pins another. Without a pin any will do.
    pub fn check_pin(&self, found: &str) -> Result<(), PinMismatch> {
        match self.sha256.as_deref() {
            Some(pinned) if pinned != found => {
                Err(PinMismatch { found: found.to_owned(), pinned: pinned.to_owned() })
            }
            _ => Ok(()),
        }
    }

    /// Whether another component may take the place of this one with no object changing: a tag may move.
    pub fn may_move(&self) -> bool {
        self.image.as_ref().is_some_and(|image| !image.reference.contains('@'))
    }

    /// The plugin of that name in the operator's image.
    pub fn builtin(name: &str) -> Self {
        Self { builtin: Some(name.to_owned()), ..Self::default() }
    }
}

fn default_config_map_key() -> String {
    "plugin.wasm".to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_plugin_has_exactly_one_source() {
        let source = |plugin: Value| {
            let plugin: PluginSpec = serde_json::from_value(plugin).unwrap();
            plugin.source().map(|source| format!("{source:?}")).map_err(|_| ())
        };
        assert!(source(json!({"configMap": {"name": "a"}})).unwrap().contains("plugin.wasm"));
        assert!(source(json!({"image": {"reference": "r/p:1"}})).unwrap().starts_with("Image"));
        assert_eq!(source(json!({"builtin": "a", "configMap": null})), Ok("Builtin(\"a\")".to_owned()));
        assert_eq!(source(json!({})), Err(()));
        assert_eq!(source(json!({"builtin": "a", "configMap": {"name": "b"}})), Err(()));
    }

    #[test]
    fn a_pin_lets_one_component_in() {
        let spec =
            |sha256: Option<&str>| PluginSpec { sha256: sha256.map(str::to_owned), ..PluginSpec::default() };
        assert_eq!(spec(None).check_pin("ab"), Ok(()));
        assert_eq!(spec(Some("ab")).check_pin("ab"), Ok(()));
        let refused = spec(Some("cd")).check_pin("ab").unwrap_err();
        assert_eq!(refused.to_string(), "the component's SHA-256 is ab, but spec.plugin.sha256 pins cd");
    }
}
