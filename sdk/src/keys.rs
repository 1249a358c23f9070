//! Private keys that stay in the operator: a plugin holds a handle and asks for signatures.

use crate::bindings::wasm_issuer::plugin::certificates;
use crate::bindings::wasm_issuer::plugin::keys::{self as host, SigningKey};
/// ```
/// use wasm_issuer_sdk::keys::{Algorithm, KeyError, VerifyError};
/// use wasm_issuer_sdk::{Failure, FailureKind};
///
/// let failure = Failure::from(KeyError::Unsupported(Algorithm::RsaPkcs1Sha256));
/// assert_eq!(failure.kind, FailureKind::Issuer);
/// let is_forged = |verdict: Result<(), VerifyError>| verdict == Err(VerifyError::OtherKey);
/// assert!(!is_forged(Ok(())));
/// ```
#[doc(inline)]
pub use crate::bindings::wasm_issuer::plugin::keys::{Algorithm, JwsAlgorithm, KeyError, VerifyError};
use crate::{Certificate, Failure, secrets};

/// What signs a certificate and looks at the signatures of others: a [`HostKey`], or a key of a test's own.
///
/// ```
/// use wasm_issuer_sdk::{Algorithm, Failure, Signer};
///
/// /// For unit tests of what does not look at signatures.
/// struct NoKey;
///
/// impl Signer for NoKey {
///     fn algorithm(&self) -> Algorithm {
///         Algorithm::Ed25519
///     }
///     fn public_key(&self) -> &[u8] {
///         &[]
///     }
///     fn sign(&self, _: &[u8]) -> Result<Vec<u8>, Failure> {
///         Ok(vec![0; 64])
///     }
/// }
/// ```
pub trait Signer {
    /// The algorithm that [`Signer::sign`] uses.
    fn algorithm(&self) -> Algorithm;
    /// The public key: the DER of a SubjectPublicKeyInfo.
    fn public_key(&self) -> &[u8];
    /// Hashes and signs the message. The signature has the form that X.509 wants.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Failure>;
    /// Whether a signature over `message` is accepted, by any key: a SubjectPublicKeyInfo and an AlgorithmIdentifier,
    /// both DER. By default it is the operator that says so, as it does later of the certificates that are issued; a
    /// test's own key has to do it itself.
    fn verify(
        &self,
        public_key: &[u8],
        algorithm: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), VerifyError> {
        host::verify(public_key, algorithm, message, signature)
    }
    /// Whether an answer with this chain would be accepted, by all rules that need no request; otherwise why not.
    /// Judged as [`Signer::verify`] is.
    fn judge(&self, certificate: &Certificate) -> Result<(), String> {
        certificates::judge(certificate)
    }
}

/// A private key in the operator.
///
/// ```no_run
/// use wasm_issuer_sdk::{HostKey, Signer};
///
/// # fn f() -> Result<(), wasm_issuer_sdk::Failure> {
/// let key = HostKey::from_secret("tls.key")?;
/// let signature = key.sign(b"a message")?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct HostKey {
    handle: SigningKey,
    algorithm: Algorithm,
    public_key: Vec<u8>,
}

impl HostKey {
    /// The private key that this key of the Issuer's Secret holds (PEM).
    ///
    /// ```no_run
    /// use wasm_issuer_sdk::HostKey;
    ///
    /// # fn f() -> Result<(), wasm_issuer_sdk::Failure> {
    /// let key = HostKey::from_secret("tls.key")?;
    /// # Ok(()) }
    /// ```
    pub fn from_secret(name: &str) -> Result<Self, Failure> {
        Ok(secrets::get(name)?.signing_key()?.into())
    }

    /// The private key in a JWE that this key of the Issuer's Secret holds the password of, as step-ca hands out.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{Failure, HostKey};
    /// fn key(encrypted_key: &str) -> Result<HostKey, Failure> {
    ///     HostKey::from_jwe("password", encrypted_key)
    /// }
    /// ```
    pub fn from_jwe(name: &str, jwe: &str) -> Result<Self, Failure> {
        Ok(secrets::get(name)?.encrypted_signing_key(jwe)?.into())
    }

    /// The key of that name, made at the first call and lost when the operator restarts.
    ///
    /// ```no_run
    /// use wasm_issuer_sdk::{Algorithm, HostKey};
    ///
    /// # fn f() -> Result<(), wasm_issuer_sdk::Failure> {
    /// let key = HostKey::ephemeral("root", Algorithm::EcdsaP384Sha384)?;
    /// # Ok(()) }
    /// ```
    pub fn ephemeral(name: &str, algorithm: Algorithm) -> Result<Self, Failure> {
        Ok(host::ephemeral(name, algorithm)?.into())
    }

    /// Hashes and signs a message of at most 64 KiB as a JSON Web Signature does: for a JWS its signing input, the
    /// encoded header and payload with a dot between. An algorithm that is not for the key is the Issuer's fault.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{Failure, HostKey, keys::JwsAlgorithm};
    /// # fn f(key: &HostKey, signing_input: &str) -> Result<(), Failure> {
    /// let signature = key.sign_jws(JwsAlgorithm::Es256, signing_input.as_bytes())?;
    /// # Ok(()) }
    /// ```
    pub fn sign_jws(&self, algorithm: JwsAlgorithm, message: &[u8]) -> Result<Vec<u8>, Failure> {
        Ok(self.handle.sign_jws(algorithm, message)?)
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
