//! `make bench-languages`: what plugins in several languages cost, as a table and a picture in docs/.
//!
//!     languages EXAMPLE WASM-ISSUER LANGUAGE=COMPONENT...

#![allow(clippy::expect_used, clippy::panic, reason = "a benchmark may end at once when it cannot measure")]

use std::path::PathBuf;

use wasm_issuer_bench::languages::{markdown, measure, svg};
use wasm_issuer_bench::table::inserted;

fn main() {
    let mut args = std::env::args_os().skip(1);
    let mut program = || PathBuf::from(args.next().expect("see the first lines of this file"));
    let (example, operator) = (program(), program());
    let all: Vec<_> = args
        .map(|arg| {
            let arg = arg.into_string().expect("UTF-8");
            let (language, component) = arg.split_once('=').expect("LANGUAGE=COMPONENT");
            measure(&example, &operator, language, component.as_ref())
        })
        .collect();
    let docs = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs"));
    let page = docs.join("languages.md");
    let text = std::fs::read_to_string(&page).expect("docs/languages.md");
    let text = inserted(&text, "make bench-languages", &markdown(&all)).expect("a place for the table");
    std::fs::write(page, text).expect("docs/languages.md");
    std::fs::write(docs.join("languages.svg"), svg(&all)).expect("docs/languages.svg");
    println!("{}", markdown(&all));
}
