//! Requests are approved one after the other, slowly, so that nothing waits for its turn.

use std::collections::HashMap;
use std::time::Duration;

use futures::StreamExt;
use tokio::time::{Instant, sleep_until, timeout};
use wasm_issuer_e2e::samples::percentile;
use wasm_issuer_e2e::{Kind, Test};

use crate::load;
use crate::report::{Goal, Measure, Report};
use crate::side::Side;
use crate::stage::{Stage, WRITER};

/// Between two approvals.
const PACE: Duration = Duration::from_millis(50);
/// Longer than all may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// For each request the time from its approval to its certificate, both as heard of by the same watch.
pub async fn measure(stage: &mut Stage<'_>, side: Side, requests: usize) -> Vec<Duration> {
    let t = stage.namespace().await;
    load::make(&t, requests, |_| side.issuer_ref()).await;
    stage.contestants.start(side).await;
    stage.quiet(side).await;
    let took = timeout(PATIENCE, one_by_one(&t, requests)).await.expect("all are signed");
    stage.contestants.stop(side).await;
    load::delete(&t, Kind::CertificateRequest).await;
    took
}

/// The same of requests that are there, by their numbers, with whoever signs them running.
pub async fn one_by_one(t: &Test, requests: usize) -> Vec<Duration> {
    let mut changes = load::watched(t).await;
    let began = Instant::now();
    let approving = async {
        for n in 0..requests {
            sleep_until(began + PACE * n as u32).await;
            t.approve(&load::name(n)).await;
        }
    };
    let watching = async {
        let (mut approved, mut took) = (HashMap::new(), HashMap::new());
        while took.len() < requests {
            let (at, request) = changes.next().await.expect("the watch goes on");
            let name = request.metadata.name.clone();
            if request.is_issued() {
                // Both may have come in one: then it took no time that can be told.
                let since = approved.get(&name).copied().unwrap_or(at);
                took.entry(name).or_insert(at - since);
            } else if request.is_approved() {
                approved.entry(name).or_insert(at);
            }
        }
        (0..requests).filter_map(|n| took.get(&load::name(n)).copied()).collect()
    };
    let ((), took) = futures::join!(approving, watching);
    took
}

/// Measure all of them in turn.
pub async fn rows(stage: &mut Stage<'_>, report: &mut Report, requests: usize, rounds: usize) {
    let title = "Approved to Ready, one at a time";
    for round in 1..=rounds {
        eprintln!("{title}, round {round} of {rounds}");
        for side in stage.contestants.sides() {
            let took = measure(stage, side, requests).await;
            let took: Vec<f64> = took.iter().map(|took| took.as_secs_f64() * 1000.0).collect();
            for (what, share) in [("half within", 0.5), ("99 of 100 within", 0.99)] {
                let value = percentile(&took, share).unwrap_or(f64::NAN);
                report.add((title, WRITER), Measure::less(what, "ms", &[Goal::OfPeer(0.5)]), side, value);
            }
        }
    }
}
