//! A small store in the operator's memory that outlives a call: a CA certificate, an access token. It belongs to this
//! Issuer alone and is emptied when the Issuer's spec, its Secret or its plugin changes.

use crate::Failure;
/// ```no_run
/// use wasm_issuer_sdk::{cache, cache::CacheError};
///
/// fn token(ask: impl Fn() -> Vec<u8>) -> Result<Vec<u8>, CacheError> {
///     if let Some(token) = cache::get("token") {
///         return Ok(token);
///     }
///     let token = ask();
///     cache::set("token", &token, Some(300))?;
///     // Of calls that came this far together, all but one made theirs in vain:
///     cache::get_or_set("token", &token, Some(300))
/// }
/// ```
#[doc(inline)]
pub use crate::bindings::wasm_issuer::plugin::cache::{CacheError, get, get_or_set, set};

/// The value stored under the key, or the one that `make` makes. Of calls that run at the same time all get the value
/// of the first.
///
/// ```no_run
/// use wasm_issuer_sdk::{Failure, cache, http};
///
/// /// Asked for once an hour.
/// fn ca() -> Result<Vec<u8>, Failure> {
///     cache::get_or_make("ca", Some(3600), || {
///         Ok(http::get("https://ca.example.com/ca.pem").send()?.success()?.body)
///     })
/// }
/// ```
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
