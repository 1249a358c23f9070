//! Approved requests wait for them when they start.

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::Stream;
use tokio::time::{Instant, timeout};
use wasm_issuer_e2e::Kind;

use crate::api_server::Writes;
use crate::load;
use crate::report::{Goal, Measure, Report};
use crate::side::Side;
use crate::stage::{Stage, WRITER};
use crate::table::thousands;
use crate::watch::Change;

/// Longer than any may take.
const PATIENCE: Duration = Duration::from_secs(900);
const MIB: f64 = (1 << 20) as f64;

/// What was measured of one of them.
#[derive(Clone, Copy, Debug)]
pub struct Backlog {
    /// From the first status that it writes to the last certificate, certificates a second.
    pub speed: f64,
    /// Over the same time and until its Events are out: seconds a certificate.
    pub cpu: f64,
    /// Of CertificateRequests, a certificate.
    pub writes: f64,
    /// Events a certificate.
    pub events: f64,
    /// From its start.
    pub first: Duration,
    /// Bytes, from its start.
    pub peak: f64,
}

/// Sample where a process computes from now on until it ends.
fn profile(pid: u32, file: &Path) {
    let perf = Command::new("perf")
        .args(["record", "--quiet", "-e", "cpu-clock", "-F", "499", "-p", &pid.to_string(), "-o"])
        .arg(file)
        .spawn();
    drop(perf.expect("perf"));
}

/// When what happened.
struct Course {
    first_write: Instant,
    cpu_before: f64,
    first: Instant,
    last: Instant,
}

/// Have one work off so many requests.
pub async fn measure(stage: &mut Stage<'_>, side: Side, requests: usize) -> Backlog {
    let t = stage.namespace().await;
    load::make(&t, requests, |_| side.issuer_ref()).await;
    load::approve(&t, requests).await;
    let before = Writes::so_far(&t.client).await;
    let changes = load::watched(&t).await;
    let began = Instant::now();
    stage.contestants.start(side).await;
    let process = stage.contestants.process(side);
    let course = follow(changes, requests, || {
        if let Some(file) = stage.perf.as_ref().filter(|_| side == Side::Ours) {
            profile(process.pid, file);
        }
        process.cpu()
    });
    let course = timeout(PATIENCE, course).await.expect("all of a backlog is signed");
    let cpu = stage.quiet(side).await - course.cpu_before;
    let writes = Writes::so_far(&t.client).await.since(before);
    let peak = process.peak();
    stage.contestants.stop(side).await;
    load::delete(&t, Kind::CertificateRequest).await;
    let count = requests as f64;
    Backlog {
        speed: count / (course.last - course.first_write).as_secs_f64(),
        cpu: cpu / count,
        writes: writes.requests as f64 / count,
        events: writes.events as f64 / count,
        first: course.first - began,
        peak,
    }
}

async fn follow(
    mut changes: impl Stream<Item = Change> + Unpin,
    requests: usize,
    cpu: impl Fn() -> f64,
) -> Course {
    let mut issued = HashSet::new();
    let (mut first_write, mut first) = (None, None);
    loop {
        let (at, request) = changes.next().await.expect("the watch goes on");
        if !request.is_written() {
            continue;
        }
        let (first_write, cpu_before) = *first_write.get_or_insert_with(|| (at, cpu()));
        if !request.is_issued() {
            continue;
        }
        let first = *first.get_or_insert(at);
        issued.insert(request.metadata.name);
        if issued.len() == requests {
            return Course { first_write, cpu_before, first, last: at };
        }
    }
}

/// Have all of them work off so many requests in turn.
pub async fn rows(stage: &mut Stage<'_>, report: &mut Report, requests: usize, rounds: usize) {
    let title = format!("Backlog of {}", thousands(requests as f64));
    for round in 1..=rounds {
        eprintln!("{title}, round {round} of {rounds}");
        for side in stage.contestants.sides() {
            let measured = measure(stage, side, requests).await;
            for (measure, value) in named(&measured) {
                report.add((&title, WRITER), measure, side, value);
            }
        }
    }
    slopes(report, &title, requests as f64);
}

/// What grows with a backlog.
fn slopes(report: &mut Report, title: &str, requests: f64) {
    let Some(table) = report.tables.iter().find(|table| table.title == title).cloned() else { return };
    for row in table.rows.iter().filter(|row| !row.measure.unit.is_empty() && !row.measure.is_more_better) {
        let Measure { what, unit, .. } = &row.measure;
        for side in Side::ALL {
            if let Some(median) = row.median(side) {
                report.point("requests in a backlog", (what, unit), side, (requests, median));
            }
        }
    }
}

fn named(measured: &Backlog) -> [(Measure, f64); 6] {
    [
        (Measure::more("certificates", "per s", &[Goal::OfPeer(3.0), Goal::OfLimit(0.9)]), measured.speed),
        (Measure::less("CPU per certificate", "ms", &[Goal::OfPeer(0.2)]), measured.cpu * 1000.0),
        (Measure::less("writes of its status per certificate", "", &[Goal::Absolute(1.0)]), measured.writes),
        (Measure::less("Events per certificate", "", &[]), measured.events),
        (
            Measure::less("start to first certificate", "s", &[Goal::Absolute(1.0)]),
            measured.first.as_secs_f64(),
        ),
        (Measure::less("peak memory", "MiB", &[Goal::OfPeer(0.5)]), measured.peak / MIB),
    ]
}
