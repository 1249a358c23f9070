//! Private keys for requests that are made on the spot.

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{self as lc, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair};
use clap::ValueEnum;
use wasm_issuer_core::keys::{KeyError, PrivateKey};
use wasm_issuer_core::x509::pem;
use zeroize::Zeroizing;

/// The keys that a request can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeyAlgorithm {
    /// P-256.
    EcdsaP256,
    /// P-384.
    EcdsaP384,
    /// P-521.
    EcdsaP521,
    /// Ed25519.
    Ed25519,
    /// RSA of 2048 bits.
    #[value(name = "rsa-2048")]
    Rsa2048,
    /// RSA of 3072 bits.
    #[value(name = "rsa-3072")]
    Rsa3072,
    /// RSA of 4096 bits.
    #[value(name = "rsa-4096")]
    Rsa4096,
}

/// A key, and its PEM to keep.
pub struct NewKey {
    /// The key.
    pub key: PrivateKey,
    /// PKCS#8.
    pub pem: Zeroizing<String>,
}

impl NewKey {
    /// Make a key.
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, KeyError> {
        let random = SystemRandom::new();
        let ecdsa = |algorithm: &'static EcdsaSigningAlgorithm| {
            Ok::<_, KeyError>(encode(EcdsaKeyPair::generate_pkcs8(algorithm, &random)?.as_ref()))
        };
        let rsa = |size| {
            let der: Pkcs8V1Der<'_> = rsa::KeyPair::generate(size)?.as_der()?;
            Ok(encode(der.as_ref()))
        };
        let pem = match algorithm {
            KeyAlgorithm::EcdsaP256 => ecdsa(&lc::ECDSA_P256_SHA256_ASN1_SIGNING),
            KeyAlgorithm::EcdsaP384 => ecdsa(&lc::ECDSA_P384_SHA384_ASN1_SIGNING),
            KeyAlgorithm::EcdsaP521 => ecdsa(&lc::ECDSA_P521_SHA512_ASN1_SIGNING),
            // Version 1, without the public key: what OpenSSL reads.
            KeyAlgorithm::Ed25519 => Ok(encode(Ed25519KeyPair::generate_pkcs8v1(&random)?.as_ref())),
            KeyAlgorithm::Rsa2048 => rsa(KeySize::Rsa2048),
            KeyAlgorithm::Rsa3072 => rsa(KeySize::Rsa3072),
            KeyAlgorithm::Rsa4096 => rsa(KeySize::Rsa4096),
        }?;
        Ok(Self { key: PrivateKey::from_pem(pem.as_bytes())?, pem })
    }
}

fn encode(der: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(pem::encode("PRIVATE KEY", der))
}

#[cfg(test)]
mod tests {
    use wasm_issuer_core::keys::Algorithm;

    use super::*;

    #[test]
    fn every_algorithm_makes_a_key_that_signs() {
        for algorithm in KeyAlgorithm::value_variants() {
            let NewKey { key, pem } = NewKey::generate(*algorithm).unwrap();
            assert!(key.sign(b"message").is_ok(), "{algorithm:?}");
            assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
        }
        let p384 = NewKey::generate(KeyAlgorithm::EcdsaP384).unwrap();
        assert_eq!(p384.key.algorithm(), Algorithm::EcdsaP384Sha384);
    }
}
