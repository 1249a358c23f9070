//! The Issuers' side, or both sides, against the API server in memory.

use std::sync::Arc;

use tokio::sync::watch;
use wasm_issuer_core::issuance::condition::READY;
use wasm_issuer_core::issuance::request_kind::RequestKind;
use wasm_issuer_oci::SignerKey;
use wasm_issuer_runtime::{FairBytes, Folder, IssuerMemory, Turns};

use crate::api::{IssuerKey, IssuerKind, Quantity};
use crate::operator::audit::Audit;
use crate::operator::events::Events;
use crate::operator::health::Synced;
use crate::operator::issuers::{Issuers, Settings};
use crate::operator::leadership::Leadership;
use crate::operator::metrics::Metrics;
use crate::operator::namespaces::Namespaces;
use crate::operator::registry::{IssuerEntry, Registry};
use crate::operator::requests::{Limits, Requests, Signing};
use crate::operator::testing::{
    Call, NAMESPACE, Object, ScriptedApi, ScriptedLoader, ScriptedRegistry, config_map, issuer, request,
    settings,
};
use crate::policy::{Policy, RegistryBound};

pub const CHECKED: &str = "True Checked: Succeeded checking the issuer";
pub const ISSUED: &str = "True Issued: Succeeded signing the CertificateRequest";

/// An operator with one Issuer, `ca`, whose plugin is `v1`.
pub struct Bench {
    pub api: ScriptedApi,
    pub plugins: ScriptedLoader,
    pub registry: Arc<Registry>,
    pub metrics: Arc<Metrics>,
    pub ca: Object,
    pub policy: watch::Sender<Arc<Policy>>,
    /// One long computation at a time.
    pub turns: Turns,
    /// A MiB for what requests ask for.
    pub request_memory: Arc<FairBytes>,
    /// Kept open: the requests' side waits for it.
    _stop: watch::Sender<bool>,
}

impl Bench {
    /// The Issuers' side alone.
    pub fn start(prepare: impl FnOnce(&ScriptedApi, &Object, &ScriptedLoader)) -> Self {
        Self::run(prepare, false, IssuerMemory::unlimited(), Namespaces::All)
    }

    /// The Issuers' side alone, with this registry in clear text, and a folder for what is pulled.
    pub fn pulling(
        registry: &ScriptedRegistry,
        folder: Option<Folder>,
        prepare: impl FnOnce(&ScriptedApi, &Object),
    ) -> Self {
        Self::pulling_signed(registry, folder, vec![], prepare)
    }

    /// The same under a policy that asks for a signature by one of these keys, if there are any.
    pub fn pulling_signed(
        registry: &ScriptedRegistry,
        folder: Option<Folder>,
        signed_by: Vec<SignerKey>,
        prepare: impl FnOnce(&ScriptedApi, &Object),
    ) -> Self {
        let mut policy = Policy::default();
        let anywhere: RegistryBound = "http://*".parse().unwrap();
        policy.wasm_issuers.registries = vec![anywhere];
        policy.wasm_issuers.signed_by = signed_by;
        let egress = registry.egress();
        let edit = |settings: Settings| Settings { egress, image_folder: folder, ..settings };
        Self::run_with(|api, ca, _| prepare(api, ca), false, IssuerMemory::unlimited(), policy, edit)
    }

    /// The Issuers' side alone, where no plugin may be larger than this.
    pub fn up_to(max_component: Quantity) -> Self {
        let edit = |settings: Settings| Settings { max_component, ..settings };
        Self::run_with(|_, _, _| {}, false, IssuerMemory::unlimited(), Policy::default(), edit)
    }

    /// Both sides.
    pub fn whole(prepare: impl FnOnce(&ScriptedApi, &Object, &ScriptedLoader)) -> Self {
        Self::within(IssuerMemory::unlimited(), prepare)
    }

    /// Both sides, where the Issuers may keep so much.
    pub fn within(
        memory: IssuerMemory,
        prepare: impl FnOnce(&ScriptedApi, &Object, &ScriptedLoader),
    ) -> Self {
        Self::run(prepare, true, memory, Namespaces::All)
    }

    /// Both sides, which serve these namespaces.
    pub fn among(
        namespaces: Namespaces,
        prepare: impl FnOnce(&ScriptedApi, &Object, &ScriptedLoader),
    ) -> Self {
        Self::run(prepare, true, IssuerMemory::unlimited(), namespaces)
    }

    fn run(
        prepare: impl FnOnce(&ScriptedApi, &Object, &ScriptedLoader),
        with_requests: bool,
        memory: IssuerMemory,
        namespaces: Namespaces,
    ) -> Self {
        let edit = |settings: Settings| Settings { namespaces, ..settings };
        Self::run_with(prepare, with_requests, memory, Policy::default(), edit)
    }

    fn run_with(
        prepare: impl FnOnce(&ScriptedApi, &Object, &ScriptedLoader),
        with_requests: bool,
        memory: IssuerMemory,
        policy: Policy,
        edit: impl FnOnce(Settings) -> Settings,
    ) -> Self {
        let (api, plugins) = (ScriptedApi::new(), ScriptedLoader::default());
        let (ca, value) = issuer("ca");
        api.put(&ca, value);
        let (map, value) = config_map("plugin", "v1");
        api.put(&map, value);
        prepare(&api, &ca, &plugins);
        let (registry, changes) = Registry::new();
        let metrics = Arc::new(Metrics::new());
        let (events, _) = Events::start(api.client(), "test".to_owned(), metrics.clone());
        let (policy, current) = watch::channel(Arc::new(policy));
        let settings = edit(settings(current, memory));
        let namespaces = settings.namespaces.clone();
        let (loader, turns) = (Arc::new(plugins.clone()), settings.turns.clone());
        let leadership = Leadership::alone();
        let issuers = Issuers::new(
            api.client(),
            loader,
            settings,
            registry.clone(),
            events.clone(),
            leadership.clone(),
            metrics.clone(),
        );
        let synced = Synced::new(&namespaces, &RequestKind::ALL);
        tokio::spawn(issuers.run(synced.clone()));
        let (stop, stopped) = watch::channel(false);
        let request_memory = FairBytes::new(1 << 20);
        if with_requests {
            let signing = Signing::new(
                api.client(),
                registry.clone(),
                leadership,
                events,
                metrics.clone(),
                Audit::off(),
                turns.clone(),
            );
            let limits = Limits { total: 8, per_issuer: 8, per_namespace: 8 };
            let memory = request_memory.clone();
            let kinds = &RequestKind::ALL;
            let requests = Requests::new(kinds, Arc::new(signing), synced, limits, memory, namespaces);
            tokio::spawn(requests.run(api.client(), changes, stopped));
        }
        Self { api, plugins, registry, metrics, ca, policy, turns, request_memory, _stop: stop }
    }

    /// Somebody asks for a certificate.
    pub fn ask(&self, name: &str) -> Object {
        let (object, value) = request(name);
        self.api.put(&object, value);
        object
    }

    pub async fn until_says(&self, type_: &str, what: &str) {
        self.until(&self.ca, type_, what).await;
    }

    pub async fn until_issued(&self, request: &Object) {
        self.until(request, READY, ISSUED).await;
    }

    pub async fn until(&self, object: &Object, type_: &str, what: &str) {
        self.api.until(what, |api| api.condition(object, type_).as_deref() == Some(what)).await;
    }

    pub fn entry(&self) -> Option<IssuerEntry> {
        let namespace = Some(NAMESPACE.to_owned());
        let key = IssuerKey { kind: IssuerKind::Namespaced, namespace, name: "ca".to_owned() };
        self.registry.find(&key).0
    }

    pub fn serves(&self) -> bool {
        self.entry().is_some_and(|entry| entry.serving.is_some())
    }

    /// Have another list of who may sign hold.
    pub fn demand(&self, signed_by: &[SignerKey]) {
        self.policy.send_modify(|policy| {
            Arc::make_mut(policy).wasm_issuers.signed_by = signed_by.to_vec();
        });
    }

    /// How often the Issuer's status was written.
    pub fn times_written(&self) -> usize {
        self.api.count(&Call::WriteStatus(self.ca.clone()))
    }
}
