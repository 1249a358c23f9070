//! The plugin runtime against real components: what a good one gets done, and how far a hostile one gets.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, KeyPair};
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use wasm_issuer_core::issuance::signer::{Failure, FailureKind, Requester, SignRequest, Signed};
use wasm_issuer_core::x509::{Certificate, Csr, pem};
use wasm_issuer_runtime::{
    Account, AuthSecret, Breakage, CallError, CompilerProcess, IssuerIdentity, Limits, LoadError, Phase,
    Plugin, Runtime, RuntimeConfig, Session, SessionInit,
};
use zeroize::Zeroizing;

fn component(name: &str) -> Vec<u8> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/wasm32-wasip2/plugin");
    let folder = std::env::var_os("WASM_ISSUER_PLUGINS").map_or_else(|| default.into(), PathBuf::from);
    let path = folder.join(format!("{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!(
            "{}: {error}; run `make plugins test-plugins` first, or set WASM_ISSUER_PLUGINS",
            path.display()
        )
    })
}

fn account() -> Account {
    Account::tenant("team-a")
}

async fn load(name: &str) -> Arc<Plugin> {
    let runtime = Runtime::new(RuntimeConfig::default()).unwrap();
    runtime.load(component(name), &account()).await.unwrap()
}

fn session(config: serde_json::Value, secret: &[(&str, &[u8])], limits: Limits) -> Arc<Session> {
    let data: BTreeMap<_, _> =
        secret.iter().map(|(name, value)| ((*name).to_owned(), Zeroizing::new(value.to_vec()))).collect();
    Session::new(SessionInit {
        issuer: IssuerIdentity {
            kind: "WasmIssuer".into(),
            namespace: Some("team-a".into()),
            name: "my-ca".into(),
        },
        config: config.to_string(),
        secret: (!data.is_empty()).then(|| AuthSecret {
            name: "ca".into(),
            namespace: "team-a".into(),
            data,
        }),
        reveal: Default::default(),
        keys: Arc::default(),
        limits,
        http: Default::default(),
        observer: Arc::new(()),
    })
}

fn request() -> SignRequest {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["www.example.com".into()]).unwrap();
    let csr = params.serialize_request(&key).unwrap();
    SignRequest {
        namespace: Some("team-a".into()),
        name: "www-1".into(),
        uid: "0b8a1f2c-4a55-4a43-9f06-3d4f4a8f5a10".into(),
        csr: Csr::from_pem_or_der(csr.der()).unwrap(),
        duration: Duration::from_secs(90 * 24 * 3600),
        is_ca: false,
        usages: vec!["digital signature".into(), "server auth".into()],
        annotations: vec![],
        requester: Requester::default(),
        resume: None,
    }
}

/// The first certificate of a PEM text.
fn first_der(text: &str) -> Vec<u8> {
    let (blocks, _) = pem::blocks(text.as_bytes(), 10).unwrap();
    blocks[0].decode().unwrap().to_vec()
}

fn is_for(signed: &Signed, request: &SignRequest) -> bool {
    Certificate::parse(&first_der(&signed.chain)).unwrap().spki_der() == request.csr.spki_der()
}

#[tokio::test]
async fn in_memory_ca_signs_with_a_key_of_the_host() {
    let plugin = load("in_memory_ca").await;
    let session = session(serde_json::json!({}), &[], Limits::default());
    plugin.check(&session).await.unwrap();
    let request = request();
    let first = plugin.sign(&session, &request).await.unwrap();
    let second = plugin.sign(&session, &request).await.unwrap();
    assert!(is_for(&first, &request));
    assert!(first.ca.is_some());
    assert_eq!(first.ca, second.ca, "the root lasts from call to call");
    assert_ne!(first.chain, second.chain);
}

#[tokio::test]
async fn in_memory_ca_signs_with_the_key_in_the_secret() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "Root");
    let root = params.self_signed(&key).unwrap();
    let (certificate, private_key) = (root.pem(), key.serialize_pem());
    let secret = [("tls.crt", certificate.as_bytes()), ("tls.key", private_key.as_bytes())];
    let plugin = load("in_memory_ca").await;
    let good = session(serde_json::json!({}), &secret, Limits::default());
    plugin.check(&good).await.unwrap();
    let signed = plugin.sign(&good, &request()).await.unwrap();
    assert_eq!(first_der(&signed.ca.unwrap()), root.der().to_vec());

    let damaged =
        session(serde_json::json!({}), &[secret[0], ("tls.key", b"hunter2hunter2")], Limits::default());
    let failure = plugin.check(&damaged).await.unwrap_err().into_failure();
    assert!(failure.message.contains("tls.key") && !failure.message.contains("hunter2"), "{failure:?}");
}

/// A runtime that compiles in processes of their own.
fn compiling(memory: u64, compile_timeout: Duration, cache_dir: Option<&Path>) -> Arc<Runtime> {
    let program = env!("CARGO_BIN_EXE_wasm-issuer").into();
    let compiler = Some(CompilerProcess { program, args: vec!["compile".into()], memory });
    let cache_dir = cache_dir.map(Path::to_owned);
    Runtime::new(RuntimeConfig { compiler, compile_timeout, cache_dir, ..RuntimeConfig::default() }).unwrap()
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn what_another_process_compiled_runs_and_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let wasm = component("in_memory_ca");
    let plugin =
        compiling(1 << 30, MINUTE, Some(folder.path())).load(wasm.clone(), &account()).await.unwrap();
    let session = session(serde_json::json!({}), &[], Limits::default());
    plugin.sign(&session, &request()).await.unwrap();

    // The next one finds it: it could not compile anything.
    let program = "/nonexistent".into();
    let compiler = Some(CompilerProcess { program, args: vec![], memory: 0 });
    let cache_dir = Some(folder.path().to_owned());
    let runtime = Runtime::new(RuntimeConfig { compiler, cache_dir, ..RuntimeConfig::default() }).unwrap();
    let plugin = runtime.load(wasm, &account()).await.unwrap();
    plugin.sign(&session, &request()).await.unwrap();
    let error = runtime.load(component("minimal_plugin"), &account()).await.err().unwrap();
    assert!(matches!(&error, LoadError::Compiler(why) if why.contains("/nonexistent")), "{error}");
}

#[tokio::test]
async fn compiling_has_limits() {
    let wasm = component("in_memory_ca");
    let limit = Duration::from_millis(20);
    let error = compiling(1 << 30, limit, None).load(wasm.clone(), &account()).await.err().unwrap();
    assert_eq!(error, LoadError::Timeout { limit });
    // Within a function's body, so that only the compiler notices.
    let mut damaged = wasm;
    let middle = damaged.len() / 2;
    damaged[middle..middle + 64].fill(0xff);
    let error = compiling(1 << 30, MINUTE, None).load(damaged, &account()).await.err().unwrap();
    assert!(matches!(error, LoadError::Invalid(_)), "{error}");
}

/// What the hostile plugin does when its `sign` behaves like this.
async fn provoke(plugin: &Arc<Plugin>, behaviour: &str, limits: Limits) -> Result<Signed, CallError> {
    let config = serde_json::json!({ "behaviour": behaviour, "seconds": 3600 });
    let session = session(config, &[], limits);
    let result = plugin.sign(&session, &request()).await;
    // Whatever happened, the next call knows nothing of it.
    plugin.check(&session).await.unwrap_or_else(|error| panic!("check after {behaviour}: {error}"));
    result
}

fn quick() -> Limits {
    Limits { timeout: Duration::from_millis(500), ..Limits::default() }
}

fn patient() -> Limits {
    Limits { timeout: Duration::from_secs(120), ..Limits::default() }
}

async fn breakage(plugin: &Arc<Plugin>, behaviour: &str, limits: Limits) -> Breakage {
    match provoke(plugin, behaviour, limits).await {
        Err(CallError::Broken(breakage)) => breakage,
        other => panic!("{behaviour}: {other:?}"),
    }
}

async fn failure(plugin: &Arc<Plugin>, behaviour: &str) -> Failure {
    match provoke(plugin, behaviour, patient()).await {
        Err(CallError::Failed(failure)) => failure,
        other => panic!("{behaviour}: {other:?}"),
    }
}

#[tokio::test]
async fn what_ends_the_instance_is_told() {
    let plugin = load("hostile_plugin").await;
    let trap = breakage(&plugin, "trap", quick()).await;
    assert_eq!(trap.to_string(), "the plugin trapped: wasm `unreachable` instruction executed");
    let panic = breakage(&plugin, "panic", quick()).await;
    assert_eq!(
        panic.to_string(),
        "the plugin trapped: wasm `unreachable` instruction executed; last stderr line: a panic on purpose"
    );
    assert_eq!(breakage(&plugin, "exit", quick()).await, Breakage::Exited { code: 0, last_line: None });
}

#[tokio::test]
async fn what_takes_too_much_is_stopped() {
    let plugin = load("hostile_plugin").await;
    let limits = quick();
    for (behaviour, computing) in [("loop-forever", true), ("slow", false)] {
        let start = Instant::now();
        let timed_out = Breakage::TimedOut { phase: Phase::Call, limit: limits.timeout, computing };
        assert_eq!(breakage(&plugin, behaviour, limits.clone()).await, timed_out);
        assert!(start.elapsed() < Duration::from_secs(3), "{behaviour}: {:?}", start.elapsed());
    }
    let memory = breakage(&plugin, "allocate-4gib", patient()).await;
    assert_eq!(memory, Breakage::MemoryLimit { limit: 64 << 20 });
    // Where the program's own stack in its memory ends first, that is another trap.
    let recursion = breakage(&plugin, "deep-recursion", patient()).await.label();
    assert!(["stack_overflow", "trapped"].contains(&recursion), "{recursion}");
    assert_eq!(breakage(&plugin, "handle-flood", patient()).await, Breakage::HandleLimit);
    assert_eq!(breakage(&plugin, "random-flood", patient()).await.label(), "trapped");
    assert_eq!(breakage(&plugin, "huge-chain", patient()).await, Breakage::TransferLimit);
}

/// The cache and the keys outlive a call, so a plugin that fills them is in its own way. In nobody else's.
#[tokio::test]
async fn what_outlives_a_call_is_bounded() {
    let plugin = load("hostile_plugin").await;
    for (behaviour, expected) in
        [("cache-flood", "64 values stored, one of a megabyte: false"), ("key-flood", "8 keys made")]
    {
        let flooded = session(serde_json::json!({ "behaviour": behaviour }), &[], patient());
        let message = plugin.sign(&flooded, &request()).await.unwrap_err().into_failure().message;
        assert_eq!(message, expected);
        let other = session(serde_json::json!({ "behaviour": "good" }), &[], patient());
        assert!(plugin.sign(&other, &request()).await.is_ok());
    }
}

/// Keeps the records that plugins write on this thread.
#[derive(Clone, Default)]
struct Records(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> Layer<S> for Records {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        struct Text(String);
        impl tracing::field::Visit for Text {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0.push_str(&format!("{}={value:?} ", field.name()));
            }
        }
        if *event.metadata().level() <= tracing::Level::INFO {
            let mut text = Text(String::new());
            event.record(&mut text);
            self.0.lock().unwrap().push(text.0);
        }
    }
}

#[tokio::test]
async fn floods_of_text_do_no_harm() {
    let plugin = load("hostile_plugin").await;
    let records = Records::default();
    let _guard = tracing_subscriber::registry().with(records.clone()).set_default();
    for (behaviour, first) in [
        (
            "log-flood",
            "message=record 0 kind=\"WasmIssuer\" namespace=\"team-a\" issuer=\"my-ca\" call=\"sign\" request.namespace=\"team-a\" request.name=\"www-1\" source=\"log\" ",
        ),
        (
            "print-flood",
            "message=out 0 kind=\"WasmIssuer\" namespace=\"team-a\" issuer=\"my-ca\" call=\"sign\" request.namespace=\"team-a\" request.name=\"www-1\" source=\"stdout\" ",
        ),
    ] {
        records.0.lock().unwrap().clear();
        // It either gets done or runs out of time: that depends on the machine.
        let limits = Limits { timeout: Duration::from_secs(2), ..Limits::default() };
        match provoke(&plugin, behaviour, limits).await {
            Ok(_) | Err(CallError::Broken(Breakage::TimedOut { .. })) => {}
            other => panic!("{behaviour}: {other:?}"),
        }
        let records = records.0.lock().unwrap();
        assert_eq!(records.len(), 65, "{records:?}");
        assert_eq!(records[0], first);
        assert!(records[64].contains("more log records were dropped"), "{}", records[64]);
        assert!(records.iter().all(|record| record.len() < 3000));
    }
}

#[tokio::test]
async fn what_was_not_granted_is_not_there() {
    let plugin = load("hostile_plugin").await;
    for (behaviour, message) in [
        ("read-env", "environment: nothing"),
        ("read-args", "arguments: nothing"),
        ("read-files", "files: nothing"),
        ("open-socket", "network: nothing"),
    ] {
        assert_eq!(failure(&plugin, behaviour).await.message, message);
    }
    let config = serde_json::json!({ "behaviour": "reveal-ungranted" });
    let session = session(config, &[("token", b"s3cr3t-s3cr3t")], quick());
    let failure = plugin.sign(&session, &request()).await.unwrap_err().into_failure();
    assert_eq!(failure.message, "revealed: nothing");
}

#[tokio::test]
async fn failures_arrive_as_they_were_meant() {
    let plugin = load("hostile_plugin").await;
    let kind = async |behaviour: &'static str| failure(&plugin, behaviour).await.kind;
    assert_eq!(kind("retry").await, FailureKind::Retry { after: None });
    assert_eq!(kind("retry-after").await, FailureKind::Retry { after: Some(Duration::from_secs(3600)) });
    assert_eq!(kind("permanent").await, FailureKind::Permanent);
    assert_eq!(kind("issuer-error").await, FailureKind::Issuer);
    let pending = FailureKind::Pending { resume: Some("1".into()), poll_after: Some(Duration::from_secs(1)) };
    assert_eq!(kind("pending").await, pending);
    let condition = failure(&plugin, "condition").await.condition.unwrap();
    assert_eq!((condition.type_.as_str(), condition.status), ("InvalidRequest", "True"));
    let percent = failure(&plugin, "percent-message").await.message;
    assert_eq!(percent, "quota 100%full %s %d %!f(MISSING) {} {0}");
    let long = failure(&plugin, "long-message").await.message;
    assert!(long.len() <= 4096 && !long.chars().any(|c| c.is_control() || c == '\u{202e}'), "{long:?}");
}

/// An Issuer whose plugin loops is no slow neighbour: others on the same two threads go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_looping_plugin_does_not_delay_a_good_one() {
    let hostile = load("hostile_plugin").await;
    let good = load("in_memory_ca").await;
    let looping = session(serde_json::json!({ "behaviour": "loop-forever" }), &[], patient());
    let request = Arc::new(request());
    let loops: Vec<_> = (0..2)
        .map(|_| {
            let (hostile, looping, request) = (hostile.clone(), looping.clone(), request.clone());
            tokio::spawn(async move { hostile.sign(&looping, &request).await })
        })
        .collect();
    let session = session(serde_json::json!({}), &[], Limits::default());
    let mut times = Vec::new();
    for _ in 0..50 {
        let start = Instant::now();
        good.sign(&session, &request).await.unwrap();
        times.push(start.elapsed());
    }
    times.sort();
    assert!(times[25] < Duration::from_millis(60), "{times:?}");
    assert!(loops.iter().all(|task| !task.is_finished()));
    loops.iter().for_each(tokio::task::JoinHandle::abort);
}
