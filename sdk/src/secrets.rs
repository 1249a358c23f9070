//! The Secret that the Issuer names in `spec.authSecretName`: its values are used through handles, without reading
//! them.
//!
//! [`SecretError`] turns into a [`Failure`](crate::Failure), so `?` is all the error handling that most plugins need:
//!
//! ```no_run
//! # use wasm_issuer_sdk::{Failure, secrets::{self, PlaceholderForm}};
//! fn authorization() -> Result<String, Failure> {
//!     // The operator replaces the token on the way out, and only in requests to the granted hosts.
//!     let token = secrets::get("token")?.placeholder(&PlaceholderForm::Plain)?;
//!     Ok(format!("Bearer {token}"))
//! }
//! ```

/// ```no_run
/// use wasm_issuer_sdk::secrets::{self, Encoding, Secret, SecretError};
///
/// fn tag(message: &[u8]) -> Result<Vec<u8>, SecretError> {
///     let key: Secret = secrets::get("hmac-key")?;
///     key.hmac_sha256(Encoding::Hex, message)
/// }
///
/// fn has_token() -> bool {
///     secrets::names().iter().any(|name| name == "token")
/// }
/// ```
#[doc(inline)]
pub use crate::bindings::wasm_issuer::plugin::secrets::{
    Encoding, Hash, HmacKey, Pbm, PlaceholderForm, Secret, SecretError, get, names,
};

impl Secret {
    /// HMAC-SHA256 of one message, keyed with the decoded value: 32 bytes.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{Failure, secrets::{self, Encoding}};
    /// # fn f() -> Result<(), Failure> {
    /// let tag = secrets::get("hmac-key")?.hmac_sha256(Encoding::Hex, b"a message")?;
    /// # Ok(()) }
    /// ```
    pub fn hmac_sha256(&self, encoding: Encoding, message: &[u8]) -> Result<Vec<u8>, SecretError> {
        self.hmac(Hash::Sha256, &HmacKey::new(encoding), &[message.to_vec()])
    }
}

impl HmacKey {
    /// The decoded value.
    ///
    /// ```
    /// use wasm_issuer_sdk::secrets::{Encoding, HmacKey};
    ///
    /// let key = HmacKey::new(Encoding::Base64);
    /// ```
    pub fn new(encoding: Encoding) -> Self {
        Self { encoding, prefix: Vec::new(), pbm: None }
    }

    /// What stands in front of the decoded value; at most 64 bytes.
    ///
    /// ```no_run
    /// # use wasm_issuer_sdk::{Failure, secrets::{self, Encoding, Hash, HmacKey}};
    /// /// The signature of AWS Signature Version 4: the operator computes the chain, the plugin sees its end.
    /// fn signature(date: &str, region: &str, to_sign: &str) -> Result<Vec<u8>, Failure> {
    ///     let key = HmacKey::new(Encoding::Raw).prefix("AWS4");
    ///     let chain = [date, region, "acm-pca", "aws4_request", to_sign].map(|part| part.as_bytes().to_vec());
    ///     Ok(secrets::get("secret-access-key")?.hmac(Hash::Sha256, &key, &chain)?)
    /// }
    /// ```
    pub fn prefix(self, prefix: impl Into<Vec<u8>>) -> Self {
        Self { prefix: prefix.into(), ..self }
    }

    /// Makes the key of a password as CMP does (RFC 9810 section 5.1.3.1).
    ///
    /// ```
    /// use wasm_issuer_sdk::secrets::{Encoding, Hash, HmacKey, Pbm};
    ///
    /// let pbm = Pbm { hash: Hash::Sha256, salt: vec![7; 16], iterations: 1024 };
    /// let key = HmacKey::new(Encoding::Raw).pbm(pbm);
    /// ```
    pub fn pbm(self, pbm: Pbm) -> Self {
        Self { pbm: Some(pbm), ..self }
    }
}
