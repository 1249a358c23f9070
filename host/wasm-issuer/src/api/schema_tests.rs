//! What the API server makes of a spec, by the schema and the CEL rules of the CRD. `crds/test/check.sh` shows a real one a
//! spec for each sort of rule.

use kube_cel::{Validator, apply_defaults};
use regex::Regex;
use serde_json::{Value, json};
use wasm_issuer_core::issuance::verify::Difference;
use wasm_issuer_runtime::egress::GrantEntry;

use super::name::{DATA_KEY_PATTERN, is_data_key};
use super::{IssuerSpec, PluginSpec, crds};

fn spec_schema() -> Value {
    let crd = crds::crds().remove(0);
    serde_json::to_value(&crd.spec.versions[0].schema).unwrap()["openAPIV3Schema"]["properties"]["spec"]
        .clone()
}

/// Without the nulls, which the API server drops from fields that the schema has, as none of them is nullable.
fn without_nulls(schema: &Value, value: &Value) -> Value {
    let (Some(fields), Some(object)) = (schema["properties"].as_object(), value.as_object()) else {
        return value.clone();
    };
    let kept = object.iter().filter(|(name, value)| !(fields.contains_key(*name) && value.is_null()));
    kept.map(|(name, value)| (name.clone(), without_nulls(&schema["properties"][name], value))).collect()
}

/// What the schema refuses, as `/path keyword`. A library for JSON Schema would know more keywords than the CRD uses, but
/// the one that there is makes serde_json, and with it most of the tree, be built a second time for the tests.
fn refused_by_schema(path: &str, schema: &Value, value: &Value) -> Vec<String> {
    let of_type = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        _ => value.is_string(),
    };
    if !of_type {
        return vec![format!("{path} type")];
    }
    let text = value.as_str().unwrap_or_default();
    let (fields, items) = (value.as_object(), value.as_array());
    let limit = |keyword: &str| schema[keyword].as_u64().map(|limit| usize::try_from(limit).unwrap());
    let mut refusals = Vec::new();
    for (keyword, argument) in schema.as_object().unwrap() {
        let holds = match keyword.as_str() {
            "enum" => argument.as_array().unwrap().contains(value),
            "pattern" => Regex::new(argument.as_str().unwrap()).unwrap().is_match(text),
            "minLength" => limit(keyword).is_some_and(|min| text.chars().count() >= min),
            "maxLength" => limit(keyword).is_some_and(|max| text.chars().count() <= max),
            "maxItems" => limit(keyword).is_some_and(|max| items.unwrap().len() <= max),
            "maxProperties" => limit(keyword).is_some_and(|max| fields.unwrap().len() <= max),
            "required" => argument
                .as_array()
                .unwrap()
                .iter()
                .all(|it| fields.unwrap().contains_key(it.as_str().unwrap())),
            "properties" | "items" | "type" | "default" | "description" => true,
            rule if rule.starts_with("x-kubernetes-") => true,
            unknown => panic!("{path}: this test does not know the keyword {unknown}"),
        };
        if !holds {
            refusals.push(format!("{path} {keyword}"));
        }
    }
    for (name, value) in fields.into_iter().flatten() {
        if let Some(schema) = schema["properties"].get(name) {
            refusals.extend(refused_by_schema(&format!("{path}/{name}"), schema, value));
        }
    }
    for (at, item) in items.into_iter().flatten().enumerate() {
        refusals.extend(refused_by_schema(&format!("{path}/{at}"), &schema["items"], item));
    }
    refusals
}

/// What is wrong with a spec: `/path keyword` for what the schema refuses, `path: message` for what a rule does.
fn refusals(spec: &Value) -> Vec<String> {
    let schema = spec_schema();
    let spec = apply_defaults(&schema, &without_nulls(&schema, spec));
    let mut refusals = refused_by_schema("", &schema, &spec);
    if let Err(errors) = Validator::new().validate(&schema, &spec, None) {
        refusals.extend(errors.as_slice().iter().map(|it| format!("{}: {}", it.field_path, it.message)));
    }
    refusals
}

/// A spec with a plugin and one more field.
fn with(field: &str, value: Value) -> Value {
    json!({"plugin": {"builtin": "in-memory-ca"}, field: value})
}

#[track_caller]
fn accepted(spec: Value) {
    assert_eq!(refusals(&spec), [""; 0], "{spec}");
    assert!(serde_json::from_value::<IssuerSpec>(spec).is_ok());
}

#[track_caller]
fn refused(spec: Value, why: &str) {
    let found = refusals(&spec);
    assert!(found.iter().any(|it| it == why), "{spec}: wanted {why:?}, got {found:?}");
}

fn hex() -> String {
    "0123456789abcdef".repeat(4)
}

#[test]
fn valid_specs_are_accepted() {
    let image = format!("registry.example:5000/cfssl:1.2@sha256:{}", hex());
    for plugin in [
        json!({"builtin": "in-memory-ca"}),
        json!({"configMap": {"name": "cfssl-plugin"}, "sha256": hex()}),
        json!({"configMap": {"name": "cfssl-plugin", "key": "a_B.wasm"}}),
        json!({"image": {"reference": image, "pullSecretName": "regcred", "caBundleSecretName": "root"}}),
        json!({"builtin": "in-memory-ca", "configMap": null, "image": null}),
    ] {
        accepted(json!({"plugin": plugin}));
    }
    accepted(with("config", json!({"a": {"b": [1, 2.5, {"c": null}]}})));
    accepted(with("secrets", json!({"reveal": ["tls.crt", "API_KEY"]})));
    accepted(with("authSecretName", json!("a.b-c")));
    accepted(with("http", json!({"caBundleSecretName": "root", "clientCertSecretName": "mtls"})));
    accepted(with("checkInterval", json!("1m30s")));
    accepted(with("limits", json!({"timeout": "500ms", "memory": "67108864"})));
    accepted(with("verification", json!({"mode": "Strict", "caSecretName": "roots"})));
    accepted(with("verification", json!({"mode": "Strict", "allow": []})));
    accepted(with("verification", json!({"allow": Difference::ALL})));
    accepted(with("retry", json!({"maxDuration": "720h", "minBackoff": "1s", "maxBackoff": "1h30m"})));
    for empty in ["limits", "retry", "http", "secrets", "verification"] {
        accepted(with(empty, json!({})));
    }
}

#[test]
fn a_plugin_has_exactly_one_source() {
    let one = "plugin: exactly one of configMap, image and builtin must be set";
    refused(json!({}), " required");
    refused(json!({"plugin": {}}), one);
    refused(json!({"plugin": {"builtin": null}}), one);
    refused(json!({"plugin": {"builtin": "a", "configMap": {"name": "b"}}}), one);
    let all = json!({"builtin": "a", "configMap": {"name": "b"}, "image": {"reference": "c"}});
    refused(json!({"plugin": all}), one);
}

#[test]
fn names_and_digests_have_their_form() {
    refused(json!({"plugin": {"configMap": {}}}), "/plugin/configMap required");
    refused(json!({"plugin": {"configMap": {"name": "b", "key": "../x"}}}), "/plugin/configMap/key pattern");
    refused(json!({"plugin": {"image": {"reference": "a b"}}}), "/plugin/image/reference pattern");
    refused(json!({"plugin": {"builtin": "../a"}}), "/plugin/builtin pattern");
    refused(json!({"plugin": {"builtin": "a".repeat(64)}}), "/plugin/builtin maxLength");
    let pinned = |sha256: String| json!({"plugin": {"builtin": "a", "sha256": sha256}});
    refused(pinned(hex().to_uppercase()), "/plugin/sha256 pattern");
    refused(pinned(hex() + "0"), "/plugin/sha256 maxLength");
    refused(with("config", json!([1])), "/config type");
    refused(with("authSecretName", json!("../../other/secrets/x")), "/authSecretName pattern");
    refused(with("secrets", json!({"reveal": vec!["a"; 17]})), "/secrets/reveal maxItems");
    refused(with("verification", json!("Strict")), "/verification type");
    refused(with("verification", json!({"mode": "strict"})), "/verification/mode enum");
    refused(with("verification", json!({"allow": ["Names"]})), "/verification/allow/0 enum");
    let both = with("verification", json!({"mode": "Strict", "allow": ["Subject"]}));
    refused(both, "verification: mode Strict allows no difference: allow must be empty");
    for (key, fits) in [("tls.crt", true), (".dockerconfigjson", true), ("a/b", false), ("", false)] {
        assert_eq!(is_data_key(key), fits);
        let spec = with("secrets", json!({"reveal": [key]}));
        assert_eq!(refusals(&spec).is_empty(), fits, "{key:?} and {DATA_KEY_PATTERN}");
    }
}

#[test]
fn durations_and_amounts_are_within_their_bounds() {
    let duration = "must be a duration such as 500ms, 90s or 1h30m, from";
    for bad in ["soon", "5s", "25h", "1d", "-1m", "1.5h"] {
        refused(with("checkInterval", json!(bad)), &format!("checkInterval: {duration} 10s to 24h"));
    }
    refused(with("checkInterval", json!(60)), "/checkInterval type");
    for bad in ["2m", "50ms"] {
        refused(with("limits", json!({"timeout": bad})), &format!("limits.timeout: {duration} 100ms to 1m"));
    }
    for bad in ["lots", "64m", "64MB", "1.5Gi", "512Ki", "2Gi", "999999999999Gi"] {
        let why = "limits.memory: must be an amount of memory such as 64Mi, from 1Mi to 1Gi";
        refused(with("limits", json!({"memory": bad})), why);
    }
    refused(with("limits", json!({"memory": 67_108_864})), "/limits/memory type");
    for (field, bad, bounds) in [
        ("maxDuration", "0s", "1s to 8760h"),
        ("minBackoff", "2h", "100ms to 1h"),
        ("maxBackoff", "25h", "1s to 24h"),
    ] {
        refused(with("retry", json!({field: bad})), &format!("retry.{field}: {duration} {bounds}"));
    }
    let crossed = with("retry", json!({"minBackoff": "10m", "maxBackoff": "1m"}));
    refused(crossed, "retry: minBackoff must not be longer than maxBackoff");
}

#[test]
fn the_bounds_are_in_the_documentation_of_their_fields() {
    fn walk(schema: &Value, seen: &mut usize) {
        let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
        for message in rules.filter_map(|rule| rule["message"].as_str()) {
            if let Some((_, bounds)) = message.split_once(", from ") {
                let text = schema["description"].as_str().unwrap();
                assert!(text.contains(&format!("from {bounds}")), "{bounds}: {text}");
                *seen += 1;
            }
        }
        schema["properties"].as_object().into_iter().flatten().for_each(|(_, field)| walk(field, seen));
    }
    let mut seen = 0;
    walk(&spec_schema(), &mut seen);
    assert_eq!(seen, 6);
}

/// Two readers of `allowedHosts`: the API server, by a rule, when an Issuer is written, and [`GrantEntry`] when it is used.
/// What the first one lets through and the second does not makes an Issuer that is never ready; nothing else may differ.
#[test]
fn the_rule_for_allowed_hosts_and_its_parser_agree() {
    const BOTH: (bool, bool) = (true, true);
    const NEITHER: (bool, bool) = (false, false);
    /// Addresses in other forms and ports out of range: more than a regular expression should tell.
    const PARSER_REFUSES: (bool, bool) = (true, false);
    /// Other spellings of what has one.
    const RULE_REFUSES: (bool, bool) = (false, true);
    for (entry, expected) in [
        ("https://ca", BOTH),
        ("https://ca.example.com", BOTH),
        ("http://ca.example.com:80", BOTH),
        ("https://*.a.b:8443", BOTH),
        ("https://10.0.0.1", BOTH),
        ("http://[::1]:80", BOTH),
        ("https://[2001:db8::1]", BOTH),
        ("https://xn--bcher-kva.example", BOTH),
        ("", NEITHER),
        ("ca.example.com", NEITHER),
        ("ftp://ca", NEITHER),
        ("https://", NEITHER),
        ("https://ca.example.com/", NEITHER),
        ("https://ca.example.com/path", NEITHER),
        ("https://ca.example.com?x", NEITHER),
        ("https://ca.example.com#x", NEITHER),
        ("https://*", NEITHER),
        ("https://*:443", NEITHER),
        ("https://*ca.example.com", NEITHER),
        ("https://a.*.example.com", NEITHER),
        ("https://*.*.example.com", NEITHER),
        ("https://*.[::1]", NEITHER),
        ("https://user@ca", NEITHER),
        ("https://ca ", NEITHER),
        ("https://ca\n", NEITHER),
        ("https://a_b", NEITHER),
        ("https://-ca", NEITHER),
        ("https://a..b", NEITHER),
        ("https://b\u{fc}cher.example", NEITHER),
        ("https://ca:", NEITHER),
        ("https://ca:123456", NEITHER),
        ("https://[::1", NEITHER),
        ("https://ca:0", PARSER_REFUSES),
        ("https://ca:65536", PARSER_REFUSES),
        ("https://0x7f.1", PARSER_REFUSES),
        ("https://127.1", PARSER_REFUSES),
        ("https://*.10.0.0.1", PARSER_REFUSES),
        ("https://[:::]", PARSER_REFUSES),
        ("HTTPS://ca", RULE_REFUSES),
        ("https://CA", RULE_REFUSES),
        ("https://ca.", RULE_REFUSES),
    ] {
        let spec = with("http", json!({"allowedHosts": [entry]}));
        let by_rule = refusals(&spec);
        if let [refusal] = by_rule.as_slice() {
            let message =
                "must be https://host, https://host:port, http://host or http://host:port, without a path";
            assert_eq!(*refusal, format!("http.allowedHosts[0]: {message}"));
        }
        let found = (by_rule.is_empty(), entry.parse::<GrantEntry>().is_ok());
        assert_eq!(found, expected, "{entry:?}");
    }
}

#[test]
fn the_defaults_of_the_schema_are_those_of_the_types() {
    let smallest = json!({"plugin": {"builtin": "in-memory-ca"}});
    let defaulted = apply_defaults(&spec_schema(), &smallest);
    let expected = IssuerSpec::new(PluginSpec::builtin("in-memory-ca"));
    assert_eq!(defaulted, serde_json::to_value(expected).unwrap());
}
