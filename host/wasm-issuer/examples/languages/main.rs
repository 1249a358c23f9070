//! What one plugin costs, of those that get certificates from CFSSL: its size, what compiling it takes, and its calls.
//! `make bench-languages` runs it for each language; it prints one JSON document.
//!
//!     languages WASM-ISSUER COMPONENT

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark may end at once when it cannot measure"
)]

mod calls;
#[path = "../support/cfssl.rs"]
mod cfssl;
mod compile;
// The sessions and requests of the runtime's own tests.
#[path = "../../../runtime/tests/support/mod.rs"]
#[expect(dead_code, reason = "some of it is for plugins of the workspace")]
mod support;

use std::io::Write;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use wasm_issuer_runtime::ComponentBytes;

// On one thread: with several each call would wake one of them, and be waited for.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let program = args.next().expect("the operator's binary, which compiles");
    let wasm = std::fs::read(args.next().expect("a component")).expect("a component's file");
    let mut packed = GzEncoder::new(vec![], Compression::best());
    packed.write_all(&wasm).expect("memory");
    let (bytes, packed) = (wasm.len(), packed.finish().expect("memory").len());

    let (plugin, compiled) = compile::measure(&program, ComponentBytes::new(wasm)).await;
    let calls = calls::measure(&plugin).await;
    println!(
        "{}",
        json!({
            "bytes": bytes,
            "packedBytes": packed,
            "compileSeconds": compiled.seconds,
            "compileBytes": compiled.bytes,
            "instantiateSeconds": calls.instantiate,
            "checkSeconds": calls.check,
            "signSeconds": calls.sign,
            "callBytes": calls.memory,
        })
    );
}
