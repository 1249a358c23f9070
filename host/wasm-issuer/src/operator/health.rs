//! `/healthz` and `/readyz` for the kubelet's probes, `/metrics` for Prometheus.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use wasm_issuer_core::issuance::request_kind::RequestKind;

use crate::api::IssuerKind;

/// How often a loop beats, whatever else it has to do.
const BEAT: Duration = Duration::from_secs(5);
/// After how long without a beat a loop stands still. Nothing that a loop does itself takes a second.
const STANDSTILL: Duration = Duration::from_secs(60);

/// What the probes ask about: which watches have delivered their first list, and whether the loops come round.
#[derive(Clone)]
pub struct Synced(Arc<Inner>);

struct Inner {
    /// The kinds of requests that must have been listed before the operator is ready, beside the Issuers.
    requests: &'static [RequestKind],
    done: Mutex<BTreeSet<&'static str>>,
    issuers: watch::Sender<bool>,
    beats: Mutex<Vec<Beat>>,
}

struct Beat {
    of: &'static str,
    last: Instant,
}

/// A loop's beat. A loop that waits for it beside everything else is seen to come round.
pub struct Pulse {
    synced: Synced,
    index: usize,
    interval: Interval,
}

impl Pulse {
    /// Wait until it is time, and beat. Dropping the future loses no beat.
    pub async fn beat(&mut self) {
        self.interval.tick().await;
        if let Some(beat) = self.synced.beats().get_mut(self.index) {
            beat.last = Instant::now();
        }
    }
}

impl Synced {
    /// Nothing was listed yet. Requests of these kinds will be.
    pub fn new(requests: &'static [RequestKind]) -> Self {
        let issuers = watch::channel(false).0;
        Self(Arc::new(Inner { requests, done: Mutex::default(), issuers, beats: Mutex::default() }))
    }

    /// The objects of this kind were listed for the first time, or once more.
    pub fn mark(&self, kind: &'static str) {
        let mut done = self.0.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.insert(kind);
        if IssuerKind::ALL.iter().all(|kind| done.contains(kind.as_str())) {
            self.0.issuers.send_replace(true);
        }
    }

    /// Wait until both Issuer kinds were listed: before that, an Issuer that is not known may well exist.
    pub async fn issuers(&self) {
        // The sender is in the same allocation, so this cannot fail.
        let _ = self.0.issuers.subscribe().wait_for(|done| *done).await;
    }

    /// The pulse of a loop that begins now, and has to come round from now on.
    pub fn pulse(&self, of: &'static str) -> Pulse {
        let mut interval = interval(BEAT);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut beats = self.beats();
        beats.push(Beat { of, last: Instant::now() });
        Pulse { synced: self.clone(), index: beats.len() - 1, interval }
    }

    fn missing(&self) -> Vec<&'static str> {
        let done = self.0.done.lock().unwrap_or_else(PoisonError::into_inner);
        let requests = self.0.requests.iter().map(|kind| kind.as_str());
        let needed = IssuerKind::ALL.iter().map(|kind| kind.as_str()).chain(requests);
        needed.filter(|kind| !done.contains(kind)).collect()
    }

    /// The loops that stand still, and for how long.
    fn standing(&self) -> Vec<(&'static str, Duration)> {
        let since = |beat: &Beat| (beat.of, beat.last.elapsed());
        self.beats().iter().map(since).filter(|(_, since)| *since > STANDSTILL).collect()
    }

    #[cfg(test)]
    pub fn loops(&self) -> Vec<&'static str> {
        self.beats().iter().map(|beat| beat.of).collect()
    }

    fn beats(&self) -> MutexGuard<'_, Vec<Beat>> {
        self.0.beats.lock().unwrap_or_else(PoisonError::into_inner)
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
        .route("/healthz", get(alive))
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

/// Whether a restart would help. An API server that is away is no reason: a restart does not bring it back.
pub async fn alive(State(synced): State<Synced>) -> (StatusCode, String) {
    match synced.standing().as_slice() {
        [] => (StatusCode::OK, "ok\n".to_owned()),
        standing => {
            let line = |(of, since): &(&str, Duration)| {
                format!("the loop of the {of} has not come round for {} s\n", since.as_secs())
            };
            (StatusCode::SERVICE_UNAVAILABLE, standing.iter().map(line).collect())
        }
    }
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

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_stands_still_fails_the_probe() {
        let synced = Synced::new(&[]);
        let (hang, mut hung) = mpsc::channel::<()>(1);
        let mut good = synced.pulse("good");
        tokio::spawn(async move {
            loop {
                good.beat().await;
            }
        });
        let mut bad = synced.pulse("bad");
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = bad.beat() => {}
                    Some(()) = hung.recv() => std::future::pending().await,
                }
            }
        });
        // Between two beats.
        sleep(Duration::from_secs(3602)).await;
        assert_eq!(alive(State(synced.clone())).await, (StatusCode::OK, "ok\n".to_owned()));
        hang.send(()).await.unwrap();
        sleep(STANDSTILL + BEAT).await;
        let (code, text) = alive(State(synced)).await;
        assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
        let (loop_, _) = text.split_once(" has not come round for 6").unwrap();
        assert_eq!(loop_, "the loop of the bad");
    }
}
