//! What is in a ConfigMap may be anything. It makes one Issuer not ready, with words that lead to the mistake.

use std::cell::Cell;
use std::time::Instant;

use futures::future::join_all;
use serde_json::{Value, json};
use tokio::sync::Notify;
use wasm_issuer_e2e::component::gzip;
use wasm_issuer_e2e::keys::Ca;
use wasm_issuer_e2e::{Csr, KeyKind, Kind, Object, SOON, Test, UNDISTURBED, e2e, issuer_ref, operator};

const ISSUER: Kind = Kind::WasmIssuer;
const READY: &str = "True Checked: Succeeded checking the issuer";
/// The most that fits into a ConfigMap.
const LARGE: usize = 900_000;

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

/// The ELF header that `wasmtime compile` writes for a component, and nothing after it.
fn precompiled() -> Vec<u8> {
    const WASMTIME_OS_ABI: u8 = 200;
    const COMPONENT: u32 = 2;
    let mut header = [b"\x7fELF\x02\x01\x01".as_slice(), &[WASMTIME_OS_ABI], &[0; 56]].concat();
    header[16] = 1; // relocatable
    header[18] = 62; // x86-64
    header[20] = 1;
    header[48..52].copy_from_slice(&COMPONENT.to_le_bytes());
    header[52] = 64; // the header's own size
    header
}

/// What an Issuer says that has this in its ConfigMap.
const FILE: &str = "ConfigMap NAMESPACE/NAME plugin.wasm: ";
const NO_WASM: &str =
    "not a WebAssembly component: give the .wasm file that `cargo build --target wasm32-wasip2` wrote";
const WORLD: &str = "the plugin does not implement the world `wasm-issuer:plugin/issuer-plugin@0.1.0`: ";

/// Wait until the Issuer says so, in its status and in an Event.
async fn is_not_ready(t: &Test, name: &str, why: &str) {
    let why = why.replace("NAMESPACE", &t.namespace).replace("NAME", name);
    let message = format!("Not ready yet: {why}");
    t.settles(ISSUER, name, &format!("False Pending: {message}")).await;
    t.wait_event(ISSUER, name, &format!("Warning RetryableError SyncFailed: {message}")).await;
}

#[test]
fn whatever_is_no_plugin_makes_one_issuer_not_ready_and_can_be_mended() {
    e2e(async |t| {
        let good = operator::plugin("in_memory_ca");
        let instance =
            |name: &str| wat(&format!(r#"(component (instance $i) (export "{name}" (instance $i)))"#));
        let files: [(&str, Vec<u8>, String); 15] = [
            ("empty", vec![], "the plugin is empty (0 bytes): put the component's bytes there".into()),
            ("garbage", vec![0xa5; LARGE], format!("the plugin is something else, {NO_WASM}")),
            ("text", b"(component)".to_vec(), format!("the plugin is WebAssembly text, {NO_WASM}")),
            (
                "core-module",
                wat("(module)"),
                "the plugin is a core WebAssembly module, not a component: build it with `--target wasm32-wasip2`, or turn it into one with `wasm-tools component new`".into(),
            ),
            (
                "elf",
                std::fs::read("/proc/self/exe").unwrap()[..LARGE].to_vec(),
                format!("the plugin is an ELF file, {NO_WASM}"),
            ),
            (
                "precompiled",
                precompiled(),
                "the plugin is compiled to machine code (`wasmtime compile`), which is never accepted: give the component that it was compiled from".into(),
            ),
            (
                "cut-off",
                good[..1000].to_vec(),
                "the plugin is not a valid component: unexpected end-of-file …".into(),
            ),
            (
                "nothing-in-it",
                wat("(component)"),
                format!("{WORLD}it exports nothing, `wasm-issuer:plugin/signer@0.1.0` is missing"),
            ),
            (
                "other-world",
                instance("wasi:cli/run@0.2.0"),
                format!("{WORLD}`wasm-issuer:plugin/signer@0.1.0` is missing; it exports wasi:cli/run@0.2.0"),
            ),
            (
                "newer-world",
                instance("wasm-issuer:plugin/signer@0.2.0"),
                format!(
                    "{WORLD}it exports `wasm-issuer:plugin/signer@0.2.0`, this operator calls `wasm-issuer:plugin/signer@0.1.0`"
                ),
            ),
            (
                "no-functions",
                instance("wasm-issuer:plugin/signer@0.1.0"),
                format!("{WORLD}`wasm-issuer:plugin/signer@0.1.0` has no function `check`"),
            ),
            (
                "wants-more",
                wat(r#"(component (import "wasi:threads/spawn@0.2.0" (instance)))"#),
                "the plugin imports `wasi:threads/spawn@0.2.0`, which is not available: …".into(),
            ),
            (
                "gzip-garbage",
                [b"\x1f\x8b".as_slice(), &[0xa5; 100]].concat(),
                "the gzip data is broken: invalid gzip header".into(),
            ),
            ("gzip-bomb", gzip(&vec![0; 64 << 20]), "the gzip data is more than 16 MiB when unpacked".into()),
            (
                "gzip-twice",
                gzip(&gzip(&good)),
                format!("the plugin is gzip data, compressed once too often, {NO_WASM}"),
            ),
        ];
        t.ready_issuer("good", json!({"plugin": {"builtin": "in-memory-ca"}})).await;
        let others = async {
            let mut times = vec![];
            for i in 0..15 {
                let began = Instant::now();
                t.issue(&format!("good-{i}"), issuer_ref("good"), &Csr::for_host("a.example"), json!({}))
                    .await;
                times.push(began.elapsed());
            }
            times.sort();
            assert!(times[times.len() / 2] < UNDISTURBED, "another issuer's requests took {times:?}");
        };
        let bad = join_all(files.iter().map(async |(name, bytes, why)| {
            t.config_map(name, "plugin.wasm", bytes).await;
            t.issuer(name, json!({"plugin": {"configMap": {"name": name}}})).await;
            is_not_ready(t, name, &format!("{FILE}{why}")).await;
        }));
        futures::join!(others, bad);
        for (name, ..) in &files {
            t.config_map(name, "plugin.wasm", &good).await;
            t.wait_ready(ISSUER, name, SOON, READY).await;
        }
    });
}

#[test]
fn a_plugin_that_is_not_where_the_issuer_says_is_told_by_name() {
    e2e(async |t| {
        let good = operator::plugin("in_memory_ca");
        t.config_map("other-key", "other.wasm", &good).await;
        t.apply(Kind::ConfigMap, "in-data", json!({"data": {"plugin.wasm": "(component)"}})).await;
        t.apply(Kind::ConfigMap, "bare", json!({})).await;
        let pin = "a5".repeat(32);
        let digest =
            t.get(Kind::WasmClusterIssuer, "all-in-memory-ca").await["status"]["plugin"]["sha256"].clone();
        let no_key = r#"ConfigMap "NAMESPACE/NAME" has no key "plugin.wasm" in binaryData (named by spec.plugin.configMap.key); it has "#;
        let cases: [(&str, Value, String); 9] = [
            (
                "missing",
                json!({"configMap": {"name": "missing"}}),
                r#"ConfigMap "NAMESPACE/missing" not found (named by spec.plugin.configMap.name)"#.into(),
            ),
            ("bare", json!({"configMap": {"name": "bare"}}), format!("{no_key}none")),
            ("other-key", json!({"configMap": {"name": "other-key"}}), format!(r#"{no_key}"other.wasm""#)),
            (
                "in-data",
                json!({"configMap": {"name": "in-data"}}),
                r#"key "plugin.wasm" of ConfigMap "NAMESPACE/in-data" is in data; a component is binary and belongs in binaryData (kubectl create configmap --from-file does that)"#.into(),
            ),
            (
                "digest",
                json!({"builtin": "in-memory-ca", "sha256": pin}),
                format!(
                    "builtin in-memory-ca: the component's SHA-256 is {}, but spec.plugin.sha256 pins {pin}",
                    digest.as_str().unwrap()
                ),
            ),
            (
                "no-builtin",
                json!({"builtin": "somebody-elses"}),
                r#"no builtin plugin "somebody-elses" (spec.plugin.builtin); this operator has …"#.into(),
            ),
            (
                "garbage",
                json!({"builtin": "garbage"}),
                format!("builtin garbage: the plugin is something else, {NO_WASM}"),
            ),
            (
                "too-large",
                json!({"builtin": "too-large"}),
                "builtin too-large: the plugin has 17825800 bytes, at most 16777216 are accepted: build it optimised for size and stripped, use it in a WasmClusterIssuer, or have maxComponent in the operator's policy raised".into(),
            ),
            (
                "image",
                json!({"image": {"reference": "127.0.0.1:1/cfssl:1.2"}}),
                "image 127.0.0.1:1/cfssl:1.2 (spec.plugin.image.reference): http://127.0.0.1:1: connection refused".into(),
            ),
        ];
        join_all(cases.iter().map(async |(name, plugin, why)| {
            t.issuer(name, json!({"plugin": plugin})).await;
            is_not_ready(t, name, why).await;
        }))
        .await;
        for name in ["missing", "bare", "other-key", "in-data"] {
            t.apply(Kind::ConfigMap, name, json!({})).await;
            t.config_map(name, "plugin.wasm", &good).await;
            t.wait_ready(ISSUER, name, SOON, READY).await;
        }
    });
}

/// Put a version into the ConfigMap, and wait until the Issuer, ready all the time, says this about it, in both conditions.
async fn put(t: &Test, bytes: &[u8], current: &str) -> Object {
    t.config_map("plugin", "plugin.wasm", bytes).await;
    let is_so = |issuer: &Object| issuer.says("PluginCurrent").starts_with(current);
    let issuer = t.wait((ISSUER, "ca"), SOON, current, is_so).await;
    let refused = issuer.says("PluginCurrent");
    let refused = refused.strip_prefix("False Refused: ");
    let ready = refused.map(|why| format!("True PluginRefused: Succeeded checking the issuer. {why}"));
    assert_eq!(issuer.ready(), ready.as_deref().unwrap_or(READY));
    issuer
}

#[test]
fn a_new_version_that_does_not_work_leaves_the_old_one_serving() {
    e2e(async |t| {
        let good = operator::plugin("in_memory_ca");
        t.config_map("plugin", "plugin.wasm", &good).await;
        let config = json!({"commonName": "Team A"});
        t.ready_issuer("ca", json!({"plugin": {"configMap": {"name": "plugin"}}, "config": config})).await;
        let before = t.issue("before", issuer_ref("ca"), &Csr::for_host("a.example"), json!({})).await;
        let digest = t.get(ISSUER, "ca").await["status"]["plugin"]["sha256"].clone();
        let short = &digest.as_str().unwrap()[..12];
        let refused = format!("The new plugin was not taken into use, {short} goes on serving: ");

        let garbage = format!("{refused}{FILE}the plugin is something else, {NO_WASM}");
        let garbage = garbage.replace("NAMESPACE", &t.namespace).replace("NAME", "plugin");
        put(t, &[0xa5; 1000], &format!("False Refused: {garbage}")).await;
        t.wait_event(ISSUER, "ca", &format!("Warning PluginRefused SyncFailed: {garbage}")).await;
        let during = t.issue("during", issuer_ref("ca"), &Csr::for_host("a.example"), json!({})).await;
        assert_eq!(during.ca, before.ca, "the old one goes on with its root");

        // One that loads and whose check fails: it cannot read the config.
        let hostile = operator::plugin("hostile_plugin");
        let issuer = put(t, &hostile, &format!("False Refused: {refused}spec.config")).await;
        assert_eq!(issuer["status"]["plugin"]["sha256"], digest);
        t.issue("still", issuer_ref("ca"), &Csr::for_host("a.example"), json!({})).await;

        t.delete(Kind::ConfigMap, "plugin").await;
        let missing = format!(
            r#"{refused}ConfigMap "{}/plugin" not found (named by spec.plugin.configMap.name)"#,
            t.namespace
        );
        let is_missing = |issuer: &Object| issuer.says("PluginCurrent").ends_with(&missing);
        t.wait((ISSUER, "ca"), SOON, "missing its ConfigMap", is_missing).await;
        t.issue("even-now", issuer_ref("ca"), &Csr::for_host("a.example"), json!({})).await;

        let loaded = "The plugin of the spec is in use";
        put(t, &good, &format!("True Loaded: {loaded}")).await;
        t.wait_event(ISSUER, "ca", &format!("Normal PluginLoaded Synced: {loaded}")).await;
    });
}

#[test]
fn a_new_version_takes_over_without_a_failed_request() {
    e2e(async |t| {
        let root = Ca::root("root", KeyKind::P256);
        t.tls_secret("keys", &root.certificate, &root.key.pem()).await;
        t.config_map("plugin", "plugin.wasm", &operator::plugin("in_memory_ca")).await;
        let spec = json!({"plugin": {"configMap": {"name": "plugin"}}, "authSecretName": "keys"});
        let before = t.ready_issuer("ca", spec).await;
        let (old_is_seen, new_is_ready) = (Notify::new(), Cell::new(false));
        let issuing = async {
            let mut has_usages = vec![];
            let mut more = 5;
            while more > 0 {
                if new_is_ready.get() {
                    more -= 1;
                }
                let (name, csr) = (format!("web-{}", has_usages.len()), Csr::for_host("a.example"));
                let issued = t.issue(&name, issuer_ref("ca"), &csr, json!({})).await;
                has_usages.push(issued.is_critical("2.5.29.15").is_some());
                old_is_seen.notify_one();
            }
            has_usages
        };
        let (has_usages, ()) = futures::join!(issuing, async {
            old_is_seen.notified().await;
            t.config_map("plugin", "plugin.wasm", &operator::plugin("minimal_plugin")).await;
            let is_new = |issuer: &Object| issuer["status"]["plugin"] != before["status"]["plugin"];
            let issuer = t.wait((ISSUER, "ca"), SOON, "on its new plugin", is_new).await;
            assert_eq!(issuer.ready(), READY);
            new_is_ready.set(true);
        });
        // The minimal plugin leaves key usages out.
        let (first, last) = (has_usages[0], has_usages[has_usages.len() - 1]);
        assert!(first && !last && has_usages.is_sorted_by(|a, b| a >= b), "{has_usages:?}");
        let was_retried = |line: &&String| line.contains("retry") || line.contains("Waiting");
        assert_eq!(t.log().iter().filter(was_retried).collect::<Vec<_>>(), Vec::<&String>::new());
    });
}
