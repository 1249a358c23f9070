//! They start while many requests are there that have their certificates since long.

use tokio::time::{Instant, timeout};
use wasm_issuer_e2e::{Kind, SOON};

use crate::load;
use crate::report::{Goal, Measure, Report};
use crate::side::Side;
use crate::stage::{Stage, WRITER};
use crate::table::thousands;
use crate::watch::all_issued;

const TITLE: &str = "Start";
const MIB: f64 = (1 << 20) as f64;
/// MiB that are nothing: an allocator's.
const FLAT: f64 = 5.0;

/// From the start to the first certificate, in seconds, and the peak of memory until all is quiet, in bytes.
async fn measure(stage: &mut Stage<'_>, side: Side) -> (f64, f64) {
    let t = stage.namespace().await;
    load::make(&t, 1, |_| side.issuer_ref()).await;
    load::approve(&t, 1).await;
    let mut changes = load::watched(&t).await;
    let began = Instant::now();
    stage.contestants.start(side).await;
    let first = timeout(SOON, all_issued(&mut changes, 1)).await.expect("it is signed") - began;
    stage.quiet(side).await;
    let peak = stage.contestants.process(side).peak();
    stage.contestants.stop(side).await;
    load::delete(&t, Kind::CertificateRequest).await;
    (first.as_secs_f64(), peak)
}

/// Measure all of them in turn without such requests, and then with so many, which refer to this project's issuer and stay
/// where they are.
pub async fn rows(stage: &mut Stage<'_>, report: &mut Report, finished: usize, rounds: usize) {
    let begin = &[Goal::Absolute(1.0)];
    let empty = turns(stage, report, rounds, "in an empty cluster", begin).await;
    eprintln!("making {finished} finished requests");
    let t = stage.namespace().await;
    load::make_finished(&t, finished, Side::Ours.issuer_ref()).await;
    let beside = format!("beside {} finished requests", thousands(finished as f64));
    let full = turns(stage, report, rounds, &beside, &[]).await;
    for ((side, empty), (_, full)) in empty.into_iter().zip(full) {
        let more = Measure::less("what those add to the time", "s", begin);
        report.add((TITLE, WRITER), more, side, full.0 - empty.0);
        let more = Measure::less("what those add to the memory", "MiB", &[Goal::Absolute(FLAT)]);
        report.add((TITLE, WRITER), more, side, (full.1 - empty.1) / MIB);
    }
}

/// Everything that was measured, in the order of time.
async fn turns(
    stage: &mut Stage<'_>,
    report: &mut Report,
    rounds: usize,
    place: &str,
    goals: &[Goal],
) -> Vec<(Side, (f64, f64))> {
    let mut all = Vec::new();
    for round in 1..=rounds {
        eprintln!("{TITLE} {place}, round {round} of {rounds}");
        for side in stage.contestants.sides() {
            let (first, peak) = measure(stage, side).await;
            let what = |what: &str| format!("{what} {place}");
            report.add(
                (TITLE, WRITER),
                Measure::less(&what("to the first certificate"), "s", goals),
                side,
                first,
            );
            report.add((TITLE, WRITER), Measure::less(&what("peak memory"), "MiB", &[]), side, peak / MIB);
            all.push((side, (first, peak)));
        }
    }
    all
}
