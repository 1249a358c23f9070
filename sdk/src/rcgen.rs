//! [rcgen](https://docs.rs/rcgen) with a key that stays in the operator (feature `rcgen`).
//!
//! rcgen re-encodes names and keeps one value per attribute type: good for a root of one's own, not for a leaf, whose
//! subject must be the request's. [`CertificateBuilder`](crate::CertificateBuilder) keeps it.

use rcgen::{Error, PublicKeyData, SignatureAlgorithm, SigningKey};

use crate::{Algorithm, Failure, Signer};

/// A key as rcgen wants it.
///
/// ```no_run
/// use rcgen::CertificateParams;
/// use wasm_issuer_sdk::rcgen::RcgenKey;
/// use wasm_issuer_sdk::{Failure, HostKey};
///
/// fn root(key: &HostKey) -> Result<Vec<u8>, Failure> {
///     let params = CertificateParams::default();
///     let root = params.self_signed(&RcgenKey::new(key)?).map_err(Failure::issuer)?;
///     Ok(root.der().to_vec())
/// }
/// ```
#[derive(Debug)]
pub struct RcgenKey<'a, K> {
    key: &'a K,
    /// The BIT STRING's content.
    public_key: Vec<u8>,
    algorithm: &'static SignatureAlgorithm,
}

impl<'a, K: Signer> RcgenKey<'a, K> {
    /// Fails for P-521, which rcgen only knows with a cryptography library inside.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{Failure, HostKey, rcgen::RcgenKey};
    /// # fn f(key: &HostKey) -> Result<(), Failure> {
    /// let key = RcgenKey::new(key)?;
    /// # Ok(()) }
    /// ```
    pub fn new(key: &'a K) -> Result<Self, Failure> {
        let algorithm = match key.algorithm() {
            Algorithm::EcdsaP256Sha256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Algorithm::EcdsaP384Sha384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            Algorithm::Ed25519 => &rcgen::PKCS_ED25519,
            Algorithm::RsaPkcs1Sha256 => &rcgen::PKCS_RSA_SHA256,
            Algorithm::EcdsaP521Sha512 => return Err(Failure::issuer("rcgen does not sign with P-521 keys")),
        };
        let public_key = crate::parsed::public_key_bits(key.public_key())?;
        Ok(Self { key, public_key, algorithm })
    }
}

impl<K: Signer> PublicKeyData for RcgenKey<'_, K> {
    fn der_bytes(&self) -> &[u8] {
        &self.public_key
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.algorithm
    }
}

impl<K: Signer> SigningKey for RcgenKey<'_, K> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.key.sign(message).map_err(|failure| {
            crate::log::error(format!("the host's key did not sign: {}", failure.message));
            Error::RemoteKeyError
        })
    }
}
