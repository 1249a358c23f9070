//! Names of Kubernetes objects, and of the keys in a ConfigMap or a Secret.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// The name of a Secret, a ConfigMap or an Issuer: a DNS-1123 subdomain.
///
/// Names end up in the path of a request to the API server, where clients do not escape them: `../../other/secrets/x`
/// would leave the namespace. A value of this type cannot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName(String);

/// A string is not an [`ObjectName`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the name of an object: at most 253 lower-case letters, digits, '-' and '.'")]
pub struct NameError(String);

const MAX_LENGTH: usize = 253;
const PATTERN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

impl FromStr for ObjectName {
    type Err = NameError;

    /// Tests what the schema's pattern and length say.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let alphanumeric =
            |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let is_label = |label: &str| {
            let bytes = label.as_bytes();
            alphanumeric(bytes.first())
                && alphanumeric(bytes.last())
                && bytes.iter().all(|byte| *byte == b'-' || alphanumeric(Some(byte)))
        };
        if text.len() <= MAX_LENGTH && text.split('.').all(is_label) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError(text.chars().take(MAX_LENGTH).collect()))
        }
    }
}

impl Deref for ObjectName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

string_serde!(ObjectName);

/// The longest key of a ConfigMap or a Secret, in bytes.
pub const MAX_DATA_KEY: usize = 253;
/// The characters of such a key.
pub const DATA_KEY_PATTERN: &str = "^[-._a-zA-Z0-9]+$";

/// Whether a ConfigMap or a Secret can have a key of that name: [`DATA_KEY_PATTERN`], and no path that leaves a folder,
/// which is where volumes put the keys.
pub fn is_data_key(text: &str) -> bool {
    (1..=MAX_DATA_KEY).contains(&text.len())
        && !text.starts_with("..")
        && text != "."
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

impl JsonSchema for ObjectName {
    fn schema_name() -> Cow<'static, str> {
        "ObjectName".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 1, "maxLength": MAX_LENGTH, "pattern": PATTERN})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_dns_subdomains() {
        for text in ["a", "0", "cfssl-auth", "root.v2.team-a", &"a".repeat(253)] {
            assert_eq!(text.parse::<ObjectName>().as_deref(), Ok(text));
        }
    }

    #[test]
    fn refuses_what_could_leave_the_path() {
        for text in [
            "", ".", "..", "../x", "a/b", "a?b", "a%2fb", "a b", "A", "-a", "a-", "a..b", ".a", "a.",
            "\u{e9}",
        ] {
            assert!(text.parse::<ObjectName>().is_err(), "{text}");
        }
        assert!("a".repeat(254).parse::<ObjectName>().is_err());
        assert!(serde_json::from_str::<ObjectName>("\"../x\"").is_err());
    }

    #[test]
    fn data_keys_are_file_names() {
        for key in ["tls.crt", "API_KEY", ".dockerconfigjson", "-", &"a".repeat(253)] {
            assert!(is_data_key(key), "{key}");
        }
        for key in ["", ".", "..", "..data", "a/b", "a b", "\u{e9}", &"a".repeat(254)] {
            assert!(!is_data_key(key), "{key}");
        }
    }
}
