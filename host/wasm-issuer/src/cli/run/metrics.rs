//! What is measured, and for whom.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::operator::{ISSUERS_WITH_SERIES, SecureMetrics};

#[derive(Args)]
#[command(next_help_heading = "Metrics")]
pub struct MetricsArgs {
    /// How many Issuers have metrics of their own, and those of one namespace half as many; the others are counted in the
    /// totals. 0: none has.
    #[arg(long, default_value_t = ISSUERS_WITH_SERIES, value_name = "N")]
    pub metrics_issuers: usize,
    /// Serve /metrics here by TLS, and not at --health-address: to whoever the API server knows and allows to get the
    /// nonResourceURL /metrics (docs/monitoring.md). The operator needs the rights in deploy/monitoring/secure-metrics.yaml.
    #[arg(long, env = "WASM_ISSUER_SECURE_METRICS_ADDRESS", value_name = "ADDRESS:PORT")]
    secure_metrics_address: Option<SocketAddr>,
    /// The folder with the certificate and the key for that, tls.crt and tls.key; they are read again when they change.
    /// Default: the operator makes its own, which clients cannot verify.
    #[arg(
        long,
        env = "WASM_ISSUER_METRICS_CERT_DIR",
        value_name = "FOLDER",
        requires = "secure_metrics_address"
    )]
    metrics_cert_dir: Option<PathBuf>,
}

impl MetricsArgs {
    /// Where metrics are served by TLS, if anywhere.
    pub fn secure(&self) -> Option<SecureMetrics> {
        let certificate = self.metrics_cert_dir.clone();
        self.secure_metrics_address.map(|address| SecureMetrics { address, certificate })
    }
}
