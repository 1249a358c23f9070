use std::collections::BTreeSet;
use std::sync::Arc;

use der::Decode;
use der::asn1::OctetStringRef;
use spki::AlgorithmIdentifierRef;

use super::*;
use crate::x509::fixtures::{SEQUENCE, oid, tlv};
use crate::x509::pem;
use crate::x509::signature::{KeyKind, PublicKey};

const ALL: [(Algorithm, KeyKind, &str); 5] = [
    (Algorithm::EcdsaP256Sha256, KeyKind::P256, "1.2.840.10045.4.3.2"),
    (Algorithm::EcdsaP384Sha384, KeyKind::P384, "1.2.840.10045.4.3.3"),
    (Algorithm::EcdsaP521Sha512, KeyKind::P521, "1.2.840.10045.4.3.4"),
    (Algorithm::Ed25519, KeyKind::Ed25519, "1.3.101.112"),
    (Algorithm::RsaPkcs1Sha256, KeyKind::Rsa, "1.2.840.113549.1.1.11"),
];

/// The key signs as its algorithm says, and its public key verifies that.
fn check(key: &PrivateKey) {
    let (_, kind, id) = ALL.iter().find(|(algorithm, ..)| *algorithm == key.algorithm()).unwrap();
    let public = PublicKey::from_spki(key.public_key_der()).unwrap();
    assert_eq!(public.kind(), *kind);
    let identifier = tlv(SEQUENCE, &[&oid(id)]);
    let identifier = AlgorithmIdentifierRef::from_der(&identifier).unwrap();
    let signature = key.sign(b"message").unwrap();
    public.verify(&identifier, b"message", &signature).unwrap();
    assert!(public.verify(&identifier, b"another", &signature).is_err());
}

fn rsa_pkcs8() -> Vec<u8> {
    rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap().serialize_der()
}

/// The content of the privateKey field of a PKCS#8 key.
fn inner(pkcs8: &[u8]) -> Vec<u8> {
    crate::x509::fixtures::fields(pkcs8)
        .into_iter()
        .find_map(|field| <&OctetStringRef>::from_der(field).ok().map(|octets| octets.as_bytes().to_vec()))
        .unwrap()
}

fn refused(pem: &str) -> String {
    let message = PrivateKey::from_pem(pem.as_bytes()).unwrap_err().to_string();
    for word in pem.split_whitespace().filter(|word| word.len() > 12) {
        assert!(!message.contains(word), "{message:?} repeats the input");
    }
    message
}

#[test]
fn generated_keys_sign() {
    for (algorithm, ..) in &ALL[..4] {
        check(&PrivateKey::generate(*algorithm).unwrap());
    }
    assert_eq!(
        PrivateKey::generate(Algorithm::RsaPkcs1Sha256).unwrap_err(),
        KeyError::Unsupported(Algorithm::RsaPkcs1Sha256)
    );
}

#[test]
fn pkcs8_is_read() {
    for algorithm in [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ECDSA_P521_SHA512,
        &rcgen::PKCS_ED25519,
        &rcgen::PKCS_RSA_SHA256,
    ] {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let read = PrivateKey::from_pem(key.serialize_pem().as_bytes()).unwrap();
        check(&read);
        assert_eq!(read.public_key_der(), rcgen::PublicKeyData::subject_public_key_info(&key));
    }
}

#[test]
fn sec1_is_read_with_curve_parameters_in_front_too() {
    for (algorithm, ..) in &ALL[..3] {
        let pair = EcdsaKeyPair::generate(ecdsa(*algorithm).unwrap()).unwrap();
        let key = pem::encode("EC PRIVATE KEY", pair.private_key().as_der().unwrap().as_ref());
        let read = PrivateKey::from_pem(key.as_bytes()).unwrap();
        check(&read);
        assert_eq!(read.algorithm(), *algorithm);
        let parameters = pem::encode("EC PARAMETERS", &oid("1.2.840.10045.3.1.7"));
        check(&PrivateKey::from_pem(format!("{parameters}{key}").as_bytes()).unwrap());
    }
}

#[test]
fn pkcs1_is_read() {
    check(&PrivateKey::from_pem(pem::encode("RSA PRIVATE KEY", &inner(&rsa_pkcs8())).as_bytes()).unwrap());
}

/// As large as cert-manager makes them. A public test key.
#[test]
fn rsa_of_8192_bits_is_read_and_slow() {
    let key = PrivateKey::from_pem(include_bytes!("testdata/rsa-8192.key")).unwrap();
    check(&key);
    assert!(key.is_slow());
    let rsa = PrivateKey::from_pem(pem::encode("PRIVATE KEY", &rsa_pkcs8()).as_bytes()).unwrap();
    assert!(!rsa.is_slow() && !PrivateKey::generate(Algorithm::Ed25519).unwrap().is_slow());
}

#[test]
fn what_is_no_plain_private_key_is_refused_without_repeating_it() {
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let one = "exactly one PEM block with a private key is expected";
    assert_eq!(refused(&format!("{key}{key}")), one);
    assert_eq!(refused(&format!("{key}{key}{key}{key}")), one);
    assert_eq!(refused(&format!("{key}{}", pem::encode("CERTIFICATE", b"x"))), one);
    assert_eq!(refused(&pem::encode("EC PARAMETERS", b"x")), one);
    assert_eq!(refused("correct-horse-battery-staple"), "no PEM block; a private key is expected");
    assert_eq!(refused(""), "no PEM block; a private key is expected");
    assert!(
        refused(&key.replace("PRIVATE KEY", "correct-horse-battery"))
            .starts_with("the PEM block is no private key")
    );
    assert!(refused(&key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY")).contains("encrypted"));
    let legacy = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nMIIB\n-----END RSA PRIVATE KEY-----\n";
    assert!(refused(legacy).contains("encrypted"));
    assert_eq!(refused(&key.replace("-----END", "*\n-----END")), "the PEM block is not valid base64");
    assert_eq!(refused(&key.replace("-----END", "-----DNE")), "a PEM block is malformed");
    assert!(refused(&key.replace("PRIVATE KEY", "RSA PRIVATE KEY")).contains("does not hold"));
    assert!(matches!(PrivateKey::from_pem(&vec![b'A'; 1 << 20]), Err(KeyError::LimitExceeded(_))));
    assert!(PrivateKey::from_pem(&[0xff; 100]).is_err());
}

#[test]
fn keys_of_other_kinds_and_sizes_are_refused() {
    let unsupported = |label: &str, der: &[u8]| {
        assert!(refused(&pem::encode(label, der)).contains("unsupported kind; accepted are RSA of 2048"));
    };
    for bits in [1024, 2040, 8200, 16_384] {
        let modulus = [&[0, 0x80], vec![1; bits / 8 - 1].as_slice()].concat();
        unsupported("RSA PRIVATE KEY", &tlv(SEQUENCE, &[&[2, 1, 0], &tlv(2, &[&modulus]), &[2, 1, 3]]));
    }
    let pkcs8 = |algorithm: Vec<u8>| tlv(SEQUENCE, &[&[2, 1, 0], &algorithm, &tlv(4, &[&[0; 32]])]);
    unsupported("PRIVATE KEY", &pkcs8(tlv(SEQUENCE, &[&oid("1.3.101.113")])));
    unsupported("PRIVATE KEY", &pkcs8(tlv(SEQUENCE, &[&oid("1.2.840.10045.2.1"), &oid("1.3.132.0.10")])));
    unsupported("PRIVATE KEY", &pkcs8(tlv(SEQUENCE, &[&oid("1.2.840.10045.2.1")])));
    let sec1 = tlv(SEQUENCE, &[&[2, 1, 1], &tlv(4, &[&[1; 32]]), &tlv(0xa0, &[&oid("1.3.132.0.10")])]);
    unsupported("EC PRIVATE KEY", &sec1);
    let no_curve = tlv(SEQUENCE, &[&[2, 1, 1], &tlv(4, &[&[1; 32]])]);
    assert!(refused(&pem::encode("EC PRIVATE KEY", &no_curve)).contains("does not hold"));
}

#[test]
fn damaged_keys_are_refused() {
    let whole = rcgen::KeyPair::generate().unwrap().serialize_der();
    for at in 0..whole.len() {
        assert!(
            PrivateKey::from_pem(pem::encode("PRIVATE KEY", &whole[..at]).as_bytes()).is_err(),
            "cut at {at}"
        );
    }
    let mut inconsistent = inner(&rsa_pkcs8());
    let middle = inconsistent.len() / 2;
    inconsistent[middle] ^= 1;
    assert!(PrivateKey::from_pem(pem::encode("RSA PRIVATE KEY", &inconsistent).as_bytes()).is_err());
    let zero = tlv(SEQUENCE, &[&[2, 1, 1], &tlv(4, &[&[0; 32]]), &tlv(0xa0, &[&oid("1.2.840.10045.3.1.7")])]);
    assert!(PrivateKey::from_pem(pem::encode("EC PRIVATE KEY", &zero).as_bytes()).is_err());
}

#[test]
fn debug_and_messages_tell_nothing() {
    let key = PrivateKey::generate(Algorithm::Ed25519).unwrap();
    assert_eq!(format!("{key:?}"), "PrivateKey { algorithm: Ed25519, .. }");
    fn shared<T: Send + Sync + 'static>() {}
    shared::<PrivateKey>();
}

#[test]
fn long_messages_are_not_signed() {
    let key = PrivateKey::generate(Algorithm::EcdsaP256Sha256).unwrap();
    assert!(key.sign(&vec![0; MAX_MESSAGE_BYTES]).is_ok());
    assert!(matches!(key.sign(&vec![0; MAX_MESSAGE_BYTES + 1]), Err(KeyError::LimitExceeded(_))));
}

#[test]
fn an_ephemeral_key_stays_until_another_algorithm_replaces_it() {
    let keys = EphemeralKeys::default();
    let first = keys.get_or_make("ca", Algorithm::EcdsaP256Sha256).unwrap();
    assert!(Arc::ptr_eq(&first, &keys.get_or_make("ca", Algorithm::EcdsaP256Sha256).unwrap()));
    let other = keys.get_or_make("ca", Algorithm::Ed25519).unwrap();
    assert_eq!(other.algorithm(), Algorithm::Ed25519);
    let again = keys.get_or_make("ca", Algorithm::EcdsaP256Sha256).unwrap();
    assert_ne!(again.public_key_der(), first.public_key_der());
}

#[test]
fn ephemeral_keys_are_bounded() {
    let keys = EphemeralKeys::default();
    let rsa = Algorithm::RsaPkcs1Sha256;
    assert_eq!(keys.get_or_make("rsa", rsa).unwrap_err(), KeyError::Unsupported(rsa));
    for n in 0..MAX_EPHEMERAL_KEYS {
        keys.get_or_make(&n.to_string(), Algorithm::Ed25519).unwrap();
    }
    assert!(matches!(keys.get_or_make("9", Algorithm::Ed25519), Err(KeyError::LimitExceeded(_))));
    assert!(keys.get_or_make("7", Algorithm::EcdsaP384Sha384).is_ok(), "replacing one is no addition");
    let (fits, long) = ("x".repeat(MAX_KEY_NAME_BYTES), "x".repeat(MAX_KEY_NAME_BYTES + 1));
    assert!(EphemeralKeys::default().get_or_make(&fits, Algorithm::Ed25519).is_ok());
    let refused = EphemeralKeys::default().get_or_make(&long, Algorithm::Ed25519);
    assert!(matches!(refused, Err(KeyError::LimitExceeded(_))));
}

#[test]
fn two_threads_get_one_key() {
    let keys = EphemeralKeys::default();
    let made: BTreeSet<_> = std::thread::scope(|scope| {
        let make = || keys.get_or_make("ca", Algorithm::EcdsaP256Sha256).unwrap().public_key_der().to_vec();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(made.len(), 1);
}
