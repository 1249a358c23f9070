//! What to do about an observed object: pure decisions, values in and values out, the clock an argument.
//!
//! The words of conditions and Events are issuer-lib's (cert-manager's library for external issuers), so that
//! people and tools that know one of its issuers know this one.

pub mod backoff;
pub mod condition;
pub mod issuer;
pub mod plan;
pub mod request;
pub mod signer;
pub mod text;
pub mod verify;
