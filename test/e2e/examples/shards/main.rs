//! `make bench-shards`: what a second process adds to one that has both shards, where the CA, the processor or the machine
//! is the limit. The same requests each time, of Issuers in four namespaces, all approved when it begins.
//!
//! Prints a table in Markdown; fails where it cannot measure. `REQUESTS` (240) is how many there are. The build that is
//! measured is a debug one unless `WASM_ISSUER_BINARY` names another: it is about the ratio.

#![allow(clippy::expect_used, clippy::panic, reason = "a benchmark may end at once when it cannot measure")]

mod limit;
mod run;

use wasm_issuer_e2e::e2e_alone;

use crate::limit::{Limit, Quota};
use crate::run::{Run, Stage};

fn main() {
    let requests = std::env::var("REQUESTS").ok().and_then(|n| n.parse().ok()).unwrap_or(240);
    e2e_alone(async |t, operator| {
        operator.kill().await;
        println!(
            "{requests} requests; {} processors.\n",
            std::thread::available_parallelism().map_or(0, usize::from)
        );
        println!(
            "| what limits | processes | certificates/s | by each | asked again | CPU of each | CPU of API server and etcd |"
        );
        println!("|---|--:|--:|--:|--:|--:|--:|");
        for limit in Limit::ALL {
            if limit.quota().is_some() && Quota::new(0).is_none() {
                println!("| {} | | not measured: no cgroup can be made here | | | | |", limit.describe());
                continue;
            }
            let mut one = 0.0;
            for processes in 1..=2 {
                let run = Stage::set(t, limit, processes, requests).await.measure().await;
                row(limit, &run);
                match processes {
                    1 => one = run.rate(),
                    _ => println!("| | | **× {:.2}** | | | | |", run.rate() / one),
                }
            }
        }
    });
}

fn row(limit: Limit, run: &Run) {
    let list = |values: Vec<String>| values.join(" + ");
    println!(
        "| {} | {} | {:.0} | {} | {} | {} | {:.2} |",
        limit.describe(),
        run.by_process.len(),
        run.rate(),
        list(run.by_process.iter().map(ToString::to_string).collect()),
        run.repeats,
        list(run.cpu.iter().map(|cpu| format!("{cpu:.2}")).collect()),
        run.servers_cpu,
    );
}
