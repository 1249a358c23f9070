//! Where they take turns.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep, timeout};
use wasm_issuer_e2e::{Kind, Operator, SOON, Test};

use crate::api_server::Writes;
use crate::contestants::{Contestants, Programs};
use crate::load;
use crate::side::{ISSUER, Side};
use crate::watch::all_issued;

/// What the limit is called in tables.
pub const WRITER: &str = "bare writer";

/// Requests that each signs before anything is measured.
const WARM: usize = 20;

/// A cluster with an issuer for each of the three, and nothing else.
pub struct Stage<'a> {
    /// Any of its namespaces.
    pub t: &'a Test,
    /// None of them runs, unless somebody has started it.
    pub contestants: Contestants<'a>,
    /// Where `perf` is to write what it sees of this operator at a backlog.
    pub perf: Option<PathBuf>,
    namespaces: usize,
}

impl<'a> Stage<'a> {
    /// Each of the three has signed something when this returns, and none runs.
    pub async fn new(t: &'a Test, operator: &'a mut Operator, programs: Programs) -> Self {
        for other in t.list(Kind::WasmClusterIssuer).await {
            t.delete(Kind::WasmClusterIssuer, other.name()).await;
        }
        let spec = json!({"plugin": {"builtin": "in-memory-ca"}});
        t.apply(Kind::WasmClusterIssuer, ISSUER, json!({"spec": spec})).await;
        let contestants = Contestants::new(operator, &t.workdir, programs).await;
        let mut stage = Self { t, contestants, perf: None, namespaces: 0 };
        for side in stage.contestants.sides() {
            let t = stage.namespace().await;
            load::make(&t, WARM, |_| side.issuer_ref()).await;
            load::approve(&t, WARM).await;
            let mut changes = load::watched(&t).await;
            stage.contestants.start(side).await;
            timeout(SOON, all_issued(&mut changes, WARM)).await.expect("some are signed to begin with");
            stage.contestants.stop(side).await;
            load::delete(&t, Kind::CertificateRequest).await;
        }
        stage
    }

    /// A namespace in which there is nothing.
    pub async fn namespace(&mut self) -> Test {
        self.namespaces += 1;
        self.t.in_namespace(&format!("{}-{}", self.t.namespace, self.namespaces)).await
    }

    /// Wait until one that runs computes nothing any more and nothing is written, and return the seconds that it has
    /// computed.
    pub async fn quiet(&self, side: Side) -> f64 {
        /// Events come behind; what goes on for ever is no part of the work.
        const LONGEST: Duration = Duration::from_secs(60);
        const LOOK: Duration = Duration::from_millis(500);
        let (process, began) = (self.contestants.process(side), Instant::now());
        loop {
            let before = (process.cpu(), Writes::so_far(&self.t.client).await);
            sleep(LOOK).await;
            let now = (process.cpu(), Writes::so_far(&self.t.client).await);
            if now.0 - before.0 < 0.015 && now.1 == before.1 || began.elapsed() > LONGEST {
                return now.0;
            }
        }
    }
}
