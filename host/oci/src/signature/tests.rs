//! Signatures in a registry, good ones and others.

mod pages;
mod shelf;
mod useless;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use serde_json::{Value, json};
use shelf::Shelf;
use wasm_issuer_core::keys::{Algorithm, PrivateKey};
use wasm_issuer_core::x509::pem;

use super::bundle::{self, BUNDLE_TYPE};
use super::search::tag;
use super::*;
use crate::manifest::{INDEX_TYPE, MANIFEST_TYPE};
use crate::{Component, Digest, Error, MAX_REQUESTS};

const PAYLOAD_TYPE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const ANNOTATION: &str = "dev.cosignproject.cosign/signature";

/// Somebody who signs.
struct Signer {
    private: PrivateKey,
    public: SignerKey,
}

impl Signer {
    fn new() -> Self {
        let private = PrivateKey::generate(Algorithm::EcdsaP256Sha256).unwrap();
        let public = pem::encode("PUBLIC KEY", private.public_key_der()).parse().unwrap();
        Self { private, public }
    }

    /// In base64.
    fn sign(&self, message: &[u8]) -> String {
        BASE64_STANDARD.encode(self.private.sign(message).unwrap())
    }

    /// The bundle of a signature of this manifest.
    fn bundle(&self, subject: &Digest) -> Value {
        bundle::write(subject, self.public.fingerprint(), |message| self.private.sign(message)).unwrap()
    }
}

/// The digest of the manifest that is asked about.
fn subject() -> Digest {
    Digest::of(b"manifest")
}

fn payload(digest: &Digest) -> String {
    let image = json!({"docker-manifest-digest": digest.to_string()});
    let identity = json!({"docker-reference": "elsewhere.example/other"});
    json!({"critical": {"identity": identity, "image": image, "type": "cosign container image signature"}, "optional": null})
        .to_string()
}

/// A layer with a payload and what stands for its signature.
fn signed_layer(shelf: &Shelf, payload: &str, signature: &str) -> Value {
    let mut layer = shelf.put_blob(PAYLOAD_TYPE, payload.as_bytes());
    layer["annotations"] = json!({ANNOTATION: signature});
    layer
}

/// Put the manifest with these layers under the tag for payloads.
fn put_layers(shelf: &Shelf, layers: Vec<Value>) {
    let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "layers": layers});
    shelf.put(&format!("manifests/{}.sig", tag(&subject())), manifest.to_string());
}

/// Put a manifest with this layer that refers to the one that is asked about.
fn put_referrer(shelf: &Shelf, artifact_type: &str, layer: &Value) -> Value {
    let subject = json!({"mediaType": MANIFEST_TYPE, "digest": subject().to_string(), "size": 8});
    shelf.put_manifest(&json!({
        "schemaVersion": 2, "mediaType": MANIFEST_TYPE, "artifactType": artifact_type, "layers": [layer], "subject": subject,
    }))
}

fn put_bundle(shelf: &Shelf, bundle: &Value) -> Value {
    let layer = shelf.put_blob(BUNDLE_TYPE, bundle.to_string().as_bytes());
    put_referrer(shelf, BUNDLE_TYPE, &layer)
}

fn put_index(shelf: &Shelf, manifests: &[Value]) {
    let index = json!({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": manifests});
    shelf.put(&format!("manifests/{}", tag(&subject())), index.to_string());
}

async fn signer(shelf: &Shelf, keys: &[&Signer]) -> Result<SignerKey, Unverified> {
    let keys: Vec<SignerKey> = keys.iter().map(|key| key.public.clone()).collect();
    let found = shelf.registry().signer(&subject(), &keys).await.cloned();
    let asked = shelf.asked();
    assert!(asked.len() <= MAX_REQUESTS, "{}", asked.len());
    found
}

async fn unsigned(shelf: &Shelf, keys: &[&Signer]) -> String {
    match signer(shelf, keys).await {
        Err(Unverified::Unsigned(found)) => found.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn both_forms_are_found_and_tell_whose_signature_it_is() {
    let (a, b) = (Signer::new(), Signer::new());
    let signed = Shelf::default();
    let payload = payload(&subject());
    put_layers(&signed, vec![signed_layer(&signed, &payload, &b.sign(payload.as_bytes()))]);
    let listed = Shelf::listing();
    put_bundle(&listed, &b.bundle(&subject()));
    let tagged = Shelf::default();
    let descriptor = put_bundle(&tagged, &b.bundle(&subject()));
    put_index(&tagged, &[descriptor]);
    for shelf in [signed, listed, tagged] {
        assert_eq!(signer(&shelf, &[&a, &b]).await.as_ref(), Ok(&b.public));
        assert!(unsigned(&shelf, &[&a]).await.contains("it has 1 by another key"));
    }
    assert_eq!(unsigned(&Shelf::default(), &[&a]).await, "it has no signature");
    assert_eq!(unsigned(&Shelf::listing(), &[&a]).await, "it has no signature");
}

/// What cosign 3.1.3 wrote into a registry with keys of several kinds, in both forms: `sign --key KEY --tlog-upload=false
/// --use-signing-config=false --new-bundle-format=true` and `=false`.
const COSIGN: &str = include_str!("testdata/cosign.json");

#[tokio::test]
async fn what_cosign_writes_is_read_of_each_kind_of_key() {
    let written: Value = serde_json::from_str(COSIGN).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let digest: Digest = text(&written["digest"]).parse().unwrap();
    for other_form in [format!("manifests/{}", tag(&digest)), format!("manifests/{}.sig", tag(&digest))] {
        let shelf = Shelf::default();
        let files = written["files"].as_object().unwrap().iter().filter(|(path, _)| **path != other_form);
        files.for_each(|(path, content)| shelf.put(path, text(content)));
        for kind in ["p256", "p384", "p521", "rsa"] {
            let key: SignerKey = text(&written["keys"][kind]).parse().unwrap();
            let keys = [Signer::new().public, key];
            assert_eq!(
                shelf.registry().signer(&digest, &keys).await,
                Ok(&keys[1]),
                "{kind} without {other_form}"
            );
        }
    }
    let ed25519 = text(&written["keys"]["ed25519"]).parse::<SignerKey>();
    assert!(matches!(ed25519, Err(InvalidSignerKey::Ed25519(_))));
}

#[tokio::test]
async fn of_many_signatures_the_newest_are_read_and_no_more() {
    let (key, other) = (Signer::new(), Signer::new());
    let good = payload(&subject());
    let shelf = Shelf::default();
    let theirs = signed_layer(&shelf, &good, &other.sign(good.as_bytes()));
    let mut layers = vec![theirs; 500];
    put_layers(&shelf, layers.clone());
    let said = unsigned(&shelf, &[&key]).await;
    assert_eq!(
        said,
        "none of its signatures holds: it has 32 by another key; only 32 are read, and 468 were not"
    );
    layers.push(signed_layer(&shelf, &good, &key.sign(good.as_bytes())));
    put_layers(&shelf, layers);
    assert!(signer(&shelf, &[&key]).await.is_ok());
    // Ten thousand are more than a manifest has.
    put_layers(&shelf, vec![signed_layer(&shelf, &good, "AAAA"); 10_000]);
    let said = unsigned(&shelf, &[&key]).await;
    assert!(said.contains("answer is longer than 262144 bytes"), "{said}");
    // And so many of both.
    let shelf = Shelf::listing();
    for n in 0..40 {
        let mut bundle = other.bundle(&subject());
        bundle["n"] = n.into();
        put_bundle(&shelf, &bundle);
    }
    put_layers(&shelf, vec![signed_layer(&shelf, &good, "AAAA"); 40]);
    assert!(unsigned(&shelf, &[&key]).await.ends_with("only 64 are read, and 16 were not"));
}

#[tokio::test]
async fn a_list_that_leads_to_itself_is_not_followed() {
    let key = Signer::new();
    let shelf = Shelf::default();
    let itself = json!({"mediaType": INDEX_TYPE, "digest": Digest::of(b"index").to_string(), "size": 5});
    // Called a manifest, it is read once.
    let index = json!({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [itself]});
    let mut disguised = shelf.put_manifest(&index);
    disguised["mediaType"] = MANIFEST_TYPE.into();
    put_index(&shelf, &[itself, disguised]);
    assert_eq!(unsigned(&shelf, &[&key]).await, "it has no signature");
    let _ = shelf.registry().signer(&subject(), std::slice::from_ref(&key.public)).await;
    assert_eq!(shelf.asked().len(), 4, "the list twice, the manifest, the tag for payloads");
}

#[tokio::test]
async fn what_cannot_be_read_hides_no_other_and_trouble_is_no_verdict() {
    let (key, other) = (Signer::new(), Signer::new());
    let shelf = Shelf::default();
    let gone = json!({"mediaType": MANIFEST_TYPE, "digest": Digest::of(b"gone").to_string(), "size": 4});
    let theirs = put_bundle(&shelf, &other.bundle(&subject()));
    let sbom = put_referrer(&shelf, "application/spdx+json", &shelf.put_blob("application/spdx+json", b"{}"));
    put_index(&shelf, &[gone.clone(), sbom.clone(), theirs.clone()]);
    let said = unsigned(&shelf, &[&key]).await;
    assert!(
        said.contains("1 by another key") && said.contains("1 that the registry does not send"),
        "{said}"
    );
    let ours = put_bundle(&shelf, &key.bundle(&subject()));
    put_index(&shelf, &[gone, sbom, theirs, ours.clone()]);
    assert!(signer(&shelf, &[&key]).await.is_ok());
    // Nobody knows what is there, unless what can be read is enough.
    let tag = format!("manifests/{}.sig", tag(&subject()));
    shelf.breaks(&tag, 503);
    assert!(signer(&shelf, &[&key]).await.is_ok());
    assert!(matches!(signer(&shelf, &[&Signer::new()]).await, Err(Unverified::Registry(Error::Trouble(_)))));
    // Nor is anything told of what another server has there.
    shelf.breaks(&tag, 307);
    let elsewhere = signer(&shelf, &[&Signer::new()]).await;
    assert!(
        matches!(elsewhere, Err(Unverified::Registry(Error::Http(_) | Error::Elsewhere(_)))),
        "{elsewhere:?}"
    );
}

#[tokio::test]
async fn what_is_attached_is_found_and_is_written_once() {
    let key = Signer::new();
    let component = Component::new(Bytes::from_static(b"\0asm"), &[], &[]);
    for shelf in [Shelf::default(), Shelf::listing()] {
        let mut registry = shelf.registry();
        let digest = registry.push(&component, "1").await.unwrap();
        let keys = [key.public.clone(), Signer::new().public];
        assert!(registry.signer(&digest, &keys).await.is_err());
        let other = Attachment::sign(&component, &Signer::new().private).unwrap();
        registry.attach(&other).await.unwrap();
        let ours = Attachment::sign(&component, &key.private).unwrap();
        assert_eq!(ours.signer(), &key.public);
        registry.attach(&ours).await.unwrap();
        assert_eq!(registry.signer(&digest, &keys).await, Ok(&keys[0]));
        assert_eq!(registry.signer(&digest, std::slice::from_ref(other.signer())).await, Ok(other.signer()));
        shelf.asked();
        registry.attach(&Attachment::sign(&component, &key.private).unwrap()).await.unwrap();
        assert!(!shelf.asked().iter().any(|asked| asked.starts_with("PUT")), "it is signed already");
    }
    let weak = PrivateKey::generate(Algorithm::Ed25519).unwrap();
    assert!(matches!(Attachment::sign(&component, &weak), Err(SignError::Signer(_))));
}
