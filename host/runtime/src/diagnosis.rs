//! What it means that wasmtime broke a call off.

use wasm_issuer_core::text::clean;
use wasmtime::Trap;
use wasmtime::component::ResourceTableError;
use wasmtime_wasi::I32Exit;

use super::error::{Breakage, Doing};
use super::memory::Refusal;
use super::state::CallState;

/// What wasmtime's error means, in a call that left this state behind.
pub fn breakage(error: &wasmtime::Error, state: &CallState) -> Breakage {
    let trap = error.downcast_ref::<Trap>();
    if state.clock.expired || trap == Some(&Trap::Interrupt) {
        return timed_out(state, true);
    }
    if trap == Some(&Trap::StackOverflow) {
        return Breakage::StackOverflow;
    }
    // What a program does that gets no memory differs by language: it aborts, exits or touches address 0.
    match state.memory.refusal() {
        Some(Refusal::Call) => return Breakage::MemoryLimit { limit: state.session.limits.memory },
        Some(Refusal::Process) => return Breakage::MemoryExhausted { limit: state.memory.pool_limit() },
        None => {}
    }
    if let Some(I32Exit(code)) = error.downcast_ref() {
        return Breakage::Exited { code: *code, last_lines: state.log.last_lines() };
    }
    // wasmtime has types of its own for these, but keeps them private.
    let words = format!("{error:#}");
    if words.contains("handle limit exceeded")
        || matches!(error.downcast_ref(), Some(ResourceTableError::Full))
    {
        return Breakage::HandleLimit;
    }
    if words.contains("fuel allocated for hostcalls has been exhausted") {
        return Breakage::TransferLimit;
    }
    let trap = trap.map_or_else(|| error.root_cause().to_string(), Trap::to_string);
    let trap = trap.strip_prefix("wasm trap: ").unwrap_or(&trap);
    Breakage::Trapped { trap: clean(trap, 512), last_lines: state.log.last_lines() }
}

/// The current phase took longer than it may. `computing` says whether the plugin did not wait for something.
pub fn timed_out(state: &CallState, computing: bool) -> Breakage {
    let waits = state.waits();
    // An answer that is late is told to the plugin in the last moment, and what it does about that is no use any more.
    let doing = match waits.late() {
        Some(wait) => Doing::WaitingFor(wait),
        None if computing => Doing::Computing,
        None => waits.now().map_or(Doing::Waiting, Doing::WaitingFor),
    };
    let last_lines = state.log.last_lines();
    Breakage::TimedOut { phase: state.clock.phase, limit: state.clock.limit, doing, last_lines }
}
