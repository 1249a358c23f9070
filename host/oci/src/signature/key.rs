//! The public keys of those who sign.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use wasm_issuer_core::x509::pem::{self, PemError};
use wasm_issuer_core::x509::signature::KeyKind;
use wasm_issuer_core::x509::{PublicKey, SignatureError};

use crate::digest::Digest;

/// More than any key has, in bytes.
const MAX_PEM: usize = 8 << 10;
const LABEL: &str = "PUBLIC KEY";

/// A public key of somebody who signs artifacts: P-256, P-384, P-521 or RSA. Written as PEM, as `cosign generate-key-pair`
/// and `openssl pkey -pubout` have it; displayed as its fingerprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignerKey {
    spki: Vec<u8>,
    fingerprint: Digest,
}

/// Why text is no [`SignerKey`]. The messages never quote it: it may be a private key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSignerKey {
    /// More than a key takes.
    #[error("{0} bytes are more than a public key takes; at most {MAX_PEM} are read")]
    TooLarge(usize),
    /// Not PEM, or not one block of it.
    #[error("a public key is one PEM block, BEGIN PUBLIC KEY: {0}")]
    Pem(#[from] PemError),
    /// A block of something else.
    #[error(
        "its PEM block is {0}, where a public key's is PUBLIC KEY (`cosign public-key --key FILE` prints it)"
    )]
    Label(String),
    /// A key that is malformed, or of a kind that is not known.
    #[error(transparent)]
    Key(#[from] SignatureError),
    /// The kind that cosign signs with in a way (Ed25519ph, RFC 8032 section 5.1) that the crypto library does not verify.
    #[error(
        "the key {0} is Ed25519, with which cosign signs in a way (Ed25519ph) that is not verified here; sign with P-256, \
         which `cosign generate-key-pair` makes, or with P-384, P-521 or RSA"
    )]
    Ed25519(Digest),
}

impl SignerKey {
    /// The SHA-256 of the key's SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7), which tells keys apart in messages:
    /// `openssl pkey -pubin -in cosign.pub -outform DER | sha256sum`.
    pub fn fingerprint(&self) -> &Digest {
        &self.fingerprint
    }

    /// The key as PEM.
    pub fn to_pem(&self) -> String {
        pem::encode(LABEL, &self.spki)
    }

    /// Whether this is a signature of the message by this key.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        PublicKey::from_spki(&self.spki).is_ok_and(|key| key.verify_detached(message, signature).is_ok())
    }

    /// The key with this SubjectPublicKeyInfo.
    pub(super) fn from_spki(spki: &[u8]) -> Result<Self, InvalidSignerKey> {
        match PublicKey::from_spki(spki)?.kind() {
            KeyKind::Ed25519 => Err(InvalidSignerKey::Ed25519(Digest::of(spki))),
            _ => Ok(Self { spki: spki.to_vec(), fingerprint: Digest::of(spki) }),
        }
    }
}

impl FromStr for SignerKey {
    type Err = InvalidSignerKey;

    fn from_str(text: &str) -> Result<Self, InvalidSignerKey> {
        if text.len() > MAX_PEM {
            return Err(InvalidSignerKey::TooLarge(text.len()));
        }
        let (blocks, _) = pem::blocks(text.as_bytes(), 1)?;
        let block = blocks.first().ok_or(PemError::NoBlock)?;
        if block.label != LABEL {
            return Err(InvalidSignerKey::Label(block.printable_label()));
        }
        Self::from_spki(&block.decode()?)
    }
}

impl fmt::Display for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fingerprint.fmt(f)
    }
}

impl Serialize for SignerKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_pem())
    }
}

impl<'de> Deserialize<'de> for SignerKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use wasm_issuer_core::keys::{Algorithm, PrivateKey};

    use super::*;

    fn pem_of(algorithm: Algorithm) -> String {
        pem::encode(LABEL, PrivateKey::generate(algorithm).unwrap().public_key_der())
    }

    fn fingerprint(text: &str) -> Digest {
        Digest::of(&pem::blocks(text.as_bytes(), 1).unwrap().0[0].decode().unwrap())
    }

    #[test]
    fn keys_are_read_from_pem_and_written_as_they_were() {
        for algorithm in [Algorithm::EcdsaP256Sha256, Algorithm::EcdsaP384Sha384, Algorithm::EcdsaP521Sha512]
        {
            let text = pem_of(algorithm);
            let key: SignerKey = text.parse().unwrap();
            assert_eq!(key.to_pem(), text);
            assert_eq!(key.to_string(), Digest::of(&key.spki).to_string());
        }
    }

    #[test]
    fn what_is_no_public_key_says_what_is_wrong_and_is_not_repeated() {
        let (key, ed25519) = (pem_of(Algorithm::EcdsaP256Sha256), pem_of(Algorithm::Ed25519));
        for (text, found) in [
            ("", "it holds no PEM block".to_owned()),
            ("cosign.pub", "it holds no PEM block".to_owned()),
            (&format!("{key}{key}"), "it holds more PEM blocks than 1".to_owned()),
            (
                &key.replace("PUBLIC KEY", "ENCRYPTED SIGSTORE PRIVATE KEY"),
                "is ENCRYPTED SIGSTORE PRIVATE".to_owned(),
            ),
            (&key.replace("PUBLIC KEY", "CERTIFICATE"), "is CERTIFICATE, where".to_owned()),
            (&pem::encode(LABEL, b"key"), "no SubjectPublicKeyInfo".to_owned()),
            (&key.replacen('M', "*", 1), "not valid base64".to_owned()),
            (&ed25519, format!("the key {} is Ed25519, with which cosign signs", fingerprint(&ed25519))),
            (&format!("{key}{}", " ".repeat(MAX_PEM)), "more than a public key takes".to_owned()),
        ] {
            let error = text.parse::<SignerKey>().unwrap_err().to_string();
            assert!(error.contains(&found), "{text}: {error}");
            assert!(!error.contains("MFkw"), "{error}");
        }
    }
}
