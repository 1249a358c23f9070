//! What `wasm-issuer doctor` says of a real cluster.

mod situations;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::process::Command;
use wasm_issuer_e2e::operator::{binary, plugin, root};
use wasm_issuer_e2e::{Csr, Kind, SOON, Test, cluster_issuer_ref, e2e, e2e_alone, issuer_ref};

use crate::conditions::{ISSUED, REQUEST};

/// Where the operator of the tests is, by its ServiceAccount.
const HOME: &str = "wasm-issuer";
/// All that `doctor` may do where a test watches what it needs: read, and ask what ServiceAccounts may do.
const READER: &str = "doctor-reader";

/// What a run ended with.
#[derive(Debug)]
struct Ran {
    code: i32,
    report: Value,
}

impl Ran {
    /// The findings, `WasmIssuer team-a/ca: the cause`.
    fn findings(&self) -> Vec<String> {
        let text = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
        let findings = self.report["findings"].as_array().unwrap();
        findings
            .iter()
            .map(|finding| format!("{}: {}", named(&finding["object"]), text(finding, "cause")))
            .collect()
    }

    /// What mends the finding about an object.
    fn mend(&self, object: &str) -> String {
        let findings = self.report["findings"].as_array().unwrap();
        let finding = findings.iter().find(|finding| named(&finding["object"]) == object);
        finding.unwrap_or_else(|| panic!("nothing of {object} in {self:#?}"))["mend"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}

fn named(object: &Value) -> String {
    let namespace = object["namespace"].as_str().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    format!("{} {namespace}{}", object["kind"].as_str().unwrap(), object["name"].as_str().unwrap())
}

/// Run it with these arguments, as the cluster's admin or as somebody else.
async fn doctor_as(kubeconfig: Option<&Path>, args: &[&str]) -> Ran {
    let mut command = Command::new(binary());
    command.args(["doctor", "-o", "json"]).args(args).envs(kubeconfig.map(|file| ("KUBECONFIG", file)));
    let output = command.output().await.expect("the program");
    let report = serde_json::from_slice(&output.stdout);
    let report = report.unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));
    Ran { code: output.status.code().unwrap(), report }
}

async fn doctor(args: &[&str]) -> Ran {
    doctor_as(None, args).await
}

/// A kubeconfig of one who may read everything, create access reviews, and nothing else.
async fn reader(t: &Test) -> PathBuf {
    t.apply(Kind::ServiceAccount, READER, json!({})).await;
    let rules = json!([
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]},
        {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
    ]);
    let name = format!("{}-reader", t.namespace);
    t.apply(Kind::ClusterRole, &name, json!({"rules": rules})).await;
    let subjects = json!([{"kind": "ServiceAccount", "name": READER, "namespace": t.namespace}]);
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name});
    t.apply(Kind::ClusterRoleBinding, &name, json!({"roleRef": role, "subjects": subjects})).await;
    let file = t.workdir.join(&name).with_extension("kubeconfig");
    let script = root().join("test/cluster/kubeconfig-for.sh");
    let made = Command::new(script).args([&t.namespace, READER]).arg(&file).status().await;
    assert!(made.unwrap().success());
    file
}

/// The operator's Deployment, as if its pods ran, with a policy in a ConfigMap.
async fn install_deployment(home: &Test, policy: &str) {
    home.apply(Kind::ConfigMap, "doctor-policy", json!({"data": {"policy.yaml": policy}})).await;
    let labels = json!({"app.kubernetes.io/name": "wasm-issuer"});
    let container = json!({
        "name": "wasm-issuer", "image": "wasm-issuer", "args": ["run", "--leader-elect"],
        "env": [{"name": "WASM_ISSUER_POLICY", "value": "/etc/policy/policy.yaml"}],
        "volumeMounts": [{"name": "policy", "mountPath": "/etc/policy"}],
    });
    let pod = json!({
        "serviceAccountName": "wasm-issuer", "containers": [container],
        "volumes": [{"name": "policy", "configMap": {"name": "doctor-policy"}}],
    });
    let spec = json!({
        "replicas": 2, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod},
    });
    home.apply(Kind::Deployment, "wasm-issuer", json!({"metadata": {"labels": labels}, "spec": spec})).await;
    report_available(home, 2).await;
}

async fn report_available(home: &Test, pods: i32) {
    let status = json!({"status": {"replicas": 2, "readyReplicas": pods, "availableReplicas": pods}});
    let path = format!("{}/wasm-issuer/status", Kind::Deployment.collection(HOME));
    let request = http::Request::patch(path)
        .header("content-type", "application/merge-patch+json")
        .body(serde_json::to_vec(&status).unwrap());
    home.client.request::<Value>(request.unwrap()).await.unwrap();
}

async fn uninstall_deployment(home: &Test) {
    home.delete(Kind::Deployment, "wasm-issuer").await;
    home.delete(Kind::ConfigMap, "doctor-policy").await;
}

/// The version of each object that there is, of these kinds.
async fn versions(tests: &[&Test]) -> BTreeMap<String, String> {
    let mut versions = BTreeMap::new();
    for t in tests {
        for kind in [
            Kind::Namespace,
            Kind::ConfigMap,
            Kind::Secret,
            Kind::ServiceAccount,
            Kind::Deployment,
            Kind::CertificateRequest,
            Kind::CertificateSigningRequest,
            Kind::Certificate,
            Kind::WasmIssuer,
            Kind::WasmClusterIssuer,
            Kind::Role,
            Kind::RoleBinding,
            Kind::ClusterRole,
            Kind::ClusterRoleBinding,
            Kind::Event,
        ] {
            for object in t.list(kind).await {
                let key = format!("{kind:?} {}/{}", object.meta("namespace"), object.name());
                versions.insert(key, object.meta("resourceVersion").to_owned());
            }
        }
    }
    versions
}

#[test]
fn nothing_is_wrong_where_all_works_and_nothing_is_changed() {
    e2e_alone(async |t, _| {
        let home = &t.in_namespace(HOME).await;
        let kubeconfig = reader(t).await;
        install_deployment(home, "wasmIssuers: {allowAddresses: [127.0.0.0/8]}").await;
        t.ready_issuer("builtin", json!({"plugin": {"builtin": "in-memory-ca"}})).await;
        t.config_map("plugin", "plugin.wasm", &plugin("in_memory_ca")).await;
        t.ready_issuer("packaged", json!({"plugin": {"configMap": {"name": "plugin"}}})).await;
        t.approved_request("web", issuer_ref("packaged"), &Csr::for_host("a.example"), json!({})).await;
        t.wait_ready(REQUEST, "web", SOON, ISSUED).await;

        let before = versions(&[t, home]).await;
        let ran = doctor_as(Some(&kubeconfig), &["-n", &t.namespace]).await;
        assert_eq!((ran.code, ran.findings(), &ran.report["unseen"]), (0, vec![], &json!([])));
        let said = &ran.report["plugins"][0];
        assert_eq!(named(&said["issuer"]), format!("WasmIssuer {}/packaged", t.namespace));
        assert_eq!((&said["name"], &said["needs"][0]["optional"]), (&json!("in-memory-ca"), &json!(true)));
        let looked = ran.report["looked"].to_string();
        for part in [
            "2 CustomResourceDefinitions",
            "Deployment wasm-issuer/wasm-issuer",
            "ConfigMap wasm-issuer/doctor-policy",
        ] {
            assert!(looked.contains(part), "{part}: {looked}");
        }
        let one = doctor_as(Some(&kubeconfig), &["request", "web", "-n", &t.namespace]).await;
        assert_eq!((one.code, one.findings()), (0, vec![]));
        assert_eq!(versions(&[t, home]).await, before);

        // The same with what is wrong there.
        report_available(home, 0).await;
        home.apply(
            Kind::ConfigMap,
            "doctor-policy",
            json!({"data": {"policy.yaml": "wasmIssuers:\n  reveals: true"}}),
        )
        .await;
        let ran = doctor(&["-n", &t.namespace]).await;
        let findings = ran.findings();
        assert_eq!(ran.code, 1);
        assert_eq!(findings.len(), 2, "{findings:#?}");
        assert_eq!(findings[0], "Deployment wasm-issuer/wasm-issuer: 0 of 2 pods are available");
        assert!(
            findings[1].contains("line 2, column 3: wasmIssuers.reveals: there is no such field"),
            "{findings:#?}"
        );
        uninstall_deployment(home).await;
    });
}

#[test]
fn one_who_may_not_look_is_told_what_was_not_looked_at() {
    e2e(async |t| {
        t.apply(Kind::ServiceAccount, READER, json!({})).await;
        let file = t.workdir.join(format!("{}.kubeconfig", t.namespace));
        let script = root().join("test/cluster/kubeconfig-for.sh");
        let made = Command::new(script).args([&t.namespace, READER]).arg(&file).status().await;
        assert!(made.unwrap().success());
        let ran = doctor_as(Some(&file), &["-n", &t.namespace]).await;
        assert_eq!((ran.code, ran.findings()), (0, vec![]));
        let unseen = ran.report["unseen"].to_string();
        for part in [
            "the rights of ServiceAccount wasm-issuer/wasm-issuer",
            "deployments.apps is forbidden",
            "subjectaccessreviews",
        ] {
            assert!(unseen.contains(part), "{part}: {unseen}");
        }
    });
}

#[test]
fn a_request_is_followed_to_its_issuer() {
    e2e(async |t| {
        let spec = json!({"plugin": {"builtin": "in-memory-ca"}, "authSecretName": "keys"});
        t.issuer("ca", spec).await;
        t.wait_ready(Kind::WasmIssuer, "ca", SOON, "False Pending: …").await;
        t.approved_request("web", issuer_ref("ca"), &Csr::for_host("a.example"), json!({})).await;
        t.wait_ready(REQUEST, "web", SOON, "False Pending: Waiting for issuer to become ready.…").await;
        t.approved_request("lost", cluster_issuer_ref("ca"), &Csr::for_host("a.example"), json!({})).await;
        t.wait_ready(REQUEST, "lost", SOON, "False Pending: …").await;

        let issuer = format!("WasmIssuer {}/ca", t.namespace);
        let ran = doctor(&["request", "web", "-n", &t.namespace]).await;
        assert_eq!(ran.code, 1);
        let findings = ran.findings();
        assert_eq!(findings.len(), 1, "{findings:#?}");
        assert!(findings[0].starts_with(&format!("{issuer}: Not ready yet: Secret")), "{findings:#?}");
        let mend = format!("kubectl create secret generic keys -n {} --from-file=KEY=FILE", t.namespace);
        assert_eq!(ran.mend(&issuer), mend);
        let unseen = ran.report["unseen"].to_string();
        assert!(unseen.contains("what the plugin in-memory-ca says that it needs"), "{unseen}");
        assert_eq!(
            named(&ran.report["findings"][0]["blocks"][0]),
            format!("CertificateRequest {}/web", t.namespace)
        );

        let lost = doctor(&["request", "lost", "-n", &t.namespace]).await;
        let request = format!("CertificateRequest {}/lost", t.namespace);
        assert!(lost.mend(&request).starts_with("name kind WasmIssuer in spec.issuerRef"), "{lost:#?}");

        let gone = doctor(&["request", "gone", "-n", &t.namespace]).await;
        assert_eq!(
            gone.findings(),
            [format!("CertificateRequest {}/gone: there is no such object", t.namespace)]
        );
        // What was said is what mends it.
        let ran = Command::new("bash").args(["-c", &mend.replace("KEY=FILE", "x=/dev/null")]).status().await;
        assert!(ran.unwrap().success());
    });
}

#[test]
fn what_a_plugin_says_that_it_needs_is_what_to_paste() {
    e2e(async |t| {
        t.config_map("plugin", "plugin.wasm", &plugin("cfssl")).await;
        let (plugin, config) =
            (json!({"configMap": {"name": "plugin"}}), json!({"url": "https://cfssl.example:8888"}));
        t.issuer("ca", json!({"plugin": plugin, "config": config, "checkInterval": "10s"})).await;
        t.wait((Kind::WasmIssuer, "ca"), SOON, "not ready", |it| it.ready().starts_with("False")).await;
        let ran = doctor(&["-n", &t.namespace]).await;
        let said = &ran.report["plugins"][0];
        assert_eq!((&said["name"], &said["needs"][0]["server"]), (&json!("cfssl"), &config["url"]), "{said}");
        let section = said["section"].as_str().expect("what to paste");
        assert!(section.contains(r#"http: {"allowedHosts":["https://cfssl.example:8888"]}"#), "{section}");
        let mend = ran.mend(&format!("WasmIssuer {}/ca", t.namespace));
        assert!(mend.starts_with("kubectl edit wasmissuer ca") && mend.contains(section), "{mend}");

        let field = |line: &str| {
            let (name, value) = line.split_once(": ").expect("a field");
            (name.to_owned(), serde_json::from_str::<Value>(value).expect("JSON"))
        };
        let spec: serde_json::Map<String, Value> = section.lines().map(field).collect();
        t.merge(Kind::WasmIssuer, "ca", json!({"spec": spec})).await;
        let ran = doctor(&["-n", &t.namespace]).await;
        let said = &ran.report["plugins"][0];
        assert_eq!((&said["needs"][0]["granted"], &said["section"]), (&json!(true), &Value::Null), "{said}");
    });
}

#[test]
fn a_crd_of_another_version_is_told_and_mended_by_what_is_said() {
    e2e_alone(async |t, _| {
        const CRD: &str = "customresourcedefinitions.apiextensions.k8s.io";
        let edit = |patch: &'static str| async move {
            let args = ["patch", CRD, "wasmissuers.wasm-issuer.dev", "--type", "json", "-p", patch];
            assert!(Command::new("kubectl").args(args).output().await.unwrap().status.success());
        };
        edit(r#"[{"op": "remove", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/retry"}]"#).await;
        let ran = doctor(&["-n", &t.namespace]).await;
        let findings = ran.findings();
        assert_eq!(findings.len(), 1, "{findings:#?}");
        assert!(
            findings[0].contains("it is older than this wasm-issuer") && findings[0].ends_with("spec.retry")
        );
        let mend = ran.mend("CustomResourceDefinition wasmissuers.wasm-issuer.dev");
        let script = mend.replace("wasm-issuer crds", &format!("{} crds", binary().display()));
        assert!(Command::new("bash").args(["-c", &script]).output().await.unwrap().status.success());
        assert_eq!(doctor(&["-n", &t.namespace]).await.findings(), Vec::<String>::new());
    });
}

#[test]
fn a_right_that_lacks_is_told() {
    e2e_alone(async |t, _| {
        let before = t.get(Kind::ClusterRole, HOME).await;
        let rules: Vec<Value> = before["rules"].as_array().unwrap().clone();
        let without = |resource: &str| {
            rules.iter().filter(|rule| rule["resources"] != json!([resource])).cloned().collect::<Vec<_>>()
        };
        apply_rules(t, &without("certificaterequests/status")).await;
        let ran = doctor(&["-n", &t.namespace]).await;
        apply_rules(t, &rules).await;
        let wanted = "ServiceAccount wasm-issuer/wasm-issuer: it may not patch certificaterequests/status.cert-manager.io";
        assert_eq!(ran.findings(), [wanted]);
        assert_eq!(doctor(&["-n", &t.namespace]).await.findings(), Vec::<String>::new());
    });
}

async fn apply_rules(t: &Test, rules: &[Value]) {
    t.merge(Kind::ClusterRole, HOME, json!({"rules": rules})).await;
}
