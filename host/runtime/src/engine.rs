//! The wasmtime engine: one configuration, and one thread that counts time.

use std::thread;
use std::time::Duration;

use wasmtime::{Config, Engine, Strategy, WasmBacktraceDetails};

/// How often a running plugin is looked at: it yields its thread, or is stopped when its time is over.
pub const TICK: Duration = Duration::from_millis(10);

/// The stack of a plugin's WebAssembly code.
const WASM_STACK: usize = 512 << 10;
/// The stack that a call runs on, host functions included.
const CALL_STACK: usize = 2 << 20;

/// What components are compiled for whose instructions are counted: not for an operator, as counting takes time.
pub fn counting() -> Config {
    let mut config = config();
    config.consume_fuel(true);
    config
}

/// What every other component is compiled for. A change here makes earlier compiled components unusable, which wasmtime
/// notices by itself.
pub fn config() -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(CALL_STACK)
        // What no plugin needs is off: most of wasmtime's late advisories are in there. Threads and core dumps are not
        // even built in.
        .concurrency_support(false)
        .wasm_memory64(false)
        .wasm_gc(false)
        .wasm_function_references(false)
        .wasm_exceptions(false)
        .wasm_relaxed_simd(false)
        // A memory's initial image is a file of the process, and machine code on disk. A component says in a few bytes
        // where its segments are: what is between them must not become bytes of either. Segments that are far apart are
        // copied into each instance instead. Measured for a fresh instance, with dense images, with these, and without
        // any: in-memory-ca 0.11, 0.09 and 0.11 ms, a Python component 1.4, 2.0 and 13 ms, a JavaScript one 0.2, 3.0
        // and 2.8 ms (2.9 MB of segments over 8.5 MB).
        //
        // Instances are allocated on demand. A pool saves some 10 µs of each call and has had its share of advisories:
        // memory of one instance was seen by the next.
        .memory_guaranteed_dense_image_size(0)
        // Diagnosis is a trap's name and the plugin's last line; everything else costs memory for each component.
        .generate_address_map(false)
        .native_unwind_info(false)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable);
    config
}

/// Counts time for the engine until the engine is gone. A thread of its own, because a busy executor is when it matters.
pub fn start_clock(engine: &Engine) -> std::io::Result<()> {
    let engine = engine.weak();
    thread::Builder::new().name("plugin-clock".into()).spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(TICK);
        }
    })?;
    Ok(())
}
