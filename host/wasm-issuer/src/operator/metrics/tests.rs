//! What Prometheus gets, and that the alerts and the dashboard speak of it.

use std::collections::BTreeSet;
use std::path::Path;

use prometheus_client::encoding::text::encode;
use regex::Regex;
use serde_json::Value;

use super::reference::{described, example};
use super::*;
use crate::api::IssuerKind;

fn key(namespace: &str, name: &str) -> IssuerKey {
    let namespace = Some(namespace.to_owned());
    IssuerKey { kind: IssuerKind::Namespaced, namespace, name: name.to_owned() }
}

fn signed(metrics: &Metrics, issuer: &IssuerKey, outcome: SignOutcome) {
    let call = SignCall { issuer: Some(issuer), took: Duration::from_millis(3), is_retry: true };
    metrics.signed(&call, outcome);
}

/// The value of a series.
fn value(metrics: &Metrics, series: &str) -> Option<f64> {
    let text = metrics.text(Format::Classic);
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn both_formats_say_the_same() {
    let metrics = example();
    let open = metrics.text(Format::OpenMetrics);
    let mut plain = String::new();
    encode(&mut plain, &metrics.registry).unwrap();
    assert_eq!(open, plain);
    assert!(open.contains("# TYPE wasm_issuer_signs counter\n") && open.ends_with("# EOF\n"), "{open}");
    let classic = metrics.text(Format::Classic);
    assert!(classic.contains("# HELP wasm_issuer_signs_total Calls of a plugin's sign by"), "{classic}");
    assert!(classic.contains("# TYPE wasm_issuer_signs_total counter\n") && !classic.contains("# EOF"));
    let samples =
        |text: &str| text.lines().filter(|l| !l.starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(samples(&open), samples(&classic));
    assert_eq!(Format::accepted(None), Format::Classic);
    assert_eq!(
        Format::accepted(Some("application/openmetrics-text;version=1.0.0;q=0.5,*/*")),
        Format::OpenMetrics
    );
}

#[test]
fn what_can_be_counted_begins_at_zero() {
    let metrics = Metrics::new();
    for series in [
        r#"wasm_issuer_signs_total{outcome="permanent"}"#,
        r#"wasm_issuer_plugin_breakages_total{reason="trapped"}"#,
        r#"wasm_issuer_http_denials_total{reason="address_prohibited"}"#,
        r#"wasm_issuer_api_writes_total{kind="CertificateRequest",outcome="conflict"}"#,
        r#"wasm_issuer_watch_restarts_total{resource="certificaterequests"}"#,
        r#"wasm_issuer_requests_unfinished{state="queued"}"#,
        "wasm_issuer_log_records_dropped_total",
    ] {
        assert_eq!(value(&metrics, series), Some(0.0), "{series}");
    }
    assert_eq!(value(&metrics, "wasm_issuer_leader"), Some(1.0));
}

#[test]
fn series_of_deleted_issuers_go_away() {
    let metrics = Metrics::new();
    let (a, b) = (key("team-a", "ca"), key("team-b", "ca"));
    metrics.set_issuers(&[(a.clone(), true), (b.clone(), false)]);
    signed(&metrics, &a, SignOutcome::Issued);
    signed(&metrics, &b, SignOutcome::Retry);
    let ready = |namespace: &str| {
        let labels =
            format!(r#"{{issuer_kind="WasmIssuer",issuer_namespace="{namespace}",issuer_name="ca"}}"#);
        value(&metrics, &format!("wasm_issuer_issuer_ready{labels}"))
    };
    assert_eq!((ready("team-a"), ready("team-b")), (Some(1.0), Some(0.0)));
    metrics.set_issuers(&[(a, true)]);
    assert_eq!((ready("team-a"), ready("team-b")), (Some(1.0), None));
    assert!(!metrics.text(Format::Classic).contains("team-b"));
    // A call that ends after its Issuer was deleted.
    signed(&metrics, &b, SignOutcome::Issued);
    metrics.set_issuers(&[]);
    assert!(!metrics.text(Format::Classic).contains("issuer_name="));
}

#[test]
fn so_many_issuers_have_series_and_no_namespace_takes_all() {
    let metrics = Metrics::for_issuers(100);
    let many: Vec<_> = (0..1000).map(|n| (key("loud", &format!("ca-{n}")), true)).collect();
    metrics.set_issuers(&many);
    let count = |namespace: &str| {
        let series =
            format!(r#"wasm_issuer_issuer_ready{{issuer_kind="WasmIssuer",issuer_namespace="{namespace}""#);
        metrics.text(Format::Classic).lines().filter(|line| line.starts_with(&series)).count()
    };
    assert_eq!(count("loud"), 50);
    assert_eq!(value(&metrics, "wasm_issuer_issuers_without_series"), Some(950.0));
    let quiet = (key("quiet", "ca"), true);
    metrics.set_issuers(&[many.as_slice(), &[quiet]].concat());
    assert_eq!((count("loud"), count("quiet")), (50, 1));
    assert_eq!(value(&metrics, "wasm_issuer_issuers"), Some(1001.0));
    let none = Metrics::for_issuers(0);
    none.set_issuers(&many);
    signed(&none, &many[0].0, SignOutcome::Issued);
    assert!(!none.text(Format::Classic).contains("issuer_name="));
    assert_eq!(value(&none, r#"wasm_issuer_signs_total{outcome="issued"}"#), Some(1.0));
}

#[test]
fn unfinished_requests_are_told_by_state_and_age() {
    let metrics = Metrics::new();
    let at = |second| Timestamp::from_second(second).unwrap();
    let states =
        [(RequestState::Queued, at(100)), (RequestState::Queued, at(40)), (RequestState::Pending, at(90))];
    metrics.set_unfinished(&states, at(110));
    let of = |metric: &str, state: &str| {
        value(&metrics, &format!(r#"wasm_issuer_requests_{metric}{{state="{state}"}}"#))
    };
    assert_eq!((of("unfinished", "queued"), of("oldest_age_seconds", "queued")), (Some(2.0), Some(70.0)));
    assert_eq!((of("unfinished", "pending"), of("oldest_age_seconds", "pending")), (Some(1.0), Some(20.0)));
    assert_eq!((of("unfinished", "retrying"), of("oldest_age_seconds", "retrying")), (Some(0.0), Some(0.0)));
    metrics.set_unfinished(&[], at(120));
    assert_eq!((of("unfinished", "queued"), of("oldest_age_seconds", "queued")), (Some(0.0), Some(0.0)));
}

fn deployed(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn yaml(file: &str) -> Value {
    serde_saphyr::from_str(&deployed(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// All strings of these fields, wherever they are.
fn strings<'a>(value: &'a Value, fields: &[&str], found: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(field, value)| match value {
            Value::String(text) if fields.contains(&field.as_str()) => found.push(text),
            other => strings(other, fields, found),
        }),
        Value::Array(items) => items.iter().for_each(|item| strings(item, fields, found)),
        _ => {}
    }
}

#[test]
fn alerts_and_dashboard_speak_of_metrics_and_labels_that_exist() {
    let metrics = described(&example().text(Format::Classic));
    let histograms =
        metrics.iter().filter(|(_, described)| described.kind == "histogram").flat_map(|(name, _)| {
            ["_bucket", "_sum", "_count"].map(|suffix| (format!("{name}{suffix}"), name.clone()))
        });
    let mut names: std::collections::BTreeMap<String, String> = histograms.collect();
    let plain = metrics.iter().filter(|(_, described)| described.kind != "histogram");
    names.extend(plain.map(|(name, _)| (name.clone(), name.clone())));
    let (rules, dashboard) = (
        yaml("chart/files/alerts.yaml"),
        serde_json::from_str(&deployed("chart/files/dashboard.json")).unwrap(),
    );
    let mut used = Vec::new();
    strings(&rules, &["expr"], &mut used);
    let of_rules = used.len();
    strings(&dashboard, &["expr", "query", "definition"], &mut used);
    assert!(of_rules >= 8 && used.len() > of_rules + 8, "{of_rules} of {}", used.len());
    let selector = Regex::new(r"(wasm_issuer_[a-z_]+)(?:\{([^}]*)\})?").unwrap();
    let matcher = Regex::new(r#"([a-z_]+)(=|!=|=~|!~)"([^"]*)""#).unwrap();
    for expression in used {
        for found in selector.captures_iter(expression) {
            let base =
                names.get(&found[1]).unwrap_or_else(|| panic!("there is no {}: {expression}", &found[1]));
            let labels = &metrics[base].labels;
            for label in matcher.captures_iter(found.get(2).map_or("", |labels| labels.as_str())) {
                // These are Prometheus' own, or Grafana's choice.
                if ["job", "namespace", "pod", "le"].contains(&&label[1]) || label[3].contains('$') {
                    continue;
                }
                let known = labels.get(&label[1]);
                let known =
                    known.unwrap_or_else(|| panic!("{base} has no label {}: {expression}", &label[1]));
                for value in label[3].split('|') {
                    assert!(known.contains(value), "{base} has no {}={value}: {expression}", &label[1]);
                }
            }
        }
    }
}

#[test]
fn every_alert_says_what_to_do_and_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() {
    let (rules, tests) = (yaml("chart/files/alerts.yaml"), yaml("monitoring/alerts_test.yaml"));
    let groups = rules["groups"].as_array().unwrap();
    let all: Vec<&Value> = groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
    let runbook =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/monitoring.md"))
            .unwrap();
    let (mut fires, mut is_silent) = (BTreeSet::new(), BTreeSet::new());
    for test in
        tests["tests"].as_array().unwrap().iter().flat_map(|test| test["alert_rule_test"].as_array().unwrap())
    {
        let alert = test["alertname"].as_str().unwrap();
        let expected = test["exp_alerts"].as_array().map_or(0, Vec::len);
        if expected > 0 {
            fires.insert(alert)
        } else {
            is_silent.insert(alert)
        };
    }
    let names: BTreeSet<&str> = all.iter().map(|rule| rule["alert"].as_str().unwrap()).collect();
    assert_eq!(fires, names, "in which one fires");
    assert_eq!(is_silent, names, "in which one is silent");
    for rule in all {
        let alert = rule["alert"].as_str().unwrap();
        assert!(["critical", "warning"].contains(&rule["labels"]["severity"].as_str().unwrap()), "{alert}");
        for annotation in ["summary", "description", "runbook_url"] {
            assert!(
                rule["annotations"][annotation].as_str().is_some_and(|text| !text.is_empty()),
                "{alert}: {annotation}"
            );
        }
        let anchor = format!("#{}", alert.to_lowercase());
        assert!(rule["annotations"]["runbook_url"].as_str().unwrap().ends_with(&anchor), "{alert}");
        assert!(
            runbook.contains(&format!("\n### {alert}\n")),
            "docs/monitoring.md has nothing about {alert}"
        );
    }
}
