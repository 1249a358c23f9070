//! One run: so many processes, one limit.

use std::collections::HashMap;
use std::ffi::OsString;
use std::time::{Duration, Instant};

use futures::future::join_all;
use futures::{StreamExt, stream};
use jiff::Timestamp;
use serde_json::json;
use tokio::time::sleep;
use wasm_issuer_e2e::keys::Ca;
use wasm_issuer_e2e::leases::holders;
use wasm_issuer_e2e::servers::Server;
use wasm_issuer_e2e::{Counter, Csr, Kind, Launch, Operator, Process, SOON, Test, issuer_ref};

use crate::limit::{Limit, Quota};

const NAMESPACES: usize = 4;
/// In each namespace: many, so that the shards are about even.
const ISSUERS: usize = 12;
/// Writes at a time, of what is prepared.
const WRITERS: usize = 16;
/// They are stopped for a moment, and short of the processor afterwards: no Lease is to be lost by that.
const RENEW_DEADLINE: Duration = Duration::from_secs(50);
const ISSUED_BY: &str = r#"wasm_issuer_signs_total{outcome="issued"}"#;
const ISSUED: &str = "True Issued: Succeeded signing the CertificateRequest";

/// What is ready to be measured.
pub struct Stage {
    spaces: Vec<Test>,
    counter: Counter,
    operators: Vec<Operator>,
    servers: Vec<Process>,
    requests: usize,
    quotas: Vec<Quota>,
}

/// What was measured.
pub struct Run {
    /// From the first call of the CA to the last answer.
    took: Duration,
    requests: usize,
    /// How many certificates each process had issued.
    pub by_process: Vec<u64>,
    /// How many calls of the CA there were beyond one for each request: a Lease was lost.
    pub repeats: usize,
    /// Of one processor, by each process.
    pub cpu: Vec<f64>,
    /// By the API server and etcd together.
    pub servers_cpu: f64,
}

impl Run {
    /// Certificates a second.
    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.took.as_secs_f64()
    }
}

impl Stage {
    /// Issuers that are ready and requests that nobody has approved, for so many processes that share the Issuers.
    pub async fn set(t: &Test, limit: Limit, processes: usize, requests: usize) -> Self {
        let takes = limit.takes();
        let counter = Counter::anonymous(move |_| takes).await;
        let quotas: Vec<Quota> =
            limit.quota().into_iter().flat_map(|_| (1..=processes).filter_map(Quota::new)).collect();
        let mut operators = Vec::new();
        for _ in 0..processes {
            let deadline = format!("{}s", RENEW_DEADLINE.as_secs());
            let mut launch =
                Launch::replica(&["--shards", "2", "--lease-duration", "60s", "--renew-deadline", &deadline]);
            launch.args.extend(limit.args().into_iter().map(OsString::from));
            let mut operator = Operator::another(&t.workdir, launch);
            operator.start().await;
            operators.push(operator);
        }
        until_shared(t, &operators).await;
        let ca = Ca::root("shards", limit.key());
        let mut spaces = Vec::new();
        for n in 0..NAMESPACES {
            let name = format!("{}-{limit:?}-{processes}-{n}", t.namespace).to_lowercase();
            let space = t.in_namespace(&name).await;
            space.tls_secret("ca", &ca.certificate, &ca.key.pem()).await;
            for issuer in 0..ISSUERS {
                space
                    .issuer(&issuer_name(issuer), counter.issuer(&json!({"builtin": "counted-ca"}), "ca"))
                    .await;
            }
            spaces.push(space);
        }
        for space in &spaces {
            for issuer in 0..ISSUERS {
                let ready = "True Checked: Succeeded checking the issuer";
                space.wait_ready(Kind::WasmIssuer, &issuer_name(issuer), SOON, ready).await;
            }
        }
        let servers = ["kube-apiserver", "etcd"].map(|name| Server::new(&t.workdir, name).process()).into();
        let stage = Self { spaces, counter, operators, servers, requests, quotas };
        let csr = &Csr::for_host("a.example");
        let make = async |space: &Test, n: usize| {
            let issuer = issuer_ref(&issuer_name(n / NAMESPACES % ISSUERS));
            space.request(&request_name(n), issuer, csr, json!({})).await;
        };
        stage.each_request(make).await;
        stage
    }

    async fn each_request(&self, act: impl AsyncFn(&Test, usize)) {
        let act = &act;
        let all = stream::iter(0..self.requests).map(|n| act(&self.spaces[n % NAMESPACES], n));
        all.buffer_unordered(WRITERS).collect::<()>().await;
    }

    /// Approve all while nobody works, let them go, and count.
    pub async fn measure(mut self) -> Run {
        let processes: Vec<Process> =
            self.operators.iter().map(|operator| Process::new(operator.pid())).collect();
        let began = Instant::now();
        processes.iter().for_each(|process| process.signal("STOP"));
        self.each_request(async |space, n| drop(space.approve(&request_name(n)).await)).await;
        // A start takes more: plugins are compiled.
        self.quotas.iter().zip(&processes).for_each(|(quota, process)| quota.hold(process));
        let stopped = began.elapsed();
        assert!(stopped < RENEW_DEADLINE / 2, "approving took too long: {stopped:?}; take fewer REQUESTS");
        let cpu = |all: &[Process]| all.iter().map(Process::cpu).collect::<Vec<_>>();
        let (before, servers_before) = (cpu(&processes), cpu(&self.servers));
        let began = Instant::now();
        processes.iter().for_each(|process| process.signal("CONT"));
        while self.answered().len() < self.requests {
            assert!(began.elapsed() < SOON, "not all were asked for");
            sleep(Duration::from_millis(50)).await;
        }
        let over = began.elapsed().as_secs_f64();
        let (after, servers_after) = (cpu(&processes), cpu(&self.servers));
        let share = |after: &[f64], before: &[f64]| -> Vec<f64> {
            after.iter().zip(before).map(|(after, before)| (after - before) / over).collect()
        };
        let signs = self.counter.signs();
        let first: Timestamp = signs.iter().map(|call| call.asked).min().expect("there are some");
        let last = self.answered().into_values().max().expect("there are some");
        self.until_issued().await;
        let run = Run {
            requests: self.requests,
            took: last.duration_since(first).unsigned_abs(),
            by_process: join_all(self.operators.iter().map(|operator| operator.metric(ISSUED_BY))).await,
            repeats: signs.len() - self.requests,
            cpu: share(&after, &before),
            servers_cpu: share(&servers_after, &servers_before).iter().sum(),
        };
        self.clean_up().await;
        run
    }

    /// When the requests were answered first, by uid.
    fn answered(&self) -> HashMap<String, Timestamp> {
        let answered = self.counter.signs().into_iter().rev();
        answered.filter_map(|call| Some((call.request?, call.answered?))).collect()
    }

    /// Wait until all are issued.
    async fn until_issued(&self) {
        let began = Instant::now();
        for space in &self.spaces {
            while !space.list(Kind::CertificateRequest).await.iter().all(|request| request.ready() == ISSUED)
            {
                assert!(began.elapsed() < SOON, "not all are issued");
                sleep(Duration::from_millis(200)).await;
            }
        }
    }

    async fn clean_up(&mut self) {
        for space in &self.spaces {
            space.clean_up().await;
        }
        for operator in &mut self.operators {
            operator.terminate(SOON).await;
        }
    }
}

fn issuer_name(n: usize) -> String {
    format!("ca-{n}")
}

fn request_name(n: usize) -> String {
    format!("web-{n:04}")
}

/// Wait until the processes hold both shards, each the same number of them.
async fn until_shared(t: &Test, operators: &[Operator]) {
    let began = Instant::now();
    loop {
        let holders = holders(&t.client, "wasm-issuer-shard-").await;
        let has_its_share = |operator: &Operator| {
            holders.iter().filter(|holder| **holder == Some(operator.pid())).count() * operators.len() == 2
        };
        if operators.iter().all(has_its_share) {
            return;
        }
        assert!(began.elapsed() < SOON, "the shards are not shared: {holders:?}");
        sleep(Duration::from_millis(100)).await;
    }
}
