use serde_json::json;

use super::*;

fn told(schema: Value, value: Value) -> Vec<String> {
    faults(&Schema::parse(&schema.to_string()).unwrap(), &value, "spec.config").unwrap()
}

fn refused(schema: Value, value: Value) -> String {
    faults(&Schema::parse(&schema.to_string()).unwrap(), &value, "spec.config").unwrap_err()
}

#[test]
fn every_fault_names_its_field() {
    let schema = json!({
        "type": "object",
        "properties": {
            "url": {"type": "string", "minLength": 3},
            "tries": {"type": ["integer", "null"], "minimum": 1, "exclusiveMaximum": 10},
            "mode": {"enum": ["quick", "slow"]},
            "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
            "deep": {"$ref": "#/$defs/Deep"}
        },
        "required": ["url"],
        "additionalProperties": false,
        "$defs": {"Deep": {"type": "object", "properties": {"a b": {"const": true}}}}
    });
    let good = json!({"url": "x://", "tries": 9.0, "mode": "slow", "tags": ["a"], "deep": {"a b": true}});
    assert_eq!(told(schema.clone(), good), Vec::<String>::new());
    let bad = json!({"tries": 10, "mode": "fast", "tags": ["a", 2, "c"], "deep": {"a b": 1}, "ulr": "x"});
    assert_eq!(
        told(schema.clone(), bad),
        [
            "spec.config.url: missing",
            "spec.config.deep[\"a b\"]: `1` is none of `true`",
            "spec.config.mode: `fast` is none of `quick`, `slow`",
            "spec.config.tags: 3 entries, at most 2 are allowed",
            "spec.config.tags[1]: a number where a string is expected",
            "spec.config.tries: 10, less than 10 is expected",
            "spec.config.ulr: no such field; there are `deep`, `mode`, `tags`, `tries`, `url`",
        ]
    );
    assert_eq!(
        told(schema.clone(), json!({"url": "x", "tries": 0.5})),
        [
            "spec.config.tries: a number where an integer, null is expected",
            "spec.config.url: 1 characters, at least 3 are expected",
        ]
    );
    assert_eq!(told(schema, json!([])), ["spec.config: a list where an object is expected"]);
}

#[test]
fn of_several_forms_the_one_that_was_meant_is_told() {
    let token = json!({"type": "object", "properties": {"kind": {"const": "token"}, "key": {"type": "string"}}, "required": ["kind", "key"]});
    let none = json!({"type": "object", "properties": {"kind": {"const": "none"}}, "required": ["kind"]});
    let schema = json!({"oneOf": [token, none]});
    assert!(told(schema.clone(), json!({"kind": "none"})).is_empty());
    assert_eq!(
        told(schema.clone(), json!({"kind": "token", "key": 1})),
        ["spec.config.key: a number where a string is expected"]
    );
    assert_eq!(
        told(schema.clone(), json!({"kind": "other"})),
        ["spec.config: an object fits none of the forms that it may have"]
    );
    let optional = json!({"anyOf": [{"$ref": "#/$defs/T"}, {"type": "null"}], "$defs": {"T": {"type": "object", "required": ["a"]}}});
    assert!(told(optional.clone(), json!(null)).is_empty());
    assert_eq!(told(optional, json!({})), ["spec.config.a: missing"]);
    let words = json!({ "oneOf": [{ "enum": ["a", "b"] }, { "const": "c" }] });
    assert_eq!(told(words, json!("d")), ["spec.config: `d` is none of `a`, `b`, `c`"]);
    let twice = json!({"oneOf": [true, {"type": "string"}]});
    assert_eq!(told(twice, json!("x")), ["spec.config: `x` fits 2 forms, of which one is expected"]);
}

#[test]
fn a_schema_that_asks_for_too_much_ends() {
    let circle = json!({"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]}}});
    assert_eq!(refused(circle, json!({})), "it leads deeper than 64 schemas, or in a circle");
    let many = |n: usize| (0..n).map(|_| json!({"$ref": "#/$defs/b"})).collect::<Vec<_>>();
    let wide = json!({"allOf": many(300), "$defs": {"b": {"allOf": (0..400).map(|_| json!({})).collect::<Vec<_>>()}}});
    assert_eq!(refused(wide, json!({})), "spec.config is too large, or it asks for too much");
    let large = json!({"items": {"type": "integer"}});
    assert_eq!(refused(large, json!(vec![1; STEPS])), "spec.config is too large, or it asks for too much");
    assert_eq!(
        refused(json!({"$ref": "https://a.example"}), json!({})),
        "`$ref` `https://a.example` leads nowhere"
    );
}

#[test]
fn what_is_told_is_bounded() {
    let schema = json!({"additionalProperties": {"type": "string"}});
    let value: serde_json::Map<_, _> =
        (0..1000).map(|n| (format!("{n}{}", "x".repeat(1000)), json!(n))).collect();
    let told = told(schema, Value::Object(value));
    assert_eq!(told.len(), FAULTS);
    assert!(told.iter().all(|fault| fault.len() < 600), "{told:?}");
}
