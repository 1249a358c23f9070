//! The fields of a configuration, flat, as its schema has them.

use wasm_issuer_core::text::clean;
use wasm_issuer_runtime::describe::Schema;
use wasm_issuer_runtime::describe::schema::{Keywords, Scalar, Type};

/// How deep fields within fields are listed.
const DEPTH: usize = 6;
/// The most that are listed: definitions that hold each other's make many.
const MOST: usize = 200;

/// One field.
#[derive(Debug, PartialEq, Eq)]
pub struct Field {
    /// From `spec.config` on: `profile.maxDays`, `urls[]`, `labels.*`.
    pub path: String,
    /// What it holds.
    pub kind: String,
    /// Whether it must be there.
    pub required: bool,
    /// What it is where it is not there, as JSON.
    pub default: Option<String>,
    /// The schema's description.
    pub description: String,
}

/// The fields of a configuration with this schema.
pub fn fields(root: &Schema) -> Vec<Field> {
    let mut listing = Listing { root, fields: Vec::new() };
    if let Some(keywords) = root.keywords() {
        listing.within(keywords, "", 0);
    }
    listing.fields
}

struct Listing<'a> {
    root: &'a Schema,
    fields: Vec<Field>,
}

impl<'a> Listing<'a> {
    /// What a schema stands for: the one that it refers to, alone or beside `null`, as optional values are written.
    fn meant(&self, schema: &'a Schema) -> Option<&'a Keywords> {
        let mut keywords = schema.keywords()?;
        for _ in 0..DEPTH {
            let mut options = keywords.any_of.iter().filter(|option| !is_null(option));
            let single = options.next().filter(|_| options.next().is_none());
            let next = match &keywords.reference {
                Some(reference) => self.root.definition(reference),
                None => single,
            };
            match next.and_then(Schema::keywords) {
                Some(next) => keywords = next,
                None => break,
            }
        }
        Some(keywords)
    }

    fn within(&mut self, schema: &'a Keywords, prefix: &str, depth: usize) {
        if depth >= DEPTH {
            return;
        }
        for (name, property) in &schema.properties {
            let path = format!("{prefix}{}", clean(name, 100));
            self.field(property, path, schema.required.contains(name), depth);
        }
        if let Some(additional) = schema.additional_properties.as_ref().filter(|it| it.keywords().is_some()) {
            self.field(additional, format!("{prefix}*"), false, depth);
        }
        for variant in schema.one_of.iter().chain(&schema.any_of).chain(&schema.all_of) {
            if let Some(variant) = self.meant(variant) {
                self.within(variant, prefix, depth + 1);
            }
        }
    }

    fn field(&mut self, schema: &'a Schema, path: String, required: bool, depth: usize) {
        let meant = self.meant(schema);
        let own = schema.keywords();
        let default = own.and_then(|own| own.default.as_ref()).filter(|default| !default.is_null());
        let said = own.and_then(|own| own.description.as_ref());
        let said = said.or_else(|| meant.and_then(|meant| meant.description.as_ref()));
        if self.fields.len() >= MOST || self.fields.iter().any(|field| field.path == path) {
            return;
        }
        self.fields.push(Field {
            kind: meant.map_or_else(|| "anything".to_owned(), |meant| self.kind(meant)),
            required,
            default: default.map(|default| clean(&default.to_string(), 100)),
            description: said.map(|said| clean(said, 500)).unwrap_or_default(),
            path: path.clone(),
        });
        let Some(meant) = meant else { return };
        self.within(meant, &format!("{path}."), depth + 1);
        if let Some(items) = meant.items.as_ref().and_then(|items| self.meant(items)) {
            self.within(items, &format!("{path}[]."), depth + 1);
        }
    }

    /// In words: `string`, `list of integers`, `quick or slow`.
    fn kind(&self, schema: &'a Keywords) -> String {
        let variants = schema.one_of.iter().filter_map(Schema::keywords);
        let values: Vec<_> = std::iter::once(schema)
            .chain(variants)
            .flat_map(values)
            .map(|value| format!("`{value}`"))
            .collect();
        if !values.is_empty() {
            return values.join(", ");
        }
        let kinds: Vec<_> = schema.types.0.iter().filter(|kind| **kind != Type::Null).collect();
        match kinds.as_slice() {
            [Type::Array] => match schema.items.as_ref().and_then(|items| self.meant(items)) {
                Some(items) => format!("list of: {}", self.kind(items)),
                None => "list".to_owned(),
            },
            [] => {
                let options = schema.any_of.iter().chain(&schema.one_of);
                let options: Vec<_> =
                    options.filter_map(|option| self.meant(option)).map(|option| self.kind(option)).collect();
                if options.is_empty() { "anything".to_owned() } else { options.join(" or ") }
            }
            kinds => kinds.iter().map(|kind| name(**kind)).collect::<Vec<_>>().join(" or "),
        }
    }
}

/// The values that a schema names.
fn values(schema: &Keywords) -> impl Iterator<Item = &Scalar> {
    schema.one_of_values.iter().flatten().chain(&schema.constant)
}

fn is_null(schema: &Schema) -> bool {
    schema.keywords().is_some_and(|keywords| keywords.types.0 == [Type::Null])
}

fn name(kind: Type) -> &'static str {
    match kind {
        Type::Null => "null",
        Type::Boolean => "boolean",
        Type::Integer => "integer",
        Type::Number => "number",
        Type::String => "string",
        Type::Array => "list",
        Type::Object => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_listed_with_those_within() {
        let schema = serde_json::json!({
            "type": "object",
            "required": ["url"],
            "properties": {
                "url": {"type": "string", "description": "Where\nthe CA is."},
                "mode": {"oneOf": [{"enum": ["quick"]}, {"const": "slow"}], "default": "quick"},
                "deep": {"anyOf": [{"$ref": "#/$defs/Deep"}, {"type": "null"}]},
                "list": {"type": "array", "items": {"$ref": "#/$defs/Deep"}}
            },
            "$defs": {"Deep": {"type": "object", "properties": {"n": {"type": ["integer", "null"]}, "again": {"$ref": "#/$defs/Deep"}}}}
        });
        let fields = fields(&Schema::parse(&schema.to_string()).unwrap());
        let of = |path: &str| fields.iter().find(|field| field.path == path).unwrap();
        assert_eq!(
            (of("url").kind.as_str(), of("url").required, of("url").description.as_str()),
            ("string", true, "Where the CA is.")
        );
        assert_eq!(
            (of("mode").kind.as_str(), of("mode").default.as_deref()),
            ("`quick`, `slow`", Some("\"quick\""))
        );
        assert_eq!(of("deep.n").kind, "integer");
        assert_eq!(of("list").kind, "list of: object");
        assert_eq!(of("list[].n").kind, "integer");
        assert!(fields.len() < 40, "a type within itself ends: {}", fields.len());
    }
}
