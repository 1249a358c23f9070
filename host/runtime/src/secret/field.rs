//! Strings within a value that is a JSON document, such as the key file of a service account.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use wasm_issuer_core::text::clean;
use zeroize::Zeroizing;

use super::{InvalidValue, SecretValue, Stored};

/// The largest document that is read: such files have a few KiB.
const MAX_DOCUMENT: usize = 64 << 10;
/// The longest string that is handed out: a private key in PEM.
const MAX_FIELD: usize = 16 << 10;
/// The longest pointer.
const MAX_POINTER: usize = 256;
/// How deep one leads. What is left of the document is read again at each level.
const MAX_DEPTH: usize = 8;

impl SecretValue {
    /// The string at this JSON Pointer (RFC 6901). What is wrong with the document is not said: a parser would quote it.
    pub fn field(&self, pointer: &str) -> Result<Self, InvalidValue> {
        if self.pointer.is_some() {
            return Err(self.invalid("a field has no fields of its own"));
        }
        let is_deep = pointer.split('/').count() > MAX_DEPTH + 1;
        if pointer.len() > MAX_POINTER || is_deep || !pointer.starts_with('/') {
            return Err(self.invalid(format_args!(
                "`{}` is no JSON Pointer of at most {MAX_DEPTH} parts and {MAX_POINTER} bytes, such as `/private_key`",
                clean(pointer, MAX_POINTER)
            )));
        }
        if self.bytes().len() > MAX_DOCUMENT {
            return Err(
                self.invalid(format_args!("it has more than the {MAX_DOCUMENT} bytes that are read as JSON"))
            );
        }
        let shown = clean(pointer, MAX_POINTER);
        let document = serde_json::from_slice::<&RawValue>(self.bytes());
        let document = document.map_err(|_error| self.invalid("the value is not JSON"))?;
        let missing = || self.invalid(format_args!("its JSON has nothing at `{shown}`"));
        let found = pointer.split('/').skip(1).try_fold(document, |value, token| member(value, token));
        let no_string = || self.invalid(format_args!("`{shown}` of its JSON is no string"));
        let text = string(found.ok_or_else(missing)?).ok_or_else(no_string)?;
        if text.len() > MAX_FIELD {
            return Err(self.invalid(format_args!("`{shown}` of its JSON has more than {MAX_FIELD} bytes")));
        }
        Ok(Self {
            key: self.key.clone(),
            pointer: Some(shown),
            is_revealed: self.is_revealed,
            stored: Stored::new(text, &self.stored.decrypted),
        })
    }
}

/// Where a reference token leads within a value. Nothing of the document is copied on the way: it is a secret.
fn member<'a>(value: &'a RawValue, token: &str) -> Option<&'a RawValue> {
    if value.get().starts_with('[') {
        let canonical = token == "0" || !token.starts_with(['0', '+']);
        let index = canonical.then(|| token.parse().ok()).flatten()?;
        return serde_json::from_str::<Vec<&RawValue>>(value.get()).ok()?.get::<usize>(index).copied();
    }
    let name = token.replace("~1", "/").replace("~0", "~");
    let members: std::collections::BTreeMap<Cow<'_, str>, &RawValue> =
        serde_json::from_str(value.get()).ok()?;
    members.get(name.as_str()).copied()
}

fn string(value: &RawValue) -> Option<Zeroizing<Vec<u8>>> {
    let text = String::deserialize(&mut serde_json::Deserializer::from_str(value.get())).ok()?;
    Some(Zeroizing::new(text.into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::lent;
    use super::*;

    const DOCUMENT: &[u8] =
        br#"{"private_key": "a\nb", "n": 1, "deep": {"a/b": ["x", "y"], "m~n": "tilde"}, "": "empty"}"#;

    #[test]
    fn pointers_lead_where_rfc_6901_says() {
        let value = lent(DOCUMENT, &[]);
        let cases =
            [("/private_key", "a\nb"), ("/deep/a~1b/1", "y"), ("/deep/m~0n", "tilde"), ("/", "empty")];
        for (pointer, expected) in cases {
            assert_eq!(value.field(pointer).unwrap().bytes(), expected.as_bytes(), "{pointer}");
        }
    }

    #[test]
    fn what_is_not_there_is_named_and_nothing_quoted() {
        let value = lent(DOCUMENT, &[]);
        let said =
            |pointer: &str| value.field(pointer).err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(said("/private_kei"), "`sa.json` of the Secret: its JSON has nothing at `/private_kei`");
        assert_eq!(said("/deep/a~1b/2"), "`sa.json` of the Secret: its JSON has nothing at `/deep/a~1b/2`");
        assert_eq!(said("/deep/a~1b/01"), "`sa.json` of the Secret: its JSON has nothing at `/deep/a~1b/01`");
        assert_eq!(said("/n"), "`sa.json` of the Secret: `/n` of its JSON is no string");
        assert_eq!(said("/deep"), "`sa.json` of the Secret: `/deep` of its JSON is no string");
        assert!(said("private_key").contains("is no JSON Pointer"));
        assert!(said(&format!("/{}", "x".repeat(256))).contains("is no JSON Pointer"));
        let field = value.field("/private_key").unwrap();
        assert_eq!(
            field.private_key().unwrap_err().to_string(),
            "`/private_key` in `sa.json` of the Secret: no PEM block; a private key is expected"
        );
        assert!(field.field("/x").is_err());
        let error = lent(b"hunter2hunter2", &[]).field("/x").err().unwrap();
        assert_eq!(error.to_string(), "`sa.json` of the Secret: the value is not JSON");
    }

    #[test]
    fn documents_and_fields_are_bounded() {
        let document = |bytes: usize| format!("{{\"a\": \"{}\"}}", "x".repeat(bytes)).into_bytes();
        assert!(lent(&document(MAX_FIELD), &[]).field("/a").is_ok());
        assert!(lent(&document(MAX_FIELD + 1), &[]).field("/a").is_err());
        assert!(lent(&document(MAX_DOCUMENT), &[]).field("/a").is_err());
        let deep = |depth: usize| ("[".repeat(depth) + "\"x\"" + &"]".repeat(depth), "/0".repeat(depth));
        for (depth, is_read) in [(MAX_DEPTH, true), (MAX_DEPTH + 1, false)] {
            let (document, pointer) = deep(depth);
            assert_eq!(lent(document.as_bytes(), &[]).field(&pointer).is_ok(), is_read, "{depth}");
        }
        let nested = ["[".repeat(20_000), "]".repeat(20_000)].concat();
        assert!(
            lent(nested.as_bytes(), &[]).field("/0").is_err(),
            "a parser that recurses would end the process"
        );
    }

    #[test]
    fn a_field_is_read_where_the_whole_is() {
        assert_eq!(lent(DOCUMENT, &[]).field("/private_key").unwrap().revealed(), None);
        assert!(lent(DOCUMENT, &["sa.json"]).field("/private_key").unwrap().revealed().is_some());
    }
}
