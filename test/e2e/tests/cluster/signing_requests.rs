//! Kubernetes' own CertificateSigningRequests: what the API server takes, and what a user sees.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;
use wasm_issuer_e2e::certificate::verify;
use wasm_issuer_e2e::keys::{Ca, leaf_below};
use wasm_issuer_e2e::{Csr, Issued, Key, KeyKind, Kind, Launch, SOON, Test, der, e2e, e2e_alone};

const KIND: Kind = Kind::CertificateSigningRequest;
const ISSUED: &str = "Normal Issued Synced: Succeeded signing the CertificateSigningRequest";
const RESUME: &str = "wasm-issuer.dev/Resume";

/// A WasmIssuer `ca` whose certificate is this.
async fn ca(t: &Test) -> Ca {
    let root = Ca::root("root", KeyKind::P256);
    t.tls_secret("keys", &root.certificate, &root.key.pem()).await;
    t.ready_issuer("ca", json!({"plugin": {"builtin": "in-memory-ca"}, "authSecretName": "keys"})).await;
    root
}

/// Request, approve, and check what holds for every certificate.
async fn issue(t: &Test, (name, signer): (&str, &str), csr: &Csr, more: Value, root: &Ca) -> Issued {
    let name = t.signing_request(name, signer, csr, more).await;
    t.approve_signing(&name).await;
    let (object, chain) = t.signed(&name).await;
    let issued = Issued::new(object, &chain, root.certificate.as_bytes());
    issued.verify(csr);
    issued
}

#[test]
fn an_approved_request_of_either_kind_of_issuer_gets_its_certificate() {
    e2e(async |t| {
        let root = ca(t).await;
        let cluster = t.namespace.as_str();
        let home = t.in_namespace("wasm-issuer").await;
        home.tls_secret(cluster, &root.certificate, &root.key.pem()).await;
        let spec = json!({"plugin": {"builtin": "in-memory-ca"}, "authSecretName": cluster});
        t.apply(Kind::WasmClusterIssuer, cluster, json!({"spec": spec})).await;

        let of_cluster = format!("wasmclusterissuers.wasm-issuer.dev/{cluster}");
        for (name, signer) in [("team", t.signer("ca")), ("cluster", of_cluster)] {
            let csr = Csr::for_host("web.example");
            let more = json!({"spec": {"expirationSeconds": 7200}});
            let issued = issue(t, (name, &signer), &csr, more, &root).await;
            assert_eq!(issued.lifetime(), Duration::from_secs(7200));
            assert_eq!(issued.extended_usages(), ["1.3.6.1.5.5.7.3.1"]);
            assert_eq!(issued.request.condition_types(), ["Approved"], "{name}");
            t.wait_event(KIND, issued.request.name(), ISSUED).await;
        }
    });
}

#[test]
fn a_signing_request_that_is_not_approved_or_is_denied_is_left_alone() {
    e2e(async |t| {
        ca(t).await;
        let csr = Csr::for_host("web.example");
        let waiting = t.signing_request("waiting", &t.signer("ca"), &csr, json!({})).await;
        let denied = t.signing_request("denied", &t.signer("ca"), &csr, json!({})).await;
        t.deny_signing(&denied).await;
        for (name, types) in [(waiting, vec![]), (denied, vec!["Denied"])] {
            let version = t.get(KIND, &name).await.meta("resourceVersion").to_owned();
            assert_eq!(t.count_changes(KIND, &name, &version, Duration::from_secs(1)).await, 0);
            let request = t.get(KIND, &name).await;
            assert_eq!((request.condition_types(), request["status"].get("certificate")), (types, None));
            assert_eq!(t.events(KIND, &name).await, Vec::<String>::new());
        }
    });
}

#[test]
fn who_may_not_refer_to_a_namespaces_issuer_gets_no_certificate_of_it() {
    e2e(async |t| {
        ca(t).await;
        let jane = t.cluster_name("jane");
        let subjects = json!([{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": jane}]);
        let role = |kind: &str, name: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name});
        let asks = t.cluster_name("asks");
        let rule = json!({"apiGroups": ["certificates.k8s.io"], "resources": ["certificatesigningrequests"],
                          "verbs": ["create"]});
        t.apply(Kind::ClusterRole, &asks, json!({"rules": [rule]})).await;
        let binding = json!({"subjects": subjects, "roleRef": role("ClusterRole", &asks)});
        t.apply(Kind::ClusterRoleBinding, &asks, binding).await;
        // Of another Issuer.
        let reference = |name: &str| {
            json!({"rules": [{"apiGroups": ["cert-manager.io"], "resources": ["signers"], "verbs": ["reference"],
                              "resourceNames": [name]}]})
        };
        t.apply(Kind::Role, "refers", reference("other")).await;
        let binding = json!({"subjects": subjects, "roleRef": role("Role", "refers")});
        t.apply(Kind::RoleBinding, "refers", binding).await;

        let ask = async |name: &str| {
            let csr = Csr::for_host("web.example");
            let name = t.signing_request_of(Some(&jane), name, &t.signer("ca"), &csr, json!({})).await;
            t.approve_signing(&name).await;
            name
        };
        let refused = ask("refused").await;
        let why = format!(
            "Requester may not reference WasmIssuer {}/ca: that takes the verb \"reference\" on \
             signers.cert-manager.io named \"ca\" in the namespace {}",
            t.namespace, t.namespace
        );
        let request = t.signing_fails(&refused, &format!("True DeniedReference: {why}")).await;
        assert_eq!(request["status"].get("certificate"), None);
        t.wait_event(KIND, &refused, &format!("Warning DeniedReference SyncFailed: {why}")).await;

        t.apply(Kind::Role, "refers", reference("ca")).await;
        // RBAC's own watch may be a moment behind, and a refusal is final.
        sleep(Duration::from_secs(1)).await;
        let allowed = ask("allowed").await;
        t.signed(&allowed).await;
    });
}

#[test]
fn a_signer_name_of_nobody_or_of_somebody_else() {
    e2e(async |t| {
        ca(t).await;
        let csr = Csr::for_host("web.example");
        let malformed =
            t.signing_request("malformed", "wasmissuers.wasm-issuer.dev/ca", &csr, json!({})).await;
        let foreign = t.signing_request("foreign", "issuers.example.com/ca", &csr, json!({})).await;
        t.approve_signing(&foreign).await;
        t.approve_signing(&malformed).await;
        let why = "CertificateSigningRequest has failed permanently: spec.signerName: behind \
                   \"wasmissuers.wasm-issuer.dev/\" must be <namespace>.<name> of a WasmIssuer";
        t.signing_fails(&malformed, &format!("True Failed: {why}")).await;
        t.wait_event(KIND, &malformed, &format!("Warning PermanentError SyncFailed: {why}")).await;
        assert_eq!(t.get(KIND, &foreign).await.condition_types(), ["Approved"]);
    });
}

#[test]
fn a_signing_request_waits_for_its_issuer_and_events_say_so() {
    e2e(async |t| {
        let csr = Csr::for_host("web.example");
        let name = t.signing_request("web", &t.signer("ca"), &csr, json!({})).await;
        t.approve_signing(&name).await;
        let missing = format!(
            "Normal WaitingForIssuerExist Synced: WasmIssuer.wasm-issuer.dev \"{}/ca\" not found. Waiting for it to be \
             created.",
            t.namespace
        );
        t.wait_event(KIND, &name, &missing).await;
        let spec = json!({"plugin": {"builtin": "in-memory-ca"}, "authSecretName": "keys"});
        t.issuer("ca", spec).await;
        let waits = "Normal WaitingForIssuerReady Synced: Waiting for issuer to become ready. Current issuer ready condition \
                     is \"Pending\": Not ready yet: Secret…";
        t.wait_event(KIND, &name, waits).await;
        assert_eq!(t.get(KIND, &name).await.condition_types(), ["Approved"]);
        let root = ca(t).await;
        let (object, chain) = t.signed(&name).await;
        Issued::new(object, &chain, root.certificate.as_bytes()).verify(&csr);
    });
}

#[test]
fn a_ca_certificate_is_asked_for_by_an_annotation_alone() {
    e2e(async |t| {
        let root = ca(t).await;
        let signer = t.signer("ca");
        let key = Key::new(KeyKind::P384);
        let csr = Csr::new(&key).subject(der::name(&[&[(der::attribute::CN, der::UTF8, "team ca")]]));
        let annotations = json!({
            "experimental.cert-manager.io/request-is-ca": "true",
            "experimental.cert-manager.io/request-duration": "26h3m7s",
        });
        // The usages are what is asked for and nothing else.
        let more =
            json!({"metadata": {"annotations": annotations}, "spec": {"usages": ["cert sign", "crl sign"]}});
        let issued = issue(t, ("sub", &signer), &csr, more, &root).await;
        assert!(issued.is_ca() && issued.key_usage().key_cert_sign());
        assert_eq!(issued.lifetime(), Duration::from_secs(93_787));
        verify(&leaf_below("team ca", &key, "web.example"), &issued.chain, &issued.ca);

        let more = json!({"metadata": {"annotations": annotations}, "spec": {"usages": ["crl sign"]}});
        let issued = issue(t, ("no-usage", &signer), &csr, more, &root).await;
        assert!(issued.is_ca() && issued.key_usage().crl_sign() && !issued.key_usage().key_cert_sign());

        let short =
            json!({"metadata": {"annotations": {"experimental.cert-manager.io/request-duration": "5m"}}});
        let short = t.signing_request("short", &signer, &csr, short).await;
        t.approve_signing(&short).await;
        let why = "CertificateSigningRequest minimum allowed duration is 10m, requested 5m";
        t.signing_fails(&short, &format!("True InvalidDuration: {why}")).await;
    });
}

#[test]
fn an_order_is_kept_in_a_condition_and_a_failure_is_final() {
    e2e(async |t| {
        t.hostile_issuer("ca", json!({"behaviour": "pending", "times": 3})).await;
        let csr = Csr::for_host("web.example");
        let name = t.signing_request("web", &t.signer("ca"), &csr, json!({})).await;
        t.approve_signing(&name).await;
        let began = Instant::now();
        let is_ordered = |object: &wasm_issuer_e2e::Object| object.condition(RESUME).is_some();
        t.wait((KIND, &name), SOON, "ordered", is_ordered).await;
        let (object, _) = t.signed(&name).await;
        assert!(
            began.elapsed() >= Duration::from_millis(2500),
            "polled each second, whatever the watch says of the operator's writes"
        );
        // The API server lets nobody who applies take a condition away.
        assert_eq!(object.says(RESUME), "False Over: ");
        // Events are sent behind the work.
        t.wait_event(KIND, &name, ISSUED).await;
        assert_eq!(t.events(KIND, &name).await.last().map(String::as_str), Some(ISSUED));

        t.hostile_issuer("ca", json!({"behaviour": "condition"})).await;
        let name = t.signing_request("condition", &t.signer("ca"), &csr, json!({})).await;
        t.approve_signing(&name).await;
        let why = "CertificateSigningRequest has failed permanently: the CA cannot read the request";
        let object = t.signing_fails(&name, &format!("True Failed: {why}")).await;
        assert_eq!(object.condition_types(), ["Approved", "Failed", "InvalidRequest"]);
    });
}

#[test]
fn a_signing_requests_name_may_be_nearly_any_text() {
    e2e(async |t| {
        let root = ca(t).await;
        // A client that does not escape it would lead to the first one, which nobody has approved.
        let plain = t.signing_request("odd", &t.signer("ca"), &Csr::for_host("a.example"), json!({})).await;
        let csr = Csr::for_host("web.example");
        let odd = t.signing_request("odd?x=1#Ä", &t.signer("ca"), &csr, json!({})).await;
        t.approve_signing(&wasm_issuer_e2e::signing_request::escaped(&odd)).await;
        let signed = async || {
            t.list(KIND)
                .await
                .into_iter()
                .find(|object| object.name() == odd && object["status"]["certificate"].is_string())
        };
        let object = loop {
            match signed().await {
                Some(object) => break object,
                None => sleep(Duration::from_millis(50)).await,
            }
        };
        let chain = object.status_bytes("certificate").unwrap();
        Issued::new(object, &chain, root.certificate.as_bytes()).verify(&csr);
        assert_eq!(t.get(KIND, &plain).await["status"].get("certificate"), None);
        t.wait_event(KIND, &odd, ISSUED).await;
    });
}

#[test]
fn where_signing_requests_are_switched_off_they_are_left_alone() {
    e2e_alone(async |t, operator| {
        operator.relaunch(Launch::with(&["--kubernetes-csrs=false"])).await;
        ca(t).await;
        let csr = Csr::for_host("web.example");
        let name = t.signing_request("web", &t.signer("ca"), &csr, json!({})).await;
        t.approve_signing(&name).await;
        sleep(Duration::from_secs(2)).await;
        assert_eq!(t.get(KIND, &name).await["status"].get("certificate"), None);
        operator.relaunch(Launch::default()).await;
        t.signed(&name).await;
    });
}
