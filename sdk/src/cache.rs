//! A small store in the operator's memory that outlives a call: a CA certificate, an access token. It belongs to this
//! Issuer alone and is emptied when the Issuer's spec, its Secret or its plugin changes.

use crate::Failure;
#[doc(inline)]
pub use crate::bindings::wasm_issuer::plugin::cache::{CacheError, get, get_or_set, set};

/// The value stored under the key, or the one that `make` makes. Of calls that run at the same time all get the value
/// of the first.
pub fn get_or_make(
    key: &str,
    ttl_seconds: Option<u32>,
    make: impl FnOnce() -> Result<Vec<u8>, Failure>,
) -> Result<Vec<u8>, Failure> {
    match get(key) {
        Some(value) => Ok(value),
        None => Ok(get_or_set(key, &make()?, ttl_seconds)?),
    }
}
