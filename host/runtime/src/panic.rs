//! Panics of the host within a call. What they say may hold what the call worked with, secrets too.

use std::any::Any;
use std::future::Future;
use std::panic;

use tokio::task::JoinError;
use tracing::error;

tokio::task_local! {
    static IN_CALL: ();
}

/// From now on Rust prints no panics of calls: it knows no secrets. The place is logged at once; what was said is in the
/// record of the call.
pub fn redact_panics() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info| match IN_CALL.try_with(|()| ()) {
        Ok(()) => {
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            error!(place, "the operator panicked in a call of a plugin");
        }
        Err(_) => print(info),
    }));
}

/// A call, or a part of one: panics in it are its own.
pub fn of_call<F: Future>(call: F) -> impl Future<Output = F::Output> {
    IN_CALL.scope((), call)
}

/// What the host does for a call on another thread: panics in it are the call's.
pub fn in_call<T>(work: impl FnOnce() -> T) -> T {
    IN_CALL.sync_scope((), work)
}

/// What was said when a task panicked.
pub fn said(error: JoinError) -> String {
    let Ok(payload) = error.try_into_panic() else { return "the task was cancelled".to_owned() };
    let payload: &(dyn Any + Send) = &*payload;
    let literal = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    literal.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default()
}
