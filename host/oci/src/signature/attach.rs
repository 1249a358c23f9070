//! Writes a signature into a registry, in cosign's newer form: `cosign verify --key` finds it.

use bytes::Bytes;
use serde_json::{Value, json};
use wasm_issuer_core::keys::{KeyError, PrivateKey};

use super::bundle::{self, BUNDLE_TYPE, PREDICATE_TYPE};
use super::key::{InvalidSignerKey, SignerKey};
use super::search::{Unverified, tag};
use crate::client::Registry;
use crate::digest::Digest;
use crate::error::Error;
use crate::manifest::{Descriptor, INDEX_TYPE, MANIFEST_TYPE};
use crate::push::Component;
use crate::transport::Http;

/// The type of a configuration that says nothing.
const CONFIG_TYPE: &str = "application/vnd.oci.empty.v1+json";
const CONFIG: &[u8] = b"{}";

/// A signature of a component, with what a registry keeps of it.
pub struct Attachment {
    subject: Digest,
    signer: SignerKey,
    bundle: Bytes,
    manifest: Bytes,
}

/// Why a key makes no signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// Its signatures would not be verified.
    #[error(transparent)]
    Signer(#[from] InvalidSignerKey),
    /// It does not sign.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Attachment {
    /// Sign the manifest of a component.
    pub fn sign(component: &Component, key: &PrivateKey) -> Result<Self, SignError> {
        let signer = SignerKey::from_spki(key.public_key_der())?;
        let subject = component.digest();
        let bundle = bundle::write(&subject, signer.fingerprint(), |message| key.sign(message))?;
        let bundle = Bytes::from(bundle.to_string());
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "artifactType": BUNDLE_TYPE,
            "config": Descriptor::of(CONFIG_TYPE, CONFIG),
            "layers": [Descriptor::of(BUNDLE_TYPE, &bundle)],
            "subject": component.descriptor(),
            "annotations": {
                "dev.sigstore.bundle.content": "dsse-envelope",
                "dev.sigstore.bundle.predicateType": PREDICATE_TYPE,
            },
        });
        Ok(Self { subject, signer, bundle, manifest: Bytes::from(manifest.to_string()) })
    }

    /// Whose signature it is.
    pub fn signer(&self) -> &SignerKey {
        &self.signer
    }
}

impl<H: Http> Registry<H> {
    /// Write a signature of a component that is there, unless it has one by the same key: each is another one, and what is
    /// pushed again would have many.
    pub async fn attach(&mut self, attachment: &Attachment) -> Result<(), Error> {
        let Attachment { subject, bundle, manifest, signer } = attachment;
        match self.signer(subject, std::slice::from_ref(signer)).await {
            Ok(_) => return Ok(()),
            Err(Unverified::Registry(error)) => return Err(error),
            Err(Unverified::Unsigned(_)) => {}
        }
        for bytes in [bundle, &Bytes::from_static(CONFIG)] {
            self.push_blob(bytes).await?;
        }
        let url = self.url(&format!("manifests/{}", Digest::of(manifest)))?;
        self.put(&url, manifest, MANIFEST_TYPE).await?;
        // Where the registry does not list what refers to a manifest, whoever writes that does.
        if self.listed_referrers(subject).await?.is_some() {
            return Ok(());
        }
        let index = with_referrer(self.referrers_tag(subject).await?.as_deref(), manifest);
        let url = self.url(&format!("manifests/{}", tag(subject)))?;
        self.put(&url, &Bytes::from(index.to_string()), INDEX_TYPE).await
    }
}

/// The list of what refers to a manifest, with one more. What is no list is none.
fn with_referrer(index: Option<&[u8]>, manifest: &[u8]) -> Value {
    let index: Option<Value> = index.and_then(|index| serde_json::from_slice(index).ok());
    let mut referrers =
        index.and_then(|index| index.get("manifests")?.as_array().cloned()).unwrap_or_default();
    let mut new = json!(Descriptor::of(MANIFEST_TYPE, manifest));
    if let Some(new) = new.as_object_mut() {
        new.insert("artifactType".to_owned(), BUNDLE_TYPE.into());
    }
    if !referrers.contains(&new) {
        referrers.push(new);
    }
    json!({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": referrers})
}
