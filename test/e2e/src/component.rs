//! Components made for a test: small, and another one each time where a test wants that.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

/// A plugin in text form, of which the comments CHECK, SIGN and MORE are replaced. It checks well and signs nothing.
const FIXTURE: &str = include_str!("../../../host/runtime/src/tests/fixture.wat");

/// The plugin with its parts replaced.
pub fn edited(edits: &[(&str, &str)]) -> Vec<u8> {
    let text = edits.iter().fold(FIXTURE.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    wat::parse_str(text).expect("a component")
}

/// The plugin with more in the component around it.
pub fn with(more: &str) -> Vec<u8> {
    edited(&[("(component", &format!("(component {more}"))])
}

/// One that runs these instructions in `sign`, and has bytes like no other.
pub fn signing(instructions: &str, n: usize) -> Vec<u8> {
    let number = format!(r#"(data (i32.const 4096) "{n}")"#);
    edited(&[(";; SIGN", instructions), (";; MORE", &number)])
}

/// As a ConfigMap may hold a component too large for it.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(vec![], Compression::best());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// The same component with other bytes: it has one more custom section.
pub fn unlike(wasm: &[u8], n: usize) -> Vec<u8> {
    let name = format!("n{n}");
    let length = u8::try_from(name.len()).expect("a short name");
    [wasm, &[0, length + 1, length], name.as_bytes()].concat()
}
