//! What a signature claims, and whether it is so.

use wasm_issuer_core::text::clean;

use super::key::SignerKey;
use crate::digest::Digest;

/// The bytes of a payload or a bundle at most. A bundle with a certificate and a log's proofs has 10 KiB.
pub const MAX_BYTES: u64 = 64 << 10;

/// What was signed, by its own account. Nothing of it is believed before a key verifies it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The digests of the manifests that it is for.
    pub subjects: Vec<String>,
    /// The bytes that were signed.
    pub message: Vec<u8>,
    pub signature: Vec<u8>,
    /// The fingerprint of the key that it is by, where it says so.
    pub hint: Option<String>,
}

/// Why a signature is of no use. Displayed as what is said of a signature, or of several: `by another key`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// None of the keys that are asked for verifies it.
    #[error("by another key{}", .0.as_ref().map(|hint| format!(" ({hint}, as it says)")).unwrap_or_default())]
    OtherKey(Option<String>),
    /// It is for something else.
    #[error("for another manifest ({0})")]
    OtherManifest(String),
    /// Signed, but to say something else of the manifest than that it is good.
    #[error("of another kind ({0})")]
    OtherKind(String),
    /// More than any signature has.
    #[error("of {0} bytes, where at most {MAX_BYTES} are read")]
    TooLarge(u64),
    /// Not in the form that it is to have.
    #[error("that cannot be read ({0})")]
    Unreadable(String),
    /// The registry names it and does not send it.
    #[error("that the registry does not send ({0})")]
    Missing(String),
}

impl Claim {
    /// Which of the keys has signed the manifest with this digest.
    pub fn verify<'k>(&self, digest: &Digest, keys: &'k [SignerKey]) -> Result<&'k SignerKey, Fault> {
        let wanted = digest.to_string();
        if !self.subjects.contains(&wanted) {
            let first = self.subjects.first().map_or("none", String::as_str);
            return Err(Fault::OtherManifest(clean(first, 100)));
        }
        let signer = keys.iter().find(|key| key.verifies(&self.message, &self.signature));
        signer.ok_or_else(|| Fault::OtherKey(self.hint.clone()))
    }
}
