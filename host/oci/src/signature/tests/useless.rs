//! Signatures that are of no use: each says why.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};

use super::shelf::Shelf;
use super::{
    ANNOTATION, PAYLOAD_TYPE, Signer, payload, put_bundle, put_layers, signed_layer, signer, subject,
    unsigned,
};
use crate::Digest;
use crate::manifest::INDEX_TYPE;
use crate::signature::search::tag;

#[tokio::test]
async fn payloads_that_are_of_no_use_are_told_apart() {
    let key = Signer::new();
    let good = payload(&subject());
    let signature = key.sign(good.as_bytes());
    let by_key = |payload: &str| (payload.to_owned(), key.sign(payload.as_bytes()));
    for ((payload, signature), found) in [
        (
            by_key(&payload(&Digest::of(b"other"))),
            format!("1 for another manifest ({})", Digest::of(b"other")),
        ),
        ((good.clone(), Signer::new().sign(good.as_bytes())), "1 by another key".to_owned()),
        // Of another payload by the same key.
        ((good.replace("other", "another"), signature.clone()), "1 by another key".to_owned()),
        ((good.clone(), String::new()), "1 by another key".to_owned()),
        ((good.clone(), "*".to_owned()), format!("its annotation {ANNOTATION} is not base64")),
        (
            by_key(&good.replace("cosign container", "atomic container")),
            "of another kind (atomic container".to_owned(),
        ),
        (by_key("{}"), "that cannot be read (its payload: missing field `critical`".to_owned()),
        (by_key("["), "that cannot be read (its payload: EOF".to_owned()),
        (by_key(&good.replace(r#""type""#, r#""type":"","type""#)), "duplicate field `type`".to_owned()),
        (
            (format!("{good}{}", " ".repeat(64 << 10)), signature.clone()),
            "where at most 65536 are read".to_owned(),
        ),
    ] {
        let shelf = Shelf::default();
        put_layers(&shelf, vec![signed_layer(&shelf, &payload, &signature)]);
        let said = unsigned(&shelf, &[&key]).await;
        assert!(said.contains(&found), "{found}: {said}");
    }
    // One that is too large is not asked for, whatever its size really is.
    let shelf = Shelf::default();
    let mut layer = signed_layer(&shelf, &good, &signature);
    layer["size"] = ((64 << 10) + 1).into();
    put_layers(&shelf, vec![layer]);
    let none = shelf.registry().signer(&subject(), std::slice::from_ref(&key.public)).await.is_err();
    assert!(none && !shelf.asked().iter().any(|asked| asked.contains("blobs")));
}

#[tokio::test]
async fn what_is_no_signature_under_the_tag_is_called_by_its_name() {
    let key = Signer::new();
    let shelf = Shelf::default();
    put_layers(&shelf, vec![shelf.put_blob("application/wasm", b"\0asm")]);
    let said = unsigned(&shelf, &[&key]).await;
    assert!(said.contains("1 of another kind (application/wasm)"), "{said}");
    let tag = format!("manifests/{}.sig", tag(&subject()));
    for (manifest, found) in [
        ("<html>", "its manifest: expected value"),
        (
            r#"{"layers": [{"mediaType": "a/b", "digest": "md5:a", "size": 1}]}"#,
            "its manifest: the digest is not",
        ),
        (r#"{"layers": [{"mediaType": "a/b", "digest": 1}]}"#, "its manifest: invalid type"),
    ] {
        shelf.put(&tag, manifest);
        let said = unsigned(&shelf, &[&key]).await;
        assert!(said.contains(found), "{said}");
    }
    shelf.put(&tag, json!({"mediaType": INDEX_TYPE, "manifests": []}).to_string());
    assert_eq!(unsigned(&shelf, &[&key]).await, "it has no signature");
    let mut layer = shelf.put_blob(PAYLOAD_TYPE, payload(&subject()).as_bytes());
    layer["annotations"] = Value::Null;
    put_layers(&shelf, vec![layer]);
    assert!(unsigned(&shelf, &[&key]).await.contains("has no annotation"));
}

#[tokio::test]
async fn bundles_that_are_of_no_use_are_told_apart() {
    let key = Signer::new();
    let good = key.bundle(&subject());
    let edited = |edit: &dyn Fn(&mut Value)| {
        let mut bundle = good.clone();
        edit(&mut bundle);
        bundle
    };
    /// A bundle with another statement, signed.
    fn restated(key: &Signer, edit: impl Fn(&mut Value)) -> Value {
        let mut bundle = key.bundle(&subject());
        let payload = BASE64_STANDARD.decode(bundle["dsseEnvelope"]["payload"].as_str().unwrap()).unwrap();
        let mut statement: Value = serde_json::from_slice(&payload).unwrap();
        edit(&mut statement);
        let statement = statement.to_string();
        let kind = "application/vnd.in-toto+json";
        let message = format!("DSSEv1 {} {kind} {} {statement}", kind.len(), statement.len());
        bundle["dsseEnvelope"]["payload"] = BASE64_STANDARD.encode(&statement).into();
        bundle["dsseEnvelope"]["signatures"][0]["sig"] = key.sign(message.as_bytes()).into();
        bundle
    }
    let provenance = "https://slsa.dev/provenance/v1";
    let other = Signer::new();
    for (bundle, found) in [
        (
            restated(&key, |it| it["predicateType"] = provenance.into()),
            format!("of another kind ({provenance})"),
        ),
        (restated(&key, |it| it["_type"] = "x".into()), "of another kind".to_owned()),
        (restated(&key, |it| it["subject"] = json!([])), "1 for another manifest (none)".to_owned()),
        (
            restated(&key, |it| it["subject"] = json!([{"name": "a"}])),
            "1 for another manifest (none)".to_owned(),
        ),
        (restated(&key, |it| it["subject"] = json!({})), "its statement: invalid type".to_owned()),
        (key.bundle(&Digest::of(b"other")), format!("1 for another manifest ({})", Digest::of(b"other"))),
        (other.bundle(&subject()), format!("1 by another key ({}, as it says)", other.public)),
        // That it says so makes it nobody's.
        (
            edited(&|it| it["dsseEnvelope"] = other.bundle(&subject())["dsseEnvelope"].clone()),
            format!("1 by another key ({}, as it says)", key.public),
        ),
        (edited(&|it| it["dsseEnvelope"]["signatures"] = json!([])), "invalid length 0".to_owned()),
        (
            edited(&|it| it["dsseEnvelope"]["payloadType"] = "text/plain".into()),
            "kind (text/plain)".to_owned(),
        ),
        (
            edited(&|it| it["dsseEnvelope"]["payload"] = "*".into()),
            "dsseEnvelope.payload is not base64".to_owned(),
        ),
        (edited(&|it| it["mediaType"] = "a/b".into()), "of another kind (a/b)".to_owned()),
        (
            edited(&|it| {
                it["messageSignature"] = it["dsseEnvelope"].take();
                it.as_object_mut().unwrap().remove("dsseEnvelope");
            }),
            "missing field `dsseEnvelope`".to_owned(),
        ),
        (json!([]), "the bundle: invalid".to_owned()),
    ] {
        let shelf = Shelf::listing();
        put_bundle(&shelf, &bundle);
        let said = unsigned(&shelf, &[&key]).await;
        assert!(said.contains(&found), "{found}: {said}");
    }
    let shelf = Shelf::listing();
    put_bundle(&shelf, &restated(&key, |_| ()));
    assert!(signer(&shelf, &[&key]).await.is_ok());
}
