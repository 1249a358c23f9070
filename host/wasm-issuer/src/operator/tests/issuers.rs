//! What becomes of Issuers when their objects change under the operator's hands.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;
use wasm_issuer_core::issuance::backoff::Backoff;
use wasm_issuer_core::issuance::condition::{PLUGIN_CURRENT, READY};
use wasm_issuer_core::issuance::request::RetryPolicy;

use crate::api::{IssuerKey, IssuerKind};
use crate::operator::events::Events;
use crate::operator::health::Synced;
use crate::operator::issuers::{Issuers, Settings};
use crate::operator::metrics::Metrics;
use crate::operator::registry::{IssuerEntry, Registry};
use crate::operator::testing::{
    Answer, Call, Fault, NAMESPACE, Object, ScriptedApi, ScriptedLoader, config_map, issuer, secret,
};
use crate::policy::Policy;

const CHECKED: &str = "True Checked: Succeeded checking the issuer";

/// The Issuers' side, with one Issuer, `ca`, whose plugin is `v1`.
struct Bench {
    api: ScriptedApi,
    plugins: ScriptedLoader,
    registry: Arc<Registry>,
    ca: Object,
}

impl Bench {
    fn start(prepare: impl FnOnce(&ScriptedApi, &Object, &ScriptedLoader)) -> Self {
        let (api, plugins) = (ScriptedApi::new(), ScriptedLoader::default());
        let (ca, value) = issuer("ca");
        api.put(&ca, value);
        let (map, value) = config_map("plugin", "v1");
        api.put(&map, value);
        prepare(&api, &ca, &plugins);
        let (registry, _) = Registry::new();
        let metrics = Arc::new(Metrics::new());
        let (events, _) = Events::start(api.client(), "test".to_owned(), metrics.clone());
        let settings = Settings {
            builtin_dir: "/nowhere".into(),
            cluster_resource_namespace: "operator".to_owned(),
            retry: RetryPolicy {
                max_duration: Duration::from_secs(3600),
                backoff: Backoff { min: Duration::from_secs(1), max: Duration::from_secs(60) },
            },
            policy: Policy::default(),
        };
        let loader = Arc::new(plugins.clone());
        let issuers = Issuers::new(api.client(), loader, settings, registry.clone(), events, metrics);
        tokio::spawn(issuers.run(Synced::new()));
        Self { api, plugins, registry, ca }
    }

    async fn until_says(&self, type_: &str, what: &str) {
        self.api.until(what, |api| api.condition(&self.ca, type_).as_deref() == Some(what)).await;
    }

    fn entry(&self) -> Option<IssuerEntry> {
        let namespace = Some(NAMESPACE.to_owned());
        let key = IssuerKey { kind: IssuerKind::Namespaced, namespace, name: "ca".to_owned() };
        self.registry.get(&key)
    }

    fn serves(&self) -> bool {
        self.entry().is_some_and(|entry| entry.serving.is_some())
    }

    fn times_written(&self) -> usize {
        self.api.count(&Call::WriteStatus(self.ca.clone()))
    }
}

/// Long enough for everything but the next periodic check.
async fn a_moment() {
    sleep(Duration::from_secs(20)).await;
}

#[tokio::test(start_paused = true)]
async fn an_issuer_is_ready_after_one_check_and_one_write() {
    let bench = Bench::start(|_, _, _| {});
    bench.until_says(READY, CHECKED).await;
    a_moment().await;
    assert!(bench.serves());
    assert_eq!((bench.plugins.plugin("v1").checked(), bench.times_written()), (1, 1));
    assert_eq!(bench.api.events(), ["Checked: Succeeded checking the issuer"]);
}

#[tokio::test(start_paused = true)]
async fn a_status_whose_write_conflicts_is_written_onto_the_newer_version() {
    let bench = Bench::start(|api, ca, _| {
        let object = ca.clone();
        let annotate = move |api: &ScriptedApi| {
            api.edit(&object, |value| value["metadata"]["annotations"] = json!({"somebody": "else"}));
        };
        api.next(Call::WriteStatus(ca.clone()), Fault::overtaken(annotate));
    });
    bench.until_says(READY, CHECKED).await;
    a_moment().await;
    assert!(bench.serves());
    assert_eq!(bench.times_written(), 2);
    assert_eq!(bench.api.get(&bench.ca).unwrap()["metadata"]["annotations"]["somebody"], "else");
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_missing_is_waited_for() {
    let bench =
        Bench::start(|api, ca, _| api.edit(ca, |value| value["spec"]["authSecretName"] = "auth".into()));
    let missing =
        r#"False Pending: Not ready yet: Secret "team-a/auth" not found (named by spec.authSecretName)"#;
    bench.until_says(READY, missing).await;
    assert!(!bench.serves());
    // Longer than the next check by the clock takes: it is the watch that tells.
    sleep(Duration::from_secs(300)).await;
    let (auth, value) = secret("auth");
    bench.api.put(&auth, value);
    let began = tokio::time::Instant::now();
    bench.until_says(READY, CHECKED).await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(bench.serves());
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_is_refused_leaves_the_old_one_serving() {
    let bench = Bench::start(|_, _, _| {});
    bench.until_says(READY, CHECKED).await;
    let (map, value) = config_map("plugin", "broken");
    bench.api.put(&map, value);
    let refused = "False Refused: The new plugin was not taken into use, 3bfc269594ef goes on serving: ConfigMap \
                   team-a/plugin plugin.wasm: the plugin is empty (0 bytes): put the component's bytes there";
    bench.until_says(PLUGIN_CURRENT, refused).await;
    assert!(bench.serves());
    assert_eq!(bench.api.condition(&bench.ca, READY).as_deref(), Some(CHECKED));

    let (map, value) = config_map("plugin", "v2");
    bench.api.put(&map, value);
    bench.until_says(PLUGIN_CURRENT, "True Loaded: The plugin of the spec is in use").await;
    assert_eq!(bench.plugins.plugin("v2").checked(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_deleted_while_it_is_prepared_leaves_nothing_behind() {
    let bench = Bench::start(|_, _, plugins| {
        plugins.plugin("v1").checks(Answer::good().after(Duration::from_secs(5)));
    });
    bench.api.until("the check", |_| bench.plugins.plugin("v1").checked() == 1).await;
    bench.api.delete(&bench.ca);
    a_moment().await;
    assert!(bench.entry().is_none());
    assert_eq!(bench.times_written(), 0);
    assert_eq!(bench.api.events(), [] as [String; 0]);
}
