//! Compares what a case says with what there was.
//!
//! Texts that are JSON are compared as JSON, also in base64 within JSON, which is how APIs of CAs like to sign requests: a
//! difference then names its place by a JSON Pointer (RFC 6901) instead of two long strings.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

use super::difference::Difference;

/// What counts as the same.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// All that was sent is what was recorded, where `*` in a recorded text stands for any text.
    Recorded,
    /// All that is expected is there. What else there is does not matter.
    Expected,
}

/// The differences between two values at a place.
pub fn values(expected: &Value, found: &Value, rule: Rule, place: &str) -> Vec<Difference> {
    let mut comparison = Comparison { rule, differences: Vec::new() };
    comparison.values(expected, found, place);
    comparison.differences
}

/// The differences between a recorded body and one that was sent.
pub fn bodies(recorded: &[u8], sent: &[u8], place: &str) -> Vec<Difference> {
    if let (Some(recorded), Some(sent)) = (json(recorded), json(sent)) {
        return values(&recorded, &sent, Rule::Recorded, &format!("{place} "));
    }
    if recorded == sent {
        return Vec::new();
    }
    match (std::str::from_utf8(recorded), std::str::from_utf8(sent)) {
        (Ok(recorded), Ok(sent)) if matches(recorded, sent) => Vec::new(),
        (Ok(recorded), Ok(sent)) => vec![Difference::new(place, recorded, sent)],
        _ => {
            let shown = |bytes: &[u8]| format!("{} bytes: {}", bytes.len(), STANDARD.encode(bytes));
            vec![Difference::new(place, &shown(recorded), &shown(sent))]
        }
    }
}

/// Whether a text is what a recorded one says, where `*` stands for any text.
pub fn matches(recorded: &str, text: &str) -> bool {
    let mut parts: Vec<&str> = recorded.split('*').collect();
    let (Some(last), first) = (parts.pop(), parts.first().copied()) else { return false };
    let Some(first) = first else { return last == text };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    for part in parts.iter().skip(1) {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// An object or an array: a number or a word is a text like others.
fn json(bytes: &[u8]) -> Option<Value> {
    let value = serde_json::from_slice(bytes).ok()?;
    matches!(value, Value::Object(_) | Value::Array(_)).then_some(value)
}

/// The object in a text that is base64, as in JWS.
fn json_in_base64(text: &str) -> Option<Value> {
    let bytes = STANDARD.decode(text).or_else(|_| URL_SAFE_NO_PAD.decode(text)).ok()?;
    json(&bytes)
}

struct Comparison {
    rule: Rule,
    differences: Vec<Difference>,
}

impl Comparison {
    fn values(&mut self, expected: &Value, found: &Value, place: &str) {
        match (expected, found) {
            (Value::Object(expected), Value::Object(found)) => {
                for (name, value) in expected {
                    let place = below(place, name);
                    match found.get(name) {
                        Some(found) => self.values(value, found, &place),
                        None => self.differ(&place, &value.to_string(), "nothing"),
                    }
                }
                let is_more = |name: &String| self.rule == Rule::Recorded && !expected.contains_key(name);
                for (name, value) in found.iter().filter(|(name, _)| is_more(name)).collect::<Vec<_>>() {
                    self.differ(&below(place, name), "nothing", &value.to_string());
                }
            }
            (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
                for (at, (expected, found)) in expected.iter().zip(found).enumerate() {
                    self.values(expected, found, &below(place, &at.to_string()));
                }
            }
            (Value::String(expected), Value::String(found)) if self.rule == Rule::Recorded => {
                self.texts(expected, found, place);
            }
            _ if expected == found => {}
            _ => self.differ(place, &expected.to_string(), &found.to_string()),
        }
    }

    fn texts(&mut self, recorded: &str, sent: &str, place: &str) {
        if matches(recorded, sent) {
            return;
        }
        match (json_in_base64(recorded), json_in_base64(sent)) {
            (Some(recorded), Some(sent)) => self.values(&recorded, &sent, place),
            _ => self.differ(place, recorded, sent),
        }
    }

    fn differ(&mut self, place: &str, expected: &str, found: &str) {
        self.differences.push(Difference::new(place.trim_end(), expected, found));
    }
}

/// A JSON Pointer one level deeper.
fn below(place: &str, name: &str) -> String {
    format!("{place}/{}", name.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn places(differences: &[Difference]) -> Vec<&str> {
        differences.iter().map(|difference| difference.place.as_str()).collect()
    }

    #[test]
    fn a_star_stands_for_any_text() {
        let yes = [
            ("", ""),
            ("*", ""),
            ("*", "a"),
            ("a*c", "abc"),
            ("a*b*c", "a1b2bc"),
            ("a**", "a"),
            ("*/*", "*/*"),
        ];
        let no = [("", "a"), ("a", ""), ("a*a", "a"), ("a*c", "abd"), ("a*b*c", "acb"), ("*b", "ba")];
        for (recorded, text) in yes {
            assert!(matches(recorded, text), "{recorded:?} {text:?}");
        }
        for (recorded, text) in no {
            assert!(!matches(recorded, text), "{recorded:?} {text:?}");
        }
    }

    #[test]
    fn json_bodies_are_the_same_whatever_their_spelling() {
        let recorded = br#"{"a": [1, {"b/c": "x-*"}], "t": "*"}"#;
        assert_eq!(bodies(recorded, br#"{"t":"now","a":[1,{"b/c":"x-1"}]}"#, "body"), []);
        let differences = bodies(recorded, br#"{"t":"now","a":[2,{"b/c":"y"}],"more":{}}"#, "body");
        assert_eq!(places(&differences), ["body /a/0", "body /a/1/b~1c", "body /more"]);
        assert_eq!(differences[2].expected, "nothing");
        // An array of another length is shown whole.
        assert_eq!(places(&bodies(b"[1]", b"[1,2]", "body")), ["body"]);
        assert_eq!(places(&bodies(br#"{"a":1}"#, b"{}", "body")), ["body /a"]);
    }

    #[test]
    fn json_within_base64_is_looked_into() {
        let signed = |profile: &str| {
            let inner = json!({"profile": profile, "label": "a"}).to_string();
            [STANDARD.encode(&inner), URL_SAFE_NO_PAD.encode(&inner)]
                .map(|request| json!({"request": request}).to_string())
        };
        for (recorded, sent) in signed("server").iter().zip(&signed("client")) {
            let differences = bodies(recorded.as_bytes(), sent.as_bytes(), "body");
            assert_eq!(differences, [Difference::new("body /request/profile", "server", "client")]);
        }
    }

    #[test]
    fn other_bodies_are_texts_or_bytes() {
        assert_eq!(bodies(b"a=1&token=*", b"a=1&token=x", "body"), []);
        assert_eq!(bodies(b"a=1", b"a=2", "body"), [Difference::new("body", "a=1", "a=2")]);
        assert_eq!(bodies(&[0xff], &[0xff], "body"), []);
        assert_eq!(bodies(&[0xff], &[0xfe, 0], "body")[0].found, "2 bytes: /gA=");
        // Numbers and words are texts: 1.0 is not what 1 says.
        assert_eq!(bodies(b"1", b"1.0", "body").len(), 1);
    }

    #[test]
    fn more_than_is_expected_does_not_matter() {
        let found =
            json!({"kind": "retry", "message": "a", "certificates": [{"subject": "CN=a", "serial": "1"}]});
        let expected = json!({"kind": "retry", "certificates": [{"subject": "CN=a"}]});
        assert_eq!(values(&expected, &found, Rule::Expected, "expect"), []);
        let expected = json!({"kind": "*", "certificates": [{"subject": "CN=b", "names": []}]});
        let differences = values(&expected, &found, Rule::Expected, "expect ");
        // A `*` is a name's own.
        let all = ["expect /kind", "expect /certificates/0/subject", "expect /certificates/0/names"];
        let mut found = places(&differences);
        found.sort_by_key(|place| all.iter().position(|known| known == place));
        assert_eq!(found, all);
    }
}
