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
    Encoding, PlaceholderForm, Secret, SecretError, get, names,
};
