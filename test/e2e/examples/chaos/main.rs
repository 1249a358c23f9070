//! `make chaos`: 1,000 CertificateRequests of 10 Issuers on a real API server, while two replicas with leader election and what
//! they work with are killed, stopped and swapped. At the end all have their certificates, each for its own key; the CA was
//! asked once for each but where somebody died in the middle, and never by two leaders.
//!
//! Prints what was done, what it cost, and each promise with what was found. Fails where one is not kept. `REQUESTS` (1000)
//! and `ISSUERS` (10) are how many there are.

#![allow(clippy::expect_used, clippy::panic, reason = "it may end at once when it cannot find out")]

mod blow;
mod report;
mod requests;
mod stage;

use std::cell::Cell;
use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;
use wasm_issuer_e2e::counter::Counter;
use wasm_issuer_e2e::judgement::Judgement;
use wasm_issuer_e2e::{Launch, Operator, Test, e2e_alone};

use crate::blow::{BLOWS, Blow};
use crate::report::{Row, print};
use crate::requests::Requests;
use crate::stage::Stage;

fn main() -> ExitCode {
    let is_good = Cell::new(false);
    e2e_alone(async |t, first| is_good.set(chaos(t, first).await));
    if is_good.get() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn from_env(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Whether all promises were kept.
async fn chaos(t: &Test, first: &mut Operator) -> bool {
    // From a third of a second to two: so there is always something in the middle.
    let counter = Counter::start(|n| Duration::from_millis(300 + n as u64 * 7919 % 1700)).await;
    let mut second = Operator::another(&t.workdir, Launch::replica(&[]));
    let mut stage = Stage::set(t, counter, first, &mut second, from_env("ISSUERS", 10)).await;
    let requests = Requests::new(from_env("REQUESTS", 1000), stage.issuers());
    let began = Timestamp::now();
    let mut rows = Vec::new();
    for (blow, burst) in BLOWS.into_iter().zip(requests.bursts(BLOWS.len())) {
        let (row, ()) = futures::join!(strike(&mut stage, blow, began), requests.make(t, burst));
        row.tell();
        rows.push(row);
    }
    let outcome = requests.outcome(t).await;
    let interruptions: Vec<_> = rows.iter().map(|row| row.interruption.clone()).collect();
    let judgement =
        Judgement::of(&stage.counter.calls(), &stage.terms.all(), &interruptions, &outcome.issued);
    let terms = stage.terms.all().len();
    drop(stage);
    second.kill().await;
    print(&rows, &outcome, &judgement, terms)
}

/// Wait until much is in the middle, and strike.
async fn strike(stage: &mut Stage<'_>, blow: Blow, start: Timestamp) -> Row {
    let in_flight = stage.until_busy().await;
    let at = Timestamp::now().duration_since(start);
    let interruption = stage.strike(blow).await;
    Row { blow, at, in_flight, interruption }
}
