//! Signatures of artifacts, as cosign makes them with a key: who has signed the manifest with this digest?
//!
//! There are two forms. cosign 3 makes bundles, which refer to the manifest that they sign; before, and still where it is
//! told to, it made "simple signing" payloads under a tag that has the digest in its name. Both are looked for. Neither
//! certificates nor transparency logs are: a key is trusted because whoever asks has named it.
//!
//! Who may write into a repository may put anything there, so of each form only so many are read, each of so many bytes,
//! and one that is of no use hides none of the others.

mod attach;
mod bundle;
mod claim;
mod key;
mod listing;
mod search;
mod simple;

#[cfg(test)]
mod tests;

pub use attach::{Attachment, SignError};
pub use claim::Fault;
pub use key::{InvalidSignerKey, SignerKey};
pub use search::{Unsigned, Unverified};
