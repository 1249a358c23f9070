//! The JSON Schema (draft 2020-12) of a plugin's `spec.config`: the keywords that generators write, and no others.
//!
//! A schema comes from a plugin, and it is this process that holds configurations against it: so what one can ask for is
//! bounded by its size, and what evaluating it takes by [`super::fits`]. No library counts its work. `pattern`, `format`,
//! `uniqueItems` and `unevaluatedProperties` are for the reader; a plugin checks them itself.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Number, Value};
use wasm_issuer_core::text::clean;

/// The longest that is read.
const MAX: usize = 64 << 10;
/// The only version that is read, where one is named.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// A schema: an object, or a word that all or nothing fits.
#[derive(Clone, Debug)]
pub enum Schema {
    /// `true` fits everything, `false` nothing.
    Any(bool),
    /// An object with keywords.
    Keywords(Box<Keywords>),
}

/// The keywords of a schema, by the names and with the meanings that JSON Schema gives them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(missing_docs, reason = "each is what JSON Schema calls it")]
pub struct Keywords {
    #[serde(rename = "$schema")]
    draft: Option<String>,
    #[serde(rename = "$defs")]
    pub definitions: BTreeMap<String, Schema>,
    #[serde(rename = "$ref")]
    pub reference: Option<String>,
    #[serde(rename = "type")]
    pub types: Types,
    #[serde(rename = "enum")]
    pub one_of_values: Option<Vec<Scalar>>,
    #[serde(rename = "const", deserialize_with = "present")]
    pub constant: Option<Scalar>,
    pub properties: BTreeMap<String, Schema>,
    pub required: Vec<String>,
    pub additional_properties: Option<Schema>,
    unevaluated_properties: Option<Schema>,
    pub min_properties: Option<usize>,
    pub max_properties: Option<usize>,
    pub items: Option<Schema>,
    pub prefix_items: Vec<Schema>,
    pub min_items: Option<usize>,
    pub max_items: Option<usize>,
    unique_items: bool,
    pub min_length: Option<usize>,
    pub max_length: Option<usize>,
    pub minimum: Option<Number>,
    pub maximum: Option<Number>,
    pub exclusive_minimum: Option<Number>,
    pub exclusive_maximum: Option<Number>,
    pub any_of: Vec<Schema>,
    pub one_of: Vec<Schema>,
    pub all_of: Vec<Schema>,
    pub title: Option<String>,
    pub description: Option<String>,
    #[serde(deserialize_with = "present")]
    pub default: Option<Value>,
    pub examples: Vec<Value>,
    pub pattern: Option<String>,
    pub format: Option<String>,
    deprecated: bool,
    read_only: bool,
    write_only: bool,
}

/// `null` is a value here, and not the want of one.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(value: D) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

/// A value without others in it: comparing with it takes no time.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged, expecting = "a string, a number, a boolean or null")]
#[expect(missing_docs, reason = "the kinds of JSON")]
pub enum Scalar {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(value) => write!(f, "{value}"),
            Self::String(value) => write!(f, "{}", clean(value, 100)),
        }
    }
}

impl Scalar {
    /// Whether a value is this one.
    pub fn is(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Null, Value::Null) => true,
            (Self::Bool(one), Value::Bool(other)) => one == other,
            (Self::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
            (Self::String(one), Value::String(other)) => one == other,
            _ => false,
        }
    }
}

/// A kind of JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the kinds of JSON")]
pub enum Type {
    Null,
    Boolean,
    Integer,
    Number,
    String,
    Array,
    Object,
}

impl Type {
    /// Whether a value is of it.
    pub fn is(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Integer, Value::Number(number)) => {
                number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|it| it.fract() == 0.0)
            }
            (Self::Null, Value::Null)
            | (Self::Boolean, Value::Bool(_))
            | (Self::Number, Value::Number(_))
            | (Self::String, Value::String(_))
            | (Self::Array, Value::Array(_))
            | (Self::Object, Value::Object(_)) => true,
            _ => false,
        }
    }

    /// The kind of a value, in words with an article.
    pub fn words_of(value: &Value) -> &'static str {
        match value {
            Value::Null => Self::Null.words(),
            Value::Bool(_) => Self::Boolean.words(),
            Value::Number(_) => Self::Number.words(),
            Value::String(_) => Self::String.words(),
            Value::Array(_) => Self::Array.words(),
            Value::Object(_) => Self::Object.words(),
        }
    }

    /// In words with an article.
    pub fn words(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Integer => "an integer",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "a list",
            Self::Object => "an object",
        }
    }
}

/// The kinds that a value may have; with none given, all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Types(pub Vec<Type>);

impl<'de> Deserialize<'de> for Types {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a type of JSON, or a list of them")]
        enum Written {
            One(Type),
            Several(Vec<Type>),
        }
        Ok(Self(match Written::deserialize(value)? {
            Written::One(one) => vec![one],
            Written::Several(several) => several,
        }))
    }
}

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Schema;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a schema: an object, true or false")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Schema, E> {
                Ok(Schema::Any(value))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Schema, A::Error> {
                Keywords::deserialize(MapAccessDeserializer::new(map)).map(Box::new).map(Schema::Keywords)
            }
        }
        value.deserialize_any(Either)
    }
}

impl Schema {
    /// Read a schema. The error says what is not read of it.
    pub fn parse(json: &str) -> Result<Self, String> {
        if json.len() > MAX {
            return Err(format!("it has {} bytes; {MAX} are read", json.len()));
        }
        let schema: Self = serde_json::from_str(json).map_err(|error| clean(&error.to_string(), 300))?;
        match schema.keywords().and_then(|keywords| keywords.draft.as_deref()) {
            Some(draft) if draft.trim_end_matches('#') != DRAFT => {
                Err(format!("`$schema` is `{}`; only `{DRAFT}` is read", clean(draft, 200)))
            }
            _ => Ok(schema),
        }
    }

    /// Its keywords, if it is an object.
    pub fn keywords(&self) -> Option<&Keywords> {
        match self {
            Self::Any(_) => None,
            Self::Keywords(keywords) => Some(keywords),
        }
    }

    /// The definition that a `$ref` in this schema, its root, leads to.
    pub fn definition(&self, reference: &str) -> Option<&Self> {
        let name = reference.strip_prefix("#/$defs/")?.replace("~1", "/").replace("~0", "~");
        self.keywords()?.definitions.get(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyword_that_is_not_read_is_named() {
        let said = |json: &str| Schema::parse(json).err().unwrap_or_default();
        assert!(said(r#"{"properties": {"a": {"not": {}}}}"#).starts_with("unknown field `not`, expected"));
        assert!(said(r#"{"$id": "https://a.example"}"#).starts_with("unknown field `$id`"));
        assert!(
            said(r#"{"enum": [{}]}"#).starts_with("a string, a number, a boolean or null"),
            "{}",
            said(r#"{"enum": [{}]}"#)
        );
        assert!(said(r#"{"type": "text"}"#).starts_with("a type of JSON"), "{}", said(r#"{"type": "text"}"#));
        assert!(said("[]").contains("a schema: an object, true or false"), "{}", said("[]"));
        assert!(
            said(r#"{"$schema": "http://json-schema.org/draft-07/schema#"}"#)
                .contains("only `https://json-schema.org/draft/2020-12/schema` is read")
        );
        assert!(said(&" ".repeat(MAX + 1)).contains("are read"));
        assert!(said(&r#"{"items":"#.repeat(5000)).contains("recursion limit"));
    }

    /// What schemars writes of the types that configurations have.
    #[test]
    fn what_generators_write_is_read() {
        #[derive(schemars::JsonSchema)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        #[expect(dead_code, reason = "only described")]
        struct Config {
            /// Where the CA is.
            url: String,
            #[schemars(range(min = 1, max = 10), length(min = 1))]
            tries: Option<u8>,
            #[serde(default)]
            mode: Mode,
            labels: std::collections::BTreeMap<String, Option<Deep>>,
            pair: (String, i64),
            set: std::collections::BTreeSet<String>,
            anything: serde_json::Value,
            #[serde(flatten)]
            more: Option<Deep>,
        }
        #[derive(Default, schemars::JsonSchema, serde::Serialize)]
        #[expect(dead_code, reason = "only described")]
        enum Mode {
            /// The usual one.
            #[default]
            Quick,
            Slow,
        }
        #[derive(schemars::JsonSchema)]
        #[serde(tag = "kind")]
        #[expect(dead_code, reason = "only described")]
        enum Deep {
            Token { key: String },
            Nothing,
            Again(Box<Deeper>),
        }
        #[derive(schemars::JsonSchema)]
        #[expect(dead_code, reason = "only described")]
        struct Deeper {
            deep: Vec<Deep>,
        }
        let schema = schemars::schema_for!(Config).to_value().to_string();
        let schema = Schema::parse(&schema).unwrap_or_else(|error| panic!("{error}: {schema}"));
        assert!(schema.keywords().unwrap().properties.contains_key("url"));
    }
}
