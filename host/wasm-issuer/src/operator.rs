//! The operator: watches Issuers and requests and does what the decisions in [`wasm_issuer_core::issuance`] say.
//!
//! | task | what it does | ends when |
//! |---|---|---|
//! | `requests` | watches CertificateRequests and CertificateSigningRequests, queues them fairly, handles many at a time | told to stop |
//! | `issuers` | watches both Issuer kinds, one task for each Issuer | the process ends |
//! | `events` | publishes Events behind the work | all others have ended |
//! | `health` | answers probes | the process ends |
//! | `policy` | reads the policy again when its file changes | the process ends |
//! | `control_plane` | finds the API server's addresses, which plugins must not reach | the process ends |
//!
//! The two sides, `issuers` and `requests`, know each other only by the registry.
//!
//! If one of them ends before its time the process ends with an error: Kubernetes restarts it, and nothing that
//! matters lives in memory alone.

mod apply;
mod clock;
mod control_plane;
mod events;
mod health;
mod issuers;
mod metrics;
mod read;
mod registry;
mod requests;
mod shared;
mod signer;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod watching;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use control_plane::ControlPlane;
use events::Events;
use health::Synced;
use issuers::{Issuers, Settings};
pub use issuers::{SourceError, account, gunzip};
use kube::Client;
use metrics::Metrics;
use registry::Registry;
pub use requests::Limits as RequestLimits;
use requests::{Requests, Signing};
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::info;
use wasm_issuer_core::issuance::request::RetryPolicy;
use wasm_issuer_core::issuance::request_kind::RequestKind;
use wasm_issuer_runtime::{FairBytes, IssuerMemory, Runtime, RuntimeConfig, RuntimeError};

use crate::policy::PolicyFile;

/// How the operator runs.
pub struct Options {
    /// Where a WasmClusterIssuer's ConfigMap and Secrets live.
    pub cluster_resource_namespace: String,
    /// The folder of builtin plugins.
    pub builtin_dir: PathBuf,
    /// How much all Issuers may keep in memory, in bytes.
    pub issuer_memory: usize,
    /// What plugins run in, and what they may take of this process.
    pub runtime: RuntimeConfig,
    /// Where probes are answered and metrics are served.
    pub health_address: SocketAddr,
    /// What applies where an Issuer's spec has no `retry`.
    pub retry: RetryPolicy,
    /// What Issuers may grant to their plugins.
    pub policy: PolicyFile,
    /// What keeps that way from leading to the API server. It has looked once.
    pub control_plane: ControlPlane,
    /// Which kinds of requests are handled.
    pub requests: &'static [RequestKind],
    /// How many requests are in flight.
    pub limits: RequestLimits,
    /// How many bytes what unfinished requests ask for may have in memory.
    pub request_memory: usize,
    /// How this process is called in Events: its pod's name.
    pub instance: String,
    /// How many log records were dropped since the start.
    pub log_records_dropped: Arc<dyn Fn() -> u64 + Send + Sync>,
}

/// Why the operator ended.
#[derive(Debug, Error)]
pub enum OperatorError {
    /// The plugin runtime did not start.
    #[error("cannot start the plugin runtime: {0}")]
    Runtime(#[from] RuntimeError),
    /// The probes' address is taken, for instance.
    #[error("cannot serve probes at {0}: {1}")]
    Health(SocketAddr, std::io::Error),
    /// A task ended that must not.
    #[error("the {0} task ended before its time")]
    Ended(&'static str),
}

/// How long queued Events may take when the operator is stopped.
const LAST_EVENTS: Duration = Duration::from_secs(3);

/// Run until `stop` says so, then finish what is in flight.
pub async fn run(client: Client, options: Options, stop: watch::Receiver<bool>) -> Result<(), OperatorError> {
    let runtime = Runtime::new(options.runtime)?;
    let turns = runtime.turns();
    let settings = Settings {
        builtin_dir: options.builtin_dir,
        cluster_resource_namespace: options.cluster_resource_namespace,
        retry: options.retry,
        policy: options.policy.policy(),
        memory: IssuerMemory::new(options.issuer_memory),
        turns: turns.clone(),
    };
    let (registry, issuer_changes) = Registry::new();
    let metrics = Arc::new(Metrics::new());
    let (events, publisher) = Events::start(client.clone(), options.instance, metrics.clone());
    let synced = Synced::new(options.requests);
    let scrape = scrape(metrics.clone(), registry.clone(), options.log_records_dropped);
    let issuers =
        Issuers::new(client.clone(), runtime, settings, registry.clone(), events.clone(), metrics.clone());
    let policy_errors = metrics.policy_errors.clone();
    let policy = options.policy.follow(move || {
        policy_errors.inc();
    });
    let signing = Arc::new(Signing::new(client.clone(), registry, events, metrics, turns));
    let memory = FairBytes::new(options.request_memory);
    let requests = Requests::new(options.requests, signing, synced.clone(), options.limits, memory);

    let tasks = Tasks {
        issuers: tokio::spawn(issuers.run(synced.clone())),
        requests: tokio::spawn(requests.run(client, issuer_changes, stop.clone())),
        health: tokio::spawn(health::serve(options.health_address, synced, scrape)),
        policy: tokio::spawn(policy),
        control_plane: tokio::spawn(options.control_plane.follow()),
    };
    info!(probes = %options.health_address, "started");
    let result = tasks.ended(options.health_address, &stop).await;
    // Every sender of Events has to go before the publisher ends; tasks of Issuers may still hold some.
    let _ = tokio::time::timeout(LAST_EVENTS, publisher).await;
    result
}

/// What `/metrics` answers.
fn scrape(
    metrics: Arc<Metrics>,
    registry: Arc<Registry>,
    log_records_dropped: Arc<dyn Fn() -> u64 + Send + Sync>,
) -> impl Fn() -> String + Clone + Send + Sync {
    move || {
        let dropped = log_records_dropped();
        metrics.log_records_dropped.inc_by(dropped.saturating_sub(metrics.log_records_dropped.get()));
        let (all, ready) = registry.count();
        metrics.issuers.set(all as i64);
        metrics.issuers_ready.set(ready as i64);
        metrics.text()
    }
}

struct Tasks {
    issuers: JoinHandle<()>,
    requests: JoinHandle<()>,
    health: JoinHandle<std::io::Result<()>>,
    policy: JoinHandle<()>,
    control_plane: JoinHandle<()>,
}

impl Tasks {
    /// Wait for the first that ends, and say whether it was its time; the others are ended too.
    async fn ended(self, health: SocketAddr, stop: &watch::Receiver<bool>) -> Result<(), OperatorError> {
        let aborts = [
            self.issuers.abort_handle(),
            self.health.abort_handle(),
            self.policy.abort_handle(),
            self.control_plane.abort_handle(),
        ];
        let result = tokio::select! {
            // Checked first: the requests' task ends by itself when it is told to stop.
            biased;
            ended = self.requests => match ended {
                Ok(()) if *stop.borrow() => Ok(()),
                _ => Err(OperatorError::Ended("requests")),
            },
            _ = self.issuers => Err(OperatorError::Ended("issuers")),
            _ = self.policy => Err(OperatorError::Ended("policy")),
            _ = self.control_plane => Err(OperatorError::Ended("control_plane")),
            served = self.health => match served {
                Ok(Err(error)) => Err(OperatorError::Health(health, error)),
                _ => Err(OperatorError::Ended("health")),
            },
        };
        for abort in aborts {
            abort.abort();
        }
        result
    }
}
