//! Signatures that come without the name of their algorithm: the key alone tells it.

use super::{Hash, KeyKind, PublicKey, SignatureError, ecdsa, pkcs1};

impl PublicKey<'_> {
    /// Verifies a signature over `message` of which nothing else is known, as cosign makes them: ECDSA (DER) with the hash of
    /// the curve's own strength, or, of older versions, SHA-256; RSA PKCS #1 v1.5 with SHA-256. A key of another kind
    /// verifies none.
    pub fn verify_detached(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let algorithms = match self.kind {
            KeyKind::P256 => [ecdsa(self.kind, Hash::Sha256), None],
            KeyKind::P384 => [ecdsa(self.kind, Hash::Sha384), ecdsa(self.kind, Hash::Sha256)],
            KeyKind::P521 => [ecdsa(self.kind, Hash::Sha512), ecdsa(self.kind, Hash::Sha256)],
            KeyKind::Rsa => [pkcs1(Hash::Sha256), None],
            KeyKind::Ed25519 => [None, None],
        };
        let holds = algorithms
            .into_iter()
            .flatten()
            .any(|algorithm| algorithm.verify_sig(self.key, message, signature).is_ok());
        if holds { Ok(()) } else { Err(SignatureError::Invalid) }
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{self as lc, EcdsaKeyPair, KeyPair as _};

    use super::*;
    use crate::keys::{Algorithm, PrivateKey};
    use crate::x509::pem;

    fn verifies(spki: &[u8], message: &[u8], signature: &[u8]) -> bool {
        PublicKey::from_spki(spki).unwrap().verify_detached(message, signature).is_ok()
    }

    #[test]
    fn the_key_tells_the_algorithm() {
        let rsa = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap().serialize_der();
        let rsa = PrivateKey::from_pem(pem::encode("PRIVATE KEY", &rsa).as_bytes()).unwrap();
        let ecdsa = [Algorithm::EcdsaP256Sha256, Algorithm::EcdsaP384Sha384, Algorithm::EcdsaP521Sha512];
        let keys = ecdsa.map(|algorithm| PrivateKey::generate(algorithm).unwrap());
        for key in keys.iter().chain([&rsa]) {
            let signature = key.sign(b"message").unwrap();
            let spki = key.public_key_der();
            assert!(verifies(spki, b"message", &signature), "{key:?}");
            assert!(!verifies(spki, b"another", &signature), "{key:?}");
            assert!(!verifies(keys[0].public_key_der(), b"message", b""), "{key:?}");
        }
        assert!(!verifies(keys[1].public_key_der(), b"message", &keys[0].sign(b"message").unwrap()));
    }

    #[test]
    fn older_tools_sign_with_sha_256_whatever_the_curve() {
        use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
        // The library makes none with P-384, and verifies them like these.
        let pair = EcdsaKeyPair::generate(&lc::ECDSA_P521_SHA256_ASN1_SIGNING).unwrap();
        let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        let signature = pair.sign(&SystemRandom::new(), b"message").unwrap();
        assert!(verifies(spki.as_ref(), b"message", signature.as_ref()));
    }

    #[test]
    fn ed25519_is_not_one_of_them() {
        // cosign signs with the variant of it that hashes first (RFC 8032 section 5.1), which the library does not have.
        let key = PrivateKey::generate(Algorithm::Ed25519).unwrap();
        assert!(!verifies(key.public_key_der(), b"message", &key.sign(b"message").unwrap()));
    }
}
