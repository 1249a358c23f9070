//! Compiling in a process of its own. That process is this same program, as it is with the operator, so these tests have
//! a `main` of their own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[allow(dead_code, reason = "shared with tests that need more of it")]
mod support;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{fs, thread};

use support::{component, init, request};
use wasm_issuer_runtime::testing::AGES;
use wasm_issuer_runtime::{
    Account, CompilerProcess, ComponentBytes, LoadError, Runtime, RuntimeConfig, Session, compile_for_parent,
};

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(COMPILE) {
        return compile_for_parent();
    }
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        what_another_process_compiled_runs_and_is_kept().await;
        a_compiler_takes_no_more_memory_than_it_may().await;
        compiling_has_limits().await;
    });
    // As the harness says it, for whoever adds the tests up.
    println!("test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
    ExitCode::SUCCESS
}

/// What makes this program the compiler. A filter of tests comes at the same place, so no name of a test.
const COMPILE: &str = "--compile-for-parent";
const MIB: u64 = 1 << 20;

fn account() -> Account {
    Account::tenant("team-a")
}

/// A runtime that compiles in processes of their own.
fn compiling(memory: u64, compile_timeout: Duration, cache_dir: Option<&Path>) -> Arc<Runtime> {
    let this_program = CompilerProcess::this_program(memory).unwrap();
    let compiler = Some(CompilerProcess { args: vec![COMPILE.into()], ..this_program });
    let cache_dir = cache_dir.map(Path::to_owned);
    Runtime::new(RuntimeConfig { compiler, compile_timeout, cache_dir, ..RuntimeConfig::default() }).unwrap()
}

async fn what_another_process_compiled_runs_and_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let wasm = component("in_memory_ca");
    let plugin =
        compiling(1 << 30, 10 * AGES, Some(folder.path())).load(wasm.clone(), &account()).await.unwrap();
    let session = Session::new(init(serde_json::json!({})));
    plugin.sign(&session, &request()).await.unwrap();

    // The next one finds it: it could not compile anything.
    let compiler = Some(CompilerProcess { program: "/nonexistent".into(), args: vec![], memory: 0 });
    let cache_dir = Some(folder.path().to_owned());
    let runtime = Runtime::new(RuntimeConfig { compiler, cache_dir, ..RuntimeConfig::default() }).unwrap();
    let plugin = runtime.load(wasm, &account()).await.unwrap();
    plugin.sign(&session, &request()).await.unwrap();
    let error = runtime.load(component("minimal_plugin"), &account()).await.err().unwrap();
    assert!(matches!(&error, LoadError::Compiler(why) if why.contains("/nonexistent")), "{error}");
}

/// A small component that takes gigabytes to compile: each of many variables is alive across each of many branches.
fn compile_bomb() -> ComponentBytes {
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
    let fixture = include_str!("../src/tests/fixture.wat");
    ComponentBytes::new(wat::parse_str(fixture.replace(";; MORE", &function)).unwrap())
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

async fn a_compiler_takes_no_more_memory_than_it_may() {
    let stop = Arc::new(AtomicBool::new(false));
    let watching = watch(stop.clone());
    let runtime = compiling(256 * MIB, 10 * AGES, None);
    let error = runtime.load(compile_bomb(), &account()).await.err().unwrap();
    stop.store(true, Ordering::Relaxed);
    let most = watching.join().unwrap();
    assert!(matches!(&error, LoadError::Compiler(why) if why.contains("more than 256 MiB")), "{error}");
    // It came close. Beyond its data there is the program itself.
    assert!((64 * MIB..256 * MIB + 128 * MIB).contains(&most), "{} MiB", most / MIB);
}

async fn compiling_has_limits() {
    let wasm = component("in_memory_ca");
    let limit = Duration::from_millis(1);
    let error = compiling(1 << 30, limit, None).load(wasm.clone(), &account()).await.err().unwrap();
    assert_eq!(error, LoadError::Timeout { limit });
    // Within a function's body, so that only the compiler notices.
    let mut damaged = wasm.as_slice().to_vec();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 64].fill(0xff);
    let damaged = ComponentBytes::new(damaged);
    let error = compiling(1 << 30, 10 * AGES, None).load(damaged, &account()).await.err().unwrap();
    assert!(matches!(error, LoadError::Invalid(_)), "{error}");
}
