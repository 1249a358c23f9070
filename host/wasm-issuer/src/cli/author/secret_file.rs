//! A Secret as YAML or JSON.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use zeroize::Zeroizing;

use super::input::{self, quoted};

const WHAT: &str = "the secret";

/// The values of a Secret by their keys.
pub type SecretValues = BTreeMap<String, Zeroizing<Vec<u8>>>;

/// A Secret, or what stands for it.
pub struct SecretRead {
    /// Its name, where there is one.
    pub name: Option<String>,
    /// What it holds.
    pub values: SecretValues,
}

/// Reads the one Secret among the documents of a file: `data`, in base64, and over it `stringData`, as the API server has it.
pub fn read(path: &Path) -> anyhow::Result<SecretRead> {
    let secret = input::object(path, WHAT, ("v1", "Secret"))?;
    let mut values = SecretValues::new();
    for (key, text) in texts(&secret, "data", path)? {
        // Lines, as `base64` wraps them, which the API server takes too.
        let packed: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
        let value = BASE64_STANDARD.decode(packed).with_context(|| {
            format!("{WHAT} {}: data.{key} is not base64; plain text belongs into stringData", quoted(path))
        })?;
        values.insert(key, Zeroizing::new(value));
    }
    for (key, text) in texts(&secret, "stringData", path)? {
        values.insert(key, Zeroizing::new(text.into_bytes()));
    }
    ensure!(!values.is_empty(), "{WHAT} {} holds nothing: its keys are in data or stringData", quoted(path));
    let name = secret.pointer("/metadata/name").and_then(Value::as_str).map(str::to_owned);
    Ok(SecretRead { name, values })
}

/// The entries of a field.
fn texts(secret: &Value, field: &str, path: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let entries = match secret.get(field) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(entries)) => entries,
        Some(_) => bail!("{WHAT} {}: {field} is to be an object, `key: value` lines", quoted(path)),
    };
    let text = |(key, value): (&String, &Value)| match value.as_str() {
        Some(text) => Ok((key.clone(), text.to_owned())),
        None => bail!("{WHAT} {}: {field}.{key} is not text: put it in quotes", quoted(path)),
    };
    entries.iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(yaml: &str) -> anyhow::Result<SecretRead> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("secret.yaml");
        std::fs::write(&file, yaml)?;
        read(&file)
    }

    #[test]
    fn data_is_decoded_and_string_data_comes_over_it() {
        let read = secret(
            "kind: Issuer\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: keys}\ntype: Opaque\n\
             data: {a: AAE=, b: Yg==, c: \"Yw\\n==\\n\"}\nstringData: {b: plain}\n",
        )
        .unwrap();
        let values: Vec<_> =
            read.values.iter().map(|(key, value)| (key.as_str(), value.as_slice())).collect();
        assert_eq!(values, [("a", &b"\0\x01"[..]), ("b", b"plain"), ("c", b"c")]);
        assert_eq!(read.name.as_deref(), Some("keys"));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_field_and_the_value_is_not() {
        let whole = |rest: &str| format!("apiVersion: v1\nkind: Secret\n{rest}\n");
        for (yaml, wanted) in [
            (
                whole("data: {token: 's3cret!'}"),
                "data.token is not base64; plain text belongs into stringData",
            ),
            (whole("stringData: {port: 5432}"), "stringData.port is not text: put it in quotes"),
            (whole("data: [a]"), "data is to be an object"),
            (whole("data: {}"), "holds nothing"),
            (whole("") + "---\n" + &whole(""), "exactly one Secret is expected"),
            ("apiVersion: v1\nkind: ConfigMap".to_owned(), "exactly one Secret is expected"),
            ("apiVersion: v2\nkind: Secret".to_owned(), "apiVersion is to be v1"),
            ("a: [".to_owned(), "neither YAML nor JSON"),
            (whole("stringData: {token: s3cret, [}"), "neither YAML nor JSON"),
        ] {
            let error = format!("{:#}", secret(&yaml).err().unwrap());
            assert!(error.contains(wanted) && !error.contains("s3cret"), "{yaml}: {error}");
        }
    }
}
