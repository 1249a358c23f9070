//! What to do about an observed object: pure decisions, values in and values out, the clock an argument.
//!
//! The words of conditions and Events are issuer-lib's (cert-manager's library for external issuers), so that
//! people and tools that know one of its issuers know this one.

pub mod approval;
pub mod audit;
pub mod backoff;
pub mod blame;
pub mod condition;
pub mod issuer;
pub mod outcome;
pub mod plan;
pub mod reason;
pub mod request;
pub mod request_issuer;
pub mod request_kind;
pub mod request_spec;
pub mod signer;
pub mod verify;
pub mod write;

#[cfg(test)]
mod testing;

/// The API group of the Issuer kinds, which messages name.
pub const GROUP: &str = "wasm-issuer.dev";
/// The field manager of every status write, and the reporter of every Event.
pub const FIELD_MANAGER: &str = "wasm-issuer.dev";
