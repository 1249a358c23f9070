use IssuerKind::{Cluster, Namespaced};

use super::*;
use crate::api::PluginSpec;

fn spec() -> IssuerSpec {
    IssuerSpec::new(PluginSpec::builtin("in-memory-ca"))
}

fn with_host(host: &str) -> IssuerSpec {
    let mut spec = spec();
    spec.http.allowed_hosts = vec![host.to_owned()];
    spec
}

fn refusal(policy: &Policy, kind: IssuerKind, spec: &IssuerSpec) -> String {
    policy.check(kind, spec).expect_err("a violation").to_string()
}

#[test]
fn a_plain_spec_is_within_the_defaults() {
    let policy = Policy::default();
    assert_eq!(policy.check(Namespaced, &spec()), Ok(()));
    assert_eq!(policy.check(Cluster, &spec()), Ok(()));
    assert_eq!(policy.check_digest(Namespaced, "4f0c"), Ok(()));
}

#[test]
fn tenants_may_not_reveal_nor_speak_plain_http_and_admins_may() {
    let policy = Policy::default();
    let mut revealing = spec();
    revealing.secrets.reveal = vec!["token".into()];
    assert_eq!(
        refusal(&policy, Namespaced, &revealing),
        "the operator's policy does not allow \"token\" in spec.secrets.reveal; it allows none \
         (wasmIssuers.reveal in the policy)"
    );
    assert_eq!(policy.check(Cluster, &revealing), Ok(()));
    assert_eq!(
        refusal(&policy, Namespaced, &with_host("http://ca.example")),
        "the operator's policy does not allow \"http://ca.example\" in spec.http.allowedHosts; it allows https://* \
         (wasmIssuers.allowedHosts in the policy)"
    );
    assert_eq!(policy.check(Cluster, &with_host("http://ca.example")), Ok(()));
    assert!(!policy.wasm_issuers.private_addresses && policy.wasm_cluster_issuers.private_addresses);
}

#[test]
fn registries_are_the_policys_to_allow() {
    let mut policy = Policy::default();
    let image = |reference: &str| {
        let plugin = serde_json::json!({"image": {"reference": reference}});
        IssuerSpec::new(serde_json::from_value(plugin).unwrap())
    };
    assert_eq!(policy.check(Namespaced, &image("r.example:5000/ca:1")), Ok(()));
    policy.wasm_issuers.registries =
        ["*.example", "http://localhost:5000"].map(|bound| bound.parse().unwrap()).to_vec();
    for reference in ["r.example/ca:1", "localhost:5000/ca:1", "no reference"] {
        assert_eq!(policy.check(Namespaced, &image(reference)), Ok(()), "{reference}");
    }
    assert_eq!(
        refusal(&policy, Namespaced, &image("team/ca:1")),
        "the operator's policy does not allow the registry docker.io in spec.plugin.image.reference; it allows \
         *.example, http://localhost:5000 (wasmIssuers.registries in the policy)"
    );
    let scheme = |reference: &str| policy.wasm_issuers.registry_scheme(&reference.parse().unwrap());
    assert_eq!(scheme("r.example/ca:1"), Some(Scheme::Https));
    assert_eq!(scheme("localhost:5000/ca:1"), Some(Scheme::Http));
}

#[test]
fn tenants_may_allow_no_difference_and_admins_may() {
    let mut policy = Policy::default();
    let mut allowing = spec();
    allowing.verification.allow = vec![Difference::Subject, Difference::Extensions];
    assert_eq!(
        refusal(&policy, Namespaced, &allowing),
        "the operator's policy does not allow Subject in spec.verification.allow; it allows none \
         (wasmIssuers.allowDifferences in the policy)"
    );
    assert_eq!(policy.check(Cluster, &allowing), Ok(()));
    policy.wasm_issuers.allow_differences = vec![Difference::Subject];
    let said = refusal(&policy, Namespaced, &allowing);
    assert!(
        said.contains("does not allow Extensions in spec.verification.allow; it allows Subject"),
        "{said}"
    );
}

#[test]
fn a_policy_may_demand_strict_whatever_a_spec_says() {
    let policy = Policy::parse("wasmClusterIssuers: {verification: Strict}").unwrap();
    let (plain, mut strict) = (spec(), spec());
    strict.verification.mode = Mode::Strict;
    let mode = |kind, spec: &IssuerSpec| policy.bounds(kind).verification(&spec.verification).mode;
    assert_eq!((mode(Namespaced, &plain), mode(Namespaced, &strict)), (Mode::Reported, Mode::Strict));
    assert_eq!((mode(Cluster, &plain), mode(Cluster, &strict)), (Mode::Strict, Mode::Strict));
    let mut allowing = spec();
    allowing.verification.allow = vec![Difference::Subject];
    assert_eq!(
        refusal(&policy, Cluster, &allowing),
        "the operator's policy does not allow Subject in spec.verification.allow; it allows none \
         (wasmClusterIssuers.verification in the policy)"
    );
    assert_eq!(policy.check(Cluster, &plain), Ok(()));
}

#[test]
fn limits_are_bounded() {
    let mut slow = spec();
    slow.limits.timeout = GoDuration::from_secs(31);
    assert!(
        refusal(&Policy::default(), Namespaced, &slow)
            .contains("31s for spec.limits.timeout; it allows up to 30s")
    );
    let mut large = spec();
    large.limits.memory = Quantity::mebibytes(257);
    assert!(
        refusal(&Policy::default(), Namespaced, &large)
            .contains("257Mi for spec.limits.memory; it allows up to 256Mi")
    );
}

#[test]
fn a_file_changes_what_it_names_and_nothing_else() {
    let policy = Policy::parse(
        "wasmIssuers:\n  sources: [builtin]\n  allowedHosts: ['https://*.pki.example:8443']\n  sha256: [abc]\n  \
         allowAddresses: [10.0.0.0/8]\n",
    )
    .unwrap();
    assert_eq!(policy.wasm_cluster_issuers, Policy::default().wasm_cluster_issuers);
    assert_eq!(policy.wasm_issuers.max_timeout, GoDuration::from_secs(30));
    let from_config_map = IssuerSpec::new(PluginSpec {
        config_map: Some(crate::api::ConfigMapSource { name: "a".parse().unwrap(), key: "b".into() }),
        ..PluginSpec::default()
    });
    assert!(
        refusal(&policy, Namespaced, &from_config_map).contains("spec.plugin.configMap; it allows builtin")
    );
    assert!(policy.check_digest(Namespaced, "abd").is_err());
    assert_eq!(policy.check_digest(Cluster, "abd"), Ok(()));
    assert_eq!(Policy::parse(""), Ok(Policy::default()));
}

#[test]
fn mistakes_in_the_file_are_found() {
    for (text, found) in [
        ("wasmIssuer: {}", "wasmIssuer"),
        ("wasmIssuers: {reveals: true}", "reveals"),
        ("wasmIssuers: {allowedHosts: ['*']}", "scheme://host"),
        ("wasmIssuers: {allowedHosts: ['https://a*.b']}", "scheme://host"),
        ("wasmIssuers: {allowedHosts: ['https://a/b']}", "scheme://host"),
        ("wasmIssuers: {allowAddresses: [10.0.0.0/33]}", "invalid"),
        ("wasmIssuers: [", ""),
    ] {
        let error = Policy::parse(text).expect_err(text);
        assert!(error.contains(found), "{text}: {error}");
    }
}

#[test]
fn an_entry_that_cannot_be_read_says_how_to_write_it() {
    let said = refusal(&Policy::default(), Cluster, &with_host("https://0x7f.1"));
    assert!(said.contains("`https://0x7f.1`") && said.contains("four decimal numbers"), "{said}");
}

#[test]
fn a_bound_covers_a_grant_only_if_it_covers_all_of_it() {
    for (bound, grant, covered) in [
        ("https://*", "https://a.b:9999", true),
        ("https://*", "https://*.a.b", true),
        ("https://*", "http://a.b", false),
        ("https://*:443", "https://a.b", true),
        ("https://*:443", "https://a.b:8443", false),
        ("https://*.b", "https://a.b", true),
        ("https://*.b", "https://x.a.b", true),
        ("https://*.b", "https://*.a.b", true),
        ("https://*.b", "https://*.b", true),
        ("https://*.b", "https://b", false),
        ("https://*.b", "https://ab", false),
        ("https://a.b", "https://*.b", false),
        ("https://a.b", "https://A.B.", true),
        ("https://a.b:1", "https://a.b", false),
        ("https://[::1]:8443", "https://[::1]:8443", true),
    ] {
        let bound: HostBound = bound.parse().unwrap();
        assert_eq!(bound.covers(&grant.parse().unwrap()), covered, "{bound} {grant}");
        assert_eq!(bound.to_string().parse(), Ok(bound));
    }
}

#[test]
fn the_documentation_shows_the_defaults() {
    let text = include_str!("../../../../docs/policy.md");
    let block = text.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert_eq!(Policy::parse(block), Ok(Policy::default()));
    let given: Value = serde_saphyr::from_str(block).unwrap();
    assert_eq!(given, serde_json::to_value(Policy::default()).unwrap(), "nothing is left out");
}
