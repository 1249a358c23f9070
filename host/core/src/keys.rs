//! Private keys that plugins use through handles. The cryptography is native, and no key leaves this module.

mod ephemeral;
mod hmac;
mod jwe;
mod jws;
mod load;
mod verify;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self as lc, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair,
};
pub use ephemeral::{EphemeralKeys, MAX_EPHEMERAL_KEYS, MAX_KEY_NAME_BYTES};
pub use hmac::{Hash, HmacKey, Pbm, hmac_chain};
pub use jws::JwsAlgorithm;
pub use load::MAX_KEY_PEM_BYTES;
pub use verify::{VerifyError, verify};

/// The largest message that is signed. The contract promises it; a TBSCertificate takes a few KiB.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// A signature algorithm with its parameters. Mirrors `algorithm` in `wit/keys.wit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// ecdsa-with-SHA256 on P-256.
    EcdsaP256Sha256,
    /// ecdsa-with-SHA384 on P-384.
    EcdsaP384Sha384,
    /// ecdsa-with-SHA512 on P-521.
    EcdsaP521Sha512,
    /// Ed25519 (RFC 8032), of the message itself and not of a hash.
    Ed25519,
    /// sha256WithRSAEncryption, for keys of 2048 to 8192 bits.
    RsaPkcs1Sha256,
}

impl std::fmt::Display for Algorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::EcdsaP256Sha256 => "ECDSA P-256 with SHA-256",
            Self::EcdsaP384Sha384 => "ECDSA P-384 with SHA-384",
            Self::EcdsaP521Sha512 => "ECDSA P-521 with SHA-512",
            Self::Ed25519 => "Ed25519",
            Self::RsaPkcs1Sha256 => "RSA PKCS #1 v1.5 with SHA-256",
        })
    }
}

/// Why a key cannot be used. No message holds key bytes, or what a parser thought of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// An algorithm that is not done here.
    #[error("{0} keys are not made here")]
    Unsupported(Algorithm),
    /// A key of another kind than the algorithm is for.
    #[error("{} is not for this key, which signs with {key}", algorithm.name())]
    WrongKey {
        /// What was asked for.
        algorithm: JwsAlgorithm,
        /// What the key is for.
        key: Algorithm,
    },
    /// A key, a message or the number of keys is beyond what is accepted.
    #[error("{0}")]
    LimitExceeded(String),
    /// The bytes do not hold a key of an accepted kind.
    #[error("{0}")]
    Invalid(&'static str),
    /// The library failed; nobody's fault.
    #[error("the key operation failed")]
    Failed,
}

impl From<Unspecified> for KeyError {
    fn from(_: Unspecified) -> Self {
        Self::Failed
    }
}

/// A private key, parsed once and used by any number of threads.
pub struct PrivateKey {
    pair: Pair,
    algorithm: Algorithm,
    public_key: Vec<u8>,
}

/// aws-lc holds the key material and clears it when it frees it.
enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl PrivateKey {
    /// Makes a new key. RSA is not done: making one takes seconds at worst.
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        let pair = match ecdsa(algorithm) {
            Some(ecdsa) => Pair::Ecdsa(EcdsaKeyPair::generate(ecdsa)?),
            None if algorithm == Algorithm::Ed25519 => Pair::Ed25519(Ed25519KeyPair::generate()?),
            None => return Err(KeyError::Unsupported(algorithm)),
        };
        Self::new(pair, algorithm)
    }

    fn new(pair: Pair, algorithm: Algorithm) -> Result<Self, KeyError> {
        let public_key: PublicKeyX509Der<'_> = match &pair {
            Pair::Ecdsa(pair) => pair.public_key().as_der()?,
            Pair::Ed25519(pair) => pair.public_key().as_der()?,
            Pair::Rsa(pair) => pair.public_key().as_der()?,
        };
        let public_key = public_key.as_ref().to_vec();
        Ok(Self { pair, algorithm, public_key })
    }

    /// The algorithm that [`sign`](Self::sign) uses.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7).
    pub fn public_key_der(&self) -> &[u8] {
        &self.public_key
    }

    /// Whether a signature takes tens of milliseconds: RSA above 4096 bits. One of 4096 bits takes 2, one of 8192 some
    /// 40, others less than 1.
    pub fn is_slow(&self) -> bool {
        matches!(&self.pair, Pair::Rsa(pair) if pair.public_modulus_len() > 4096 / 8)
    }

    /// Signs a message, at most [`MAX_MESSAGE_BYTES`] long. ECDSA signatures are DER.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        signable(message)?;
        // aws-lc draws its nonces itself; the parameter is there for the sake of an older interface.
        let random = SystemRandom::new();
        Ok(match &self.pair {
            Pair::Ecdsa(pair) => pair.sign(&random, message)?.as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.try_sign(message)?.as_ref().to_vec(),
            Pair::Rsa(pair) => rsa_sign(pair, &lc::RSA_PKCS1_SHA256, &random, message)?,
        })
    }
}

fn signable(message: &[u8]) -> Result<(), KeyError> {
    let length = message.len();
    if length <= MAX_MESSAGE_BYTES {
        return Ok(());
    }
    Err(KeyError::LimitExceeded(format!("a message of {length} bytes; {MAX_MESSAGE_BYTES} can be signed")))
}

fn rsa_sign(
    pair: &RsaKeyPair,
    scheme: &'static dyn RsaEncoding,
    random: &SystemRandom,
    message: &[u8],
) -> Result<Vec<u8>, KeyError> {
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(scheme, random, message, &mut signature)?;
    Ok(signature)
}

/// Says which key it is, not what it is.
impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PrivateKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

fn ecdsa(algorithm: Algorithm) -> Option<&'static EcdsaSigningAlgorithm> {
    match algorithm {
        Algorithm::EcdsaP256Sha256 => Some(&lc::ECDSA_P256_SHA256_ASN1_SIGNING),
        Algorithm::EcdsaP384Sha384 => Some(&lc::ECDSA_P384_SHA384_ASN1_SIGNING),
        Algorithm::EcdsaP521Sha512 => Some(&lc::ECDSA_P521_SHA512_ASN1_SIGNING),
        Algorithm::Ed25519 | Algorithm::RsaPkcs1Sha256 => None,
    }
}

#[cfg(test)]
mod tests;
