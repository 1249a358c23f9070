//! Every public item has an example. rustdoc has a lint for that, which is not stable.
#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use std::path::{Path, PathBuf};

/// Modules that nobody sees from outside.
const PRIVATE: [&str; 2] = ["panic.rs", "http/url.rs"];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

/// The public items of a file whose documentation has no code.
fn without_example(text: &str) -> Vec<&str> {
    const ITEMS: [&str; 5] = ["pub fn ", "pub struct ", "pub enum ", "pub trait ", "macro_rules! "];
    let (mut documentation, mut found) = (String::new(), Vec::new());
    for line in text.lines().map(str::trim) {
        if line.starts_with("///") || line.starts_with("#[") {
            documentation.push_str(line);
        } else {
            let is_bare = !documentation.contains("doc(hidden)") && !documentation.contains("```");
            if is_bare && ITEMS.iter().any(|item| line.starts_with(item)) {
                found.push(line);
            }
            documentation.clear();
        }
    }
    found
}

#[test]
fn every_public_item_has_an_example() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut seen = 0;
    for path in sources(&folder) {
        if PRIVATE.iter().any(|private| path == folder.join(private)) {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        seen += text.matches("```").count();
        assert_eq!(without_example(&text), [""; 0], "{}", path.display());
    }
    assert!(seen > 100, "{seen} are too few: where is the source?");
}

#[test]
fn an_item_without_an_example_is_found() {
    let text = "/// A.\npub fn a() {}\n/// B.\n///\n/// ```\n/// b();\n/// ```\n#[must_use]\npub fn b() {}\n    pub struct C;\n";
    assert_eq!(without_example(text), ["pub fn a() {}", "pub struct C;"]);
}
