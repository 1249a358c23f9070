//! How large a component may be, with one that is too large for a tenant.

use std::path::Path;

use serde_json::json;
use wasm_issuer_e2e::registry::Registry;
use wasm_issuer_e2e::{Kind, Launch, Object, SOON, e2e_alone};

use crate::language;

/// What the operator's policy is besides.
fn allow(policy: &Path, max_component: &str) {
    let text = std::fs::read_to_string(policy).expect("the policy");
    let text = text.replace("wasmIssuers: {", &format!("wasmIssuers: {{maxComponent: {max_component}, "));
    std::fs::write(policy, text).expect("a file");
}

#[test]
fn a_tenant_may_use_python_where_the_policy_and_the_operator_allow_its_size() {
    let Some(wasm) = language("python") else { return };
    e2e_alone(async |t, operator| {
        let policy = t.workdir.join("policy.yaml");
        let before = std::fs::read_to_string(&policy).expect("the policy");
        let registry = Registry::open(&t.workdir.join("registry-limits"));
        let reference = registry.push(&wasm, "python:1", &[]).expect("it is pushed");
        // Its check fails, which is more than a component that is refused comes to.
        let spec =
            json!({"plugin": {"image": {"reference": reference}}, "config": {}, "checkInterval": "10s"});
        let says = async |wanted: &str| {
            let says = |issuer: &Object| issuer.ready().contains(wanted);
            t.wait((Kind::WasmIssuer, "python"), SOON, wanted, says).await;
        };
        t.issuer("python", spec).await;
        says("where at most 16777216 are accepted").await;
        allow(&policy, "32Mi");
        says("spec.config").await;

        operator.relaunch(Launch::with(&["--max-component", "17M"])).await;
        says("where at most 17000000 are accepted").await;
        std::fs::write(policy, before).expect("a file");
    });
}
