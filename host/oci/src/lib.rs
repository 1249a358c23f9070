//! WebAssembly components in OCI registries: the distribution protocol, as far as it takes to pull and push one, and
//! to know who has signed it.
//!
//! The crate has no network of its own: what sends a request is [`Http`], whose owner decides which servers and addresses
//! may be reached. So redirects are followed here, by hand, each as a request of its own that is judged like the first.
//! `oci-client` brings its own connections, resolver and redirects, which would lead around those rules; `oci-spec` brings
//! a second version of a dozen macro crates for the two formats that are read here in a page each.
//!
//! Whatever a registry sends is bounded, then parsed, and its digest is compared.

mod body;
mod challenge;
mod client;
mod digest;
mod docker_config;
mod error;
mod manifest;
mod pages;
mod push;
mod reference;
mod signature;
mod transport;

#[cfg(test)]
mod tests;

pub use client::{Access, Registry, Scheme};
pub use digest::{Digest, InvalidDigest};
pub use docker_config::{Credentials, DockerConfig, DockerConfigError, IdentityToken};
pub use error::{Answer, Error};
pub use manifest::{COMPONENT_TYPE, CONFIG_TYPE, Layer, MANIFEST_TYPE, Manifest, NoComponent};
pub use push::Component;
pub use reference::{InvalidReference, Reference};
pub use signature::{Attachment, Fault, InvalidSignerKey, SignError, SignerKey, Unsigned, Unverified};
pub use transport::{Body, Http, HttpError};

/// How many requests a registry is sent at most by one of the calls here, those for tokens included.
pub const MAX_REQUESTS: usize = 128;
