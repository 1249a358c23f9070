//! Simple signing: a payload of JSON that is a layer of its own, and its signature an annotation of that layer.

use std::collections::BTreeMap;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::Deserialize;
use wasm_issuer_core::text::clean;

use super::claim::{Claim, Fault};

/// The media type of a payload.
const PAYLOAD_TYPE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The annotation of a layer that has the signature of the payload in base64.
const ANNOTATION: &str = "dev.cosignproject.cosign/signature";
/// What cosign says that its payloads are.
const KIND: &str = "cosign container image signature";

/// What is read of a payload. What it says of the image's name is for people: an image may be copied elsewhere.
#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    manifest_digest: String,
}

/// The signature of the payload that a layer of this type with these annotations is, in base64.
pub fn signature<'a>(media_type: &str, annotations: &'a BTreeMap<String, String>) -> Result<&'a str, Fault> {
    if media_type != PAYLOAD_TYPE {
        return Err(Fault::OtherKind(clean(media_type, 100)));
    }
    let signature = annotations.get(ANNOTATION).map(String::as_str);
    signature.ok_or_else(|| Fault::Unreadable(format!("its layer has no annotation {ANNOTATION}")))
}

/// What a payload claims, with its signature.
pub fn claim(payload: Vec<u8>, signature: &str) -> Result<Claim, Fault> {
    let signature = BASE64_STANDARD.decode(signature);
    let signature =
        signature.map_err(|_| Fault::Unreadable(format!("its annotation {ANNOTATION} is not base64")))?;
    let Payload { critical } = serde_json::from_slice(&payload)
        .map_err(|error| Fault::Unreadable(clean(&format!("its payload: {error}"), 200)))?;
    if critical.kind != KIND {
        return Err(Fault::OtherKind(clean(&critical.kind, 100)));
    }
    Ok(Claim { subjects: vec![critical.image.manifest_digest], message: payload, signature, hint: None })
}
