//! A team's own operator: installed by somebody without rights on the cluster, with Roles alone, in two namespaces.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Instant;

use serde_json::json;
use tokio::process::Command;
use wasm_issuer_e2e::keys::Ca;
use wasm_issuer_e2e::{
    Csr, KeyKind, Kind, Launch, Operator, SOON, Test, cluster_issuer_ref, e2e_alone, issuer_ref, operator,
};

use super::rbac::{needed, needed_at_home, rules};

const ISSUER: Kind = Kind::WasmIssuer;
const REQUEST: Kind = Kind::CertificateRequest;

/// What docs/rbac.md says, by the administrator of these namespaces: $1, with commas between them. Further arguments are
/// `helm install`'s.
const INSTALL: &str = r#"
list=$1 home=${1%%,*} folder=$CLUSTER_WORKDIR helm=$(test/go-tool.sh helm)/helm
shift
"$helm" template wasm-issuer deploy/chart --set creator=static,operator.enabled=false,rbac.teamInstaller=true |
  kubectl apply --server-side -f -
kubectl create serviceaccount administrator -n "$home"
# There is no controller here that adds these up to the ClusterRole admin.
for namespace in ${list//,/ }; do
  for role in system:aggregate-to-{admin,edit,view} wasm-issuer-{view,edit,team-installer}; do
    kubectl create rolebinding "administrator-$role" --clusterrole="$role" --serviceaccount="$home:administrator" -n "$namespace"
  done
done
test/cluster/kubeconfig-for.sh "$home" administrator "$folder/$home-administrator.kubeconfig"
"$helm" install wasm-issuer deploy/chart --kubeconfig "$folder/$home-administrator.kubeconfig" --namespace "$home" \
  --set "watchNamespaces={$list}" --set "rbac.secrets.byName.$home={granted}" --set 'rbac.secrets.verbs={get}' "$@"
test/cluster/kubeconfig-for.sh "$home" wasm-issuer "$folder/$home-operator.kubeconfig"
"#;

/// Install it into these namespaces. Returns how it is started.
async fn install(t: &Test, namespaces: &str, options: &[&str]) -> Launch {
    let mut bash = Command::new("bash");
    bash.args(["-euo", "pipefail", "-c", INSTALL, "install", namespaces]).args(options);
    let installed = bash.current_dir(operator::root()).output().await.expect("bash");
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    Launch {
        args: vec!["--watch-namespaces".into(), namespaces.into()],
        kubeconfig: Some(kubeconfig(t)),
        ..Launch::default()
    }
}

fn kubeconfig(t: &Test) -> PathBuf {
    t.workdir.join(format!("{}-operator.kubeconfig", t.namespace))
}

/// An Issuer with a plugin in a ConfigMap and its keys in a Secret.
async fn issuer(t: &Test) {
    t.config_map("plugin", "plugin.wasm", &operator::plugin("in_memory_ca")).await;
    let root = Ca::root("root", KeyKind::P256);
    t.tls_secret("keys", &root.certificate, &root.key.pem()).await;
    let spec = json!({"plugin": {"configMap": {"name": "plugin"}}, "authSecretName": "keys"});
    t.issuer("ca", spec).await;
}

#[test]
fn a_team_without_rights_on_the_cluster_runs_an_operator_of_its_own() {
    e2e_alone(async |t, operator| {
        // By now the cluster's own is away, which would serve all of them.
        operator.kill().await;
        let second = t.in_namespace(&format!("{}-second", t.namespace)).await;
        let third = t.in_namespace(&format!("{}-third", t.namespace)).await;
        let csr = Csr::for_host("a.example");
        for space in [t, &second, &third] {
            issuer(space).await;
            space.approved_request("web", issuer_ref("ca"), &csr, json!({})).await;
        }
        let shared = cluster_issuer_ref("all-in-memory-ca");
        t.approved_request("shared", shared, &csr, json!({})).await;
        let launch = install(t, &format!("{},{}", t.namespace, second.namespace), &[]).await;
        operator.relaunch(launch).await;
        for space in [t, &second] {
            space.issued("web").await.verify(&csr);
            space.wait_event(ISSUER, "ca", "Normal Checked Synced: Succeeded checking the issuer").await;
            space.wait_event(REQUEST, "web", "Normal Issued Synced: …").await;
        }
        for (space, kind, name) in [(&third, ISSUER, "ca"), (&third, REQUEST, "web"), (t, REQUEST, "shared")]
        {
            let left_alone = space.get(kind, name).await;
            assert_eq!(left_alone.ready(), "", "{kind:?} {name} of {}", space.namespace);
        }
        let client = Operator::client_of(&kubeconfig(t)).await;
        // What has no namespace is none of a team's.
        let of_the_cluster =
            ["wasmclusterissuers", "certificatesigningrequests", "signers", "subjectaccessreviews"];
        let theirs =
            needed(|resource| !of_the_cluster.iter().any(|of_cluster| resource.starts_with(of_cluster)));
        for space in [t, &second] {
            let secrets = "get secrets of [\"granted\"]";
            let mut found = rules(&client, &space.namespace).await;
            found.remove(secrets);
            let leases = if space.namespace == t.namespace { needed_at_home() } else { BTreeSet::new() };
            assert_eq!(found, &theirs | &leases, "in {}", space.namespace);
        }
        let everybodys = needed(|resource| resource.starts_with("selfsubject"));
        for namespace in [&third.namespace, "default"] {
            assert_eq!(rules(&client, namespace).await, everybodys, "in {namespace}");
        }
        second.clean_up().await;
        third.clean_up().await;
    });
}

#[test]
fn secrets_that_are_granted_by_name_are_enough() {
    e2e_alone(async |t, operator| {
        let launch = install(t, &t.namespace, &["--set", "rbac.secrets.all=false"]).await;
        operator.relaunch(launch).await;
        let [old, new] = ["old", "new"].map(|name| Ca::root(name, KeyKind::P256));
        for name in ["granted", "other"] {
            t.tls_secret(name, &old.certificate, &old.key.pem()).await;
        }
        let spec = |secret: &str| json!({"plugin": {"builtin": "in-memory-ca"}, "authSecretName": secret, "checkInterval": "10s"});
        t.ready_issuer("ca", spec("granted")).await;
        t.issuer("other", spec("other")).await;
        let refused =
            format!("False Pending: Not ready yet: could not read Secret \"{}/other\"…", t.namespace);
        t.wait_ready(ISSUER, "other", SOON, &refused).await;
        let csr = Csr::for_host("a.example");
        let published = async |name: &str| {
            let issued = t.issue(name, issuer_ref("ca"), &csr, json!({})).await;
            String::from_utf8(issued.request.status_bytes("ca").unwrap()).unwrap()
        };
        assert_eq!(published("before").await.trim(), old.certificate.trim());
        // Nothing tells the operator of it; it is read with the next check.
        t.tls_secret("granted", &new.certificate, &new.key.pem()).await;
        let began = Instant::now();
        for n in 0.. {
            if published(&format!("after-{n}")).await.trim() == new.certificate.trim() {
                break;
            }
            assert!(began.elapsed() < SOON, "the new Secret is not in use");
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        }
    });
}
