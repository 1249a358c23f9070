//! What compiling takes from the machine. Alone in its process: it looks at all of its children.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{fs, thread};

use wasm_issuer_runtime::{Account, CompilerProcess, LoadError, Runtime, RuntimeConfig};

const MIB: u64 = 1 << 20;

/// A small component that takes gigabytes to compile: each of many variables is alive across each of many branches.
fn compile_bomb() -> Vec<u8> {
    let (variables, branches) = (10_000, 3_000);
    let mut function = format!("(func (param i32) (result i64) (local {})", "i64 ".repeat(variables));
    for i in 0..branches {
        let (to, from) = (1 + i * 7919 % variables, 1 + i * 104_729 % variables);
        function += "(block (br_if 0 (local.get 0))";
        function += &format!("(local.set {to} (i64.add (local.get {from}) (i64.load (local.get 0)))))");
    }
    function += "(i64.const 0)";
    (1..=variables).for_each(|i| function += &format!(" local.get {i} i64.add"));
    function += ")";
    let fixture = include_str!("../../runtime/src/tests/fixture.wat");
    wat::parse_str(fixture.replace(";; MORE", &function)).unwrap()
}

/// The most memory in bytes that a child of this process has held.
fn peak() -> u64 {
    let mut peak = 0;
    for task in fs::read_dir("/proc/self/task").unwrap() {
        let children = fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default();
        for child in children.split_whitespace() {
            let status = fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
            let digits = line.trim_matches(|c: char| !c.is_ascii_digit());
            peak = peak.max(digits.parse::<u64>().unwrap_or(0) << 10);
        }
    }
    peak
}

/// Looks at the children until it is told to stop.
fn watch(stop: Arc<AtomicBool>) -> thread::JoinHandle<u64> {
    thread::spawn(move || {
        let mut most = 0;
        while !stop.load(Ordering::Relaxed) {
            most = most.max(peak());
            thread::sleep(Duration::from_millis(2));
        }
        most
    })
}

#[tokio::test]
async fn a_compiler_takes_no_more_memory_than_it_may() {
    let program = env!("CARGO_BIN_EXE_wasm-issuer").into();
    let compiler = Some(CompilerProcess { program, args: vec!["compile".into()], memory: 256 * MIB });
    let compile_timeout = Duration::from_secs(600);
    let config = RuntimeConfig { compiler, compile_timeout, ..RuntimeConfig::default() };
    let stop = Arc::new(AtomicBool::new(false));
    let watching = watch(stop.clone());
    let error =
        Runtime::new(config).unwrap().load(compile_bomb(), &Account::tenant("team-a")).await.err().unwrap();
    stop.store(true, Ordering::Relaxed);
    let most = watching.join().unwrap();
    assert!(matches!(&error, LoadError::Compiler(why) if why.contains("more than 256 MiB")), "{error}");
    // It came close. Beyond its data there is the program itself.
    assert!((64 * MIB..256 * MIB + 128 * MIB).contains(&most), "{} MiB", most / MIB);
}
