//! The operator: watches Issuers and CertificateRequests and does what the decisions in [`wasm_issuer_core::issuance`] say.
//!
//! | task | what it does | ends when |
//! |---|---|---|
//! | `requests` | watches CertificateRequests, queues them fairly, handles many at a time | told to stop |
//! | `issuers` | watches both Issuer kinds, one task for each Issuer | the process ends |
//! | `events` | publishes Events behind the work | all others have ended |
//! | `leadership` | takes and holds Leases, where several replicas run | told to, when all else has ended |
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
mod leadership;
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
pub use leadership::ElectionConfig;
use leadership::{Election, Leadership};
use metrics::Metrics;
use registry::Registry;
pub use requests::Limits as RequestLimits;
use requests::{Requests, Signing};
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::info;
use wasm_issuer_core::issuance::request::RetryPolicy;
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
    /// How many requests are in flight.
    pub limits: RequestLimits,
    /// How many bytes what unfinished requests ask for may have in memory.
    pub request_memory: usize,
    /// How this process is called in Events: its pod's name.
    pub instance: String,
    /// How it agrees with other replicas on who works for which Issuers; none where it is the only one.
    pub election: Option<ElectionConfig>,
    /// Which Issuers are this operator's, by their labels; all where there is none.
    pub issuer_selector: Option<String>,
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
/// How long it may take then to let other replicas take over.
const RELEASE: Duration = Duration::from_secs(3);

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
    let synced = Synced::new();
    let election = options.election.map(|config| Election::new(client.clone(), config));
    let leadership = election.as_ref().map_or_else(Leadership::alone, Election::leadership);
    let (end, ended) = watch::channel(false);
    let scrape = scrape(metrics.clone(), registry.clone(), leadership.clone(), options.log_records_dropped);
    let (loader, selector) = (runtime, options.issuer_selector);
    let is_selective = selector.is_some();
    let issuers = Issuers::new(
        client.clone(),
        loader,
        settings,
        registry.clone(),
        events.clone(),
        leadership.clone(),
        metrics.clone(),
    )
    .selecting(selector);
    let policy_errors = metrics.policy_errors.clone();
    let policy = options.policy.follow(move || {
        policy_errors.inc();
    });
    let signing = Signing::new(client.clone(), registry, leadership, events, metrics, turns);
    let signing = Arc::new(signing.selective(is_selective));
    let requests =
        Requests::new(signing, synced.clone(), options.limits, FairBytes::new(options.request_memory));

    let tasks = Tasks {
        issuers: tokio::spawn(issuers.run(synced.clone())),
        requests: tokio::spawn(requests.run(client, issuer_changes, stop.clone())),
        health: tokio::spawn(health::serve(options.health_address, synced, scrape)),
        policy: tokio::spawn(policy),
        control_plane: tokio::spawn(options.control_plane.follow()),
        leadership: tokio::spawn(lead(election, stop.clone(), ended)),
    };
    info!(probes = %options.health_address, "started");
    let (result, leadership) = tasks.ended(options.health_address, &stop).await;
    // Every sender of Events has to go before the publisher ends; tasks of Issuers may still hold some.
    let _ = tokio::time::timeout(LAST_EVENTS, publisher).await;
    // Nothing is under way any more: others take over at once.
    end.send_replace(true);
    let _ = tokio::time::timeout(RELEASE, leadership).await;
    result
}

/// Take part in the election, if there is one, until the end.
async fn lead(election: Option<Election>, stop: watch::Receiver<bool>, mut end: watch::Receiver<bool>) {
    match election {
        Some(election) => election.run(stop, end).await,
        // The sender is kept until the end.
        None => drop(end.wait_for(|end| *end).await),
    }
}

/// What `/metrics` answers.
fn scrape(
    metrics: Arc<Metrics>,
    registry: Arc<Registry>,
    leadership: Leadership,
    log_records_dropped: Arc<dyn Fn() -> u64 + Send + Sync>,
) -> impl Fn() -> String + Clone + Send + Sync {
    move || {
        let dropped = log_records_dropped();
        metrics.log_records_dropped.inc_by(dropped.saturating_sub(metrics.log_records_dropped.get()));
        let (all, ready) = registry.count();
        metrics.issuers.set(all as i64);
        metrics.issuers_ready.set(ready as i64);
        metrics.shards_held.set(leadership.held() as i64);
        metrics.text()
    }
}

struct Tasks {
    issuers: JoinHandle<()>,
    requests: JoinHandle<()>,
    health: JoinHandle<std::io::Result<()>>,
    policy: JoinHandle<()>,
    control_plane: JoinHandle<()>,
    leadership: JoinHandle<()>,
}

impl Tasks {
    /// Wait for the first that ends, and say whether it was its time; the others are ended too, but for who leads: that one
    /// is returned.
    async fn ended(
        mut self,
        health: SocketAddr,
        stop: &watch::Receiver<bool>,
    ) -> (Result<(), OperatorError>, JoinHandle<()>) {
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
            _ = &mut self.leadership => Err(OperatorError::Ended("leadership")),
            served = self.health => match served {
                Ok(Err(error)) => Err(OperatorError::Health(health, error)),
                _ => Err(OperatorError::Ended("health")),
            },
        };
        for abort in aborts {
            abort.abort();
        }
        (result, self.leadership)
    }
}
