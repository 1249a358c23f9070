//! The replicas, their Issuers and the servers, and how they are hurt.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::sleep;
use wasm_issuer_e2e::component::unlike;
use wasm_issuer_e2e::judgement::{Interruption, Victim};
use wasm_issuer_e2e::keys::Ca;
use wasm_issuer_e2e::leases::Terms;
use wasm_issuer_e2e::servers::{Server, api_server_is_ready};
use wasm_issuer_e2e::{Counter, KeyKind, Kind, Launch, Operator, Process, SOON, Test, operator};

use crate::blow::Blow;

/// The default of --lease-name.
const LEASE: &str = "wasm-issuer";
/// How many signs are under way when something goes wrong.
const BUSY: usize = 20;
/// How long it may take to find out which process has asked.
const LOOKED_UP: Duration = Duration::from_millis(500);
/// What is stopped goes on for so long before anything else happens: it may do what it must not.
const AFTERMATH: Duration = Duration::from_secs(3);

/// Where it takes place.
pub struct Stage<'a> {
    t: &'a Test,
    replicas: [&'a mut Operator; 2],
    issuers: usize,
    plugin: Vec<u8>,
    plugins: usize,
    pub counter: Counter,
    pub terms: Terms,
}

impl<'a> Stage<'a> {
    /// Two replicas, and Issuers that share one plugin and one CA.
    pub async fn set(
        t: &'a Test,
        counter: Counter,
        first: &'a mut Operator,
        second: &'a mut Operator,
        issuers: usize,
    ) -> Self {
        let terms = Terms::follow(t.client.clone(), LEASE);
        first.relaunch(Launch::replica(&[])).await;
        second.start().await;
        let root = Ca::root("chaos", KeyKind::P256);
        t.tls_secret("ca", &root.certificate, &root.key.pem()).await;
        let plugin = operator::plugin("counted_ca_plugin");
        t.config_map("plugin", "plugin.wasm", &plugin).await;
        for n in 0..issuers {
            let spec = counter.issuer(&json!({"configMap": {"name": "plugin"}}), "ca");
            t.ready_issuer(&issuer(n), spec).await;
        }
        Self { t, replicas: [first, second], issuers, plugin, plugins: 0, counter, terms }
    }

    pub fn issuers(&self) -> usize {
        self.issuers
    }

    /// Wait until there is much in the middle; as much as there is if that takes too long. Returns how much.
    pub async fn until_busy(&self) -> usize {
        let began = Instant::now();
        loop {
            let now = self.counter.in_flight();
            if now >= BUSY || began.elapsed() > SOON {
                return now;
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Do it, and wait until it is over.
    pub async fn strike(&mut self, blow: Blow) -> Interruption {
        let leader = self.leader().await;
        let began = Timestamp::now();
        let victim = match blow {
            Blow::SwapPlugin => Victim::Nobody,
            Blow::KillApiServer | Blow::PauseEtcd => Victim::Server,
            Blow::KillLeader | Blow::StopLeader => Victim::Replica(self.replicas[leader].pid()),
        };
        match blow {
            Blow::SwapPlugin => self.swap_plugin().await,
            Blow::KillApiServer => {
                Server::new(&self.t.workdir, "kube-apiserver").kill().await;
                api_server_is_ready(&self.t.client).await;
            }
            Blow::PauseEtcd => Server::new(&self.t.workdir, "etcd").pause(Duration::from_secs(5)).await,
            Blow::KillLeader => {
                // Who asks the CA is found out while the process is there.
                Process::new(self.replicas[leader].pid()).signal("STOP");
                sleep(LOOKED_UP).await;
                self.replicas[leader].kill().await;
                self.replicas[leader].start().await;
            }
            Blow::StopLeader => self.stop(leader).await,
        }
        Interruption { victim, began, ended: Timestamp::now() }
    }

    /// Which replica leads, once one does.
    async fn leader(&self) -> usize {
        let began = Instant::now();
        loop {
            let leads = |replica: &&mut Operator| self.terms.leader() == Some(replica.pid());
            if let Some(leader) = self.replicas.iter().position(leads) {
                return leader;
            }
            assert!(began.elapsed() < SOON, "nobody leads");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Stop a replica that leads, let it go on when the other one works, and see what it does.
    async fn stop(&self, leader: usize) {
        let (stopped, other) = (Process::new(self.replicas[leader].pid()), self.replicas[1 - leader].pid());
        stopped.signal("STOP");
        let began = Instant::now();
        let has_asked = || self.counter.signs().last().is_some_and(|call| call.pid == Some(other));
        while self.terms.leader() != Some(other) || !has_asked() {
            assert!(began.elapsed() < SOON, "the other replica did not take over");
            sleep(Duration::from_millis(50)).await;
        }
        stopped.signal("CONT");
        sleep(AFTERMATH).await;
    }

    /// Put another plugin into the ConfigMap, and wait until all Issuers have it.
    async fn swap_plugin(&mut self) {
        let before = self.loaded().await;
        self.plugins += 1;
        self.t.config_map("plugin", "plugin.wasm", &unlike(&self.plugin, self.plugins)).await;
        let began = Instant::now();
        loop {
            let now = self.loaded().await;
            if now.len() == 1 && now != before {
                return;
            }
            assert!(began.elapsed() < SOON, "the new plugin is not in use: {now:?}");
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// The digests of the plugins that the Issuers have, by their statuses.
    async fn loaded(&self) -> Vec<String> {
        let issuers = self.t.list(Kind::WasmIssuer).await;
        let digest =
            |issuer: &Value| issuer["status"]["plugin"]["sha256"].as_str().unwrap_or_default().to_owned();
        let mut all: Vec<String> = issuers.iter().map(|issuer| digest(&issuer.0)).collect();
        all.sort();
        all.dedup();
        all
    }
}

/// The name of an Issuer.
pub fn issuer(n: usize) -> String {
    format!("ca-{n}")
}
