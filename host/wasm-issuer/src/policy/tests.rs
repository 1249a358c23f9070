mod signatures;

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
        "the operator's policy does not allow \"token\" in spec.secrets.reveal (it allows none); to allow it, put the \
         section wasmIssuers: {reveal: true} there"
    );
    assert_eq!(policy.check(Cluster, &revealing), Ok(()));
    assert_eq!(
        refusal(&policy, Namespaced, &with_host("http://ca.example")),
        "the operator's policy does not allow \"http://ca.example\" in spec.http.allowedHosts (it allows https://*); to \
         allow it, put the section wasmIssuers: {allowedHosts: [\"https://*\",\"http://ca.example\"]} there"
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
        "the operator's policy does not allow the registry docker.io in spec.plugin.image.reference (it allows \
         *.example, http://localhost:5000); to allow it, put the section wasmIssuers: {registries: \
         [\"*.example\",\"http://localhost:5000\",\"docker.io\"]} there"
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
        "the operator's policy does not allow Subject, Extensions in spec.verification.allow (it allows none); to allow \
         it, put the section wasmIssuers: {allowDifferences: [\"Subject\",\"Extensions\"]} there"
    );
    assert_eq!(policy.check(Cluster, &allowing), Ok(()));
    policy.wasm_issuers.allow_differences = vec![Difference::Subject];
    let said = refusal(&policy, Namespaced, &allowing);
    assert!(
        said.contains("does not allow Extensions in spec.verification.allow (it allows Subject)"),
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
        "the operator's policy does not allow Subject in spec.verification.allow (it allows none); to allow it, put the \
         section wasmClusterIssuers: {verification: \"Reported\"} there"
    );
    assert_eq!(policy.check(Cluster, &plain), Ok(()));
}

#[test]
fn limits_are_bounded() {
    let mut slow = spec();
    slow.limits.timeout = GoDuration::from_secs(31);
    assert!(
        refusal(&Policy::default(), Namespaced, &slow)
            .contains("31s for spec.limits.timeout (it allows up to 30s)")
    );
    let mut large = spec();
    large.limits.memory = Quantity::mebibytes(257);
    assert!(
        refusal(&Policy::default(), Namespaced, &large)
            .contains("257Mi for spec.limits.memory (it allows up to 256Mi)")
    );
}

/// The section that a text tells to put into the policy.
fn section(said: &str) -> &str {
    let start = ["wasmIssuers: {", "wasmClusterIssuers: {"].iter().find_map(|name| said.find(name)).unwrap();
    let end = said[start..].find('}').unwrap();
    &said[start..=start + end]
}

#[test]
fn all_that_goes_too_far_is_told_at_once_and_the_section_told_allows_it() {
    let before = "wasmIssuers: {sources: [configMap], sha256: [abc], verification: Strict, allowedHosts: ['https://*.a:8443']}";
    let policy = Policy::parse(before).unwrap();
    let mut greedy = with_host("http://ca.example:8888");
    greedy.http.allowed_hosts.push("https://*.b.example".into());
    greedy.secrets.reveal = vec!["token".into(), "other".into()];
    greedy.verification.allow = vec![Difference::Subject];
    greedy.limits.timeout = GoDuration::from_secs(45);
    greedy.limits.memory = Quantity::mebibytes(300);
    let said = refusal(&policy, Namespaced, &greedy);
    for wish in [
        "spec.plugin.builtin (it allows configMap)",
        r#""http://ca.example:8888", "https://*.b.example" in spec.http.allowedHosts (it allows https://*.a:8443)"#,
        r#""token", "other" in spec.secrets.reveal"#,
        "45s for spec.limits.timeout",
        "300Mi for spec.limits.memory",
    ] {
        assert!(said.contains(wish), "{wish}: {said}");
    }
    let pasted = Policy::parse(section(&said)).unwrap();
    assert_eq!(pasted.check(Namespaced, &greedy), Ok(()), "{said}");
    assert!(pasted.check(Namespaced, &with_host("https://x.a:8443")).is_ok(), "what was allowed still is");

    let digest = policy.check_digest(Namespaced, "4f0c").unwrap_err().to_string();
    let pasted = Policy::parse(section(&digest)).unwrap();
    assert!(["abc", "4f0c"].iter().all(|sha256| pasted.check_digest(Namespaced, sha256).is_ok()), "{digest}");
    assert!(pasted.check_digest(Namespaced, "other").is_err());
}

#[test]
fn the_section_of_a_denied_address_lets_plugins_reach_it() {
    let policy =
        Policy::parse("wasmClusterIssuers: {privateAddresses: false, allowAddresses: [127.0.0.0/8]}")
            .unwrap();
    for (network, reached) in [(Some("10.96.0.7/32"), "10.96.0.7:443"), (None, "10.1.1.1:443")] {
        let network = network.map(|network| network.parse().unwrap());
        for kind in [Namespaced, Cluster] {
            let text = policy.reaching(kind, network).to_string();
            let pasted = Policy::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let addresses = pasted.bounds(kind).addresses();
            let reached = reached.parse().unwrap();
            assert_eq!(addresses.vet(reached, &[]), Ok(reached), "{text}");
        }
    }
    let kept = policy.reaching(Cluster, Some("10.96.0.7/32".parse().unwrap())).to_string();
    assert_eq!(kept, r#"wasmClusterIssuers: {allowAddresses: ["127.0.0.0/8","10.96.0.7/32"]}"#);
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
        refusal(&policy, Namespaced, &from_config_map).contains("spec.plugin.configMap (it allows builtin)")
    );
    assert!(policy.check_digest(Namespaced, "abd").is_err());
    assert_eq!(policy.check_digest(Cluster, "abd"), Ok(()));
    assert_eq!(Policy::parse(""), Ok(Policy::default()));
}

#[test]
fn mistakes_in_the_file_are_found_with_their_places() {
    for (text, found) in [
        ("wasmIssuer: {}", "line 1, column 1: wasmIssuer: there is no such field; there are wasm"),
        (
            "wasmIssuers: {reveals: true}",
            "line 1, column 15: wasmIssuers.reveals: there is no such field; there are allow",
        ),
        ("wasmIssuers: {reveals: ~}", "line 1, column 15: wasmIssuers.reveals: there is no such field"),
        (
            "wasmIssuers: {allowedHosts: ['*']}",
            "line 1, column 30: wasmIssuers.allowedHosts[0]: \"*\" is not scheme://host",
        ),
        (
            "wasmIssuers: {allowedHosts: ['https://a*.b']}",
            "allowedHosts[0]: \"https://a*.b\" is not scheme://host",
        ),
        (
            "wasmIssuers: {allowedHosts: ['https://a/b']}",
            "allowedHosts[0]: \"https://a/b\" is not scheme://host",
        ),
        (
            "wasmIssuers: {allowedHosts: 'https://a'}",
            "wasmIssuers.allowedHosts: invalid type: string \"https://a\"",
        ),
        (
            "wasmIssuers: {allowAddresses: [10.0.0.0/33]}",
            "wasmIssuers.allowAddresses[0]: invalid IP address syntax",
        ),
        ("wasmIssuers: {reveal: [true]}", "wasmIssuers.reveal: invalid type: sequence, expected a boolean"),
        (
            "wasmIssuers: 5",
            "line 1, column 14: wasmIssuers: invalid type: integer `5`, expected struct Bounds",
        ),
        ("[wasmIssuers]", "line 1, column 1: invalid type"),
        ("wasmIssuers: [", "line "),
    ] {
        let error = Policy::parse(text).expect_err(text);
        assert!(error.0.len() == 1 && error.to_string().contains(found), "{text}: {error}");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let text = "wasmIssuers:\n  reveals: true\n  maxTimeout: soon\n  allowedHosts:\n    - https://a\n    - '*'\n    - ftp://b\n\
                wasmClusterIssuers:\n  verification: Lax\n";
    let faults = Policy::parse(text).unwrap_err();
    let places: Vec<(u64, &str)> =
        faults.0.iter().map(|fault| (fault.position.unwrap().line, fault.field.as_str())).collect();
    assert_eq!(
        places,
        [
            (2, "wasmIssuers.reveals"),
            (3, "wasmIssuers.maxTimeout"),
            (6, "wasmIssuers.allowedHosts[1]"),
            (7, "wasmIssuers.allowedHosts[2]"),
            (9, "wasmClusterIssuers.verification"),
        ]
    );
}

#[test]
fn fields_are_found_in_the_file() {
    let written =
        Written::read("wasmIssuers:\n  reveal: true\n  allowAddresses: [10.0.0.0/8, 0.0.0.0/0]\n").unwrap();
    let at = |field, item| written.position("wasmIssuers", field, item).map(|at| (at.line, at.column));
    assert_eq!(
        [at("reveal", None), at("allowAddresses", Some(1)), at("sha256", None)],
        [Some((2, 11)), Some((3, 32)), None]
    );
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
    assert_eq!(block, Policy::DEFAULT_FILE);
    assert_eq!(Policy::parse(block), Ok(Policy::default()));
    let given: serde_json::Value = serde_saphyr::from_str(block).unwrap();
    assert_eq!(given, serde_json::to_value(Policy::default()).unwrap(), "nothing is left out");
}
