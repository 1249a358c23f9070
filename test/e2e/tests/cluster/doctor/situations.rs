//! That `doctor` finds what is wrong in each of the situations that can be made, with its cause and what mends it.

use std::time::{Duration, Instant};

use tokio::process::Command;
use tokio::time::sleep;
use wasm_issuer_e2e::operator::binary;
use wasm_issuer_e2e::{Kind, SOON, Situation, Test, cert_manager_runs, e2e, e2e_alone};

use super::{Ran, doctor};

/// What a finding has to say.
struct Wanted {
    object: String,
    cause: &'static str,
    mend: String,
}

fn wanted(situation: Situation, namespace: &str) -> Wanted {
    use Situation::*;
    let name = situation.name();
    let issuer = format!("WasmIssuer {namespace}/{name}");
    let request = format!("CertificateRequest {namespace}/{name}");
    let edit = format!("kubectl edit wasmissuer {name} -n {namespace}");
    let package = format!("wasm-issuer plugin package FILE --name {name} --namespace {namespace} |");
    let look = format!("kubectl describe wasmissuer {name} -n {namespace}");
    let (object, cause, mend) = match situation {
        SpecTypo => (issuer, "comonName", edit),
        WrongSecret => (issuer, "tls.key", edit),
        MissingGrant => (issuer, "spec.http.allowedHosts", edit),
        PrivateAddress => (issuer, "wasmIssuers: {allowAddresses: ", edit),
        ExpiredToken => (issuer, "401", edit),
        SlowCa => (issuer, "still waiting for https://127.0.0.1", edit),
        WrongTls => (issuer, "certificate", edit),
        PluginRefused => (issuer, "The new plugin was not taken into use", package),
        ConfigMapGone => (issuer, "not found", package),
        ApproverMissing if cert_manager_runs() => (
            "ServiceAccount cert-manager/cert-manager".to_owned(),
            "it may not \"approve\" signers.cert-manager.io",
            "kubectl apply --server-side -f - <<'END'".to_owned(),
        ),
        ApproverMissing => (request, "nobody has approved or denied it", "cmctl approve".to_owned()),
        CrdMissing => (
            "CustomResourceDefinition wasmissuers.wasm-issuer.dev".to_owned(),
            "it is missing",
            "wasm-issuer crds | kubectl apply --server-side --force-conflicts -f -".to_owned(),
        ),
        RbacMissing => (
            issuer,
            "could not read Secret",
            format!("kubectl create role wasm-issuer-{name} -n {namespace}"),
        ),
        OtherKind => (request, "WasmIssuers", "spec.issuerRef".to_owned()),
        RequestDenied => {
            (request, "it was denied", format!("kubectl delete certificaterequest {name} -n {namespace}"))
        }
        PluginPanics => (request, "plugin", look),
    };
    Wanted { object, cause, mend }
}

/// Look until the finding is there.
async fn sees(situation: Situation, t: &Test) -> Ran {
    let wanted = wanted(situation, &t.namespace);
    let began = Instant::now();
    loop {
        let ran = doctor(&["-n", &t.namespace]).await;
        let is_so = |finding: &String| {
            finding.starts_with(&format!("{}: ", wanted.object)) && finding.contains(wanted.cause)
        };
        if ran.findings().iter().any(is_so) {
            let mend = ran.mend(&wanted.object);
            assert!(mend.contains(&wanted.mend), "{situation:?}: {mend}");
            assert_eq!(ran.code, 1);
            return ran;
        }
        assert!(began.elapsed() < SOON, "{situation:?} is not found: {ran:#?}");
        sleep(Duration::from_millis(500)).await;
    }
}

#[test]
fn what_is_wrong_with_one_object_is_found() {
    e2e(async |t| {
        for situation in Situation::ALL.into_iter().filter(|situation| !situation.concerns_all()) {
            let made = situation.make(t).await;
            sees(situation, t).await;
            t.delete(made.kind, &made.name).await;
        }
    });
}

#[test]
fn what_is_wrong_for_all_is_found_and_mended_by_what_is_said() {
    for situation in Situation::ALL.into_iter().filter(|situation| situation.concerns_all()) {
        e2e_alone(async |t, _| {
            let made = situation.make(t).await;
            let ran = sees(situation, t).await;
            let Wanted { object, cause, .. } = wanted(situation, &t.namespace);
            if situation != Situation::ApproverMissing || cert_manager_runs() {
                mend(&ran.mend(&object)).await;
                let began = Instant::now();
                while doctor(&["-n", &t.namespace])
                    .await
                    .findings()
                    .iter()
                    .any(|finding| finding.starts_with(&object) && finding.contains(cause))
                {
                    assert!(began.elapsed() < SOON, "{situation:?} is not mended");
                    sleep(Duration::from_millis(500)).await;
                }
            }
            made.undo(t).await;
            t.delete_all(Kind::CertificateRequest).await;
        });
    }
    e2e_alone(async |t, _| {
        for kind in [Kind::ClusterRoleBinding, Kind::ClusterRole] {
            if t.find(kind, "wasm-issuer-approver").await.is_some() {
                t.delete(kind, "wasm-issuer-approver").await;
            }
        }
    });
}

/// Do what a finding says, with the program that is tested.
async fn mend(commands: &str) {
    let script = format!("set -e; wasm-issuer() {{ {} \"$@\"; }}\n{commands}", binary().display());
    let output = Command::new("bash").args(["-c", &script]).output().await.unwrap();
    assert!(output.status.success(), "{commands}: {}", String::from_utf8_lossy(&output.stderr));
}
