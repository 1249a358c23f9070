//! `/healthz` and `/readyz` for the kubelet's probes, `/metrics` for Prometheus.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// The kinds that must have been listed before the operator is ready.
const NEEDED: [&str; 3] = ["WasmIssuer", "WasmClusterIssuer", "CertificateRequest"];

/// Which watches have delivered their first list.
#[derive(Clone)]
pub struct Synced(Arc<Inner>);

struct Inner {
    done: Mutex<BTreeSet<&'static str>>,
    issuers: watch::Sender<bool>,
}

impl Synced {
    pub fn new() -> Self {
        Self(Arc::new(Inner { done: Mutex::default(), issuers: watch::channel(false).0 }))
    }

    /// The objects of this kind were listed for the first time, or once more.
    pub fn mark(&self, kind: &'static str) {
        let mut done = self.0.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.insert(kind);
        if done.contains(NEEDED[0]) && done.contains(NEEDED[1]) {
            self.0.issuers.send_replace(true);
        }
    }

    /// Wait until both Issuer kinds were listed: before that, an Issuer that is not known may well exist.
    pub async fn issuers(&self) {
        // The sender is in the same allocation, so this cannot fail.
        let _ = self.0.issuers.subscribe().wait_for(|done| *done).await;
    }

    fn missing(&self) -> Vec<&'static str> {
        let done = self.0.done.lock().unwrap_or_else(PoisonError::into_inner);
        NEEDED.into_iter().filter(|kind| !done.contains(kind)).collect()
    }
}

/// Serve the probes and what `metrics` returns until the future is dropped.
pub async fn serve(
    address: SocketAddr,
    synced: Synced,
    metrics: impl Fn() -> String + Clone + Send + Sync + 'static,
) -> std::io::Result<()> {
    let content_type = [(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")];
    let app = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(async move || (content_type, metrics())))
        .with_state(synced);
    let listener = match TcpListener::bind(address).await {
        // All addresses of a node without IPv6.
        Err(_) if address.ip() == Ipv6Addr::UNSPECIFIED => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await?
        }
        listener => listener?,
    };
    axum::serve(listener, app).await
}

async fn ready(State(synced): State<Synced>) -> (StatusCode, String) {
    match synced.missing().as_slice() {
        [] => (StatusCode::OK, "ok\n".to_owned()),
        missing => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("waiting for the list of {} (see the log if this lasts)\n", missing.join(", ")),
        ),
    }
}
