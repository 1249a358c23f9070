//! The operator: watches Issuers and requests and does what the decisions in [`wasm_issuer_core::issuance`] say.
//!
//! | task | what it does | ends when |
//! |---|---|---|
//! | `requests` | watches CertificateRequests and CertificateSigningRequests, queues them fairly, handles many at a time | told to stop |
//! | `issuers` | watches both Issuer kinds, one task for each Issuer | the process ends |
//! | `events` | publishes Events behind the work | all others have ended |
//! | `health` | answers probes, and to Prometheus where it needs no permission | the process ends |
//! | `metrics` | answers to Prometheus where it needs one | the process ends |
//! | `leadership` | takes and holds Leases, where several replicas run | told to, when all else has ended |
//! | `policy` | reads the policy again when its file changes | the process ends |
//! | `control_plane` | finds the API server's addresses, which plugins must not reach | the process ends |
//!
//! The two sides, `issuers` and `requests`, know each other only by the registry.
//!
//! If one of them ends before its time the process ends with an error: Kubernetes restarts it, and nothing that
//! matters lives in memory alone.

mod api_turns;
mod apply;
mod audit;
mod clock;
mod control_plane;
mod events;
mod health;
mod issuers;
mod leadership;
mod metrics;
mod namespaces;
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
mod web;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use audit::Audit;
pub use audit::AuditOutput;
pub(crate) use clock::moment;
pub use control_plane::ControlPlane;
use events::Events;
use futures::future::{BoxFuture, FutureExt as _};
use health::Synced;
use issuers::{BadSelector, Issuers, Settings};
pub(crate) use issuers::{
    Dependency, Inadmissible, ObservedConfig, ObservedIssuer, RETRY, admit_component, admit_spec,
    plugin_bytes, retry_policy,
};
pub use issuers::{SourceError, account, gunzip};
use kube::Client;
pub use leadership::ElectionConfig;
use leadership::{Election, Leadership};
pub use metrics::{ISSUERS_WITH_SERIES, reference as metrics_reference};
use metrics::{Metrics, WatchedResource};
pub use namespaces::Namespaces;
use registry::Registry;
pub use requests::Limits as RequestLimits;
pub(crate) use requests::{Asked, RequestObject};
use requests::{Requests, Signing};
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::info;
use wasm_issuer_core::issuance::request::RetryPolicy;
use wasm_issuer_core::issuance::request_kind::RequestKind;
use wasm_issuer_runtime::{FairBytes, Folder, IssuerMemory, Runtime, RuntimeConfig, RuntimeError};
use web::{Access, Scrape, ServingCertificate, TlsError};

use crate::api::Quantity;
use crate::policy::PolicyFile;

/// How the operator runs.
pub struct Options {
    /// Where Issuers and requests are served.
    pub namespaces: Namespaces,
    /// Where a WasmClusterIssuer's ConfigMap and Secrets live; of no use where those are not served.
    pub cluster_resource_namespace: String,
    /// The folder of builtin plugins.
    pub builtin_dir: PathBuf,
    /// How much all Issuers may keep in memory, in bytes.
    pub issuer_memory: usize,
    /// What plugins run in, and what they may take of this process.
    pub runtime: RuntimeConfig,
    /// How large a plugin may be, whatever the policy says.
    pub max_component: Quantity,
    /// How many bytes of components from registries are kept in the runtime's cache folder.
    pub image_cache: u64,
    /// Where probes are answered, and metrics are served to anybody if nothing else is said.
    pub health_address: SocketAddr,
    /// How many Issuers have metrics of their own.
    pub issuers_with_metrics: usize,
    /// Where else metrics are served, and there alone.
    pub secure_metrics: Option<SecureMetrics>,
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
    /// How it agrees with other replicas on who works for which Issuers; none where it is the only one.
    pub election: Option<ElectionConfig>,
    /// Which Issuers are this operator's, by their labels; all where there is none.
    pub issuer_selector: Option<String>,
    /// How many log records were dropped since the start.
    pub log_records_dropped: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// Where each decision about a request is recorded, if anywhere.
    pub audit: Option<AuditOutput>,
}

/// Metrics for whoever has permission, by TLS.
pub struct SecureMetrics {
    /// Where they are served.
    pub address: SocketAddr,
    /// The folder of the certificate and the key; without one the operator makes its own.
    pub certificate: Option<PathBuf>,
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
    /// There is no thread for it.
    #[error("cannot start the audit: {0}")]
    Audit(std::io::Error),
    /// The metrics' address is taken, for instance.
    #[error("cannot serve metrics at {0}: {1}")]
    Metrics(SocketAddr, std::io::Error),
    /// The metrics' certificate is not there.
    #[error("--metrics-cert-dir: {0}")]
    Certificate(#[from] TlsError),
    /// The Issuers cannot be selected.
    #[error(transparent)]
    Selector(#[from] BadSelector),
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
    let images = options.runtime.cache_dir.as_ref().map(|dir| dir.join("images"));
    let image_folder = images.map(|dir| {
        Folder::shared(dir.clone(), options.image_cache).map_err(|error| RuntimeError::CacheDir {
            path: dir.display().to_string(),
            error: error.to_string(),
        })
    });
    let egress = options.runtime.egress.clone();
    let runtime = Runtime::new(options.runtime)?;
    let turns = runtime.turns();
    let namespaces = options.namespaces;
    let settings = Settings {
        namespaces: namespaces.clone(),
        builtin_dir: options.builtin_dir,
        cluster_resource_namespace: options.cluster_resource_namespace,
        retry: options.retry,
        policy: options.policy.policy(),
        max_component: options.max_component,
        memory: IssuerMemory::new(options.issuer_memory),
        turns: turns.clone(),
        egress,
        image_folder: image_folder.transpose()?,
    };
    let (registry, issuer_changes) = Registry::new();
    let metrics = Arc::new(Metrics::for_issuers(options.issuers_with_metrics));
    let (events, publisher) = Events::start(client.clone(), options.instance.clone(), metrics.clone());
    let synced = Synced::new(&namespaces, options.requests);
    let election = options.election.map(|config| Election::new(client.clone(), config));
    let leadership = election.as_ref().map_or_else(Leadership::alone, Election::leadership);
    let scrape =
        Scrape::new(metrics.clone(), registry.clone(), leadership.clone(), options.log_records_dropped);
    let secure = options.secure_metrics.map(|secure| secured(secure, &client, &scrape, &options.instance));
    let secure = secure.transpose()?;
    let probes = health::probes(synced.clone());
    let probes = if secure.is_some() { probes } else { probes.merge(web::open(scrape)) };
    let is_selective = options.issuer_selector.is_some();
    let issuers = Issuers::new(
        client.clone(),
        runtime,
        settings,
        registry.clone(),
        events.clone(),
        leadership.clone(),
        metrics.clone(),
    )
    .selecting(options.issuer_selector);
    let policy_errors = metrics.policy_errors.clone();
    let policy = options.policy.follow(move || {
        policy_errors.inc();
    });
    let audit = match options.audit {
        Some(output) => Audit::start(output, metrics.clone()).map_err(OperatorError::Audit)?,
        None => Audit::off(),
    };
    let hangups = audit.is_on().then(|| tokio::spawn(audit.clone().follow_hangups()));
    let (end, ended) = watch::channel(false);
    let leading = lead(election, stop.clone(), ended, metrics.clone());
    let signing = Signing::new(client.clone(), registry, leadership, events, metrics, audit.clone(), turns);
    let signing = Arc::new(signing.selective(is_selective));
    let memory = FairBytes::new(options.request_memory);
    let requests =
        Requests::new(options.requests, signing, synced.clone(), options.limits, memory, namespaces);

    let tasks = Tasks {
        issuers: tokio::spawn(issuers.run(synced.clone())),
        requests: tokio::spawn(requests.run(client, issuer_changes, stop.clone())),
        health: tokio::spawn(web::serve(options.health_address, None, probes)),
        metrics: tokio::spawn(async move {
            match secure {
                Some(serving) => serving.await,
                None => std::future::pending().await,
            }
        }),
        policy: tokio::spawn(policy),
        control_plane: tokio::spawn(options.control_plane.follow()),
        leadership: tokio::spawn(leading),
    };
    info!(probes = %options.health_address, "started");
    let (result, leadership) = tasks.ended(options.health_address, &stop).await;
    // Every sender of Events has to go before the publisher ends; tasks of Issuers may still hold some.
    let _ = tokio::time::timeout(LAST_EVENTS, publisher).await;
    // Nothing is under way any more: others take over at once.
    end.send_replace(true);
    let _ = futures::join!(audit.finish(), tokio::time::timeout(RELEASE, leadership));
    hangups.inspect(JoinHandle::abort);
    result
}

/// Take part in the election, if there is one, until the end.
async fn lead(
    election: Option<Election>,
    stop: watch::Receiver<bool>,
    mut end: watch::Receiver<bool>,
    metrics: Arc<Metrics>,
) {
    match election {
        Some(election) => election.run(stop, end, || metrics.watch_broke(WatchedResource::Leases)).await,
        // The sender is kept until the end.
        None => drop(end.wait_for(|end| *end).await),
    }
}

/// Serves metrics to whoever may read them, by TLS. `instance` is the name in a certificate of the operator's own.
fn secured(
    secure: SecureMetrics,
    client: &Client,
    scrape: &Arc<Scrape>,
    instance: &str,
) -> Result<BoxFuture<'static, Result<(), OperatorError>>, TlsError> {
    let (certificate, renewal) = match &secure.certificate {
        Some(folder) => {
            let (certificate, renewal) = ServingCertificate::in_folder(folder)?;
            (certificate, renewal.boxed())
        }
        None => (ServingCertificate::self_signed(instance)?, std::future::pending().boxed()),
    };
    let app = web::authorized(scrape.clone(), Arc::new(Access::new(client.clone())));
    let serving = async move {
        tokio::select! {
            () = renewal => Ok(()),
            served = web::serve(secure.address, Some(certificate), app) => {
                served.map_err(|error| OperatorError::Metrics(secure.address, error))
            }
        }
    };
    Ok(serving.boxed())
}

struct Tasks {
    issuers: JoinHandle<Result<(), BadSelector>>,
    requests: JoinHandle<()>,
    health: JoinHandle<std::io::Result<()>>,
    metrics: JoinHandle<Result<(), OperatorError>>,
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
            self.metrics.abort_handle(),
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
            ended = self.issuers => match ended {
                Ok(Err(bad)) => Err(bad.into()),
                _ => Err(OperatorError::Ended("issuers")),
            },
            _ = self.policy => Err(OperatorError::Ended("policy")),
            _ = self.control_plane => Err(OperatorError::Ended("control_plane")),
            _ = &mut self.leadership => Err(OperatorError::Ended("leadership")),
            served = self.health => match served {
                Ok(Err(error)) => Err(OperatorError::Health(health, error)),
                _ => Err(OperatorError::Ended("health")),
            },
            served = self.metrics => match served {
                Ok(Err(error)) => Err(error),
                _ => Err(OperatorError::Ended("metrics")),
            },
        };
        for abort in aborts {
            abort.abort();
        }
        (result, self.leadership)
    }
}
