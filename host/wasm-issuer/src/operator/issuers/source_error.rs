//! Why something that an Issuer names could not be read.

use thiserror::Error;
use wasm_issuer_core::issuance::issuer::CheckFailure;
use wasm_issuer_oci::{IdentityToken, Unsigned};

use crate::api::ReferenceError;
use crate::policy::Violation;

/// How many keys a Secret may have: their values are looked for in all that plugins write, one after the other.
pub const MAX_KEYS: usize = 256;

/// Why something that an Issuer names could not be read. The texts name the object, the field and the fix.
#[derive(Debug, Error)]
pub enum SourceError {
    /// No such ConfigMap or Secret.
    #[error(r#"{kind} "{namespace}/{name}" not found (named by {field})"#)]
    NotFound {
        /// `ConfigMap` or `Secret`.
        kind: &'static str,
        /// Where it was looked for.
        namespace: String,
        /// `metadata.name` of the object.
        name: String,
        /// The field of the Issuer that names it.
        field: &'static str,
    },
    /// A ConfigMap without the key.
    #[error(r#"ConfigMap "{namespace}/{name}" has no key "{key}" in binaryData (named by spec.plugin.configMap.key); it has {found}"#)]
    NoKey {
        /// The ConfigMap's namespace.
        namespace: String,
        /// `metadata.name` of the ConfigMap.
        name: String,
        /// The key looked for.
        key: String,
        /// The keys that there are.
        found: String,
    },
    /// The key is under `data`, where text belongs.
    #[error(r#"key "{key}" of ConfigMap "{namespace}/{name}" is in data; a component is binary and belongs in binaryData (kubectl create configmap --from-file does that)"#)]
    TextKey {
        /// The ConfigMap's namespace.
        namespace: String,
        /// `metadata.name` of the ConfigMap.
        name: String,
        /// The key looked for.
        key: String,
    },
    /// A Secret that exists, with nothing in it to lend to a plugin.
    #[error(r#"Secret "{namespace}/{name}" (named by {field}) has no keys"#)]
    EmptySecret {
        /// The Secret's namespace.
        namespace: String,
        /// `metadata.name` of the Secret.
        name: String,
        /// The field of the Issuer that names it.
        field: &'static str,
    },
    /// A Secret with more keys than are looked for in what plugins write.
    #[error(
        r#"Secret "{namespace}/{name}" (named by {field}) has {keys} keys; at most {MAX_KEYS} are accepted"#
    )]
    ManyKeys {
        /// The Secret's namespace.
        namespace: String,
        /// `metadata.name` of the Secret.
        name: String,
        /// How many it has.
        keys: usize,
        /// The field of the Issuer that names it.
        field: &'static str,
    },
    /// Not what gzip writes, or too much of it.
    #[error("{source_name}: the gzip data is {problem}")]
    Gzip {
        /// The ConfigMap and its key.
        source_name: String,
        /// Broken or too large.
        problem: String,
    },
    /// `spec.plugin.builtin` names a plugin that the operator's image does not ship.
    #[error("no builtin plugin \"{name}\" (spec.plugin.builtin); this operator has {found}")]
    NoBuiltin {
        /// What `spec.plugin.builtin` says.
        name: String,
        /// The names that there are.
        found: String,
    },
    /// A reference that is none.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// The registry, or what is in it.
    #[error("image {reference} (spec.plugin.image.reference): {error}{fix}")]
    Image {
        /// In full.
        reference: String,
        /// What went wrong there.
        error: wasm_issuer_oci::Error,
        /// What would mend it, with `; ` in front, where that can be told.
        fix: String,
    },
    /// An image that none of the policy's keys has signed.
    #[error(
        "image {image} (spec.plugin.image.reference): {found}; sign it: cosign sign --key FILE {image} (docs/oci.md); {violation}"
    )]
    Unsigned {
        /// The registry, the repository and the digest.
        image: String,
        /// What there is in place of such a signature.
        found: Unsigned,
        /// What the policy says about it.
        violation: Violation,
    },
    /// An entry of the pull Secret that is of no use.
    #[error(r#"Secret "{secret}" (named by spec.plugin.image.pullSecretName): {error}"#)]
    PullSecret {
        /// Its namespace and name.
        secret: String,
        /// What is wrong with the entry.
        error: IdentityToken,
    },
    /// A policy that has changed since the spec was judged.
    #[error("the operator's policy does not allow the registry {0}")]
    RegistryForbidden(String),
    /// The API server did not answer, or has trouble of its own.
    #[error("could not read {what}: {error}")]
    Unanswered {
        /// The kind, namespace and name of an object.
        what: String,
        /// What the API server said, if anything.
        error: String,
    },
    /// The API server or the disk refused.
    #[error("could not read {what}: {error}")]
    Unreadable {
        /// The kind, namespace and name of an object, or the name of a file.
        what: String,
        /// What the API server or the system said.
        error: String,
    },
}

impl From<SourceError> for CheckFailure {
    /// Nobody is at fault where the API server does not answer.
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Unanswered { .. } => Self::unknown(error),
            SourceError::Reference(error) => Self::permanent(error),
            _ => Self::passing(error),
        }
    }
}
