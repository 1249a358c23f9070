//! What the cluster tests share: the operator as a process, a namespace for each test, keys and CSRs, and a look at
//! certificates that uses none of the operator's own code.
//!
//! `make test-cluster` runs the tests. They need the cluster that `test/cluster/run.sh` starts and touch no other: without
//! its environment each test fails at once. `WASM_ISSUER_BINARY` is the operator that is tested
//! (`target/debug/wasm-issuer`), `WASM_ISSUER_PLUGINS` the folder of its plugins (`target/wasm32-wasip2/plugin`).

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "these are tests: what does not work shall fail, with its place"
)]

pub mod certificate;
pub mod cluster;
pub mod csr;
pub mod der;
pub mod keys;
pub mod object;
pub mod operator;
pub mod test;

pub use certificate::Issued;
pub use cluster::{cert_manager_runs, e2e, e2e_alone, is_our_cluster, skip};
pub use csr::Csr;
pub use keys::{Key, KeyKind};
pub use object::{Kind, Object};
pub use operator::Operator;
pub use test::{Test, cluster_issuer_ref, issuer_ref};

/// How long anything may take that is expected to happen soon.
pub const SOON: std::time::Duration = std::time::Duration::from_secs(10);
