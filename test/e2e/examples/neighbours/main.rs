//! `make bench-neighbours`: what an ordinary tenant notices while another one does its worst, in one run against the same
//! when all is quiet. The operator's release build runs as in its pod: in a cgroup with 1,536 MiB, with 1,024 files.
//!
//! Prints a table in Markdown. It fails where it cannot measure, and with `BENCH_STRICT=1` where a row is not as it should
//! be. `SAMPLES` is the number of certificates a row (600, twice as many where all is quiet: the others are compared with
//! that); `ROWS` names rows to measure, separated by commas (all).

#![allow(clippy::expect_used, clippy::panic, reason = "a benchmark may end at once when it cannot measure")]

mod arena;
mod attack;
mod behaviours;
mod neighbour;
mod pod;
mod rows;
mod servers;
mod table;
mod tenants;

use std::cell::Cell;
use std::process::ExitCode;

use wasm_issuer_e2e::{Operator, Test, e2e_alone};

use crate::arena::Arena;
use crate::attack::Attack;
use crate::neighbour::Neighbour;
use crate::pod::{Pod, Usage};
use crate::rows::{Row, rows};
use crate::servers::endless_server;
use crate::table::{Figures, Table};

fn main() -> ExitCode {
    let is_good = Cell::new(true);
    e2e_alone(async |t, operator| {
        let pod = Pod::new(&t.workdir);
        operator.relaunch(pod.launch()).await;
        is_good.set(measure(t, operator, &pod).await);
        // The cgroup goes when nothing runs in it.
        operator.kill().await;
    });
    let is_strict = std::env::var("BENCH_STRICT").is_ok_and(|strict| strict == "1");
    if is_strict && !is_good.get() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Measures and prints all rows. Whether they are as they should be.
async fn measure(t: &Test, operator: &mut Operator, pod: &Pod) -> bool {
    let samples = std::env::var("SAMPLES").ok().and_then(|n| n.parse().ok()).unwrap_or(600);
    let neighbour = Neighbour::new(t, samples).await;
    let server = endless_server().await;
    neighbour.sign_some().await;
    println!(
        "Approval to certificate, {samples} certificates a row, twice as many where all is quiet; the operator {}.\n",
        pod.describe()
    );
    let mut table = Table::begin();
    for row in rows(pod.has_names()) {
        if let Attack::Elsewhere(test) = row.attack {
            table.elsewhere(&row, test);
            continue;
        }
        let arena = Arena::new(t, row.name, &neighbour.shared, server).await;
        let figures = measure_row(&row, &arena, &neighbour, operator, pod, table.quiet()).await;
        table.add(&row, &figures);
    }
    table.is_good()
}

async fn measure_row(
    row: &Row,
    arena: &Arena,
    neighbour: &Neighbour,
    operator: &mut Operator,
    pod: &Pod,
    quiet: Option<Usage>,
) -> Figures {
    let changes = neighbour.prepare(row).await;
    let version = neighbour.version(row).await;
    pod.reset_peak();
    row.attack.begin(arena).await;
    neighbour.collect_garbage().await;
    let done = Cell::new(false);
    let signing = async {
        let signed = neighbour.sign(row, changes).await;
        done.set(true);
        signed
    };
    let (issuers, unready) =
        (neighbour.make_issuers(row, &done), neighbour.count_unready(row, &version, &done));
    let measured = async { futures::join!(signing, issuers, unready, pod.watch(operator, &done)) };
    let (signed, new_issuers, unready, most) = tokio::select! {
        measured = measured => measured,
        () = row.attack.go_on(arena) => unreachable!("an attack goes on until its row is measured"),
    };
    let mut restart = None;
    if row.restarts {
        row.attack.before_restart(arena).await;
        restart = Some(neighbour.sign_after_restart(operator).await);
    }
    row.attack.end(arena).await;
    let after = pod.settle(operator, quiet).await;
    let is_well = neighbour.recover().await;
    Figures { signed, new_issuers, unready, most, restart, after, is_well }
}
