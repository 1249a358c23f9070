//! Private keys for requests that are made on the spot.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::Ed25519KeyPair;
use clap::ValueEnum;
use rcgen::{KeyPair, RsaKeySize};
use wasm_issuer_core::x509::pem;
use zeroize::Zeroizing;

/// The keys that a request can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeyAlgorithm {
    EcdsaP256,
    EcdsaP384,
    EcdsaP521,
    Ed25519,
    #[value(name = "rsa-2048")]
    Rsa2048,
    #[value(name = "rsa-3072")]
    Rsa3072,
    #[value(name = "rsa-4096")]
    Rsa4096,
}

/// A new key; ECDSA keys sign with the hash of their size, RSA keys with SHA-256 and PKCS#1 v1.5.
pub fn generate(algorithm: KeyAlgorithm) -> Result<KeyPair, rcgen::Error> {
    let rsa = |size| KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size);
    match algorithm {
        KeyAlgorithm::EcdsaP256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
        KeyAlgorithm::EcdsaP384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
        KeyAlgorithm::EcdsaP521 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512),
        KeyAlgorithm::Ed25519 => ed25519(),
        KeyAlgorithm::Rsa2048 => rsa(RsaKeySize::_2048),
        KeyAlgorithm::Rsa3072 => rsa(RsaKeySize::_3072),
        KeyAlgorithm::Rsa4096 => rsa(RsaKeySize::_4096),
    }
}

/// In version 1 of PKCS#8, without the public key, which is what OpenSSL reads: rcgen's own are in version 2.
fn ed25519() -> Result<KeyPair, rcgen::Error> {
    let der = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new());
    KeyPair::try_from(der.map_err(|_error| rcgen::Error::RingUnspecified)?.as_ref())
}

/// A key as PKCS#8, PEM.
pub fn to_pem(key: &KeyPair) -> Zeroizing<String> {
    Zeroizing::new(pem::encode("PRIVATE KEY", key.serialized_der()))
}

#[cfg(test)]
mod tests {
    use wasm_issuer_core::keys::PrivateKey;
    use wasm_issuer_core::x509::PublicKey;

    use super::*;

    #[test]
    fn every_algorithm_makes_a_key_that_is_read_back() {
        let kinds = ["P-256", "P-384", "P-521", "Ed25519", "RSA", "RSA", "RSA"];
        for (algorithm, kind) in KeyAlgorithm::value_variants().iter().zip(kinds) {
            let pem = to_pem(&generate(*algorithm).unwrap());
            assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
            let key = PrivateKey::from_pem(pem.as_bytes()).unwrap();
            let public = PublicKey::from_spki(key.public_key_der()).unwrap();
            assert_eq!(public.kind().to_string(), kind, "{algorithm:?}");
            let bits = public.rsa_bits().map(|bits| format!("Rsa{bits}"));
            assert!(bits.is_none_or(|bits| bits == format!("{algorithm:?}")));
        }
    }

    #[test]
    fn ed25519_keys_are_in_the_form_that_openssl_reads() {
        // 48 bytes: version, algorithm and the seed.
        assert_eq!(generate(KeyAlgorithm::Ed25519).unwrap().serialized_der().len(), 48);
    }
}
