//! What a refusal or a warning says: which field of a certificate, and what is wrong with it.

use std::fmt::Display;

use crate::text;

/// The field of a [`Mismatch`] about how the certificates of a chain link up.
pub const CHAIN: &str = "chain";
/// The field of one about the CA certificates.
pub const CA: &str = "ca";
/// The field of one about names that a CA above may not give.
pub const NAME_CONSTRAINTS: &str = "nameConstraints";
/// The field of one about the time.
pub const VALIDITY: &str = "validity";

/// What is wrong with a certificate, with both values where there are two. The text is bounded and clean.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Mismatch {
    /// Which part of the certificate: one of few, for metrics.
    pub field: &'static str,
    /// What differs from what, for people.
    pub message: String,
}

impl Mismatch {
    pub(super) fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into() }
    }

    pub(super) fn empty() -> Self {
        Self::new(CHAIN, "it holds no certificate")
    }

    pub(super) fn between(field: &'static str, requested: impl Display, found: impl Display) -> Self {
        Self::new(field, format!("the request has {requested}; the certificate has {found}"))
    }
}

/// What a message shows of many items.
pub(super) fn list<T: Display>(items: impl ExactSizeIterator<Item = T>) -> String {
    text::list(items, 400)
}
