//! One of several replicas of the operator, for tests: a process with a Lease.

use std::sync::{Arc, Weak};

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use wasm_issuer_core::issuance::request_kind::RequestKind;
use wasm_issuer_runtime::{FairBytes, IssuerMemory};

use super::api_server::ScriptedApi;
use super::issuers::settings;
use super::line::Line;
use super::objects::NAMESPACE;
use super::plugin::{ScriptedLoader, ScriptedSigner};
use crate::api::{IssuerKey, IssuerKind};
use crate::operator::audit::Audit;
use crate::operator::events::Events;
use crate::operator::health::Synced;
use crate::operator::issuers::{BadSelector, Issuers};
use crate::operator::leadership::{Election, ElectionConfig, Leadership};
use crate::operator::metrics::Metrics;
use crate::operator::namespaces::Namespaces;
use crate::operator::registry::{IssuerEntry, Registry};
use crate::operator::requests::{Limits, Requests, Signing};
use crate::policy::Policy;

/// A replica, with plugins and a line of its own: what it does and what the others do can be told apart.
pub struct Replica {
    pub line: Line,
    pub plugins: ScriptedLoader,
    pub leadership: Leadership,
    /// What it holds of plugins ends with the replica.
    registry: Weak<Registry>,
    stop: watch::Sender<bool>,
    end: watch::Sender<bool>,
    pub issuers: JoinHandle<Result<(), BadSelector>>,
    requests: JoinHandle<()>,
    publisher: JoinHandle<()>,
    election: JoinHandle<()>,
    _policy: watch::Sender<Arc<Policy>>,
}

/// What a test wants otherwise than usual.
pub struct Setup {
    pub shards: usize,
    pub wall_clock: fn() -> Timestamp,
    pub selector: Option<&'static str>,
    pub lease: &'static str,
    pub lease_namespace: String,
    pub audit: Audit,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            shards: 1,
            wall_clock: Timestamp::now,
            selector: None,
            lease: "wasm-issuer",
            lease_namespace: "operator".to_owned(),
            audit: Audit::off(),
        }
    }
}

impl Replica {
    pub fn start(api: &ScriptedApi, name: &str, setup: &Setup) -> Self {
        let (line, plugins) = (Line::new(), ScriptedLoader::default());
        let client = api.client_over(&line);
        let config = ElectionConfig {
            namespace: setup.lease_namespace.clone(),
            name: setup.lease.to_owned(),
            ..ElectionConfig::of(name, setup.shards)
        };
        let election = Election::new(client.clone(), config).with_wall_clock(setup.wall_clock);
        let leadership = election.leadership();
        let (registry, changes) = Registry::new();
        let known = Arc::downgrade(&registry);
        let metrics = Arc::new(Metrics::new());
        let (events, publisher) = Events::start(client.clone(), name.to_owned(), metrics.clone());
        let (policy, current) = watch::channel(Arc::new(Policy::default()));
        let settings = settings(current, IssuerMemory::unlimited());
        let turns = settings.turns.clone();
        let issuers = Issuers::new(
            client.clone(),
            Arc::new(plugins.clone()),
            settings,
            registry.clone(),
            events.clone(),
            leadership.clone(),
            metrics.clone(),
        )
        .selecting(setup.selector.map(str::to_owned));
        let signing = Signing::new(
            client.clone(),
            registry,
            leadership.clone(),
            events,
            metrics,
            setup.audit.clone(),
            turns,
        )
        .selective(setup.selector.is_some());
        let limits = Limits { total: 8, per_issuer: 8, per_namespace: 8 };
        let synced = Synced::new(&Namespaces::All, &RequestKind::ALL);
        let memory = FairBytes::new(1 << 20);
        let kinds = &RequestKind::ALL;
        let requests =
            Requests::new(kinds, Arc::new(signing), synced.clone(), limits, memory, Namespaces::All);
        let (stop, stopped) = watch::channel(false);
        let (end, ended) = watch::channel(false);
        Self {
            line,
            plugins,
            leadership,
            registry: known,
            issuers: tokio::spawn(issuers.run(synced)),
            requests: tokio::spawn(requests.run(client, changes, stopped.clone())),
            publisher,
            election: tokio::spawn(election.run(stopped, ended, || {})),
            stop,
            end,
            _policy: policy,
        }
    }

    /// Its plugin `v1`.
    pub fn signer(&self) -> ScriptedSigner {
        self.plugins.plugin("v1")
    }

    /// What its requests' side knows of an Issuer.
    pub fn issuer(&self, name: &str) -> Option<IssuerEntry> {
        let namespace = Some(NAMESPACE.to_owned());
        let key = IssuerKey { kind: IssuerKind::Namespaced, namespace, name: name.to_owned() };
        self.registry.upgrade()?.find(&key).0
    }

    /// Whether it works for any Issuer.
    pub fn leads(&self) -> bool {
        self.leadership.held() > 0
    }

    /// End it as Kubernetes does, as the operator itself goes about it.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        self.requests.await.unwrap();
        self.issuers.abort();
        let _ = self.issuers.await;
        self.publisher.await.unwrap();
        self.end.send_replace(true);
        self.election.await.unwrap();
    }

    /// End it as a machine's failure would.
    pub fn kill(self) {
        self.issuers.abort();
        for task in [self.requests, self.publisher, self.election] {
            task.abort();
        }
        self.line.cut();
    }
}
