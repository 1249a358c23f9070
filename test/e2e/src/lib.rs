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

use std::time::Duration;

pub mod cert_manager;
pub mod certificate;
pub mod cluster;
pub mod cluster_servers;
pub mod component;
pub mod cosign;
pub mod counter;
pub mod csr;
pub mod der;
pub mod issuance;
pub mod judgement;
pub mod keys;
pub mod leases;
pub mod object;
pub mod operator;
pub mod process;
pub mod proxy;
pub mod registry;
pub mod samples;
pub mod server;
pub mod side;
pub mod signing_request;
pub mod situations;
pub mod test;
pub mod wire;

pub use cert_manager::has_cert_manager;
pub use certificate::Issued;
pub use cluster::{cert_manager_runs, e2e, e2e_alone, is_our_cluster, skip};
pub use counter::Counter;
pub use csr::Csr;
pub use issuance::{cluster_issuer_ref, issuer_ref};
pub use keys::{Key, KeyKind};
pub use object::{Kind, Object};
pub use operator::{Launch, Operator};
pub use process::Process;
pub use proxy::{Fault, Proxy};
pub use server::{Answer, Server};
pub use side::Side;
pub use situations::{Made, Situation};
pub use test::Test;
pub use wire::Wire;

/// How long anything may take that is waited for. A wait ends when it happens, so this costs nothing until it does not,
/// and a build may have all cores meanwhile: that must fail no test.
pub const SOON: Duration = Duration::from_secs(120);
/// What a well-behaved Issuer's request takes while others misbehave, but for a few, stays below this. Undisturbed it is
/// below 0.1 s, and in turn with what disturbs it, a plugin that loops or one that takes long to compile, it would be
/// more.
pub const UNDISTURBED: Duration = Duration::from_secs(10);
