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

#[doc(inline)]
pub use crate::bindings::wasm_issuer::plugin::secrets::{
    Encoding, Hash, HmacKey, Pbm, PlaceholderForm, Secret, SecretError, get, names,
};

impl Secret {
    /// HMAC-SHA256 of one message, keyed with the decoded value: 32 bytes.
    pub fn hmac_sha256(&self, encoding: Encoding, message: &[u8]) -> Result<Vec<u8>, SecretError> {
        self.hmac(Hash::Sha256, &HmacKey::new(encoding), &[message.to_vec()])
    }
}

impl HmacKey {
    /// The decoded value.
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
    pub fn pbm(self, pbm: Pbm) -> Self {
        Self { pbm: Some(pbm), ..self }
    }
}
