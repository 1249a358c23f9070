//! Which tools made a component, by its own word: the `producers` sections in it
//! (<https://github.com/WebAssembly/tool-conventions/blob/main/ProducersSection.md>). Nothing is decided by them.

use std::collections::{BTreeMap, BTreeSet};

use wasm_issuer_core::text::clean;
use wasmparser::{KnownCustom, Parser, Payload, ProducersSectionReader};

/// Names with their versions, by `language`, `processed-by` and `sdk`.
pub type Producers = BTreeMap<String, BTreeSet<String>>;

/// How many are kept of each field: every module that is in a component has a few.
const MAX: usize = 32;
/// How much of each is kept.
const MAX_TEXT: usize = 100;

/// What all sections of a component say together, those of the modules in it included. One that cannot be read says nothing.
pub fn of(wasm: &[u8]) -> Producers {
    let mut all = Producers::new();
    // Up to where it is broken, if it is.
    for payload in Parser::new(0).parse_all(wasm).map_while(Result::ok) {
        if let Payload::CustomSection(section) = payload
            && let KnownCustom::Producers(section) = section.as_known()
        {
            add(&mut all, section);
        }
    }
    all
}

fn add(all: &mut Producers, section: ProducersSectionReader<'_>) {
    for field in section.into_iter().map_while(Result::ok) {
        let known = all.entry(field.name.to_owned()).or_default();
        for value in field.values.into_iter().map_while(Result::ok) {
            if known.len() < MAX {
                known.insert(clean(format!("{} {}", value.name, value.version).trim(), MAX_TEXT));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(producers: &str) -> Vec<u8> {
        let text = format!("(component (core module {producers}) (core module {producers}))");
        wat::parse_str(text).unwrap()
    }

    #[test]
    fn the_tools_of_all_modules_are_named_once() {
        let producers =
            r#"(@producers (language "Rust" "") (processed-by "rustc" "1.95.0") (processed-by "x" "1"))"#;
        let of = of(&component(producers));
        let listed = |field: &str| of[field].iter().cloned().collect::<Vec<_>>();
        assert_eq!(listed("language"), ["Rust"]);
        assert_eq!(listed("processed-by"), ["rustc 1.95.0", "x 1"]);
    }

    #[test]
    fn what_a_component_says_of_itself_is_bounded_and_cleaned() {
        let values: String =
            (0..100).map(|n| format!("(sdk \"\\1b[31m{n}{}\" \"\")", "x".repeat(1000))).collect();
        let of = of(&component(&format!("(@producers {values})")));
        assert_eq!(of["sdk"].len(), MAX);
        assert!(of["sdk"].iter().all(|sdk| sdk.len() <= MAX_TEXT && !sdk.contains('\u{1b}')), "{of:?}");
        let broken = wat::parse_str(r#"(component (@custom "producers" "\ff\ff\ff"))"#).unwrap();
        assert_eq!((super::of(&broken), super::of(b"text")), (Producers::new(), Producers::new()));
    }
}
