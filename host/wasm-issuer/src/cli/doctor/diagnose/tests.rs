use wasm_issuer_core::issuance::GROUP;
use wasm_issuer_core::issuance::condition::{DENIED, FALSE, PLUGIN_CURRENT, TRUE};

use super::super::facts::{Facts, Issuer, Plugin, Policy};
use super::super::finding::ObjectRef;
use super::diagnose;
use super::testing::{
    certificate, decided, failing, healthy, issuer, long_ago, now, only, request, says, secret, unapproved,
};
use crate::api::{ConfigMapSource, IssuerKey, IssuerKind, IssuerSpec, PluginSpec};

fn with_issuers(issuers: Vec<Issuer>) -> Facts {
    Facts { issuers: Some(issuers), ..healthy() }
}

fn from_config_map(mut issuer: Issuer) -> Issuer {
    let map = ConfigMapSource { name: "plugin".parse().unwrap(), key: "plugin.wasm".to_owned() };
    issuer.spec = Ok(IssuerSpec::new(PluginSpec { config_map: Some(map), ..PluginSpec::default() }));
    issuer
}

#[test]
fn nothing_is_wrong_with_what_works() {
    let waiting = request(vec![]);
    let mut young = unapproved(vec![]);
    young.view.created = now();
    let issued = request(vec![says(TRUE, "Issued", "")]);
    let mut facts = healthy();
    facts.requests = vec![young, issued];
    assert_eq!(diagnose(&facts), []);
    // What could not be looked at is no fault.
    assert_eq!(diagnose(&Facts { now: now(), ..Facts::default() }), []);
    facts.requests = vec![waiting];
    assert_ne!(diagnose(&facts), []);
}

#[test]
fn a_missing_crd_is_applied() {
    let mut facts = healthy();
    facts.crds.as_mut().unwrap().remove(0);
    let finding = only(&facts);
    assert_eq!(finding.object.to_string(), "CustomResourceDefinition wasmissuers.wasm-issuer.dev");
    assert!(finding.cause.starts_with("it is missing") && finding.mend.starts_with("wasm-issuer crds |"));
    facts = Facts { has_cert_manager: Some(false), ..healthy() };
    assert!(only(&facts).cause.contains("cert-manager is not installed"));
}

#[test]
fn what_is_of_a_missing_kind_waits_for_the_crd() {
    let mut facts = Facts { requests: vec![request(vec![])], issuers: Some(vec![]), ..healthy() };
    facts.crds.as_mut().unwrap().remove(0);
    let finding = only(&facts);
    assert_eq!(finding.object.kind, "CustomResourceDefinition");
    assert_eq!(finding.blocks, [ObjectRef::new("CertificateRequest", "team-a", "web-1")]);
}

#[test]
fn another_version_of_a_crd_is_told_by_the_fields_that_differ() {
    let properties = |facts: &mut Facts, edit: &dyn Fn(&mut std::collections::BTreeMap<String, _>)| {
        let version = &mut facts.crds.as_mut().unwrap()[0].spec.versions[0];
        let schema = version.schema.as_mut().unwrap().open_api_v3_schema.as_mut().unwrap();
        edit(schema.properties.as_mut().unwrap().get_mut("spec").unwrap().properties.as_mut().unwrap());
    };
    let mut older = healthy();
    properties(&mut older, &|fields| drop(fields.remove("http")));
    let cause = only(&older).cause;
    assert!(
        cause.starts_with("it is older than this wasm-issuer ") && cause.ends_with("it lacks spec.http"),
        "{cause}"
    );
    let mut newer = healthy();
    properties(&mut newer, &|fields| drop(fields.insert("later".to_owned(), fields["http"].clone())));
    let finding = only(&newer);
    assert!(finding.cause.contains("newer") && finding.cause.ends_with("spec.later"), "{}", finding.cause);
    assert!(!finding.mend.contains("apply"), "an older one would take fields away");
    let mut other = healthy();
    properties(&mut other, &|fields| fields.get_mut("http").unwrap().description = None);
    assert!(only(&other).cause.contains("lacks spec.http.description"));
    let mut unserved = healthy();
    unserved.crds.as_mut().unwrap()[1].spec.versions[0].name = "v1".to_owned();
    assert_eq!(only(&unserved).cause, "it serves v1, and not v1alpha1");
}

#[test]
fn rights_that_lack_are_told_by_resource() {
    let mut facts = healthy();
    for (need, may) in &mut facts.rights {
        *may = need.resource != "wasmissuers" && (need.resource, need.verb) != ("configmaps", "get");
    }
    let findings = diagnose(&facts);
    let causes: Vec<&str> = findings.iter().map(|finding| finding.cause.as_str()).collect();
    assert_eq!(
        causes,
        ["it may not get, list, watch wasmissuers.wasm-issuer.dev", "it may not get configmaps"]
    );
    assert_eq!(findings[0].object.to_string(), "ServiceAccount wasm-issuer/wasm-issuer");
    assert!(findings[0].mend.contains("--as system:serviceaccount:wasm-issuer:wasm-issuer"));
}

#[test]
fn an_approver_without_the_right_is_what_requests_wait_for() {
    let mut facts = healthy();
    facts.approvals[0].1 = false;
    facts.requests = vec![unapproved(vec![])];
    let finding = only(&facts);
    assert_eq!(finding.object.to_string(), "ServiceAccount cert-manager/cert-manager");
    assert_eq!(finding.blocks, [ObjectRef::new("CertificateRequest", "team-a", "web-1")]);
    let manifest = finding.mend.lines().nth(1).unwrap();
    let read: serde_json::Value = serde_saphyr::from_str(manifest).unwrap();
    assert_eq!(read["items"][0]["rules"][0]["resourceNames"][0], "wasmissuers.wasm-issuer.dev/*");
    assert_eq!(read["items"][1]["subjects"][0]["namespace"], "cert-manager");
}

#[test]
fn a_request_that_nobody_approves_is_told_how_it_is_approved() {
    let facts = Facts { requests: vec![unapproved(vec![])], ..healthy() };
    let finding = only(&facts);
    assert_eq!(finding.cause, "nobody has approved or denied it for 3600 s");
    assert!(finding.mend.ends_with("`cmctl approve`."), "{}", finding.mend);
}

#[test]
fn pods_that_do_not_run_are_told_with_their_reason() {
    let mut facts = healthy();
    let operator = facts.operator.as_mut().unwrap();
    operator.available = 1;
    operator.troubles = vec![("wasm-issuer-1".to_owned(), "ImagePullBackOff: no such image".to_owned())];
    let finding = only(&facts);
    assert_eq!(finding.object.to_string(), "Deployment wasm-issuer/wasm-issuer");
    assert_eq!(
        finding.cause,
        "1 of 2 pods are available; pod wasm-issuer-1: ImagePullBackOff: no such image"
    );
    let operator = facts.operator.as_mut().unwrap();
    (operator.wanted, operator.available) = (0, 0);
    assert!(only(&facts).mend.contains("--replicas=2"));
}

#[test]
fn a_policy_that_is_none_is_told_with_the_lines() {
    let map = |text: Result<&str, &str>| Facts {
        policy: Policy::ConfigMap {
            object: ObjectRef::new("ConfigMap", "wasm-issuer", "policy"),
            key: "policy.yaml".to_owned(),
            text: text.map(str::to_owned).map_err(str::to_owned),
        },
        ..healthy()
    };
    let finding = only(&map(Ok("wasmIssuers:\n  reveals: true\n  maxTimeout: soon\n")));
    assert!(finding.cause.contains("line 2, column 3: wasmIssuers.reveals: "), "{}", finding.cause);
    assert!(finding.cause.contains("line 3, column 15: wasmIssuers.maxTimeout: "), "{}", finding.cause);
    assert!(finding.mend.contains("kubectl edit configmap policy -n wasm-issuer"));
    assert_eq!(only(&map(Err("it is not there"))).cause, "it is not there");
    assert_eq!(diagnose(&map(Ok(""))), []);
}

#[test]
fn an_issuer_that_is_not_ready_is_told_in_the_operators_words() {
    let finding = only(&with_issuers(vec![failing("ca", "Not ready yet: no route to the CA")]));
    assert_eq!(finding.object.to_string(), "WasmIssuer team-a/ca");
    assert_eq!(finding.cause, "Not ready yet: no route to the CA");
    assert!(finding.mend.starts_with("kubectl edit wasmissuer ca -n team-a"), "{}", finding.mend);
}

#[test]
fn an_issuer_that_serves_although_its_plugin_breaks_is_told() {
    let mut breaking = issuer("ca");
    let message = "Succeeded checking the issuer. Its plugin breaks off at every call to sign";
    breaking.ready = Some(says(TRUE, "PluginBreaks", message).observing(1));
    assert_eq!(only(&with_issuers(vec![breaking])).cause, message);
}

#[test]
fn what_an_issuer_lacks_is_mended_there() {
    let lacking = |source| {
        let mut issuer = failing("ca", "no Secret");
        issuer.sources = vec![source];
        only(&with_issuers(vec![issuer])).mend
    };
    assert_eq!(
        lacking(secret(false, true)),
        "kubectl create secret generic keys -n team-a --from-file=KEY=FILE"
    );
    let mend = lacking(secret(true, false));
    assert!(mend.contains("--verb=get,list,watch --resource=secrets --resource-name=keys"), "{mend}");
    assert!(mend.contains("--serviceaccount=wasm-issuer:wasm-issuer"), "{mend}");
    assert!(lacking(secret(true, true)).contains("kubectl edit wasmissuer"), "it has what it names");
    // One that serves with what it read before is told too.
    let mut ready = issuer("ca");
    ready.sources = vec![secret(false, true)];
    assert!(
        only(&with_issuers(vec![ready])).cause.contains("\"keys\" (named by spec.authSecretName) is gone")
    );
}

#[test]
fn an_issuer_that_wants_more_than_the_policy_allows_is_told_the_field() {
    let mut issuer = failing("ca", "the policy does not allow it");
    issuer.spec.as_mut().unwrap().secrets.reveal = vec!["token".to_owned()];
    assert!(only(&with_issuers(vec![issuer.clone()])).mend.contains("wasmIssuers: {reveal: true}"));
    let unknown = Facts { policy: Policy::Unknown, ..with_issuers(vec![issuer]) };
    assert!(only(&unknown).mend.starts_with("kubectl edit wasmissuer"));
}

#[test]
fn a_plugin_that_is_of_no_use_is_packaged_anew() {
    const PACKAGE: &str = "wasm-issuer plugin package FILE --name plugin --namespace team-a | kubectl";
    let mut refused = from_config_map(issuer("ca"));
    refused.used = Some("aa".to_owned());
    let condition = says(FALSE, "Refused", "The new plugin was not taken into use");
    refused.plugin_current = Some(wasm_issuer_core::issuance::condition::Condition {
        type_: PLUGIN_CURRENT.to_owned(),
        ..condition
    });
    let finding = only(&with_issuers(vec![refused.clone()]));
    assert!(
        finding.cause.starts_with("The new plugin was not") && finding.mend.starts_with(PACKAGE),
        "{finding:?}"
    );
    // The same before the operator has noticed, and before it has said anything.
    let plugin = |problem: Option<&str>| {
        Some(Plugin { sha256: Some("bb".to_owned()), problem: problem.map(str::to_owned), description: None })
    };
    let unnoticed = Issuer { plugin_current: None, plugin: plugin(Some("no component")), ..refused };
    assert!(only(&with_issuers(vec![unnoticed.clone()])).mend.starts_with(PACKAGE));
    let unheard = Issuer { ready: None, ..unnoticed.clone() };
    assert_eq!(only(&with_issuers(vec![unheard])).cause, "no component");
    assert_eq!(diagnose(&with_issuers(vec![Issuer { plugin: plugin(None), ..unnoticed }])), []);
}

#[test]
fn what_the_operator_has_not_looked_at_is_one_finding() {
    let unheard = |name: &str| Issuer { ready: None, ..issuer(name) };
    let outdated = Issuer { generation: 2, ..issuer("c") };
    let mut facts = with_issuers(vec![unheard("a"), unheard("b"), outdated]);
    let finding = only(&facts);
    assert_eq!(finding.object.to_string(), "Deployment wasm-issuer/wasm-issuer");
    assert_eq!(finding.blocks.len(), 3);
    facts.issuers.as_mut().unwrap().iter_mut().for_each(|issuer| issuer.created = now());
    assert_eq!(diagnose(&facts), [], "give it a moment");
}

#[test]
fn what_waits_for_an_issuer_is_put_to_its_cause() {
    let waiting = request(vec![says(FALSE, "Pending", "Waiting for issuer to become ready.")]);
    let mut facts = with_issuers(vec![failing("ca", "Not ready yet: no Secret")]);
    facts.certificates = vec![certificate(GROUP, Some(waiting))];
    let finding = only(&facts);
    assert_eq!(finding.object.to_string(), "WasmIssuer team-a/ca");
    let blocks: Vec<String> = finding.blocks.iter().map(ToString::to_string).collect();
    assert_eq!(blocks, ["Certificate team-a/web", "CertificateRequest team-a/web-1"]);
}

#[test]
fn an_issuer_that_there_is_not_is_told_with_those_that_there_are() {
    let facts = Facts { requests: vec![request(vec![])], ..with_issuers(vec![issuer("other")]) };
    let finding = only(&facts);
    assert!(finding.cause.contains("\"ca\" not found"), "{}", finding.cause);
    assert!(finding.mend.ends_with("one that is there: WasmIssuer team-a/other"), "{}", finding.mend);
    // Approved or not, there can be none of such a kind.
    let mut impossible = unapproved(vec![]);
    (impossible.view.issuer.kind, impossible.view.issuer.signer, impossible.issuer) =
        ("WasmIssuers".to_owned(), None, None);
    let facts = Facts { requests: vec![impossible], ..healthy() };
    let finding = only(&facts);
    assert!(finding.cause.contains("has no kind \"WasmIssuers\""), "{}", finding.cause);
    assert!(finding.mend.starts_with("name kind WasmIssuer in spec.issuerRef"), "{}", finding.mend);
    // The name is right and the kind is not.
    let mut cluster = issuer("ca");
    cluster.key = IssuerKey { kind: IssuerKind::Cluster, namespace: None, name: "ca".to_owned() };
    let facts = Facts { requests: vec![request(vec![])], ..with_issuers(vec![cluster]) };
    let mend = only(&facts).mend;
    assert!(
        mend.contains("kubectl patch certificate web -n team-a") && mend.contains("WasmClusterIssuer"),
        "{mend}"
    );
}

#[test]
fn a_request_that_has_ended_badly_is_made_anew() {
    let denied = unapproved(vec![decided(DENIED, "Policy", "not on Sundays")]);
    let finding = only(&Facts { requests: vec![denied], ..healthy() });
    assert_eq!(finding.cause, "it was denied: Policy: not on Sundays");
    assert!(finding.mend.ends_with("cmctl renew web -n team-a"));
    let mut failed =
        request(vec![says(FALSE, "Failed", "Failed permanently to sign CertificateRequest: no")]);
    failed.certificate = None;
    let finding = only(&Facts { requests: vec![failed], ..healthy() });
    assert_eq!(finding.cause, "Failed permanently to sign CertificateRequest: no");
    assert!(finding.mend.contains("kubectl delete certificaterequest web-1 -n team-a"));
}

#[test]
fn a_request_that_fails_to_be_signed_says_why() {
    let told = request(vec![says(FALSE, "Pending", "Failed to sign CertificateRequest, will retry: busy")]);
    let finding = only(&Facts { requests: vec![told.clone()], ..healthy() });
    assert_eq!(finding.cause, "Failed to sign CertificateRequest, will retry: busy");
    assert!(finding.mend.starts_with("kubectl describe wasmissuer ca -n team-a\n"), "{}", finding.mend);
    let stale = request(vec![says(FALSE, "Pending", "Waiting for issuer to become ready. It was not")]);
    let finding = only(&Facts { requests: vec![stale], ..healthy() });
    assert_eq!(finding.object.kind, "Deployment", "its Issuer is ready by now");
    let mut by_event = request(vec![]);
    by_event.warning = Some("busy".to_owned());
    assert_eq!(only(&Facts { requests: vec![by_event], ..healthy() }).cause, "busy");
    let refused = super::super::facts::Request { refusal: Some("spec.duration: soon".to_owned()), ..told };
    assert_eq!(only(&Facts { requests: vec![refused], ..healthy() }).cause, "spec.duration: soon");
}

#[test]
fn a_certificate_is_followed() {
    let with = |certificate| Facts { certificates: vec![certificate], ..healthy() };
    let finding = only(&with(certificate("cert-manager.io", None)));
    assert!(finding.cause.starts_with("spec.issuerRef.group is \"cert-manager.io\""), "{}", finding.cause);
    assert!(finding.mend.contains("\"group\":\"wasm-issuer.dev\""), "{}", finding.mend);
    let finding = only(&with(certificate(GROUP, None)));
    assert!(
        finding.cause.ends_with("for it: Issuing certificate as Secret does not exist"),
        "{}",
        finding.cause
    );
    let mut young = certificate(GROUP, None);
    young.created = now();
    assert_eq!(diagnose(&with(young)), []);
    let mut ready = certificate(GROUP, None);
    ready.conditions = vec![says(TRUE, "Ready", "")];
    assert_eq!(diagnose(&with(ready)), []);
    let gone = ObjectRef::new("Certificate", "team-a", "gone");
    let finding = only(&Facts { missing: vec![gone.clone()], now: long_ago(), ..healthy() });
    assert_eq!((finding.object, finding.cause.as_str()), (gone, "there is no such object"));
}

#[test]
fn issuers_that_nobody_asked_for_are_not_told() {
    let mut facts = with_issuers(vec![failing("ca", "a"), failing("other", "b")]);
    facts.wanted = Some(vec![issuer("ca").key]);
    assert_eq!(only(&facts).cause, "a");
}
