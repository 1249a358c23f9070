//! The operator, the plugin runtime and the author's tools of wasm-issuer.
//!
//! Dependencies point downwards: [`cli`] and [`operator`] do the effects; [`plugin`] runs components and knows no
//! Kubernetes; [`egress`] is their way to the network; [`issuance`] decides and knows neither a client nor wasmtime;
//! [`x509`] and [`keys`] are pure functions over bytes; [`api`] holds the types that users see.

pub mod api;
pub mod cli;
pub mod egress;
pub mod issuance;
pub mod keys;
pub mod operator;
pub mod plugin;
pub mod policy;
pub mod x509;
