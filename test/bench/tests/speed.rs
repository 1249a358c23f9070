//! `make test-speed`: what a certificate may cost, on any machine. The operator and the bare writer finish requests side by
//! side, one at a time and in turn, so whatever slows the one slows the other; what is bounded are counts and ratios.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "these are tests: what does not work shall fail, with its place"
)]

use std::time::Duration;

use wasm_issuer_bench::api_server::Writes;
use wasm_issuer_bench::contestants::Programs;
use wasm_issuer_bench::{Side, Stage, latency, load};
use wasm_issuer_e2e::samples::percentile;
use wasm_issuer_e2e::{Kind, e2e_alone};

/// Requests for each of the two.
const EACH: usize = 200;
/// Writes of a status, and Events, for a certificate. One is what it takes; on a machine that is busy with something else
/// some are written twice, because they are told to wait.
const WRITES: f64 = 1.5;
/// Half of the certificates come within so many times what the bare writer takes.
const TIMES_AS_LONG: f64 = 4.0;
/// A certificate costs so many times the processor time.
const TIMES_THE_CPU: f64 = 6.0;
/// How often it may be tried: something else may have all processors for a while, and only ever makes it worse.
const TRIES: usize = 3;

const SIDES: [Side; 2] = [Side::Limit, Side::Ours];

/// What was measured.
struct Figures {
    writes: f64,
    events: f64,
    times_as_long: f64,
    times_the_cpu: f64,
}

impl Figures {
    fn are_good(&self) -> bool {
        let Self { writes, events, times_as_long, times_the_cpu } = self;
        eprintln!(
            "a certificate takes {writes:.2} writes of its status (at most {WRITES}), {events:.2} Events ({WRITES}), \
             and of what a bare writer takes {times_as_long:.1} times the time ({TIMES_AS_LONG}) and \
             {times_the_cpu:.1} times the CPU ({TIMES_THE_CPU})"
        );
        let is_short = *times_as_long <= TIMES_AS_LONG && *times_the_cpu <= TIMES_THE_CPU;
        is_short && *writes <= WRITES && *events <= WRITES
    }
}

#[test]
fn a_certificate_takes_one_write_and_little_more_than_that() {
    e2e_alone(async |t, operator| {
        let writer = env!("CARGO_BIN_EXE_bare-writer").into();
        let mut stage = Stage::new(t, operator, Programs { writer, peer: None, peer_workers: 1 }).await;
        for _ in 0..TRIES {
            if measure(&mut stage).await.are_good() {
                return;
            }
        }
        panic!("a certificate takes too much, {TRIES} times: see above");
    });
}

async fn measure(stage: &mut Stage<'_>) -> Figures {
    let t = stage.namespace().await;
    let all = EACH * SIDES.len();
    load::make(&t, all, |n| SIDES[n % SIDES.len()].issuer_ref()).await;
    let mut cpu = Vec::new();
    for side in SIDES {
        stage.contestants.start(side).await;
        cpu.push(stage.quiet(side).await);
    }
    let before = Writes::so_far(&t.client).await;
    let took = latency::one_by_one(&t, all).await;
    for (cpu, side) in cpu.iter_mut().zip(SIDES) {
        *cpu = stage.quiet(side).await - *cpu;
    }
    let writes = Writes::so_far(&t.client).await.since(before);
    for side in SIDES {
        stage.contestants.stop(side).await;
    }
    load::delete(&t, Kind::CertificateRequest).await;
    let half_of = |which: usize| {
        let took: Vec<Duration> = took.iter().skip(which).step_by(SIDES.len()).copied().collect();
        percentile(&took, 0.5).expect("requests").as_secs_f64()
    };
    // All were approved, and the bare writer writes each once.
    let each = EACH as f64;
    Figures {
        writes: writes.requests as f64 / each - 3.0,
        events: writes.events as f64 / each - 1.0,
        times_as_long: half_of(1) / half_of(0),
        times_the_cpu: cpu[1] / cpu[0],
    }
}
