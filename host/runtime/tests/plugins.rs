//! The plugin runtime against real components: what a good one gets done, and how far a hostile one gets.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, KeyPair};
use support::{component, init, patient, request, secret};
use wasm_issuer_core::issuance::signer::{Failure, FailureKind, SignRequest, Signed};
use wasm_issuer_core::x509::{Certificate, pem};
use wasm_issuer_runtime::egress::Traffic;
use wasm_issuer_runtime::testing::{AGES, records};
use wasm_issuer_runtime::{
    Account, Breakage, CallError, CallLimits, Doing, Meter, Phase, Plugin, Rehearsal, Runtime, RuntimeConfig,
    Session, SessionInit,
};

fn account() -> Account {
    Account::tenant("team-a")
}

async fn load(name: &str) -> Arc<Plugin> {
    let runtime = Runtime::new(RuntimeConfig::default()).unwrap();
    runtime.load(component(name), &account()).await.unwrap()
}

fn session(config: serde_json::Value, values: &[(&str, &[u8])], limits: CallLimits) -> Arc<Session> {
    let secret = (!values.is_empty()).then(|| secret(values));
    Session::new(SessionInit { secret, limits, ..init(config) })
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
    let session = session(serde_json::json!({}), &[], patient());
    plugin.check(&session).await.unwrap();
    let request = request();
    let first = plugin.sign(&session, &request).await.unwrap();
    let second = plugin.sign(&session, &request).await.unwrap();
    assert!(is_for(&first, &request));
    assert!(first.ca.is_some());
    assert_eq!(first.ca, second.ca, "the root lasts from call to call");
    assert_ne!(first.chain, second.chain);
}

/// Before the plugin sees it: its own words would be others.
#[tokio::test]
async fn a_config_is_held_against_what_the_plugin_says_of_itself() {
    let plugin = load("in_memory_ca").await;
    let wrong =
        session(serde_json::json!({ "commonName": "", "algorithm": "p224", "name": 1 }), &[], patient());
    let failure = plugin.check(&wrong).await.unwrap_err().into_failure();
    assert_eq!(failure.kind, FailureKind::Permanent);
    assert_eq!(
        failure.message,
        "spec.config.algorithm: `p224` is none of `p256`, `p384`, `p521`, `ed25519`; \
         spec.config.commonName: 0 characters, at least 1 are expected; \
         spec.config.name: no such field; there are `algorithm`, `commonName`"
    );
    let description = plugin.describe(&wrong).await.unwrap().unwrap();
    assert_eq!(description.name, "in-memory-ca");
    assert_eq!(description.secret_keys.len(), 3);
    let undescribed = load("minimal_plugin").await;
    assert!(undescribed.describe(&wrong).await.unwrap().is_none());
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
    let good = session(serde_json::json!({}), &secret, patient());
    plugin.check(&good).await.unwrap();
    let signed = plugin.sign(&good, &request()).await.unwrap();
    assert_eq!(first_der(&signed.ca.unwrap()), root.der().to_vec());

    let damaged = session(serde_json::json!({}), &[secret[0], ("tls.key", b"hunter2hunter2")], patient());
    let failure = plugin.check(&damaged).await.unwrap_err().into_failure();
    assert!(failure.message.contains("tls.key") && !failure.message.contains("hunter2"), "{failure:?}");
}

/// Two runs of a test are the same but for signatures; what they spend is counted.
#[tokio::test]
async fn a_rehearsal_is_the_same_each_time() {
    let runtime =
        Runtime::new(RuntimeConfig { count_instructions: true, ..RuntimeConfig::default() }).unwrap();
    let counting = runtime.load(component("in_memory_ca"), &account()).await.unwrap();
    let usual = load("in_memory_ca").await;
    let request = request();
    let run = async |plugin: &Arc<Plugin>, seed: u8| {
        let meter = Arc::new(Meter::default());
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000);
        let rehearsal =
            Rehearsal { traffic: Traffic::Network, now, seed: [seed; 32], meter: Some(meter.clone()) };
        let session = Session::rehearsed(init(serde_json::json!({})), rehearsal);
        plugin.check(&session).await.unwrap();
        let signed = plugin.sign(&session, &request).await.unwrap();
        let der = first_der(&signed.chain);
        let leaf = Certificate::parse(&der).unwrap();
        (leaf.serial(), leaf.not_after().as_secs(), meter.spent())
    };
    let (serial, not_after, spent) = run(&counting, 1).await;
    assert_eq!(not_after, 1_893_456_000 + 90 * 24 * 3600);
    assert!(spent.instructions.unwrap() > 10_000 && spent.memory >= 1 << 20, "{spent:?}");
    let again = run(&usual, 1).await;
    assert_eq!((again.0, again.1, again.2.memory), (serial.clone(), not_after, spent.memory));
    assert_eq!(again.2.instructions, None);
    assert_ne!(run(&usual, 2).await.0, serial);
}

/// What the hostile plugin does when its `sign` behaves like this.
async fn provoke(plugin: &Arc<Plugin>, behaviour: &str, limits: CallLimits) -> Result<Signed, CallError> {
    let config = serde_json::json!({ "behaviour": behaviour, "seconds": 3600 });
    let session = session(config, &[], limits);
    let result = plugin.sign(&session, &request()).await;
    // Whatever happened, the next call knows nothing of it.
    plugin.check(&session).await.unwrap_or_else(|error| panic!("check after {behaviour}: {error}"));
    result
}

/// For what never ends by itself.
fn quick() -> CallLimits {
    CallLimits { timeout: Duration::from_secs(2), ..patient() }
}

async fn breakage(plugin: &Arc<Plugin>, behaviour: &str, limits: CallLimits) -> Breakage {
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
    let trap = breakage(&plugin, "trap", patient()).await;
    assert_eq!(trap.to_string(), "the plugin trapped: wasm `unreachable` instruction executed");
    let panic = breakage(&plugin, "panic", patient()).await;
    let said = panic.to_string();
    let start = "the plugin trapped: wasm `unreachable` instruction executed; what it wrote last: panicked at \
                 test/plugins/hostile/src/lib.rs:";
    assert!(said.starts_with(start) && said.ends_with(": a panic on purpose"), "{said}");
    assert_eq!(breakage(&plugin, "exit", patient()).await, Breakage::Exited { code: 0, last_lines: None });
}

#[tokio::test]
async fn what_takes_too_much_is_stopped() {
    let plugin = load("hostile_plugin").await;
    let limits = quick();
    for (behaviour, doing) in [("loop-forever", Doing::Computing), ("slow", Doing::Waiting)] {
        let limit = limits.timeout;
        let timed_out = Breakage::TimedOut { phase: Phase::Call, limit, doing, last_lines: None };
        assert_eq!(breakage(&plugin, behaviour, limits.clone()).await, timed_out);
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

#[tokio::test]
async fn floods_of_text_do_no_harm() {
    records::start();
    let plugin = load("hostile_plugin").await;
    for (behaviour, first, source) in [("log-flood", "record 0", "log"), ("print-flood", "out 0", "stdout")] {
        let mut init = init(serde_json::json!({ "behaviour": behaviour }));
        init.issuer.name = behaviour.into();
        // It either gets done or runs out of time: that depends on the machine.
        init.limits.timeout = Duration::from_secs(10);
        match plugin.sign(&Session::new(init), &request()).await {
            Ok(_) | Err(CallError::Broken(Breakage::TimedOut { .. })) => {}
            other => panic!("{behaviour}: {other:?}"),
        }
        let records = records::of(behaviour);
        assert_eq!(records.len(), 65, "{records:?}");
        let expected = format!(
            "message={first} kind=\"WasmIssuer\" namespace=\"team-a\" issuer=\"{behaviour}\" call=\"sign\" request.namespace=\"team-a\" request.name=\"www-1\" source=\"{source}\" "
        );
        assert_eq!(records[0], expected);
        assert!(records[64].contains("more log records were dropped"), "{}", records[64]);
        assert!(records.iter().all(|record| record.len() < 3000));
    }
}

/// In a process that has what is looked for: an environment, arguments, and something on its standard input.
#[test]
fn what_was_not_granted_is_not_there() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_look_around", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"for the operator alone").unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[tokio::test]
#[ignore = "for a process of its own"]
async fn a_look_around() {
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
    let session = session(config, &[("token", b"s3cr3t-s3cr3t")], patient());
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
    let endless = CallLimits { timeout: 60 * AGES, ..patient() };
    let looping = session(serde_json::json!({ "behaviour": "loop-forever" }), &[], endless);
    let request = Arc::new(request());
    let loops: Vec<_> = (0..2)
        .map(|_| {
            let (hostile, looping, request) = (hostile.clone(), looping.clone(), request.clone());
            tokio::spawn(async move { hostile.sign(&looping, &request).await })
        })
        .collect();
    let session = session(serde_json::json!({}), &[], patient());
    for _ in 0..50 {
        good.sign(&session, &request).await.unwrap();
    }
    assert!(loops.iter().all(|task| !task.is_finished()));
    loops.iter().for_each(tokio::task::JoinHandle::abort);
}
