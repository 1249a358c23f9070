//! A policy file as it was written: what stands where. From it the policy is made, by putting what it says over the defaults,
//! and each mistake gets its place.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::{Location, Spanned};

use super::Policy;
use super::fault::{Fault, Faults, Position};

/// The text of a policy file, taken apart.
pub struct Written {
    /// None of an empty file.
    root: Option<Spanned<Node>>,
}

/// A value of a YAML file whose parts know their places.
enum Node {
    Scalar(Value),
    List(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<String>, Spanned<Node>)>),
}

impl Written {
    /// Take a text apart. Fails if it is not YAML.
    pub fn read(text: &str) -> Result<Self, Faults> {
        let root = serde_saphyr::from_str(text).map_err(|error| {
            let position = error.location().and_then(position);
            let message = error.without_snippet().to_string();
            let message = message.split(" at line ").next().unwrap_or_default().to_owned();
            Faults(vec![Fault { position, field: String::new(), message }])
        })?;
        Ok(Self { root })
    }

    /// The policy, or each mistake.
    pub fn policy(&self) -> Result<Policy, Faults> {
        let defaults = serde_json::to_value(Policy::default()).map_err(of_the_file)?;
        let mut faults = Vec::new();
        let mut whole = defaults.clone();
        if let Some(root) = &self.root {
            put_over(&mut whole, root.value.json());
            find_faults(root, position(root.referenced), &defaults, &mut vec![], &mut faults);
        }
        match serde_json::from_value(whole) {
            Ok(policy) if faults.is_empty() => Ok(policy),
            Err(error) if faults.is_empty() => Err(of_the_file(error)),
            _ => Err(Faults(faults)),
        }
    }

    /// Where a field is, or an item of its list; none if the file does not name it.
    pub fn position(&self, section: &str, field: &str, item: Option<usize>) -> Option<Position> {
        let field = self.root.as_ref()?.value.get(section)?.value.get(field)?;
        let place = match (&field.value, item) {
            (Node::List(items), Some(item)) => items.get(item)?,
            _ => field,
        };
        position(place.referenced)
    }
}

impl Node {
    fn get(&self, key: &str) -> Option<&Spanned<Self>> {
        let Self::Map(entries) = self else { return None };
        entries.iter().find(|(name, _)| name.value == key).map(|(_, node)| node)
    }

    fn json(&self) -> Value {
        match self {
            Self::Scalar(value) => value.clone(),
            Self::List(items) => items.iter().map(|item| item.value.json()).collect(),
            Self::Map(entries) => Value::Object(
                entries.iter().map(|(key, node)| (key.value.clone(), node.value.json())).collect(),
            ),
        }
    }
}

/// Find what is wrong with a node at a path. What has defaults of its own below it is a section; everything else is tried
/// alone over the defaults, so that one mistake does not hide the next.
fn find_faults(
    node: &Spanned<Node>,
    at: Option<Position>,
    defaults: &Value,
    path: &mut Vec<String>,
    faults: &mut Vec<Fault>,
) {
    let known = path.iter().try_fold(defaults, |value, key| value.get(key));
    match (known, &node.value) {
        (_, Node::Scalar(Value::Null)) if known.is_some() => {}
        (None, _) => {
            faults.push(Fault { position: at, field: path.join("."), message: unknown(defaults, path) })
        }
        (Some(Value::Object(_)), Node::Map(entries)) => {
            for (key, below) in entries {
                path.push(key.value.clone());
                let is_unknown = known.and_then(|known| known.get(&key.value)).is_none();
                let place = if is_unknown { key.referenced } else { below.referenced };
                find_faults(below, position(place), defaults, path, faults);
                path.pop();
            }
        }
        (Some(Value::Array(_)), Node::List(items)) => {
            let items = items.iter().enumerate().filter_map(|(n, item)| {
                let message = error_of(defaults, path, Value::Array(vec![item.value.json()]))?;
                Some(Fault {
                    position: position(item.referenced),
                    field: format!("{}[{n}]", path.join(".")),
                    message,
                })
            });
            let before = faults.len();
            faults.extend(items);
            if faults.len() == before {
                faults.extend(fault_of(node, at, defaults, path));
            }
        }
        _ => faults.extend(fault_of(node, at, defaults, path)),
    }
}

fn fault_of(
    node: &Spanned<Node>,
    position: Option<Position>,
    defaults: &Value,
    path: &[String],
) -> Option<Fault> {
    let message = error_of(defaults, path, node.value.json())?;
    Some(Fault { position, field: path.join("."), message })
}

/// What is wrong with the defaults when this stands at the path.
fn error_of(defaults: &Value, path: &[String], value: Value) -> Option<String> {
    let wrapped = path.iter().rev().fold(value, |value, key| Map::from_iter([(key.clone(), value)]).into());
    let mut tried = defaults.clone();
    put_over(&mut tried, wrapped);
    serde_json::from_value::<Policy>(tried).err().map(|error| error.to_string())
}

fn unknown(defaults: &Value, path: &[String]) -> String {
    let above = path.split_last().map_or(&[][..], |(_, above)| above);
    let section = above.iter().try_fold(defaults, |value, key| value.get(key)).and_then(Value::as_object);
    let known: Vec<&str> = section.into_iter().flat_map(Map::keys).map(String::as_str).collect();
    format!("there is no such field; there are {}", known.join(", "))
}

/// A mistake that has no place.
fn of_the_file(error: serde_json::Error) -> Faults {
    Faults(vec![Fault { position: None, field: String::new(), message: error.to_string() }])
}

fn position(location: Location) -> Option<Position> {
    let (line, column) = (location.line(), location.column());
    (location != Location::UNKNOWN).then_some(Position { line, column })
}

/// Objects are merged, everything else is replaced; null changes nothing.
fn put_over(base: &mut Value, given: Value) {
    match (base, given) {
        (Value::Object(base), Value::Object(given)) => {
            for (key, value) in given {
                put_over(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (_, Value::Null) => {}
        (base, given) => *base = given,
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Map(entries))
    }
}
