//! Signatures as JSON Web Signatures have them.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256};
use der::asn1::UintRef;
use der::{Decode, Reader};

use super::{Algorithm, KeyError, Pair, PrivateKey, rsa_sign, signable};

/// A signature algorithm by its `alg` (RFC 7518, RFC 8037). Mirrors `jws-algorithm` in `wit/keys.wit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwsAlgorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// ECDSA on P-521 with SHA-512.
    Es512,
    /// Ed25519.
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PSS with SHA-256.
    Ps256,
}

impl JwsAlgorithm {
    /// What the header of a JWS calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
        }
    }

    fn takes(self, key: Algorithm) -> bool {
        match self {
            Self::Es256 => key == Algorithm::EcdsaP256Sha256,
            Self::Es384 => key == Algorithm::EcdsaP384Sha384,
            Self::Es512 => key == Algorithm::EcdsaP521Sha512,
            Self::EdDsa => key == Algorithm::Ed25519,
            Self::Rs256 | Self::Ps256 => key == Algorithm::RsaPkcs1Sha256,
        }
    }
}

impl PrivateKey {
    /// Signs a message, at most [`MAX_MESSAGE_BYTES`](super::MAX_MESSAGE_BYTES) long, with an algorithm that the key
    /// is for. ECDSA signatures are r and s, each as long as the curve's order.
    pub fn sign_jws(&self, algorithm: JwsAlgorithm, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        if !algorithm.takes(self.algorithm) {
            return Err(KeyError::WrongKey { algorithm, key: self.algorithm });
        }
        match (&self.pair, algorithm) {
            (Pair::Ecdsa(_), JwsAlgorithm::Es256) => concatenated(&self.sign(message)?, 32),
            (Pair::Ecdsa(_), JwsAlgorithm::Es384) => concatenated(&self.sign(message)?, 48),
            (Pair::Ecdsa(_), _) => concatenated(&self.sign(message)?, 66),
            (Pair::Ed25519(_), _) => self.sign(message),
            (Pair::Rsa(pair), _) => {
                signable(message)?;
                let scheme =
                    if algorithm == JwsAlgorithm::Ps256 { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                rsa_sign(pair, scheme, &SystemRandom::new(), message)
            }
        }
    }
}

/// Ecdsa-Sig-Value (RFC 3279) as the octets of r and s (RFC 7518 section 3.4).
fn concatenated(der: &[u8], length: usize) -> Result<Vec<u8>, KeyError> {
    let numbers = der::asn1::AnyRef::from_der(der).and_then(|any| {
        let mut reader = der::SliceReader::new(any.value())?;
        Ok([reader.decode::<UintRef<'_>>()?, reader.decode::<UintRef<'_>>()?])
    });
    let numbers = numbers.map_err(|_error| KeyError::Failed)?;
    let mut signature = Vec::with_capacity(2 * length);
    for number in numbers {
        let bytes = number.as_bytes();
        let zeros = length.checked_sub(bytes.len()).ok_or(KeyError::Failed)?;
        signature.resize(signature.len() + zeros, 0);
        signature.extend_from_slice(bytes);
    }
    Ok(signature)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, ParsedPublicKey,
        RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, VerificationAlgorithm,
    };

    use super::super::MAX_MESSAGE_BYTES;
    use super::*;

    fn verifies(key: &PrivateKey, by: &'static dyn VerificationAlgorithm, signature: &[u8]) -> bool {
        ParsedPublicKey::new(by, key.public_key_der()).unwrap().verify_sig(b"message", signature).is_ok()
    }

    /// Often enough that r or s is one octet short now and then, which is when the padding matters.
    #[test]
    fn what_is_signed_is_accepted_by_the_fixed_form() {
        let cases: [(Algorithm, JwsAlgorithm, &'static dyn VerificationAlgorithm, usize); 4] = [
            (Algorithm::EcdsaP256Sha256, JwsAlgorithm::Es256, &ECDSA_P256_SHA256_FIXED, 64),
            (Algorithm::EcdsaP384Sha384, JwsAlgorithm::Es384, &ECDSA_P384_SHA384_FIXED, 96),
            (Algorithm::EcdsaP521Sha512, JwsAlgorithm::Es512, &ECDSA_P521_SHA512_FIXED, 132),
            (Algorithm::Ed25519, JwsAlgorithm::EdDsa, &ED25519, 64),
        ];
        for (kind, algorithm, by, length) in cases {
            let key = PrivateKey::generate(kind).unwrap();
            for _ in 0..300 {
                let signature = key.sign_jws(algorithm, b"message").unwrap();
                assert_eq!(signature.len(), length, "{kind}");
                assert!(verifies(&key, by, &signature), "{kind}");
            }
        }
    }

    #[test]
    fn short_numbers_are_padded_and_long_ones_refused() {
        let short = [0x30, 7, 2, 2, 0x12, 0x34, 2, 1, 0x56];
        assert_eq!(concatenated(&short, 4).unwrap(), [0, 0, 0x12, 0x34, 0, 0, 0, 0x56]);
        assert_eq!(concatenated(&short, 1).unwrap_err(), KeyError::Failed);
    }

    #[test]
    fn rsa_signs_both_ways() {
        let key =
            rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
        let key = PrivateKey::from_pem(key.serialize_pem().as_bytes()).unwrap();
        let pkcs1 = key.sign_jws(JwsAlgorithm::Rs256, b"message").unwrap();
        assert!(verifies(&key, &RSA_PKCS1_2048_8192_SHA256, &pkcs1));
        let pss = key.sign_jws(JwsAlgorithm::Ps256, b"message").unwrap();
        assert!(verifies(&key, &RSA_PSS_2048_8192_SHA256, &pss));
        assert!(!verifies(&key, &RSA_PKCS1_2048_8192_SHA256, &pss));
    }

    #[test]
    fn a_key_of_another_kind_is_named() {
        let key = PrivateKey::generate(Algorithm::EcdsaP384Sha384).unwrap();
        let error = key.sign_jws(JwsAlgorithm::Es256, b"").unwrap_err();
        assert_eq!(error.to_string(), "ES256 is not for this key, which signs with ECDSA P-384 with SHA-384");
        assert!(key.sign_jws(JwsAlgorithm::Es384, &vec![0; MAX_MESSAGE_BYTES + 1]).is_err());
    }
}
