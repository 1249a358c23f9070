//! The operator and the author's tools of wasm-issuer.
//!
//! Dependencies point downwards: [`cli`] and [`operator`] do the effects, [`policy`] bounds what Issuers may grant, [`api`]
//! holds the types that users see. Below them are crates that know no Kubernetes: `wasm_issuer_runtime` runs plugins and is
//! their way to the network, `wasm_issuer_oci` speaks to registries, by that way (`registry_http`), and
//! `wasm_issuer_core` decides, and reads keys and certificates.

pub mod api;
pub mod cli;
pub mod operator;
pub mod policy;
mod registry_http;
