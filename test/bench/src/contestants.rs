//! The three as processes.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::{Child, Command};
use wasm_issuer_e2e::operator::root;
use wasm_issuer_e2e::{Operator, Process};

use crate::side::{ISSUER, Side};

/// Where the others' programs are.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The limit.
    pub writer: PathBuf,
    /// The peer, where it could be built.
    pub peer: Option<PathBuf>,
    /// How many requests the peer signs at a time.
    pub peer_workers: usize,
}

/// What starts and ends them.
pub struct Contestants<'a> {
    operator: &'a mut Operator,
    programs: Programs,
    workdir: PathBuf,
    others: BTreeMap<Side, Child>,
}

impl<'a> Contestants<'a> {
    /// Nothing runs when this returns. `workdir` is the cluster's.
    pub async fn new(operator: &'a mut Operator, workdir: &Path, programs: Programs) -> Self {
        operator.kill().await;
        if programs.peer.is_some() {
            let script = Command::new(root().join("test/bench/install-peer.sh"))
                .arg(ISSUER)
                .arg(workdir.join("peer.kubeconfig"))
                .status()
                .await;
            assert!(script.expect("bash").success(), "the peer was not installed");
        }
        Self { operator, programs, workdir: workdir.to_owned(), others: BTreeMap::new() }
    }

    /// Those that there are.
    pub fn sides(&self) -> Vec<Side> {
        Side::ALL.into_iter().filter(|side| *side != Side::Peer || self.programs.peer.is_some()).collect()
    }

    /// Start one. It may not be ready when this returns.
    pub async fn start(&mut self, side: Side) {
        let workers = format!("--workers={}", self.programs.peer_workers);
        match (side, &self.programs.peer) {
            (Side::Ours, _) => self.operator.start().await,
            (Side::Limit, _) => self.spawn(side, self.programs.writer.clone(), &[], "operator"),
            (Side::Peer, Some(peer)) => self.spawn(side, peer.clone(), &[&workers], "peer"),
            (Side::Peer, None) => panic!("there is no peer"),
        }
    }

    /// `name` is of its kubeconfig. The limit has the rights of the operator.
    fn spawn(&mut self, side: Side, program: PathBuf, args: &[&str], name: &str) {
        let file = program.file_name().unwrap_or_default().to_string_lossy();
        let log = File::options().create(true).append(true).open(self.workdir.join(format!("{file}.log")));
        let child = Command::new(&program)
            .args(args)
            .env("KUBECONFIG", self.workdir.join(format!("{name}.kubeconfig")))
            .stdout(Stdio::null())
            .stderr(log.expect("a log"))
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        self.others.insert(side, child);
    }

    /// One that runs.
    pub fn process(&self, side: Side) -> Process {
        let other = self.others.get(&side).map(|child| child.id().expect("it runs"));
        Process::new(other.unwrap_or_else(|| self.operator.pid()))
    }

    /// A series of the operator's metrics.
    pub async fn metric(&self, series: &str) -> u64 {
        self.operator.metric(series).await
    }

    /// End one that runs.
    pub async fn stop(&mut self, side: Side) {
        match self.others.remove(&side) {
            Some(mut child) => child.kill().await.expect("it ran until now"),
            None => self.operator.kill().await,
        }
    }
}
