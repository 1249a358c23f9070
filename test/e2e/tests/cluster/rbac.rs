//! What the ServiceAccount of deploy/install/rbac.yaml may do: what it needs, and nothing else.

use futures::future::join_all;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::Request;
use kube::{Client, Config};
use serde_json::{Value, json};
use wasm_issuer_e2e::{Test, e2e};

/// Whether the API server would let this user do so. `resource` is `plural[/subresource][.group]`.
async fn may(
    client: &Client,
    kind: &str,
    mut spec: Value,
    namespace: &str,
    verb: &str,
    resource: &str,
    name: &str,
) -> bool {
    let (path, group) = resource.split_once('.').unwrap_or((resource, ""));
    let (plural, subresource) = path.split_once('/').unwrap_or((path, ""));
    spec["resourceAttributes"] = json!({
        "namespace": namespace, "verb": verb, "group": group, "resource": plural, "subresource": subresource, "name": name,
    });
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec});
    let plural = format!("{}s", kind.to_lowercase());
    let request = Request::new(format!("/apis/authorization.k8s.io/v1/{plural}"))
        .create(&Default::default(), serde_json::to_vec(&review).unwrap());
    let answer: Value = client.request(request.unwrap()).await.unwrap();
    answer["status"]["allowed"].as_bool().unwrap()
}

async fn operators_client(t: &Test) -> Client {
    let file = Kubeconfig::read_from(t.workdir.join("operator.kubeconfig")).unwrap();
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

#[test]
fn the_operator_may_do_what_it_needs_and_nothing_else() {
    e2e(async |t| {
        const NEEDED: [(&str, &[&str]); 8] = [
            ("wasmissuers.wasm-issuer.dev", &["get", "list", "watch"]),
            ("wasmclusterissuers.wasm-issuer.dev", &["get", "list", "watch"]),
            ("wasmissuers/status.wasm-issuer.dev", &["patch"]),
            ("wasmclusterissuers/status.wasm-issuer.dev", &["patch"]),
            ("certificaterequests.cert-manager.io", &["get", "list", "watch"]),
            ("certificaterequests/status.cert-manager.io", &["patch"]),
            ("configmaps", &["get", "list", "watch"]),
            ("events.events.k8s.io", &["create", "patch"]),
        ];
        /// In the namespace `default`, and in no other.
        const ENDPOINTS: &str = "endpointslices.discovery.k8s.io";
        const SECRETS: (&str, &[&str]) = ("secrets", &["get", "list", "watch"]);
        const FOREIGN: [&str; 21] = [
            ENDPOINTS,
            "pods",
            "pods/exec",
            "nodes/proxy",
            "services",
            "namespaces",
            "serviceaccounts",
            "serviceaccounts/token",
            "persistentvolumes",
            "deployments.apps",
            "certificates.cert-manager.io",
            "issuers.cert-manager.io",
            "clusterissuers.cert-manager.io",
            "signers.cert-manager.io",
            "signers.certificates.k8s.io",
            "certificatesigningrequests/approval.certificates.k8s.io",
            "clusterroles.rbac.authorization.k8s.io",
            "clusterrolebindings.rbac.authorization.k8s.io",
            "rolebindings.rbac.authorization.k8s.io",
            "validatingwebhookconfigurations.admissionregistration.k8s.io",
            "customresourcedefinitions.apiextensions.k8s.io",
        ];
        const VERBS: [&str; 13] = [
            "get",
            "list",
            "watch",
            "create",
            "update",
            "patch",
            "delete",
            "deletecollection",
            "approve",
            "sign",
            "impersonate",
            "bind",
            "escalate",
        ];
        let client = operators_client(t).await;
        let needed = NEEDED.into_iter().chain([SECRETS]);
        let here = needed.chain(FOREIGN.map(|resource| (resource, [].as_slice())));
        let here = here.map(|(resource, verbs)| (t.namespace.as_str(), resource, verbs));
        let all = here.chain([("default", ENDPOINTS, ["list"].as_slice())]);
        let cases = all.flat_map(|(namespace, resource, verbs)| {
            VERBS.map(|verb| (namespace, resource, verb, verbs.contains(&verb)))
        });
        let wrong = join_all(cases.map(async |(namespace, resource, verb, wanted)| {
            let found =
                may(&client, "SelfSubjectAccessReview", json!({}), namespace, verb, resource, "").await;
            (found != wanted)
                .then(|| format!("{verb} {resource}: {}", if found { "allowed" } else { "denied" }))
        }));
        assert_eq!(wrong.await.into_iter().flatten().collect::<Vec<_>>(), Vec::<String>::new());
    });
}

#[test]
fn cert_managers_approver_may_approve_for_both_kinds_and_no_other() {
    e2e(async |t| {
        let approver = json!({"user": "system:serviceaccount:cert-manager:cert-manager"});
        for (signer, wanted) in [
            ("wasmissuers.wasm-issuer.dev/*", true),
            ("wasmclusterissuers.wasm-issuer.dev/*", true),
            ("issuers.cert-manager.io/*", false),
            ("*", false),
        ] {
            let kind = "SubjectAccessReview";
            let found =
                may(&t.client, kind, approver.clone(), "", "approve", "signers.cert-manager.io", signer)
                    .await;
            assert_eq!(found, wanted, "{signer}");
        }
    });
}
