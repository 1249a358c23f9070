//! What an instance that is admitted costs the host. Where the process itself is measured, the test runs once more in a
//! process of its own.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use wasmtime::Store;

use super::*;
use crate::Phase;
use crate::bindings::{IssuerPlugin, IssuerPluginPre};
use crate::log::{CallLog, CallName};
use crate::state::CallState;

fn image_files() -> usize {
    let links = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = links.filter_map(|link| std::fs::read_link(link.unwrap().path()).ok());
    targets.filter(|target| target.to_string_lossy().contains("wasm-memory-image")).count()
}

#[test]
fn a_plugin_costs_no_more_files_than_its_images() {
    alone("admission::cost::files_of_images");
}

#[tokio::test]
#[ignore = "counts the files of its process"]
async fn files_of_images() {
    let runtime = runtime();
    let images = |n| with(&r#"(core module (memory 1) (data (i32.const 0) "x"))"#.repeat(n));
    let bound = usize::try_from(Budget::TENANT.footprint.images).unwrap();
    let plugin = runtime.load(images(bound), &account()).await.unwrap();
    assert_eq!(image_files(), bound);
    assert!(runtime.load(images(bound + 1), &account()).await.is_err());
    drop(plugin);
    assert_eq!(image_files(), 0);
}

/// What makes an instance expensive, as often as `n`.
fn kinds() -> HashMap<&'static str, fn(usize) -> String> {
    HashMap::from([
        (
            "globals",
            (|n| {
                format!(
                    "(core module $m {}) (core instance (instantiate $m))",
                    "(global (mut i64) (i64.const 1))".repeat(n)
                )
            }) as fn(usize) -> String,
        ),
        ("functions", |n| {
            let exports: String = (0..n).map(|i| format!("(func (export \"{i}\"))")).collect();
            format!("(core module $m {exports}) (core instance (instantiate $m))")
        }),
        ("passive elements", |n| {
            format!(
                "(core module $m (func $f) (elem func {})) (core instance (instantiate $m))",
                "$f ".repeat(n)
            )
        }),
        ("instances", |n| format!("(core module $m) {}", "(core instance (instantiate $m))".repeat(n))),
        ("memories", |n| {
            format!("(core module $m (memory 0)) {}", "(core instance (instantiate $m))".repeat(n))
        }),
        ("tables", |n| {
            format!("(core module $m (table 0 funcref)) {}", "(core instance (instantiate $m))".repeat(n))
        }),
        // Onto a memory from elsewhere, so that no image spares the work.
        ("data", |n| {
            let data = "x".repeat(n);
            format!(
                r#"(core module $of (memory (export "m") 32)) (core instance $i (instantiate $of))
                   (core module $m (import "i" "m" (memory 32)) (data (i32.const 0) "{data}")) {}"#,
                r#"(core instance (instantiate $m (with "i" (instance $i))))"#.repeat(60)
            )
        }),
    ])
}

/// The largest component of a kind that is within a budget.
fn largest(runtime: &Runtime, budget: &Budget, kind: fn(usize) -> String) -> (usize, ComponentBytes) {
    let fits = |n: usize| runtime.inspect(&with(&kind(n)), budget).is_ok();
    let mut over = 1;
    while fits(over) {
        over *= 2;
    }
    let mut within = over / 2;
    while over - within > 1 {
        let middle = (over + within) / 2;
        if fits(middle) { within = middle } else { over = middle }
    }
    (within, with(&kind(within)))
}

/// A store as for a call.
fn store(runtime: &Runtime) -> Store<CallState> {
    let session = session(CallLimits::default());
    let log = CallLog::new(session.clone(), CallName::Check);
    let (engine, memory, turns) = (&runtime.engine, runtime.memory.clone(), runtime.turns.clone());
    let mut store = CallState::store(engine, session, log, memory, &runtime.egress, turns);
    store.data_mut().clock.start(Phase::Start, Duration::from_secs(600));
    store
}

/// As a call does it: a turn that it takes ends with it.
async fn instantiate(pre: &IssuerPluginPre<CallState>, store: &mut Store<CallState>) -> IssuerPlugin {
    let thread = store.data().turns.thread.clone();
    thread.count(pre.instantiate_async(store)).await.unwrap()
}

#[test]
fn the_heaviest_instance_that_is_admitted_costs_the_host_what_the_budget_says() {
    alone("admission::cost::heaviest_instances");
}

#[tokio::test]
#[ignore = "measures its process"]
async fn heaviest_instances() {
    const COPIES: usize = 64;
    let runtime = runtime();
    let budget = Budget::TENANT;
    for (name, kind) in kinds() {
        let (n, wasm) = largest(&runtime, &budget, kind);
        let footprint = runtime.inspect(&wasm, &budget).unwrap().footprint;
        let claimed = footprint.instance_bytes;
        let plugin = runtime.load(wasm, &Account { budget, ..account() }).await.unwrap();
        let mut held = Vec::new();
        let mut before = 0;
        for copy in 0..=COPIES {
            let mut store = store(&runtime);
            let started = Instant::now();
            let instance = instantiate(&plugin.linked.plugin, &mut store).await;
            let took = started.elapsed();
            held.push((store, instance));
            if copy == 0 {
                println!("{name}: {n}, claims {claimed} bytes, started in {took:?}");
                before = status("VmRSS:");
            }
        }
        let each = status("VmRSS:").saturating_sub(before) / COPIES;
        println!("{name}: {each} bytes each");
        // The store has some, too, and what is written is the plugin's own memory.
        let bound = claimed + footprint.start_bytes + (64 << 10);
        assert!(each as u64 <= bound, "{name}: {each} bytes each, {claimed} claimed");
    }
}

/// Prints what components of other languages ask for: WASM_ISSUER_MEASURE names them, separated by colons.
#[test]
#[ignore = "for the numbers in the budget's documentation"]
fn print_footprints() {
    let paths = std::env::var("WASM_ISSUER_MEASURE").unwrap();
    for path in paths.split(':') {
        let wasm = ComponentBytes::new(std::fs::read(path).unwrap());
        let started = Instant::now();
        let inspection = runtime().inspect(&wasm, &boundless().budget).unwrap();
        println!(
            "{path}: {} bytes, in {:?}: {:#?}",
            wasm.as_slice().len(),
            started.elapsed(),
            inspection.footprint
        );
        let started = Instant::now();
        let artifact = runtime().engine.precompile_component(wasm.as_slice()).unwrap();
        println!("{path}: compiled to {} bytes in {:?}", artifact.len(), started.elapsed());
    }
}

/// Prints what a fresh instance and a check cost with images and without: WASM_ISSUER_MEASURE names the components.
#[tokio::test]
#[ignore = "for the reason of the engine's configuration"]
async fn print_instances() {
    for path in std::env::var("WASM_ISSUER_MEASURE").unwrap().split(':') {
        let wasm = std::fs::read(path).unwrap();
        for (name, cow, dense) in [("dense", true, 16 << 20), ("no denser", true, 0), ("none", false, 0)] {
            let mut config = crate::engine::config();
            config.memory_init_cow(cow).memory_guaranteed_dense_image_size(dense);
            let engine = wasmtime::Engine::new(&config).unwrap();
            let linker = crate::link::linker(&engine).unwrap();
            let component = wasmtime::component::Component::new(&engine, &wasm).unwrap();
            component.initialize_copy_on_write_image().unwrap();
            let pre = crate::link::link(&linker, &component).unwrap().plugin;
            crate::engine::start_clock(&engine).unwrap();
            let mut other = Runtime::new(RuntimeConfig::default()).unwrap();
            Arc::get_mut(&mut other).unwrap().engine = engine;
            let issuer = crate::convert::issuer(&session(CallLimits::default()));
            let (mut start, mut check) = (vec![], vec![]);
            for _ in 0..200 {
                let mut store = store(&other);
                let began = Instant::now();
                let instance = instantiate(&pre, &mut store).await;
                start.push(began.elapsed());
                let signer = instance.wasm_issuer_plugin_signer();
                drop(signer.call_check(&mut store, &issuer).await.unwrap());
                drop(store);
                check.push(began.elapsed());
            }
            start.sort();
            check.sort();
            println!("{path}: images {name}: start {:?}, with check {:?}", start[100], check[100]);
        }
    }
}
