//! The servers of the cluster, as processes that a test may hurt. It needs `test/cluster/run.sh --restart`, which starts
//! again what ends.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use http::Request;
use kube::Client;
use tokio::time::{sleep, timeout};

use crate::{Process, SOON};

/// One of them, by the name of its log: `etcd`, `kube-apiserver`.
pub struct Server {
    file: PathBuf,
}

impl Server {
    /// The server of that name of the cluster in this folder.
    pub fn new(workdir: &Path, name: &str) -> Self {
        Self { file: workdir.join(name).with_extension("pid") }
    }

    /// Its process, as it is now.
    pub fn process(&self) -> Process {
        let pid = std::fs::read_to_string(&self.file).ok().and_then(|pid| pid.parse().ok());
        Process::new(pid.unwrap_or_else(|| panic!("{}: no number of a process", self.file.display())))
    }

    /// End it as a machine's failure would, and wait until there is another one in its place.
    pub async fn kill(&self) {
        let old = self.process();
        old.signal("KILL");
        let began = Instant::now();
        while self.process().pid == old.pid {
            assert!(began.elapsed() < SOON, "it was not started again; is it run.sh --restart?");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Stop it for so long, and let it go on.
    pub async fn pause(&self, time: Duration) {
        let process = self.process();
        process.signal("STOP");
        sleep(time).await;
        process.signal("CONT");
    }
}

/// Wait until the API server says that it is ready.
pub async fn api_server_is_ready(client: &Client) {
    let began = Instant::now();
    loop {
        let ready = Request::get("/readyz").body(vec![]).expect("a request");
        match timeout(Duration::from_secs(2), client.request_text(ready)).await {
            Ok(Ok(_)) => return,
            _ => assert!(began.elapsed() < SOON, "the API server is not ready"),
        }
        sleep(Duration::from_millis(100)).await;
    }
}
