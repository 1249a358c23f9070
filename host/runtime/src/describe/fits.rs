//! Whether a value fits a schema. All that does not is told, each with its field, in a bounded number of steps.

use serde_json::{Number, Value};
use wasm_issuer_core::text::{clean, list};

use super::schema::{Keywords, Scalar, Schema, Type};

/// Looking at one value by one schema is a step. So many take some milliseconds; a configuration takes some hundred.
const STEPS: usize = 100_000;
/// How deep schemas within schemas are followed. One that leads back to itself without a value between ends here.
const DEPTH: usize = 64;
/// The most faults that are told.
const FAULTS: usize = 8;

/// What does not fit, a line each; nothing where all does. The error is the schema's: it leads nowhere, or asks for more
/// than it may.
pub fn faults(schema: &Schema, value: &Value, name: &str) -> Result<Vec<String>, String> {
    let mut look = Look { root: schema, steps: STEPS, faults: Vec::new() };
    look.at(schema, value, &Place { path: name.to_owned(), depth: DEPTH })?;
    Ok(look.faults)
}

struct Look<'a> {
    root: &'a Schema,
    steps: usize,
    faults: Vec<String>,
}

struct Place {
    path: String,
    depth: usize,
}

impl Place {
    fn member(&self, name: &str) -> Self {
        let is_plain =
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        let path = if is_plain {
            format!("{}.{name}", self.path)
        } else {
            format!("{}[\"{}\"]", self.path, clean(name, 100))
        };
        Self { path: clean(&path, 500), depth: self.depth }
    }

    fn item(&self, index: usize) -> Self {
        Self { path: format!("{}[{index}]", self.path), depth: self.depth }
    }

    fn deeper(&self) -> Result<Self, String> {
        let depth = self.depth.checked_sub(1).ok_or("it leads deeper than 64 schemas, or in a circle")?;
        Ok(Self { path: self.path.clone(), depth })
    }
}

impl<'a> Look<'a> {
    fn at(&mut self, schema: &'a Schema, value: &Value, place: &Place) -> Result<(), String> {
        self.step(1)?;
        let place = &place.deeper()?;
        match schema {
            Schema::Any(true) => Ok(()),
            Schema::Any(false) => {
                self.fault(place, "nothing is allowed here");
                Ok(())
            }
            Schema::Keywords(keywords) => self.by(keywords, value, place),
        }
    }

    fn step(&mut self, steps: usize) -> Result<(), String> {
        self.steps =
            self.steps.checked_sub(steps).ok_or("spec.config is too large, or it asks for too much")?;
        Ok(())
    }

    fn fault(&mut self, place: &Place, what: impl std::fmt::Display) {
        if self.faults.len() < FAULTS {
            self.faults.push(format!("{}: {what}", place.path));
        }
    }

    fn by(&mut self, schema: &'a Keywords, value: &Value, place: &Place) -> Result<(), String> {
        if !has_type(schema, value) {
            let expected = list(schema.types.0.iter().map(|kind| kind.words()), 200);
            self.fault(place, format_args!("{} where {expected} is expected", Type::words_of(value)));
            return Ok(());
        }
        let values = schema.one_of_values.as_deref().unwrap_or_default();
        self.step(values.len())?;
        let one_of = schema.one_of_values.as_ref().map(|values| values.iter().collect::<Vec<_>>());
        for allowed in one_of.into_iter().chain(schema.constant.iter().map(|value| vec![value])) {
            self.one_of_values(&allowed, value, place);
        }
        match value {
            Value::Object(_) => self.object(schema, value, place)?,
            Value::Array(items) => self.array(schema, items, place)?,
            Value::String(text) => self.string(schema, text, place)?,
            Value::Number(number) => self.number(schema, number, place),
            Value::Null | Value::Bool(_) => {}
        }
        if let Some(reference) = &schema.reference {
            let definition = self.root.definition(reference);
            let definition =
                definition.ok_or_else(|| format!("`$ref` `{}` leads nowhere", clean(reference, 200)))?;
            self.at(definition, value, place)?;
        }
        for each in &schema.all_of {
            self.at(each, value, place)?;
        }
        self.some_of(&schema.any_of, value, place, false)?;
        self.some_of(&schema.one_of, value, place, true)
    }

    fn one_of_values(&mut self, allowed: &[&Scalar], value: &Value, place: &Place) {
        if !allowed.iter().any(|scalar| scalar.is(value)) {
            let shown = allowed.iter().map(|scalar| format!("`{scalar}`"));
            self.fault(place, format_args!("{} is none of {}", shown_value(value), list(shown, 300)));
        }
    }

    fn object(&mut self, schema: &'a Keywords, value: &Value, place: &Place) -> Result<(), String> {
        let Some(object) = value.as_object() else { return Ok(()) };
        self.step(schema.required.len())?;
        for name in schema.required.iter().filter(|name| !object.contains_key(*name)) {
            self.fault(&place.member(name), "missing");
        }
        self.count(object.len(), (schema.min_properties, schema.max_properties), "fields", place);
        for (name, value) in object {
            match (schema.properties.get(name), &schema.additional_properties) {
                (Some(property), _) => self.at(property, value, &place.member(name))?,
                (None, None | Some(Schema::Any(true))) => self.step(1)?,
                (None, Some(Schema::Any(false))) => {
                    self.step(1)?;
                    let known = schema.properties.keys().map(|known| format!("`{}`", clean(known, 100)));
                    let known =
                        if schema.properties.is_empty() { "none".to_owned() } else { list(known, 500) };
                    self.fault(&place.member(name), format_args!("no such field; there are {known}"));
                }
                (None, Some(additional)) => self.at(additional, value, &place.member(name))?,
            }
        }
        Ok(())
    }

    fn array(&mut self, schema: &'a Keywords, items: &[Value], place: &Place) -> Result<(), String> {
        self.count(items.len(), (schema.min_items, schema.max_items), "entries", place);
        let schemas = schema.prefix_items.iter().map(Some).chain(std::iter::repeat(schema.items.as_ref()));
        for ((index, item), schema) in items.iter().enumerate().zip(schemas) {
            match schema {
                Some(schema) => self.at(schema, item, &place.item(index))?,
                None => self.step(1)?,
            }
        }
        Ok(())
    }

    fn string(&mut self, schema: &Keywords, text: &str, place: &Place) -> Result<(), String> {
        if schema.min_length.is_some() || schema.max_length.is_some() {
            self.step(text.len() / 256)?;
            self.count(text.chars().count(), (schema.min_length, schema.max_length), "characters", place);
        }
        Ok(())
    }

    fn count(&mut self, found: usize, (min, max): (Option<usize>, Option<usize>), what: &str, place: &Place) {
        if let Some(min) = min.filter(|min| found < *min) {
            self.fault(place, format_args!("{found} {what}, at least {min} are expected"));
        }
        if let Some(max) = max.filter(|max| found > *max) {
            self.fault(place, format_args!("{found} {what}, at most {max} are allowed"));
        }
    }

    fn number(&mut self, schema: &Keywords, number: &Number, place: &Place) {
        let Some(value) = number.as_f64() else { return };
        let breaks = |bound: &Option<Number>, is_broken: fn(f64, f64) -> bool| {
            bound.clone().filter(|bound| bound.as_f64().is_some_and(|bound| is_broken(value, bound)))
        };
        let broken = [
            (breaks(&schema.minimum, |value, bound| value < bound), "at least"),
            (breaks(&schema.maximum, |value, bound| value > bound), "at most"),
            (breaks(&schema.exclusive_minimum, |value, bound| value <= bound), "more than"),
            (breaks(&schema.exclusive_maximum, |value, bound| value >= bound), "less than"),
        ];
        for (bound, words) in broken.into_iter().filter_map(|(bound, words)| Some((bound?, words))) {
            self.fault(place, format_args!("{number}, {words} {bound} is expected"));
        }
    }

    /// `anyOf` and `oneOf`. Where a value fits none, and its type only one of them, what is wrong by that one is told.
    fn some_of(
        &mut self,
        schemas: &'a [Schema],
        value: &Value,
        place: &Place,
        one: bool,
    ) -> Result<(), String> {
        if schemas.is_empty() {
            return Ok(());
        }
        let before = std::mem::take(&mut self.faults);
        let mut fitting = 0;
        let mut close = Vec::new();
        for schema in schemas {
            self.at(schema, value, place)?;
            let faults = std::mem::take(&mut self.faults);
            fitting += usize::from(faults.is_empty());
            if self.could_be(schema, value) {
                close.push(faults);
            }
        }
        self.faults = before;
        match (fitting, close.as_mut_slice()) {
            (1, _) | (2.., _) if !one || fitting == 1 => {}
            (0, [only]) => self.faults.append(only),
            (0, _) => self
                .fault(place, format_args!("{} fits none of the forms that it may have", shown_value(value))),
            _ => self.fault(
                place,
                format_args!("{} fits {fitting} forms, of which one is expected", shown_value(value)),
            ),
        }
        self.faults.truncate(FAULTS);
        Ok(())
    }

    /// Whether a value is of a schema's type, and its constants, if it has fields that must be some, are the value's: a
    /// tagged variant is told by them.
    fn could_be(&self, schema: &Schema, value: &Value) -> bool {
        let Schema::Keywords(keywords) = schema else { return false };
        let definition = keywords.reference.as_ref().and_then(|reference| self.root.definition(reference));
        let keywords = definition.and_then(Schema::keywords).unwrap_or(keywords);
        let is_tagged = |(name, property): (&String, &Schema)| {
            let constant = property.keywords().and_then(|property| property.constant.as_ref());
            constant.is_none_or(|constant| value.get(name).is_some_and(|value| constant.is(value)))
        };
        has_type(keywords, value) && keywords.properties.iter().all(is_tagged)
    }
}

fn has_type(schema: &Keywords, value: &Value) -> bool {
    schema.types.0.is_empty() || schema.types.0.iter().any(|kind| kind.is(value))
}

/// A value as messages show it: long ones by their kind.
fn shown_value(value: &Value) -> String {
    match value {
        Value::String(text) if text.len() > 100 => "a long string".to_owned(),
        Value::String(text) => format!("`{}`", clean(text, 100)),
        Value::Array(_) | Value::Object(_) => Type::words_of(value).to_owned(),
        other => format!("`{other}`"),
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(
            refused(large, json!(vec![1; STEPS])),
            "spec.config is too large, or it asks for too much"
        );
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
}
