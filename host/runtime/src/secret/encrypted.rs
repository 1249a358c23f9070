//! Keys that a server keeps and a value of the Secret decrypts.

use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256, digest};
use wasm_issuer_core::keys::PrivateKey;

use super::{Decrypted, InvalidValue, SecretValue};
use crate::lock::lock;

impl SecretValue {
    /// The key that this value decrypted from this JWE before, if it was the last one of its Secret.
    pub fn kept_key(&self, jwe: &str) -> Option<Arc<PrivateKey>> {
        let sha256 = self.with(jwe);
        let kept = lock(&self.stored.decrypted);
        kept.as_ref().filter(|kept| kept.sha256 == sha256).map(|kept| kept.key.clone())
    }

    /// The private key in a JWE (RFC 7516) that the value, without white space at the ends, is the password of. Takes
    /// some tens of milliseconds.
    pub fn encrypted_key(&self, jwe: &str) -> Result<Arc<PrivateKey>, InvalidValue> {
        let key =
            PrivateKey::from_jwe(jwe, self.bytes().trim_ascii()).map_err(|error| self.invalid(error))?;
        let key = Arc::new(key);
        *lock(&self.stored.decrypted) = Some(Decrypted { sha256: self.with(jwe), key: key.clone() });
        Ok(key)
    }

    fn with(&self, jwe: &str) -> Vec<u8> {
        let mut both = Context::new(&SHA256);
        both.update(digest(&SHA256, self.bytes()).as_ref());
        both.update(jwe.as_bytes());
        both.finish().as_ref().to_vec()
    }
}
