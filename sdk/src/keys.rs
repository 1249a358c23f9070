//! Private keys that stay in the operator: a plugin holds a handle and asks for signatures.

#[doc(inline)]
pub use crate::bindings::wasm_issuer::plugin::keys::{Algorithm, KeyError};
use crate::bindings::wasm_issuer::plugin::keys::{SigningKey, ephemeral};
use crate::{Failure, secrets};

/// What signs a certificate: a [`HostKey`], or a key of a test's own.
pub trait Signer {
    /// The algorithm that [`Signer::sign`] uses.
    fn algorithm(&self) -> Algorithm;
    /// The public key: the DER of a SubjectPublicKeyInfo.
    fn public_key(&self) -> &[u8];
    /// Hashes and signs the message. The signature has the form that X.509 wants.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Failure>;
}

/// A private key in the operator.
#[derive(Debug)]
pub struct HostKey {
    handle: SigningKey,
    algorithm: Algorithm,
    public_key: Vec<u8>,
}

impl HostKey {
    /// The private key that this key of the Issuer's Secret holds (PEM).
    pub fn from_secret(name: &str) -> Result<Self, Failure> {
        Ok(secrets::get(name)?.signing_key()?.into())
    }

    /// The key of that name, made at the first call and lost when the operator restarts.
    pub fn ephemeral(name: &str, algorithm: Algorithm) -> Result<Self, Failure> {
        Ok(ephemeral(name, algorithm)?.into())
    }
}

impl From<SigningKey> for HostKey {
    fn from(handle: SigningKey) -> Self {
        Self { algorithm: handle.algorithm(), public_key: handle.public_key(), handle }
    }
}

impl Signer for HostKey {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Failure> {
        Ok(self.handle.sign(message)?)
    }
}
