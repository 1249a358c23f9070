//! What the host's functions answer, called as a plugin would but from Rust.

use std::collections::BTreeMap;

use tokio_util::bytes::Bytes;
use wasm_issuer_core::issuance::signer::FailureKind;
use wasm_issuer_core::keys::Algorithm;
use wasmtime::component::Resource;
use wasmtime::{Engine, Store};
use wasmtime_wasi::WasiView as _;
use wasmtime_wasi::p2::OutputStream as _;
use zeroize::Zeroizing;

use super::*;
use crate::bindings::wasm_issuer::plugin::certificates::Host as _;
use crate::bindings::wasm_issuer::plugin::keys::{
    Host as _, HostSigningKey as _, JwsAlgorithm, KeyError, VerifyError,
};
use crate::bindings::wasm_issuer::plugin::secrets::{
    Encoding, Hash, HmacKey, Host as _, HostSecret as _, PlaceholderForm, SecretError,
};
use crate::bindings::wasm_issuer::plugin::types as wit;
use crate::bindings::{KeyHandle, SecretHandle};
use crate::egress::EgressConfig;
use crate::imports::secrets::SecretsView;
use crate::log::{CallLog, CallName, LineStream, Stream};
use crate::memory::MemoryPool;
use crate::state::CallState;
use crate::turns::Turns;
use crate::{convert, engine};

mod secrets;

fn state(data: &[(&str, &[u8])], reveal: &[&str]) -> Store<CallState> {
    let value = |value: &[u8]| Zeroizing::new(value.to_vec());
    let values: BTreeMap<_, _> =
        data.iter().map(|(name, bytes)| ((*name).to_owned(), value(bytes))).collect();
    let session = Session::new(SessionInit {
        secret: Some(Secret::new(SecretData { namespace: "pki".into(), name: "auth".into(), values })),
        reveal: reveal.iter().map(|name| (*name).to_owned()).collect(),
        ..init("my-ca")
    });
    let log = CallLog::new(session.clone(), CallName::Check);
    let engine = Engine::new(&engine::config()).unwrap();
    let memory = MemoryPool::new(1 << 30, 0);
    CallState::store(&engine, session, log, memory, &EgressConfig::default(), Turns::new().unwrap())
}

/// A second wall behind the limit of handles: a handle may stand for several of the host's objects.
#[test]
fn objects_behind_handles_are_bounded() {
    let mut store = state(&[], &[]);
    let table = store.data_mut().ctx().table;
    assert!((0..1024_u32).all(|n| table.push(n).is_ok()));
    assert!(matches!(table.push(0_u32), Err(wasmtime::component::ResourceTableError::Full)));
}

impl SecretsView<'_> {
    fn secret(&mut self, name: &str) -> Resource<SecretHandle> {
        self.get(name.into()).unwrap().unwrap()
    }
}

/// The message of the error that is expected.
fn not_found<T>(result: Result<T, SecretError>) -> String {
    match result {
        Err(SecretError::NotFound(message)) => message,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("found"),
    }
}

fn invalid<T>(result: Result<T, SecretError>) -> String {
    match result {
        Err(SecretError::Invalid(message)) => message,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("valid"),
    }
}

#[tokio::test]
async fn a_key_signs_and_is_parsed_once() {
    let pair = rcgen::KeyPair::generate().unwrap();
    let mut store = state(&[("tls.key", pair.serialize_pem().as_bytes()), ("other", b"no key")], &[]);
    let mut secrets = store.data_mut().secrets_view();
    let secret = secrets.secret("tls.key");
    let key = secrets.signing_key(Resource::new_borrow(secret.rep())).unwrap().unwrap();
    let again = secrets.signing_key(secret).unwrap().unwrap();
    let parsed = |key: &Resource<KeyHandle>| secrets.table.get(key).unwrap().clone();
    assert!(Arc::ptr_eq(&parsed(&key), &parsed(&again)));
    assert_eq!(parsed(&key).algorithm(), Algorithm::EcdsaP256Sha256);
    let secret = secrets.secret("other");
    assert!(
        invalid(secrets.signing_key(secret).map(|key| key.map(drop)).unwrap())
            .starts_with("`other` of the Secret: ")
    );
    let mut keys = store.data_mut().keys_view();
    assert!(!keys.sign(again, b"message".to_vec()).await.unwrap().unwrap().is_empty());
    let too_long = keys.sign(key, vec![0; (64 << 10) + 1]).await.unwrap();
    assert!(matches!(too_long, Err(KeyError::LimitExceeded(_))));
}

#[tokio::test]
async fn a_key_signs_as_jws_has_it() {
    let pair = rcgen::KeyPair::generate().unwrap();
    let mut store = state(&[("key", pair.serialize_pem().as_bytes())], &[]);
    let mut secrets = store.data_mut().secrets_view();
    let secret = secrets.secret("key");
    let key = secrets.signing_key(secret).unwrap().unwrap();
    let key = || Resource::new_borrow(key.rep());
    let mut keys = store.data_mut().keys_view();
    let signature = keys.sign_jws(key(), JwsAlgorithm::Es256, b"message".to_vec()).await.unwrap().unwrap();
    assert_eq!(signature.len(), 64);
    match keys.sign_jws(key(), JwsAlgorithm::Ps256, b"message".to_vec()).await.unwrap() {
        Err(KeyError::WrongKey(message)) => {
            assert!(message.starts_with("PS256 is not for this key"), "{message}")
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn signatures_are_judged_as_the_hosts_own_verification_does() {
    let pair = rcgen::KeyPair::generate().unwrap();
    let key = rcgen::PublicKeyData::subject_public_key_info(&pair);
    let signature = rcgen::SigningKey::sign(&pair, b"message").unwrap();
    let ecdsa_sha256 = [0x30, 0x0a, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    let ecdsa_sha1 = [0x30, 0x09, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1];
    let rsa_sha256 = [0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 0x0b, 5, 0];
    let mut store = state(&[], &[]);
    let mut keys = store.data_mut().keys_view();
    let mut verify = |key: &[u8], algorithm: &[u8], message: &[u8]| {
        keys.verify(key.to_vec(), algorithm.to_vec(), message.to_vec(), signature.clone()).unwrap()
    };
    assert!(verify(&key, &ecdsa_sha256, b"message").is_ok());
    assert!(matches!(verify(&key, &ecdsa_sha256, b"another"), Err(VerifyError::OtherKey)));
    assert!(matches!(verify(&key, &rsa_sha256, b"message"), Err(VerifyError::OtherKey)));
    assert!(matches!(verify(&key, &ecdsa_sha1, b"message"), Err(VerifyError::Algorithm(_))));
    assert!(matches!(verify(&key, b"\x30\x00", b"message"), Err(VerifyError::Algorithm(_))));
    assert!(matches!(verify(b"\x30\x00", &ecdsa_sha256, b"message"), Err(VerifyError::Key(_))));
}

/// What is published only if a plugin's `sign` returned it is judged as that is.
#[tokio::test]
async fn an_answer_is_judged_before_there_is_a_request() {
    let key = || rcgen::KeyPair::generate().unwrap();
    let (root_key, other_key) = (key(), key());
    let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let [root, other] = [&root_key, &other_key].map(|key| params.self_signed(key).unwrap().pem());
    let issuer = rcgen::Issuer::new(params, &root_key);
    let leaf = rcgen::CertificateParams::new(vec!["a.example".into()]).unwrap();
    let chain = leaf.signed_by(&key(), &issuer).unwrap().pem();
    assert_eq!(judge(&chain, &root).await, Ok(()));
    let refused = judge(&chain, &other).await.unwrap_err();
    assert!(refused.starts_with("ca: ") && refused.ends_with("the signature does not verify"), "{refused}");
    assert!(judge(&"x".repeat(4 << 20), &root).await.is_err());
}

async fn judge(chain: &str, ca: &str) -> Result<(), String> {
    let certificate = wit::Certificate { chain: chain.into(), ca: Some(ca.into()) };
    state(&[], &[]).data_mut().judge_view().judge(certificate).await.unwrap()
}

fn failure(kind: wit::FailureKind) -> wit::Failure {
    wit::Failure { kind, message: "not yet".into(), condition: None }
}

fn pending(resume: &str) -> wit::Failure {
    let pending = wit::Pending { resume: Some(resume.into()), poll_after_seconds: Some(7) };
    failure(wit::FailureKind::Pending(pending))
}

#[test]
fn resume_tokens_are_kept_whole_or_refused() {
    let store = state(&[("token", b"s3cr3t-token")], &[]);
    let log = &store.data().log;
    let longest = "o".repeat(4096);
    match convert::failure(pending(&longest), log).unwrap().kind {
        FailureKind::Pending { resume, poll_after } => {
            assert_eq!(resume.as_deref(), Some(longest.as_str()));
            assert_eq!(poll_after, Some(std::time::Duration::from_secs(7)));
        }
        other => panic!("{other:?}"),
    }
    let label = |token: &str| convert::failure(pending(token), log).unwrap_err().label();
    assert_eq!(label(&"o".repeat(4097)), "answer_too_large");
    assert_eq!(label("two\nlines"), "answer_invalid");
    assert_eq!(label("order 7, s3cr3t-token"), "answer_invalid");
}

#[test]
fn conditions_are_passed_on_only_where_the_api_takes_them() {
    let store = state(&[], &[]);
    let passed = |type_: &str, reason: &str| {
        let (type_, reason) = (type_.to_owned(), reason.to_owned());
        let condition = Some(wit::Condition { type_, status: wit::ConditionStatus::Unknown, reason });
        let failure = wit::Failure { condition, ..failure(wit::FailureKind::Permanent) };
        convert::failure(failure, &store.data().log).unwrap().condition.is_some()
    };
    assert!(passed("InvalidRequest", "BadProfile"));
    for (type_, reason) in [
        ("Ready", "Issued"),
        ("Approved", "Mine"),
        ("Denied", "Mine"),
        ("", "Reason"),
        ("Type", ""),
        ("lower", "Reason"),
        ("With Space", "Reason"),
        ("Type", "two\nlines"),
        (&"T".repeat(317), "Reason"),
    ] {
        assert!(!passed(type_, reason), "{type_:?} {reason:?}");
    }
}

#[test]
fn a_secret_is_no_reason() {
    let store = state(&[("token", b"S3cr3tToken")], &[]);
    let (type_, reason) = ("InvalidRequest".to_owned(), "S3cr3tToken".to_owned());
    let condition = Some(wit::Condition { type_, status: wit::ConditionStatus::TrueStatus, reason });
    let failure = wit::Failure { condition, ..failure(wit::FailureKind::Permanent) };
    assert_eq!(convert::failure(failure, &store.data().log).unwrap().condition, None);
}

#[test]
fn the_last_lines_of_complaint_are_kept() {
    let store = state(&[("token", b"s3cr3t-token")], &[]);
    let log = &store.data().log;
    let write = |stream, text: &'static str| {
        LineStream { log: log.clone(), stream }.write(Bytes::from_static(text.as_bytes())).unwrap();
    };
    write(Stream::Stderr, "first\nthread 'main' panicked at src/lib.rs:1:1:\nno ");
    write(Stream::Stdout, "something else\n");
    write(Stream::Stderr, "s3cr3t-token\nnote: run with `RUST_BACKTRACE=1` environment variable\n\n");
    let last = log.last_lines();
    assert_eq!(last.as_deref(), Some("first / thread 'main' panicked at src/lib.rs:1:1: / no [redacted]"));
    write(Stream::Stderr, "no line end");
    log.finish();
    log.plugin_record(tracing::Level::INFO, "all is well");
    log.plugin_record(tracing::Level::WARN, "s3cr3t-token is old");
    assert_eq!(log.last_lines().as_deref(), Some("no [redacted] / no line end / [redacted] is old"));
    write(Stream::Stderr, Box::leak("x".repeat(1 << 20).into_boxed_str()));
    log.finish();
    assert!(log.last_lines().unwrap().len() < 600);
}

#[test]
fn what_the_host_knows_is_told_once_with_a_failure() {
    let store = state(&[], &[]);
    let log = &store.data().log;
    for hint in ["a", "a", "known", "b", "c"] {
        log.hint(format!("hint {hint}"));
    }
    let message = |message: &str| {
        let failure = wit::Failure { message: message.into(), ..failure(wit::FailureKind::Issuer) };
        convert::failure(failure, log).unwrap().message
    };
    assert_eq!(message("401, hint known"), "401, hint known; hint a; hint b");
    assert_eq!(message(""), "the plugin gave no reason; hint a; hint known; hint b");
    let long = message(&"x".repeat(10_000));
    assert!(long.len() <= 4096 && long.ends_with("x...; hint a; hint known; hint b"), "{}", long.len());
}

#[test]
fn text_without_a_word_says_so() {
    let store = state(&[("token", b"s3cr3t-token")], &[]);
    let message = |message: &str| {
        let failure = wit::Failure { message: message.into(), ..failure(wit::FailureKind::Issuer) };
        convert::failure(failure, &store.data().log).unwrap().message
    };
    assert_eq!(message(" \n\u{0}"), "the plugin gave no reason");
    assert_eq!(message("401: token s3cr3t-token refused"), "401: token [redacted] refused");
}
