//! What many Issuers do to the API server, and how soon they notice what it has for them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};
use wasm_issuer_core::issuance::condition::READY;

use crate::operator::registry::Registry;
use crate::operator::testing::{
    Answer, Call, Fault, Object, ScriptedApi, ScriptedLoader, config_map, issuer, secret, start_issuers,
};

const CHECKED: &str = "True Checked: Succeeded checking the issuer";

/// The Issuers' side, with Issuers that have a Secret each.
struct Bench {
    api: ScriptedApi,
    plugins: ScriptedLoader,
    registry: Arc<Registry>,
    issuers: Vec<Object>,
    secrets: Vec<Object>,
}

impl Bench {
    /// So many namespaces with so many Issuers in each.
    fn new(namespaces: usize, each: usize) -> Self {
        let (api, plugins) = (ScriptedApi::new(), ScriptedLoader::default());
        let (mut issuers, mut secrets) = (Vec::new(), Vec::new());
        for namespace in (0..namespaces).map(|n| format!("team-{n}")) {
            let (map, value) = config_map("plugin", "v1");
            api.put(&map.in_namespace(&namespace), value);
            for n in 0..each {
                let (object, value) = secret(&format!("auth-{n}"));
                secrets.push(object.in_namespace(&namespace));
                api.put(&secrets[secrets.len() - 1], value);
                let (object, mut value) = issuer(&format!("ca-{n}"));
                value["spec"]["authSecretName"] = format!("auth-{n}").into();
                issuers.push(object.in_namespace(&namespace));
                api.put(&issuers[issuers.len() - 1], value);
            }
        }
        let registry = Registry::new().0;
        Self { api, plugins, registry, issuers, secrets }
    }

    fn start(&mut self) {
        self.registry = start_issuers(&self.api, &self.plugins);
    }

    async fn until_ready(&self) {
        let is_ready = |issuer| self.api.condition(issuer, READY).as_deref() == Some(CHECKED);
        self.api.until("all are ready", |_| self.issuers.iter().all(is_ready)).await;
    }

    fn serving(&self) -> usize {
        self.registry.issuers().iter().filter(|(_, ready)| *ready).count()
    }

    /// How often the Secrets were read.
    fn reads(&self) -> usize {
        self.secrets.iter().map(|secret| self.api.count(&Call::Get(secret.clone()))).sum()
    }

    fn change(&self, secret: &Object) {
        self.api.edit(secret, |value| value["data"]["token"] = json!("bmV3"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_wakes_the_issuers_however_it_is_watched() {
    for (each, rights, watches) in [(2, true, 2), (20, true, 1), (20, false, 20)] {
        let mut bench = Bench::new(1, each);
        if !rights {
            let list = Call::ListNamespace("secrets".to_owned(), "team-0".to_owned());
            bench.api.every(list, Fault::Code(403));
        }
        bench.start();
        bench.until_ready().await;
        sleep(Duration::from_secs(5)).await;
        assert_eq!(bench.api.watches("secrets").len(), watches);
        let reads = bench.reads();
        assert_eq!(reads, each);
        let began = Instant::now();
        bench.change(&bench.secrets[each - 1]);
        bench.api.until("it is read", |_| bench.reads() == reads + 1).await;
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        assert_eq!(bench.serving(), each);
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_watched_is_not_read_with_each_check() {
    let mut bench = Bench::new(1, 20);
    for issuer in &bench.issuers {
        let http = json!({"allowedHosts": ["https://ca.example.com"]});
        bench.api.edit(issuer, |value| value["spec"]["http"] = http);
    }
    bench.start();
    bench.until_ready().await;
    sleep(Duration::from_secs(600)).await;
    assert_eq!(bench.reads(), 20);
    assert!(bench.plugins.plugin("v1").checked() > 100);
}

/// One namespace more than there are watches, with one of its ConfigMap and one of its Secret.
#[tokio::test(start_paused = true)]
async fn what_has_no_watch_is_read_with_each_check() {
    let mut bench = Bench::new(257, 1);
    bench.start();
    bench.until_ready().await;
    sleep(Duration::from_secs(5)).await;
    let open = bench.api.watches("secrets").len() + bench.api.watches("configmaps").len();
    assert_eq!(open, 256);
    assert_eq!(bench.serving(), 257);
    let reads = |secret: &Object| bench.api.count(&Call::Get(secret.clone()));
    let before: Vec<_> = bench.secrets.iter().map(reads).collect();
    bench.secrets.iter().for_each(|secret| bench.change(secret));
    sleep(Duration::from_secs(90)).await;
    assert!(bench.secrets.iter().zip(before).all(|(secret, before)| reads(secret) > before));
    // As soon as there are watches for them, they are not read any more.
    bench.issuers.iter().take(200).for_each(|issuer| bench.api.delete(issuer));
    sleep(Duration::from_secs(90)).await;
    assert_eq!(bench.api.watches("secrets").len(), 57);
    let before = bench.reads();
    sleep(Duration::from_secs(600)).await;
    assert_eq!(bench.reads(), before);
}

/// A page is in memory as a whole.
#[tokio::test(start_paused = true)]
async fn no_more_than_fifty_objects_are_listed_at_a_time() {
    let mut bench = Bench::new(1, 120);
    bench.start();
    bench.until_ready().await;
    assert_eq!(bench.api.count(&Call::List("wasmissuers".to_owned())), 3);
}

/// The API server hangs. What waits for a turn needs no turn of what has one.
#[tokio::test(start_paused = true)]
async fn all_issuers_together_make_few_calls_at_a_time() {
    let mut bench = Bench::new(8, 100);
    for secret in &bench.secrets {
        bench.api.next(Call::Get(secret.clone()), Fault::Hang);
    }
    bench.start();
    bench.api.until("the first reads", |_| bench.reads() > 0).await;
    sleep(Duration::from_millis(20)).await;
    assert!((8..=16).contains(&bench.reads()), "{}", bench.reads());
    sleep(Duration::from_secs(10)).await;
    let reads = bench.reads();
    assert!((32..=64).contains(&reads), "{reads}");
    let hangs = |issuer| {
        let ready = bench.api.condition(issuer, READY);
        ready.is_some_and(|ready| ready.contains("no answer within 15 s") || ready == CHECKED)
    };
    bench.api.until("all have been told", |_| bench.issuers.iter().all(hangs)).await;
    bench.until_ready().await;
}

#[tokio::test(start_paused = true)]
async fn no_namespace_makes_all_calls() {
    type Which = fn(&Bench) -> Vec<Call>;
    let reads: Which = |bench| bench.secrets.iter().cloned().map(Call::Get).collect();
    let writes: Which = |bench| bench.issuers.iter().cloned().map(Call::WriteStatus).collect();
    for which in [reads, writes] {
        let mut bench = Bench::new(1, 200);
        let calls = which(&bench);
        calls.iter().for_each(|call| bench.api.every(call.clone(), Fault::Hang));
        bench.start();
        let made = || calls.iter().map(|call| bench.api.count(call)).sum::<usize>();
        bench.api.until("the first calls", |_| made() >= 2).await;
        sleep(Duration::from_millis(20)).await;
        assert_eq!(made(), 2);
        sleep(Duration::from_secs(10)).await;
        assert_eq!(made(), 32);
        let (map, value) = config_map("plugin", "v1");
        bench.api.put(&map, value);
        let (neighbour, value) = issuer("neighbour");
        bench.api.put(&neighbour, value);
        let began = Instant::now();
        let is_ready = |api: &ScriptedApi| api.condition(&neighbour, READY).as_deref() == Some(CHECKED);
        bench.api.until("the neighbour is ready", is_ready).await;
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    }
}

/// So that nobody who makes many of them has the API server for a while.
#[tokio::test(start_paused = true)]
async fn statuses_of_a_namespaces_issuers_are_written_at_a_pace() {
    let mut bench = Bench::new(1, 200);
    bench.start();
    let ready = || bench.issuers.iter().filter(|ca| bench.api.condition(ca, READY).is_some()).count();
    bench.api.until("the first", |_| ready() > 0).await;
    let began = Instant::now();
    sleep(Duration::from_secs(1)).await;
    assert!((20..=30).contains(&ready()), "{}", ready());
    bench.until_ready().await;
    let took = began.elapsed();
    assert!((9..=12).contains(&took.as_secs()), "{took:?}");
}

/// It would be two writes for each where many are new.
#[tokio::test(start_paused = true)]
async fn few_issuers_are_told_that_work_on_them_has_begun() {
    const STARTED: &str = "Unknown Initializing: wasm-issuer.dev has started reconciling this Issuer";
    let mut bench = Bench::new(20, 20);
    for _ in &bench.issuers {
        bench.plugins.plugin("v1").checks(Answer::good().after(Duration::from_secs(5)));
    }
    bench.start();
    let told = |issuer: &&Object| bench.api.condition(issuer, READY).as_deref() == Some(STARTED);
    sleep(Duration::from_millis(500)).await;
    assert!(bench.issuers.iter().any(|issuer| told(&issuer)));
    sleep(Duration::from_millis(1500)).await;
    let all = bench.issuers.iter().filter(told).count();
    assert!((40..=80).contains(&all), "{all}");
    bench.until_ready().await;
}

/// It is work for the API server, which others wait for.
#[tokio::test(start_paused = true)]
async fn long_secrets_of_a_namespace_are_read_at_a_pace() {
    let mut bench = Bench::new(1, 20);
    let long = "A".repeat(1 << 20);
    for secret in &bench.secrets {
        bench.api.edit(secret, |value| value["data"]["token"] = json!(long));
    }
    bench.start();
    bench.api.until("the first", |_| bench.reads() > 0).await;
    let began = Instant::now();
    sleep(Duration::from_secs(5)).await;
    assert!((10..=15).contains(&bench.reads()), "{}", bench.reads());
    // What is short waits for no other namespace's.
    let (neighbour, value) = secret("auth-0");
    bench.api.put(&neighbour.in_namespace("quiet"), value);
    let (map, value) = config_map("plugin", "v1");
    bench.api.put(&map.in_namespace("quiet"), value);
    let (neighbour, mut value) = issuer("ca");
    let neighbour = neighbour.in_namespace("quiet");
    value["spec"]["authSecretName"] = "auth-0".into();
    bench.api.put(&neighbour, value);
    let is_ready = |api: &ScriptedApi| api.condition(&neighbour, READY).as_deref() == Some(CHECKED);
    bench.api.until("the neighbour is ready", is_ready).await;
    assert!(began.elapsed() < Duration::from_millis(5500), "{:?}", began.elapsed());
    sleep(Duration::from_secs(10)).await;
    assert_eq!(bench.reads(), 20);
}
