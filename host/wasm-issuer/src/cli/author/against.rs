//! `plugin inspect --against`: how one component differs from another.

use std::collections::BTreeSet;

use serde::Serialize;

use super::component::Component;
use super::output::size;

/// The other component, and how the inspected one differs from it.
#[derive(Serialize)]
pub struct Comparison {
    /// The other one's file.
    file: String,
    /// The other one's digest.
    sha256: String,
    /// Whether they are the same bytes.
    equal: bool,
    differences: Vec<Difference>,
}

/// One thing that is not the same: what has both values has changed, what has one was added or removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Difference {
    what: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
}

impl Comparison {
    /// Compares `new` with `old`, which was read from `file`.
    pub fn of(file: String, old: &Component, new: &Component) -> Self {
        let (was, is) = (items(old), items(new));
        let mut differences: Vec<Difference> =
            figures(old).into_iter().zip(figures(new)).filter_map(changed).collect();
        differences.extend(is.difference(&was).map(|(what, item)| Difference {
            what,
            before: None,
            after: Some(item.clone()),
        }));
        differences.extend(was.difference(&is).map(|(what, item)| Difference {
            what,
            before: Some(item.clone()),
            after: None,
        }));
        // Counts of the footprint come last; of the same thing what is new comes first.
        differences.sort_by_key(|difference| {
            ORDER.iter().position(|what| *what == difference.what).unwrap_or(ORDER.len())
        });
        Self { file, sha256: old.sha256.clone(), equal: old.sha256 == new.sha256, differences }
    }

    /// A line for each difference.
    pub fn text(&self) -> String {
        let Self { file, sha256, equal, differences } = self;
        if *equal {
            return format!("against {file}: the same bytes\n");
        }
        // Some counts have longer names, and are the last.
        let width = ORDER.iter().map(|what| what.len()).max().unwrap_or_default();
        let mut text = format!("against {file} (sha256 {sha256})\n");
        for Difference { what, before, after } in differences {
            let (sign, value) = match (before, after) {
                (Some(before), Some(after)) => (' ', format!("{before} -> {after}")),
                (None, Some(after)) => ('+', after.clone()),
                (Some(before), None) => ('-', before.clone()),
                (None, None) => continue,
            };
            text.push_str(&format!("{sign} {what:width$}  {value}\n"));
        }
        if differences.is_empty() {
            text.push_str("  other bytes, and nothing else that can be told without running them\n");
        }
        text
    }
}

/// What differences can be about: first what a plugin can do, then what it is made of.
const ORDER: [&str; 8] =
    ["world", "can", "import", "function", "export", "made with", "size", "size in a ConfigMap"];

/// What there can be any number of.
fn items(component: &Component) -> BTreeSet<(&'static str, String)> {
    let can = component.capabilities.iter().filter(|capability| capability.possible);
    let functions = component.functions.iter().flat_map(|(interface, functions)| {
        functions.iter().map(move |function| format!("{function} of {interface}"))
    });
    let producers = component.producers.values().flatten();
    can.map(|capability| ("can", format!("{}: {}", capability.what, capability.detail)))
        .chain(component.imports.iter().map(|name| ("import", name.clone())))
        .chain(functions.map(|function| ("function", function)))
        .chain(component.exports.iter().map(|name| ("export", name.clone())))
        .chain(producers.map(|producer| ("made with", producer.clone())))
        .collect()
}

/// What there is one of: its name, its value, and how it is shown.
fn figures(component: &Component) -> Vec<(&'static str, Figure)> {
    let sizes = [("size", component.bytes), ("size in a ConfigMap", component.packed_bytes)];
    let counts = component.footprint.counts();
    let world = component.world.clone().unwrap_or_else(|| "none".to_owned());
    [("world", Figure::Text(world))]
        .into_iter()
        .chain(sizes.map(|(what, bytes)| (what, Figure::Bytes(bytes))))
        .chain(counts.into_iter().map(|(what, count)| (what, Figure::Count(count))))
        .collect()
}

#[derive(PartialEq, Eq)]
enum Figure {
    Text(String),
    Bytes(usize),
    Count(u64),
}

impl Figure {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Bytes(bytes) => format!("{bytes} bytes ({})", size(*bytes)),
            Self::Count(count) => count.to_string(),
        }
    }
}

fn changed(((what, old), (_, new)): ((&'static str, Figure), (&'static str, Figure))) -> Option<Difference> {
    (old != new).then(|| Difference { what, before: Some(old.text()), after: Some(new.text()) })
}

#[cfg(test)]
mod tests {
    use wasm_issuer_runtime::{ComponentBytes, Runtime, RuntimeConfig};

    use super::*;

    fn component(text: &str) -> Component {
        let runtime = Runtime::new(RuntimeConfig::default()).unwrap();
        let wasm = ComponentBytes::new(wat::parse_str(text).unwrap());
        Component::of(&runtime, &wasm).unwrap().unwrap()
    }

    const OLD: &str = r#"(component
        (core module (@producers (processed-by "rustc" "1.94.0")))
        (import "wasm-issuer:plugin/log@0.1.0" (instance (export "log" (func)))))"#;
    const NEW: &str = r#"(component
        (core module (@producers (processed-by "rustc" "1.95.0")))
        (core module (func))
        (import "wasm-issuer:plugin/log@0.1.0" (instance (export "log" (func))))
        (import "wasi:http/outgoing-handler@0.2.3" (instance (export "handle" (func)))))"#;

    #[test]
    fn what_is_new_what_is_gone_and_what_has_changed_is_told() {
        let compared = Comparison::of("old.wasm".to_owned(), &component(OLD), &component(NEW));
        let text = compared.text();
        for line in [
            "+ can ",
            "+ import ",
            "+ function ",
            "+ made with ",
            "- made with ",
            "  size  ",
            "  core modules ",
            "  functions ",
        ] {
            assert!(text.contains(&format!("\n{line}")), "{line}: {text}");
        }
        assert!(
            text.contains("handle of wasi:http/outgoing-handler@0.2.3\n") && text.contains("  1 -> 2\n"),
            "{text}"
        );
        assert!(!text.contains("wasm-issuer:plugin/log"), "what is the same is not told: {text}");
        let can = text.find("+ can").unwrap();
        assert!(can < text.find("+ made with").unwrap(), "what it can do comes first: {text}");
        let json = serde_json::to_value(&compared).unwrap();
        assert_eq!(json["equal"], false);
        let back = Comparison::of("new.wasm".to_owned(), &component(NEW), &component(OLD)).text();
        assert!(back.contains("\n- can ") && back.contains("\n- import "), "{back}");
    }

    #[test]
    fn the_same_component_differs_in_nothing_and_other_bytes_say_so() {
        let same = Comparison::of("a.wasm".to_owned(), &component(OLD), &component(OLD));
        assert!(same.equal && same.differences.is_empty() && same.text().ends_with("the same bytes\n"));
        let other = OLD.replace("\"log\"", "\"lag\"");
        let other = Comparison::of("a.wasm".to_owned(), &component(OLD), &component(&other));
        assert!(!other.equal && other.text().contains("\n+ function"), "{}", other.text());
    }
}
