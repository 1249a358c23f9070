//! `/healthz` and `/readyz` for the kubelet's probes.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use wasm_issuer_core::issuance::request_kind::RequestKind;

use super::namespaces::{Namespaces, Part};
use crate::api::IssuerKind;

/// The objects of a kind in one part of what is watched.
type Listed = (&'static str, Part);

/// How often a loop beats, whatever else it has to do.
const BEAT: Duration = Duration::from_secs(5);
/// After how long without a beat a loop stands still. Nothing that a loop does itself takes a second.
const STANDSTILL: Duration = Duration::from_secs(60);

/// What the probes ask about: which watches have delivered their first list, and whether the loops come round.
#[derive(Clone)]
pub struct Synced(Arc<Inner>);

struct Inner {
    /// What must have been listed before the operator is ready.
    needed: BTreeSet<Listed>,
    done: watch::Sender<BTreeSet<Listed>>,
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
    /// Nothing is listed yet of what these have, with requests of these kinds.
    pub fn new(namespaces: &Namespaces, requests: &[RequestKind]) -> Self {
        let cluster = namespaces.serves(IssuerKind::Cluster).then_some((IssuerKind::Cluster.as_str(), None));
        let namespaced = namespaces.parts().into_iter().map(|part| (IssuerKind::Namespaced.as_str(), part));
        let requests = namespaces.of_requests(requests).into_iter().map(|(kind, part)| (kind.as_str(), part));
        let needed = namespaced.chain(cluster).chain(requests).collect();
        Self(Arc::new(Inner { needed, done: watch::channel(BTreeSet::new()).0, beats: Mutex::default() }))
    }

    /// The objects of this kind in this part were listed for the first time, or once more.
    pub fn mark(&self, kind: &'static str, part: &Part) {
        self.0.done.send_if_modified(|done| done.insert((kind, part.clone())));
    }

    /// Wait until all Issuers were listed that the requests of a part may name: before that, one that is not known may well
    /// exist. A part that cannot be listed holds up no other.
    pub async fn issuers(&self, part: &Part) {
        let is_issuer = |kind| IssuerKind::ALL.iter().any(|issuer| issuer.as_str() == kind);
        let is_named = |(kind, of): &&Listed| is_issuer(*kind) && (of == part || of.is_none());
        let issuers: Vec<&Listed> = self.0.needed.iter().filter(is_named).collect();
        let mut done = self.0.done.subscribe();
        // The sender is in the same allocation, so this cannot fail.
        let _ = done.wait_for(|done| issuers.iter().all(|issuer| done.contains(*issuer))).await;
    }

    /// The pulse of a loop that begins now, and has to come round from now on.
    pub fn pulse(&self, of: &'static str) -> Pulse {
        let mut interval = interval(BEAT);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut beats = self.beats();
        beats.push(Beat { of, last: Instant::now() });
        Pulse { synced: self.clone(), index: beats.len() - 1, interval }
    }

    fn missing(&self) -> Vec<String> {
        let name = |(kind, part): &Listed| match part {
            Some(namespace) => format!("{kind} in {namespace}"),
            None => (*kind).to_owned(),
        };
        self.0.needed.difference(&self.0.done.borrow()).map(name).collect()
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

/// The answers to the probes.
pub fn probes(synced: Synced) -> Router {
    Router::new().route("/healthz", get(alive)).route("/readyz", get(ready)).with_state(synced)
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
    use tokio::time::{sleep, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_stands_still_fails_the_probe() {
        let synced = Synced::new(&Namespaces::All, &[]);
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

    #[tokio::test(start_paused = true)]
    async fn a_namespace_that_cannot_be_listed_holds_up_no_other() {
        let parts: Vec<Part> = ["team-a", "team-b"].map(|name| Some(name.into())).into();
        let namespaces = Namespaces::of(&["team-a".to_owned(), "team-b".to_owned()]).unwrap();
        let synced = Synced::new(&namespaces, &RequestKind::ALL);
        synced.mark("WasmIssuer", &parts[0]);
        synced.mark("CertificateRequest", &parts[0]);
        timeout(Duration::from_secs(60), synced.issuers(&parts[0])).await.unwrap();
        let waiting = timeout(Duration::from_secs(60), synced.issuers(&parts[1])).await;
        assert!(waiting.is_err());
        let (code, text) = ready(State(synced)).await;
        assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
        let missing = "waiting for the list of CertificateRequest in team-b, WasmIssuer in team-b (see";
        assert!(text.starts_with(missing), "{text}");
    }
}
