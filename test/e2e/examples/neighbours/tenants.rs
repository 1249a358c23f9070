//! What was seen to hurt everybody once, line by line as the issue has it that reported it.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use kube::api::{Patch, PatchParams};
use kube::core::Request;
use serde_json::{Value, json};
use tokio::time::sleep;
use wasm_issuer_e2e::component::{edited, gzip, unlike, with};
use wasm_issuer_e2e::{Kind, SOON, cluster_issuer_ref};

use crate::arena::{Arena, eager, names, referred};
use crate::servers::SILENT;

/// In `sign`: tried again and again.
const TRAP: (&str, &str) = (";; SIGN", "unreachable");

/// Makes components on a thread of its own: who measures must not wait for that.
async fn made<T: Send + 'static>(make: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(make).await.expect("a component")
}

/// Components that differ in their bytes alone.
async fn numbered(prefix: &str, count: usize, wasm: &[u8]) -> Vec<(String, Vec<u8>)> {
    let (names, wasm) = (names(prefix, count).into_iter().enumerate(), wasm.to_vec());
    made(move || names.map(|(n, name)| (name, gzip(&unlike(&wasm, n)))).collect()).await
}

/// What [`edit`] makes other bytes of, once.
async fn keep(arena: &Arena, make: impl FnOnce() -> Vec<u8> + Send + 'static) -> Vec<u8> {
    let wasm = made(make).await;
    arena.kept.replace(wasm.clone());
    wasm
}

/// Put other bytes of what was kept into the ConfigMap of an Issuer.
pub async fn edit(arena: &Arena, name: &str, n: usize) {
    let wasm = arena.kept.borrow().clone();
    let wasm = made(move || gzip(&unlike(&wasm, 1000 + n))).await;
    arena.tenant.config_map(name, "plugin.wasm", &wasm).await;
}

/// So many globals, instantiated 250 times.
fn bomb(globals: usize) -> Vec<u8> {
    let globals = "(global i32 (i32.const 0))".repeat(globals);
    with(&format!("(core module $bomb {globals}) {}", "(core instance (instantiate $bomb))".repeat(250)))
}

/// As many instances and globals as are admitted.
fn heavy() -> Vec<u8> {
    let globals = "(global (mut i64) (i64.const 1))".repeat(150);
    let instances = "(core instance (instantiate $m))".repeat(60);
    edited(&[("(component", &format!("(component (core module $m {globals}) {instances}")), TRAP])
}

pub async fn instances(arena: &Arena) {
    let limits = json!({"memory": "1Mi"});
    let largest = made(|| bomb(1_000_000)).await;
    arena.issuers_of(numbered("bomb", 4, &largest).await, &limits).await;
    keep(arena, || bomb(50_000)).await;
    arena.issuers_of(numbered("heavy", 4, &heavy()).await, &json!({})).await;
    arena.requests(&referred(&names("heavy", 4)), 24).await;
}

/// A module whose memory begins as two bytes, far apart.
fn sparse(apart: usize) -> String {
    format!(
        r#"(core module (memory {}) (data (i32.const 0) "x") (data (i32.const {apart}) "x"))"#,
        apart / 65_536 + 1
    )
}

fn modules(count: usize) -> Vec<u8> {
    with(&r#"(core module (memory 1) (data (i32.const 0) "x"))"#.repeat(count))
}

/// Images as many and as large as are admitted, beside the plugin's own.
fn dense() -> Vec<u8> {
    edited(&[("(component", &format!("(component {}", sparse(2_000_000).repeat(7))), TRAP])
}

pub async fn images(arena: &Arena) {
    let limits = json!({"memory": "1Mi"});
    let far_apart = with(&sparse(16_000_000).repeat(16));
    arena.issuers_of(numbered("sparse", 6, &far_apart).await, &limits).await;
    let modules = keep(arena, || modules(900)).await;
    arena.issuers_of(numbered("modules", 6, &modules).await, &limits).await;
    arena.issuers_of(numbered("dense", 6, &dense()).await, &json!({})).await;
    arena.requests(&referred(&names("dense", 6)), 16).await;
}

pub async fn sleeping_checks(arena: &Arena) {
    let spec = json!({
        "plugin": {"builtin": "hostile"},
        "config": {"behaviour": "slow", "at": "check", "seconds": 29},
        "limits": {"timeout": "30s"},
        // Without a server to reach it would be checked once.
        "http": {"allowedHosts": ["https://ca.example.com"]},
        "checkInterval": "10s",
    });
    arena.issuers(names("sleeps", 400).into_iter().map(|name| (name, spec.clone()))).await;
}

pub async fn secrets(arena: &Arena) {
    let there = names("there", 550);
    let make = |name: &String| {
        let name = name.clone();
        async move {
            let secret = json!({"stringData": {"token": "hush"}});
            arena.tenant.apply(Kind::Secret, &name, secret).await;
        }
    };
    stream::iter(&there).for_each_concurrent(16, make).await;
    let spec = |name: &String| json!({"plugin": {"builtin": "hostile"}, "config": {"behaviour": "good"}, "authSecretName": name});
    let all = there.into_iter().chain(names("missing", 550));
    arena.issuers(all.map(|name| (name.clone(), spec(&name)))).await;
}

/// As large as Secrets can be. What is text is looked for in messages.
pub async fn large_secrets(arena: &Arena) {
    let token = "s3cret-token\n".repeat((1 << 20) / 13);
    let own = names("own", 100);
    let all = std::iter::once("all".to_owned()).chain(own.iter().cloned());
    let make = |name: String| {
        let secret = json!({"stringData": {"token": token}});
        async move { drop(arena.tenant.apply(Kind::Secret, &name, secret).await) }
    };
    stream::iter(all).for_each_concurrent(8, make).await;
    let spec = |secret: &str| json!({"plugin": {"builtin": "hostile"}, "config": {"behaviour": "good"}, "authSecretName": secret});
    let shared = names("shares", 1000).into_iter().map(|name| (name, spec("all")));
    arena.issuers(shared.chain(own.iter().map(|name| (name.clone(), spec(name))))).await;
}

/// One function after the other in which many variables are alive across many branches.
fn slow() -> Vec<u8> {
    const FUNCTIONS: usize = 40;
    const VARIABLES: usize = 400;
    const BRANCHES: usize = 700;
    let function = |n: usize| {
        let mut text = format!("(func (param i32) (result i64) (local {})", "i64 ".repeat(VARIABLES));
        for i in 0..BRANCHES {
            let (to, from) = (1 + (i + n) * 7919 % VARIABLES, 1 + i * 104_729 % VARIABLES);
            text += "(block (br_if 0 (local.get 0))";
            text += &format!("(local.set {to} (i64.add (local.get {from}) (i64.load (local.get 0)))))");
        }
        text += "(i64.const 0)";
        (1..=VARIABLES).for_each(|i| text += &format!(" local.get {i} i64.add"));
        text + ")"
    };
    let functions: String = (0..FUNCTIONS).map(function).collect();
    edited(&[(";; MORE", &functions)])
}

pub async fn slow_compiles(arena: &Arena) {
    let slow = keep(arena, slow).await;
    arena.issuers_of(numbered("slow", 10, &slow).await, &json!({})).await;
}

/// Nothing of them is compiled then.
pub async fn edit_all_slow(arena: &Arena) {
    for (n, name) in names("slow", 10).iter().enumerate() {
        edit(arena, name, 1000 + n).await;
    }
}

pub async fn silent_names(arena: &Arena) {
    let issuers = names("asks", 60);
    let spec = |name: &String| {
        let server = format!("https://{name}.{SILENT}");
        json!({
            "plugin": {"builtin": "hostile-http"},
            "config": {"behaviour": "get", "url": format!("{server}/")},
            "http": {"allowedHosts": [server]},
            "limits": {"timeout": "30s"},
            "retry": eager(),
        })
    };
    arena.issuers(issuers.iter().map(|name| (name.clone(), spec(name)))).await;
    arena.requests(&referred(&issuers), 2).await;
}

const POLICY: &str = "no-status-in-a-tenants-namespace";

/// What a tenant cannot do by itself: as if an admission webhook for its namespace refused.
async fn forbid_writes(arena: &Arena) {
    let namespace = &arena.tenant.namespace;
    let rule = json!({
        "apiGroups": ["cert-manager.io"], "apiVersions": ["*"], "operations": ["UPDATE"],
        "resources": ["certificaterequests/status"],
    });
    let policy = json!({"spec": {
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{
            "expression": "request.userInfo.username != 'system:serviceaccount:wasm-issuer:wasm-issuer'",
            "reason": "Forbidden",
        }],
    }});
    let here = json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}});
    let binding =
        json!({"spec": {"policyName": POLICY, "validationActions": ["Deny"], "matchResources": here}});
    arena.tenant.apply(Kind::ValidatingAdmissionPolicy, POLICY, policy).await;
    arena.tenant.apply(Kind::ValidatingAdmissionPolicyBinding, POLICY, binding).await;
}

/// The policy takes effect a moment after it was made.
async fn until_forbidden(arena: &Arena, request: &str) {
    let (client, began) = (arena.operator().await, Instant::now());
    loop {
        let params = PatchParams { dry_run: true, ..PatchParams::default() };
        let patch = Patch::Merge(json!({"status": {}}));
        let write = Request::new(Kind::CertificateRequest.collection(&arena.tenant.namespace))
            .patch_subresource("status", request, &params, &patch)
            .expect("a request");
        match client.request::<Value>(write).await {
            Err(kube::Error::Api(status)) if status.code == 403 => return,
            _ => {
                assert!(began.elapsed() < SOON, "the operator may still write in {}", arena.tenant.namespace)
            }
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// Undo [`forbid_writes`].
pub async fn allow_writes(arena: &Arena) {
    arena.tenant.delete(Kind::ValidatingAdmissionPolicyBinding, POLICY).await;
    arena.tenant.delete(Kind::ValidatingAdmissionPolicy, POLICY).await;
}

pub async fn refused_writes(arena: &Arena) {
    let t = &arena.tenant;
    t.ready_issuer("fine", json!({"plugin": {"builtin": "in-memory-ca"}, "retry": eager()})).await;
    forbid_writes(arena).await;
    arena.requests(&referred(&names("nowhere", 1)), 1).await;
    until_forbidden(arena, "nowhere-0-0").await;
    arena.requests(&referred(&["fine".to_owned()]), 140).await;
}

pub async fn blame(arena: &Arena) {
    let spec = json!({
        "plugin": {"builtin": "hostile"},
        "config": {"behaviour": "issuer-error", "namespace": arena.tenant.namespace},
        "checkInterval": "10s",
    });
    arena.tenant.apply(Kind::WasmClusterIssuer, &arena.shared, json!({"spec": spec})).await;
    let ready = "True Checked: Succeeded checking the issuer";
    arena.tenant.wait_ready(Kind::WasmClusterIssuer, &arena.shared, SOON, ready).await;
    arena.requests(&[("blames".to_owned(), cluster_issuer_ref(&arena.shared))], 1).await;
}

/// One request to begin with, then several more.
pub async fn blame_more(arena: &Arena, n: usize) {
    arena.requests(&[(format!("blames-{n}"), cluster_issuer_ref(&arena.shared))], 2).await;
}
