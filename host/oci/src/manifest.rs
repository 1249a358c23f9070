//! What describes a component in a registry: an OCI image manifest with one layer of WebAssembly.

use serde::{Deserialize, Serialize};
use wasm_issuer_core::text::clean;

use crate::digest::Digest;

/// The media type of a manifest.
pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of the configuration beside a component (the CNCF's "Wasm OCI artifact layout").
pub const CONFIG_TYPE: &str = "application/vnd.wasm.config.v0+json";
/// The media type of a component.
pub const COMPONENT_TYPE: &str = "application/wasm";
/// What a component was called before there was that layout.
const OLD_COMPONENT_TYPE: &str = "application/vnd.wasm.content.layer.v1+wasm";
/// The media type of a list of manifests.
pub const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
/// Registries say this of an image for several platforms.
const INDEX_TYPES: [&str; 2] = [INDEX_TYPE, "application/vnd.docker.distribution.manifest.list.v2+json"];
const DOCKER_MANIFEST_TYPE: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// All that is accepted, so that a registry tells what it has; what is of no use is refused by name.
pub const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";

/// The manifest of a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The one layer, which is the component.
    pub layer: Layer,
}

/// The bytes that a manifest leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Their digest.
    pub digest: Digest,
    /// How many there are.
    pub size: u64,
}

/// What a manifest is instead of a component's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoComponent {
    /// Not JSON, or not with the fields that a manifest has.
    #[error("its manifest cannot be read: {0}")]
    Unreadable(String),
    /// A list of manifests.
    #[error("it is an index of {0} manifests, not one artifact: name one of them by its digest")]
    Index(usize),
    /// Another kind of manifest.
    #[error("its manifest is of the type {0}, not {MANIFEST_TYPE}")]
    OtherManifest(String),
    /// No layer, or several.
    #[error(
        "it has {count} layers ({types}), where a component is exactly one, of the type {COMPONENT_TYPE}"
    )]
    Layers {
        /// How many there are.
        count: usize,
        /// Their types.
        types: String,
    },
    /// A layer of a container image.
    #[error("it is a container image: its layer is of the type {0}, where a component's is {COMPONENT_TYPE}")]
    ContainerImage(String),
    /// Another layer.
    #[error("its layer is of the type {0}, where a component's is {COMPONENT_TYPE}")]
    OtherLayer(String),
    /// A digest that is none.
    #[error("its layer's digest {0} is not a SHA-256")]
    Digest(String),
}

/// As a manifest is written.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Written {
    schema_version: u32,
    media_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<Descriptor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    layers: Option<Vec<Descriptor>>,
    #[serde(default, skip_serializing)]
    manifests: Option<Vec<serde::de::IgnoredAny>>,
}

/// How a manifest refers to bytes.
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
}

impl Descriptor {
    /// Of these bytes.
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest::of(bytes).to_string(),
            size: bytes.len() as u64,
        }
    }
}

impl Written {
    /// The manifest of a component.
    pub fn of(config: &[u8], component: &[u8]) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(MANIFEST_TYPE.to_owned()),
            config: Some(Descriptor::of(CONFIG_TYPE, config)),
            layers: Some(vec![Descriptor::of(COMPONENT_TYPE, component)]),
            manifests: None,
        }
    }
}

impl Manifest {
    /// Read a manifest. What its configuration is does not matter: tools differ in it, and nothing here asks for it.
    pub fn parse(json: &[u8]) -> Result<Self, NoComponent> {
        let show = |text: &str| clean(text, 200);
        let written: Written = serde_json::from_slice(json)
            .map_err(|error| NoComponent::Unreadable(show(&error.to_string())))?;
        let media_type = written.media_type.as_deref();
        if let Some(manifests) = &written.manifests {
            return Err(NoComponent::Index(manifests.len()));
        }
        if media_type.is_some_and(|it| INDEX_TYPES.contains(&it)) {
            return Err(NoComponent::Index(0));
        }
        if let Some(other) = media_type.filter(|it| ![MANIFEST_TYPE, DOCKER_MANIFEST_TYPE].contains(it)) {
            return Err(NoComponent::OtherManifest(show(other)));
        }
        let layers = written.layers.unwrap_or_default();
        let [layer] = layers.as_slice() else {
            let types: Vec<&str> = layers.iter().map(|layer| layer.media_type.as_str()).collect();
            let types = if types.is_empty() { "none".to_owned() } else { show(&types.join(", ")) };
            return Err(NoComponent::Layers { count: layers.len(), types });
        };
        match layer.media_type.as_str() {
            COMPONENT_TYPE | OLD_COMPONENT_TYPE => {}
            other if other.contains(".image.") => return Err(NoComponent::ContainerImage(show(other))),
            other => return Err(NoComponent::OtherLayer(show(other))),
        }
        let digest = layer.digest.parse().map_err(|_| NoComponent::Digest(show(&layer.digest)))?;
        Ok(Self { layer: Layer { digest, size: layer.size } })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn manifest(layers: &[&str]) -> Value {
        let digest = Digest::of(b"\0asm").to_string();
        let layer = |it: &&str| json!({"mediaType": it, "digest": digest, "size": 4});
        let layers: Vec<Value> = layers.iter().map(layer).collect();
        let config = json!({"mediaType": CONFIG_TYPE, "digest": digest, "size": 2});
        json!({"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": layers})
    }

    fn parse(value: &Value) -> Result<Manifest, String> {
        Manifest::parse(value.to_string().as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_component_is_one_layer_of_wasm() {
        let layer = Layer { digest: Digest::of(b"\0asm"), size: 4 };
        for kind in [COMPONENT_TYPE, OLD_COMPONENT_TYPE] {
            assert_eq!(parse(&manifest(&[kind])), Ok(Manifest { layer: layer.clone() }));
        }
        let written = serde_json::to_vec(&Written::of(b"{}", b"\0asm")).unwrap();
        assert_eq!(Manifest::parse(&written), Ok(Manifest { layer: layer.clone() }));
        // Without its own type, as OCI allows, and with another configuration.
        let mut bare = manifest(&[COMPONENT_TYPE]);
        bare.as_object_mut().unwrap().remove("mediaType");
        bare["config"]["mediaType"] = "application/vnd.oci.empty.v1+json".into();
        assert_eq!(parse(&bare), Ok(Manifest { layer }));
    }

    #[test]
    fn what_is_no_component_is_called_by_its_name() {
        let tar = "application/vnd.oci.image.layer.v1.tar+gzip";
        let with = |edit: &dyn Fn(&mut Value)| {
            let mut value = manifest(&[COMPONENT_TYPE]);
            edit(&mut value);
            parse(&value).unwrap_err()
        };
        let error = |value: &Value| parse(value).unwrap_err();
        assert!(error(&manifest(&[tar])).starts_with("it is a container image: its layer is of the type"));
        assert!(error(&manifest(&["text/plain"])).starts_with("its layer is of the type text/plain,"));
        assert!(error(&manifest(&[])).starts_with("it has 0 layers (none)"));
        let two = error(&manifest(&[COMPONENT_TYPE, "a/b"]));
        assert!(two.starts_with("it has 2 layers (application/wasm, a/b), where"), "{two}");
        let index = json!({"schemaVersion": 2, "mediaType": INDEX_TYPES[0], "manifests": [{}, {}]});
        assert!(error(&index).starts_with("it is an index of 2 manifests"));
        let other = with(&|value| value["mediaType"] = "a/b".into());
        assert!(other.starts_with("its manifest is of the type a/b"), "{other}");
        let digest = with(&|value| value["layers"][0]["digest"] = "md5:abc".into());
        assert_eq!(digest, "its layer's digest md5:abc is not a SHA-256");
        let size = with(&|value| value["layers"][0]["size"] = (-1).into());
        assert!(size.starts_with("its manifest cannot be read"), "{size}");
        assert!(parse(&json!([])).is_err());
    }
}
