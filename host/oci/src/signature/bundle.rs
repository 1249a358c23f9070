//! Sigstore's bundle as `cosign sign --key` makes it: an in-toto statement about the manifest, in a DSSE envelope.
//!
//! Certificates, log entries and timestamps in it are not looked at. Bundles of a bare message's signature
//! (`messageSignature`) are those of `cosign sign-blob`, and no registry has them.

use std::collections::BTreeMap;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::Deserialize;
use serde_json::{Value, json};
use wasm_issuer_core::text::clean;

use super::claim::{Claim, Fault};
use crate::digest::Digest;

/// The media type of a bundle.
pub const BUNDLE_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// What a statement about a manifest says that it says of it. Attestations, of tests or vulnerabilities for instance, are
/// signed statements too, often by the same key, and say something else.
pub const PREDICATE_TYPE: &str = "https://sigstore.dev/cosign/sign/v1";
const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    media_type: String,
    verification_material: Material,
    dsse_envelope: Envelope,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    public_key: Option<KeyHint>,
}

#[derive(Deserialize)]
struct KeyHint {
    #[serde(default)]
    hint: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: [EnvelopeSignature; 1],
}

#[derive(Deserialize)]
struct EnvelopeSignature {
    sig: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    #[serde(rename = "_type")]
    statement_type: String,
    predicate_type: String,
    subject: Vec<Subject>,
}

#[derive(Deserialize)]
struct Subject {
    #[serde(default)]
    digest: BTreeMap<String, String>,
}

/// What a bundle claims.
pub fn claim(json: &[u8]) -> Result<Claim, Fault> {
    let bundle: Bundle = serde_json::from_slice(json).map_err(|error| unreadable("the bundle", error))?;
    if bundle.media_type != BUNDLE_TYPE {
        return Err(Fault::OtherKind(clean(&bundle.media_type, 100)));
    }
    let Envelope { payload, payload_type, signatures: [signature] } = bundle.dsse_envelope;
    if payload_type != PAYLOAD_TYPE {
        return Err(Fault::OtherKind(clean(&payload_type, 100)));
    }
    let payload = decode("dsseEnvelope.payload", &payload)?;
    let statement: Statement =
        serde_json::from_slice(&payload).map_err(|error| unreadable("its statement", error))?;
    if statement.statement_type != STATEMENT_TYPE || statement.predicate_type != PREDICATE_TYPE {
        return Err(Fault::OtherKind(clean(&statement.predicate_type, 100)));
    }
    let sha256 = statement.subject.iter().filter_map(|subject| subject.digest.get("sha256"));
    Ok(Claim {
        subjects: sha256.map(|hex| format!("sha256:{hex}")).collect(),
        message: signed_bytes(&payload),
        signature: decode("dsseEnvelope.signatures[0].sig", &signature.sig)?,
        hint: bundle.verification_material.public_key.and_then(|key| fingerprint(&key.hint)),
    })
}

/// A bundle that claims to be by the key with this fingerprint. `sign` signs what it is given.
pub fn write<E>(
    subject: &Digest,
    signer: &Digest,
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
) -> Result<Value, E> {
    let statement = json!({
        "_type": STATEMENT_TYPE,
        "subject": [{"digest": {"sha256": subject.hex()}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {},
    });
    let payload = statement.to_string().into_bytes();
    let signature = sign(&signed_bytes(&payload))?;
    let hint = BASE64_STANDARD.encode(hex::decode(signer.hex()).unwrap_or_default());
    Ok(json!({
        "mediaType": BUNDLE_TYPE,
        "verificationMaterial": {"publicKey": {"hint": hint}},
        "dsseEnvelope": {
            "payload": BASE64_STANDARD.encode(&payload),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"sig": BASE64_STANDARD.encode(signature)}],
        },
    }))
}

/// What is signed of a payload: DSSE's pre-authentication encoding (its protocol, version 1).
fn signed_bytes(payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// cosign's hints are the fingerprint's bytes in base64. Others may be anything.
fn fingerprint(hint: &str) -> Option<String> {
    let bytes = BASE64_STANDARD.decode(hint).ok().filter(|bytes| bytes.len() == 32)?;
    Some(format!("sha256:{}", hex::encode(bytes)))
}

fn decode(field: &str, text: &str) -> Result<Vec<u8>, Fault> {
    BASE64_STANDARD.decode(text).map_err(|_| Fault::Unreadable(format!("{field} is not base64")))
}

fn unreadable(what: &str, error: serde_json::Error) -> Fault {
    Fault::Unreadable(clean(&format!("{what}: {error}"), 200))
}
