//! Keys that one Issuer's plugin asks for by name and that live as long as the process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Algorithm, KeyError, PrivateKey};

/// How many names one Issuer may have.
pub const MAX_EPHEMERAL_KEYS: usize = 8;
/// How long a name may be.
pub const MAX_KEY_NAME_BYTES: usize = 63;

/// One Issuer's ephemeral keys.
#[derive(Debug, Default)]
pub struct EphemeralKeys(Mutex<BTreeMap<String, Arc<PrivateKey>>>);

impl EphemeralKeys {
    /// The key of that name, made at the first call. Asked for with another algorithm, a new key takes its place.
    pub fn get_or_make(&self, name: &str, algorithm: Algorithm) -> Result<Arc<PrivateKey>, KeyError> {
        if name.len() > MAX_KEY_NAME_BYTES {
            return Err(KeyError::LimitExceeded(format!(
                "a key's name has at most {MAX_KEY_NAME_BYTES} bytes"
            )));
        }
        // The lock is held while a key is made, 2 ms at worst, so that two calls at once get the same one. No
        // panic can leave the map half-written.
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match keys.get(name) {
            Some(key) if key.algorithm() == algorithm => return Ok(key.clone()),
            None if keys.len() >= MAX_EPHEMERAL_KEYS => {
                return Err(KeyError::LimitExceeded(format!(
                    "an Issuer has at most {MAX_EPHEMERAL_KEYS} keys"
                )));
            }
            _ => {}
        }
        let key = Arc::new(PrivateKey::generate(algorithm)?);
        keys.insert(name.to_owned(), key.clone());
        Ok(key)
    }
}
