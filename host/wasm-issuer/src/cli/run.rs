//! `wasm-issuer run`

mod budgets;
mod egress;
mod metrics;
mod replicas;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use budgets::Budgets;
use clap::{ArgAction, Args};
use metrics::MetricsArgs;
use replicas::Replicas;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::watch;
use tracing::{info, warn};
use wasm_issuer_core::issuance::backoff::Backoff;
use wasm_issuer_core::issuance::request::RetryPolicy;
use wasm_issuer_core::issuance::request_kind::RequestKind;
use wasm_issuer_runtime::egress::EgressConfig;
use wasm_issuer_runtime::redact_panics;

use super::client;
use super::logging::Logging;
use crate::api::{GoDuration, IssuerKind, Quantity};
use crate::operator::{self, AuditOutput, ControlPlane, Namespaces, Options, RETRY, RequestLimits};
use crate::policy::PolicyFile;

const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

#[derive(Args)]
pub struct RunArgs {
    /// Serve the WasmIssuers and requests of these namespaces only, and neither WasmClusterIssuers nor Kubernetes'
    /// CertificateSigningRequests: Roles there are all the rights that are needed (docs/rbac.md). Default: all namespaces.
    #[arg(long, env = "WASM_ISSUER_WATCH_NAMESPACES", value_name = "NAMESPACE,...", value_delimiter = ',')]
    watch_namespaces: Vec<String>,
    /// The namespace of the ConfigMaps and Secrets that WasmClusterIssuers name. In a cluster the default is the
    /// operator's own namespace.
    #[arg(long, env = "WASM_ISSUER_CLUSTER_RESOURCE_NAMESPACE", value_name = "NAMESPACE")]
    cluster_resource_namespace: Option<String>,
    /// The folder that holds the builtin plugins, one <NAME>.wasm each.
    #[arg(long, env = "WASM_ISSUER_BUILTIN_DIR", default_value = "/plugins", value_name = "FOLDER")]
    builtin_dir: PathBuf,
    /// A private folder for compiled plugins, so that a restart does not compile them again. What is in it is native
    /// code that the operator runs: nobody else may write there. Default: none.
    #[arg(long, env = "WASM_ISSUER_CACHE_DIR", value_name = "FOLDER")]
    cache_dir: Option<PathBuf>,
    #[command(flatten)]
    budgets: Budgets,
    #[command(flatten)]
    replicas: Replicas,
    /// The policy: a YAML file that bounds what Issuers may grant to their plugins (docs/policy.md). It is read again when
    /// it changes. Default: tenants reach public hosts by https and reveal nothing, administrators decide for themselves.
    #[arg(long, env = "WASM_ISSUER_POLICY", value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Where each decision about a request is recorded, as a line of JSON (docs/audit.md): a file, which is opened again on
    /// SIGHUP or when it was moved away, or - for stdout. Default: nowhere.
    #[arg(long, env = "WASM_ISSUER_AUDIT", value_name = "FILE|-")]
    audit: Option<PathBuf>,
    /// Where /healthz and /readyz are served, and /metrics unless --secure-metrics-address is given.
    #[arg(
        long,
        env = "WASM_ISSUER_HEALTH_ADDRESS",
        default_value = "[::]:8081",
        value_name = "ADDRESS:PORT"
    )]
    health_address: SocketAddr,
    #[command(flatten)]
    metrics: MetricsArgs,
    /// How long a request may be retried after passing errors before it becomes Failed, which costs its Certificate an
    /// hour or more. It counts from the request's creation or approval, or from when its Issuer became ready, whichever
    /// was last. An Issuer's spec.retry.maxDuration comes first.
    #[arg(long, default_value_t = GoDuration(RETRY.max_duration), value_name = "DURATION")]
    max_retry_duration: GoDuration,
    /// The shortest time between two tries of a request.
    #[arg(long, default_value_t = GoDuration(RETRY.backoff.min), value_name = "DURATION")]
    min_backoff: GoDuration,
    /// The longest time between two tries of a request.
    #[arg(long, default_value_t = GoDuration(RETRY.backoff.max), value_name = "DURATION")]
    max_backoff: GoDuration,
    /// Whether Kubernetes' own CertificateSigningRequests are signed too. If not, the operator does not even watch them, and
    /// needs none of the rights for that. With --watch-namespaces they never are: they are in no namespace.
    #[arg(
        long,
        env = "WASM_ISSUER_KUBERNETES_CSRS",
        default_value_t = true,
        action = ArgAction::Set,
        value_name = "true|false"
    )]
    kubernetes_csrs: bool,
    /// How many requests are worked on at a time.
    #[arg(long, default_value_t = 128, value_name = "N")]
    max_in_flight: usize,
    /// How many of them may be for one Issuer.
    #[arg(long, default_value_t = 32, value_name = "N")]
    max_in_flight_per_issuer: usize,
    /// How many of them may be of one namespace.
    #[arg(long, default_value_t = 64, value_name = "N")]
    max_in_flight_per_namespace: usize,
    /// How much memory requests that wait may have, and those of one namespace half as much; what is over is read again when
    /// its turn comes.
    #[arg(long, default_value = "32Mi", value_name = "QUANTITY")]
    request_memory: Quantity,
}

/// Run the operator until SIGTERM or SIGINT.
pub fn run(args: RunArgs, logging: Logging) -> anyhow::Result<()> {
    redact_panics();
    let dropped = logging.dropped.clone();
    raise_file_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the executor")?;
    runtime.spawn(logging.level.follow());
    runtime.block_on(async {
        // Two crates of the tree could each bring a provider; this makes the choice explicit.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let config = client::config(None).await?;
        let api_server = config.cluster_url.clone();
        let client = client::client(config)?;
        let egress = args.budgets.egress().with_proxy_from_env();
        let env = |name: &str| std::env::var(name).ok();
        let control_plane = egress::without_api_server(&egress, client.clone(), &api_server, env).await;
        let options = args.options(egress, control_plane, Arc::new(move || dropped.count()))?;
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(async move {
            if let Ok(signal) = shutdown().await {
                info!(signal, "stopping");
                stop.send_replace(true);
            }
        });
        Ok(operator::run(client, options, stopped).await?)
    })
}

impl RunArgs {
    fn options(
        self,
        egress: EgressConfig,
        control_plane: ControlPlane,
        log_records_dropped: Arc<dyn Fn() -> u64 + Send + Sync>,
    ) -> anyhow::Result<Options> {
        let namespaces = Namespaces::of(&self.watch_namespaces).context("--watch-namespaces")?;
        let namespace = match self.cluster_resource_namespace {
            Some(namespace) => namespace,
            None if !namespaces.serves(IssuerKind::Cluster) => String::new(),
            None => own_namespace().context(
                "outside a cluster, --cluster-resource-namespace is needed: the namespace of the Secrets and \
                 ConfigMaps of WasmClusterIssuers",
            )?,
        };
        let instance =
            std::env::var("POD_NAME").unwrap_or_else(|_| format!("wasm-issuer-{}", std::process::id()));
        let election = self.replicas.election(&instance, own_namespace)?;
        let policy = self.policy.as_deref().map(PolicyFile::open).transpose()?;
        let open = |name: &PathBuf| {
            AuditOutput::open(name)
                .with_context(|| format!("--audit {}: it cannot be written", name.display()))
        };
        let at_least_one = |n: usize| n.max(1);
        Ok(Options {
            namespaces,
            cluster_resource_namespace: namespace,
            builtin_dir: self.builtin_dir,
            issuer_memory: self.budgets.issuer_memory(),
            max_component: self.budgets.max_component(),
            image_cache: self.budgets.image_cache(),
            runtime: self.budgets.runtime(self.cache_dir, egress)?,
            health_address: self.health_address,
            issuers_with_metrics: self.metrics.metrics_issuers,
            secure_metrics: self.metrics.secure(),
            retry: RetryPolicy {
                max_duration: self.max_retry_duration.0,
                backoff: Backoff { min: self.min_backoff.0, max: self.max_backoff.0 },
            },
            policy: policy.unwrap_or_else(PolicyFile::none),
            control_plane,
            requests: if self.kubernetes_csrs {
                &RequestKind::ALL
            } else {
                &[RequestKind::CertificateRequest]
            },
            limits: RequestLimits {
                total: at_least_one(self.max_in_flight),
                per_issuer: at_least_one(self.max_in_flight_per_issuer),
                per_namespace: at_least_one(self.max_in_flight_per_namespace),
            },
            log_records_dropped,
            audit: self.audit.as_ref().map(open).transpose()?,
            request_memory: self.request_memory.in_memory(),
            election,
            issuer_selector: self.replicas.issuer_selector,
            instance,
        })
    }
}

/// The namespace that this process runs in, if that is in a cluster.
fn own_namespace() -> anyhow::Result<String> {
    Ok(std::fs::read_to_string(NAMESPACE_FILE).map(|namespace| namespace.trim().to_owned())?)
}

/// Every watch, connection and plugin takes a file, and the soft limit of a pod is often 1,024 where the hard one is far above.
fn raise_file_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => info!(from = ?current, to = ?maximum, "raised the limit of open files"),
        Err(error) => warn!(limit = ?current, %error, "could not raise the limit of open files"),
    }
}

async fn shutdown() -> std::io::Result<&'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
}
