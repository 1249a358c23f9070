//! `make bench-load`: how long a start takes to load fifty different plugins, with an empty cache folder and with a warm
//! one. Prints both; fails on nothing.
//!
//!     warm-start WASM-ISSUER PLUGIN.WASM

#![allow(clippy::expect_used, reason = "a benchmark may end at once when it cannot measure")]

use std::path::PathBuf;
use std::time::Instant;

use wasm_issuer_runtime::{Account, CompilerProcess, ComponentBytes, Runtime, RuntimeConfig};

const PLUGINS: u8 = 50;

#[tokio::main]
async fn main() {
    let mut args = std::env::args_os().skip(1);
    let program = PathBuf::from(args.next().expect("the operator's binary, which compiles"));
    let wasm = std::fs::read(args.next().expect("a component")).expect("a component's file");
    let folder = tempfile::tempdir().expect("a folder");
    for state in ["empty", "warm"] {
        let runtime = Runtime::new(RuntimeConfig {
            cache_dir: Some(folder.path().to_owned()),
            compiler: Some(CompilerProcess {
                program: program.clone(),
                args: vec!["compile".into()],
                memory: 768 << 20,
            }),
            ..RuntimeConfig::default()
        })
        .expect("a runtime");
        let began = Instant::now();
        let mut loaded = Vec::new();
        for n in 0..PLUGINS {
            // A custom section of its own makes it another component to everything that counts.
            let other = [wasm.as_slice(), &[0, 3, 1, b'n', n]].concat();
            let other = ComponentBytes::new(other);
            loaded.push(runtime.load(other, &Account::administrators()).await.expect("a plugin"));
        }
        let took = began.elapsed().as_secs_f64();
        println!("{state} cache: {PLUGINS} plugins of {} KiB in {took:.2} s", wasm.len() >> 10);
    }
}
