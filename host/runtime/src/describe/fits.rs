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
            (0, _) if schemas.iter().all(names_values) => {
                let allowed: Vec<_> = schemas.iter().filter_map(Schema::keywords).flat_map(values).collect();
                self.one_of_values(&allowed, value, place);
            }
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

/// The values that a schema names.
fn values(schema: &Keywords) -> impl Iterator<Item = &Scalar> {
    schema.one_of_values.iter().flatten().chain(&schema.constant)
}

fn names_values(schema: &Schema) -> bool {
    schema.keywords().is_some_and(|keywords| values(keywords).next().is_some())
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
mod tests;
