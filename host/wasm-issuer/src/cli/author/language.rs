//! What the author of a component can do about its size, by the language that it is written in.

use super::producers::Producers;

/// What only the tools of a language name, and the advice. The first that is found counts: interpreters are made of C and Rust
/// themselves, and so is the adapter that Go needs.
const TOOLS: [(&str, &str); 5] = [
    (
        // Of componentize-py, which does not name itself.
        "component-init-transform",
        "Python: its interpreter is most of it. Push it to a registry (wasm-issuer plugin push), for a WasmClusterIssuer or \
         where the policy's maxComponent allows it; docs/python.md",
    ),
    (
        "ComponentizeJS",
        "JavaScript: its engine is most of it. Push it to a registry (wasm-issuer plugin push); docs/javascript.md",
    ),
    (
        "Go cmd/compile",
        "Go: -ldflags='-s -w' leaves out what only debuggers read, and gzip helps; docs/go.md",
    ),
    ("wit-bindgen-c", "C: -Os -flto -s and -Wl,--gc-sections make it small; docs/c.md"),
    (
        "rustc",
        "Rust: opt-level = \"s\", lto = true, panic = \"abort\" and strip = true make it small; sdk/README.md",
    ),
];

/// The language of a component that these tools made, and how to make it smaller; none where none of them is known.
pub fn advice(producers: &Producers) -> Option<&'static str> {
    let names: Vec<&String> = producers.values().flatten().collect();
    let is_named = |tool: &str| names.iter().any(|name| name.strip_prefix(tool).is_some_and(is_version));
    TOOLS.iter().find(|(tool, _)| is_named(tool)).map(|(_, advice)| *advice)
}

/// What follows the name of a tool: nothing, or its version.
fn is_version(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_told_by_its_tools_and_an_interpreter_before_what_it_is_made_of() {
        let language = |tools: &[&str]| {
            let tools = tools.iter().map(|tool| (*tool).to_owned()).collect();
            let advice = advice(&[("processed-by".to_owned(), tools)].into());
            advice.and_then(|text| text.split_once(':')).map(|(language, _)| language)
        };
        // As the components of plugins/examples have them.
        let javascript = ["ComponentizeJS 0.23.0", "clang 21.1.4", "rustc 1.88.0", "wit-bindgen-c 0.52.0"];
        assert_eq!(language(&javascript), Some("JavaScript"));
        assert_eq!(language(&["component-init-transform 0.2.0", "rustc 1.75.0"]), Some("Python"));
        assert_eq!(language(&["Go cmd/compile go1.26.8", "rustc 1.99.0"]), Some("Go"));
        assert_eq!(language(&["rustc 1.95.0", "wit-bindgen-rust 0.63.0"]), Some("Rust"));
        assert_eq!(language(&["wit-bindgen-cpp 0.62.0"]), None);
    }
}
