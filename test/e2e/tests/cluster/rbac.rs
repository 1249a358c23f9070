//! What the ServiceAccount of deploy/install.yaml may do: what it needs, and nothing else.

use std::collections::BTreeSet;

use kube::Client;
use kube::core::Request;
use serde_json::{Value, json};
use wasm_issuer_e2e::{Operator, e2e};

/// Has the API server review something: `kind` is the review's, the answer its status.
async fn review(client: &Client, kind: &str, spec: Value) -> Value {
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec});
    let request = Request::new(format!("/apis/authorization.k8s.io/v1/{}s", kind.to_lowercase()))
        .create(&Default::default(), serde_json::to_vec(&review).unwrap());
    client.request::<Value>(request.unwrap()).await.unwrap()["status"].take()
}

/// Everything that a user may do with objects of a namespace, `verb resource.group`, and of which names if not of all.
pub async fn rules(client: &Client, namespace: &str) -> BTreeSet<String> {
    let status = review(client, "SelfSubjectRulesReview", json!({"namespace": namespace})).await;
    assert_eq!(status["incomplete"], false);
    let of = |rule: &Value, field: &str| -> Vec<String> {
        let list = rule[field].as_array().into_iter().flatten();
        list.map(|item| item.as_str().unwrap().to_owned()).collect()
    };
    let mut all = BTreeSet::new();
    for rule in status["resourceRules"].as_array().unwrap() {
        let names = match of(rule, "resourceNames") {
            names if names.is_empty() => String::new(),
            names => format!(" of {names:?}"),
        };
        for group in of(rule, "apiGroups") {
            let dot = if group.is_empty() { "" } else { "." };
            for resource in of(rule, "resources") {
                let what = format!("{resource}{dot}{group}{names}");
                all.extend(of(rule, "verbs").iter().map(|verb| format!("{verb} {what}")));
            }
        }
    }
    // What the API server tells of itself to everybody who is authenticated.
    let public = ["/api", "/openapi", "/openid", "/.well-known", "/version", "/healthz", "/livez", "/readyz"];
    for rule in status["nonResourceRules"].as_array().unwrap() {
        let is_public = |url: &String| public.iter().any(|prefix| url.starts_with(prefix));
        if of(rule, "verbs") != ["get"] || !of(rule, "nonResourceURLs").iter().all(is_public) {
            all.insert(rule.to_string());
        }
    }
    all
}

/// What the operator needs of the resources that are selected, `verb resource.group`.
pub fn needed(selects: impl Fn(&str) -> bool) -> BTreeSet<String> {
    const NEEDED: [(&str, &[&str]); 16] = [
        ("wasmissuers.wasm-issuer.dev", &["get", "list", "watch"]),
        ("wasmclusterissuers.wasm-issuer.dev", &["get", "list", "watch"]),
        ("wasmissuers/status.wasm-issuer.dev", &["patch"]),
        ("wasmclusterissuers/status.wasm-issuer.dev", &["patch"]),
        ("certificaterequests.cert-manager.io", &["get", "list", "watch"]),
        ("certificaterequests/status.cert-manager.io", &["patch"]),
        ("certificatesigningrequests.certificates.k8s.io", &["get", "list", "watch"]),
        ("certificatesigningrequests/status.certificates.k8s.io", &["patch"]),
        (
            r#"signers.certificates.k8s.io of ["wasmissuers.wasm-issuer.dev/*", "wasmclusterissuers.wasm-issuer.dev/*"]"#,
            &["sign"],
        ),
        ("subjectaccessreviews.authorization.k8s.io", &["create"]),
        ("configmaps", &["get", "list", "watch"]),
        ("secrets", &["get", "list", "watch"]),
        ("events.events.k8s.io", &["create", "patch"]),
        // Everybody may ask who they are and what they may do.
        ("selfsubjectreviews.authentication.k8s.io", &["create"]),
        ("selfsubjectaccessreviews.authorization.k8s.io", &["create"]),
        ("selfsubjectrulesreviews.authorization.k8s.io", &["create"]),
    ];
    let selected = NEEDED.iter().filter(|(resource, _)| selects(resource));
    selected.flat_map(|(resource, verbs)| verbs.iter().map(move |v| format!("{v} {resource}"))).collect()
}

/// What it needs where its Leases are, and nowhere else.
pub fn needed_at_home() -> BTreeSet<String> {
    ["get", "list", "watch", "create", "update"]
        .map(|verb| format!("{verb} leases.coordination.k8s.io"))
        .into()
}

#[test]
fn the_operator_may_do_what_it_needs_and_nothing_else() {
    e2e(async |t| {
        let needed = needed(|_| true);
        let client = Operator::client(&t.workdir).await;
        for namespace in [&t.namespace, "kube-system"] {
            assert_eq!(rules(&client, namespace).await, needed, "in {namespace}");
        }
        let at_home = needed.iter().cloned().chain(needed_at_home()).collect();
        assert_eq!(rules(&client, "wasm-issuer").await, at_home, "in wasm-issuer");
        // Where the API server's endpoints are.
        let here = needed.into_iter().chain(["list endpointslices.discovery.k8s.io".to_owned()]).collect();
        assert_eq!(rules(&client, "default").await, here, "in default");
    });
}

#[test]
fn cert_managers_approver_may_approve_for_both_kinds_and_no_other() {
    e2e(async |t| {
        for (signer, wanted) in [
            ("wasmissuers.wasm-issuer.dev/*", true),
            ("wasmclusterissuers.wasm-issuer.dev/*", true),
            ("issuers.cert-manager.io/*", false),
            ("*", false),
        ] {
            let approving = json!({
                "verb": "approve", "group": "cert-manager.io", "resource": "signers", "name": signer,
            });
            let spec = json!({
                "user": "system:serviceaccount:cert-manager:cert-manager", "resourceAttributes": approving,
            });
            let status = review(&t.client, "SubjectAccessReview", spec).await;
            assert_eq!(status["allowed"], wanted, "{signer}");
        }
    });
}
