//! What a registry lists: the layers of a manifest that holds signatures, and the manifests that refer to another one.

use std::collections::BTreeMap;

use serde::Deserialize;
use wasm_issuer_core::text::clean;

use super::bundle::BUNDLE_TYPE;
use super::claim::Fault;
use crate::digest::Digest;
use crate::manifest::{Layer, MANIFEST_TYPE};

/// What some registries say that a referrer is, because its configuration is that: what it is they do not look at.
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";

#[derive(Deserialize)]
struct Holder {
    #[serde(default)]
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Referrer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Referrer {
    media_type: String,
    digest: String,
    artifact_type: Option<String>,
}

/// A layer of a manifest, of whatever type.
pub struct HeldLayer {
    pub media_type: String,
    pub layer: Layer,
    pub annotations: BTreeMap<String, String>,
}

/// The layers of a manifest; none of an index.
pub fn layers(manifest: &[u8]) -> Result<Vec<HeldLayer>, Fault> {
    let unreadable = |why: String| Fault::Unreadable(clean(&format!("its manifest: {why}"), 200));
    let holder: Holder = serde_json::from_slice(manifest).map_err(|error| unreadable(error.to_string()))?;
    let held = holder.layers.into_iter().map(|it: Descriptor| -> Result<HeldLayer, Fault> {
        let Descriptor { media_type, digest, size, annotations } = it;
        let digest = digest.parse::<Digest>().map_err(|error| unreadable(format!("{error}")))?;
        let annotations = annotations.unwrap_or_default();
        Ok(HeldLayer { media_type, layer: Layer { digest, size }, annotations })
    });
    held.collect()
}

/// The manifests of a list of referrers that may hold bundles.
#[derive(Default)]
pub struct Bundles {
    /// Those that say so.
    certain: Vec<Digest>,
    /// Those that do not say what they are.
    possible: Vec<Digest>,
}

impl Bundles {
    /// Read a list, or a page of one. None where it is no such list. What is in it is not followed further: an index in a
    /// list, or the list itself, is no bundle.
    pub fn read(index: &[u8]) -> Option<Self> {
        let index: Index = serde_json::from_slice(index).ok()?;
        let mut bundles = Self::default();
        for it in index.manifests.iter().filter(|it| it.media_type == MANIFEST_TYPE) {
            let Ok(digest) = it.digest.parse() else { continue };
            match it.artifact_type.as_deref() {
                Some(BUNDLE_TYPE) => bundles.certain.push(digest),
                None | Some(EMPTY_TYPE) => bundles.possible.push(digest),
                Some(_) => {}
            }
        }
        Some(bundles)
    }

    /// These, and those of a further page.
    pub fn and(mut self, page: Self) -> Self {
        self.certain.extend(page.certain);
        self.possible.extend(page.possible);
        self
    }

    /// All of them, those that certainly hold one first.
    pub fn digests(self) -> Vec<Digest> {
        [self.certain, self.possible].concat()
    }
}
