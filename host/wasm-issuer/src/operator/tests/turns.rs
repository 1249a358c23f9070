//! Who waits for whose plugin: turns to load and to compile are shared between tenants.

use std::io::Write as _;
use std::sync::mpsc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use tokio::time::{Instant, sleep};
use wasm_issuer_core::issuance::condition::READY;
use wasm_issuer_runtime::{Owner, Turns};

use super::bench::{self, ISSUED};
use crate::operator::testing::{
    Answer, Call, Fault, Object, ScriptedApi, ScriptedLoader, config_map, issuer, secret, start_issuers,
};

const CHECKED: &str = "True Checked: Succeeded checking the issuer";

struct Bench {
    api: ScriptedApi,
    plugins: ScriptedLoader,
}

impl Bench {
    fn start() -> Self {
        let (api, plugins) = (ScriptedApi::new(), ScriptedLoader::default());
        start_issuers(&api, &plugins);
        Self { api, plugins }
    }

    /// An Issuer whose plugin is in a ConfigMap of the same name.
    fn issuer(&self, namespace: &str, name: &str, plugin: &str) -> Object {
        let (map, value) = config_map(name, plugin);
        self.api.put(&map.in_namespace(namespace), value);
        let (object, mut value) = issuer(name);
        value["spec"]["plugin"]["configMap"]["name"] = name.into();
        let object = object.in_namespace(namespace);
        self.api.put(&object, value);
        object
    }

    /// Issuers with plugins that take for ever to compile, each with its own.
    fn slow(&self, namespace: &str, count: usize) -> Vec<Object> {
        let slow = |n| {
            let name = format!("slow-{n}");
            self.plugins.uncompiled(&name);
            self.issuer(namespace, &name, &name)
        };
        (0..count).map(slow).collect()
    }

    async fn until_ready(&self, issuer: &Object) {
        self.api.until("Ready", |api| api.condition(issuer, READY).as_deref() == Some(CHECKED)).await;
    }

    fn ready(&self, issuer: &Object) -> Option<String> {
        self.api.condition(issuer, READY)
    }
}

#[tokio::test(start_paused = true)]
async fn plugins_that_are_compiled_wait_for_none_that_compiles() {
    let bench = Bench::start();
    bench.slow("greedy", 20);
    bench.api.until("compiling", |_| bench.plugins.compiling().len() == 1).await;
    sleep(Duration::from_secs(600)).await;
    let began = Instant::now();
    for namespace in ["greedy", "modest"] {
        bench.until_ready(&bench.issuer(namespace, "warm", "warm")).await;
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(bench.plugins.compiling().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_compiles_next() {
    let bench = Bench::start();
    bench.slow("greedy", 20);
    bench.api.until("compiling", |_| bench.plugins.compiling().len() == 1).await;
    // Longer than anybody's clock takes: waiting is no failure.
    sleep(Duration::from_secs(3600)).await;
    bench.plugins.uncompiled("new");
    let newcomer = bench.issuer("modest", "new", "new");
    sleep(Duration::from_secs(10)).await;
    let under_way = bench.plugins.compiling();
    assert_eq!(under_way.len(), 1);
    bench.plugins.compiled(&under_way[0]);
    bench.api.until("the next one", |_| bench.plugins.compiling().len() == 2).await;
    assert_eq!(bench.plugins.compiling()[1], "new");
    bench.plugins.compiled("new");
    bench.until_ready(&newcomer).await;
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_turn_is_no_failure() {
    let bench = Bench::start();
    let waiting = bench.slow("greedy", 3);
    sleep(Duration::from_secs(24 * 3600)).await;
    for issuer in &waiting {
        let ready = bench.ready(issuer).unwrap();
        assert!(ready.starts_with("Unknown"), "{ready}");
    }
    assert_eq!(bench.plugins.compiling().len(), 1);
    (0..3).for_each(|n| bench.plugins.compiled(&format!("slow-{n}")));
    for issuer in &waiting {
        bench.until_ready(issuer).await;
    }
}

/// Whoever waits holds no component meanwhile: it is read again.
#[tokio::test(start_paused = true)]
async fn what_is_compiled_is_what_the_source_holds_when_the_turn_comes() {
    let bench = Bench::start();
    bench.slow("greedy", 1);
    bench.api.until("compiling", |_| bench.plugins.compiling().len() == 1).await;
    bench.plugins.uncompiled("old");
    bench.plugins.uncompiled("new");
    let issuer = bench.issuer("modest", "ca", "old");
    sleep(Duration::from_secs(10)).await;
    let (map, value) = config_map("ca", "new");
    bench.api.put(&map.in_namespace("modest"), value);
    bench.plugins.compiled("slow-0");
    bench.plugins.compiled("new");
    bench.until_ready(&issuer).await;
    assert_eq!(bench.plugins.compiling(), ["slow-0", "new"]);
}

#[tokio::test(start_paused = true)]
async fn one_digest_is_compiled_once_for_all() {
    let bench = Bench::start();
    bench.plugins.uncompiled("same");
    let issuers: Vec<_> =
        (0..30).map(|n| bench.issuer(&format!("team-{}", n % 3), &n.to_string(), "same")).collect();
    bench.api.until("compiling", |_| bench.plugins.compiling().len() == 1).await;
    sleep(Duration::from_secs(60)).await;
    // Those who wait for the same one need no turn for it.
    bench.slow("greedy", 5);
    sleep(Duration::from_secs(60)).await;
    bench.plugins.compiled("same");
    for issuer in &issuers {
        bench.until_ready(issuer).await;
    }
    assert_eq!(bench.plugins.compiling().iter().filter(|name| *name == "same").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_digest_that_does_not_compile_is_not_tried_for_each_issuer() {
    let bench = Bench::start();
    bench.plugins.uncompiled("invalid");
    let issuers: Vec<_> = (0..30).map(|n| bench.issuer("team", &n.to_string(), "invalid")).collect();
    bench.api.until("compiling", |_| bench.plugins.compiling().len() == 1).await;
    bench.plugins.compiled("invalid");
    let invalid = |issuer: &Object| bench.ready(issuer).is_some_and(|ready| ready.contains("scripted"));
    bench.api.until("the refusal", |_| issuers.iter().all(invalid)).await;
    // Nor with the checks that follow.
    sleep(Duration::from_secs(300)).await;
    assert_eq!(bench.plugins.compiling(), ["invalid"]);
}

/// At a start, all Issuers of a tenant want to read their plugins. Neither others nor its own wait for those that hang.
#[tokio::test(start_paused = true)]
async fn reads_that_hang_keep_nobody_waiting() {
    let bench = Bench::start();
    for n in 0..20 {
        let name = format!("hangs-{n}");
        let (map, _) = config_map(&name, "x");
        bench.api.every(Call::Get(map.in_namespace("greedy")), Fault::Hang);
        bench.issuer("greedy", &name, "x");
    }
    sleep(Duration::from_secs(1)).await;
    for namespace in ["modest", "greedy"] {
        let began = Instant::now();
        bench.until_ready(&bench.issuer(namespace, "warm", "warm")).await;
        assert!(began.elapsed() < Duration::from_secs(1), "{namespace}: {:?}", began.elapsed());
    }
}

/// Somebody computes until this is dropped.
fn computing(turns: &Turns) -> mpsc::Sender<()> {
    let (go_on, told) = mpsc::channel::<()>();
    let turns = turns.clone();
    tokio::spawn(async move { turns.compute(&Owner::new("greedy", "ca"), move || told.recv()).await });
    go_on
}

#[tokio::test(start_paused = true)]
async fn a_long_secret_is_read_in_a_turn() {
    let bench = bench::Bench::whole(|api, ca, _| {
        for (name, bytes) in [("long", 100 << 10), ("short", 1 << 10)] {
            let (secret, mut value) = secret(name);
            value["data"] = json!({"token": BASE64_STANDARD.encode(vec![0xff; bytes])});
            api.put(&secret, value);
        }
        api.edit(ca, |ca| ca["spec"]["authSecretName"] = "long".into());
    });
    let computing = computing(&bench.turns);
    let (other, mut value) = issuer("other");
    value["spec"]["authSecretName"] = "short".into();
    bench.api.put(&other, value);
    bench.until(&other, READY, bench::CHECKED).await;
    sleep(Duration::from_secs(600)).await;
    assert_ne!(bench.api.condition(&bench.ca, READY).as_deref(), Some(CHECKED));
    drop(computing);
    bench.until_says(READY, bench::CHECKED).await;
}

/// However few the packed bytes are.
#[tokio::test(start_paused = true)]
async fn a_packed_plugin_is_unpacked_in_a_turn() {
    let bench = bench::Bench::whole(|api, _, _| {
        let (map, mut value) = config_map("plugin", "");
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(b"v1").unwrap();
        value["binaryData"]["plugin.wasm"] = BASE64_STANDARD.encode(packed.finish().unwrap()).into();
        api.put(&map, value);
    });
    let computing = computing(&bench.turns);
    sleep(Duration::from_secs(600)).await;
    assert_ne!(bench.api.condition(&bench.ca, READY).as_deref(), Some(CHECKED));
    drop(computing);
    bench.until_says(READY, bench::CHECKED).await;
}

#[tokio::test(start_paused = true)]
async fn what_takes_long_to_verify_takes_turns() {
    let bench = bench::Bench::whole(|_, _, _| {});
    bench.until_says(READY, bench::CHECKED).await;
    let computing = computing(&bench.turns);
    let plugin = bench.plugins.plugin("v1");
    plugin.signs(Answer::long());
    let long = bench.ask("long");
    bench.api.until("asked", |_| plugin.asked().len() == 1).await;
    let short = bench.ask("short");
    bench.until_issued(&short).await;
    sleep(Duration::from_secs(600)).await;
    assert_ne!(bench.api.condition(&long, READY).as_deref(), Some(ISSUED));
    drop(computing);
    bench.until_issued(&long).await;
    assert_eq!(plugin.asked().len(), 2);
}
