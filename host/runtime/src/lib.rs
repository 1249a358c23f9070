//! Runs plugins: components that implement `wit/world.wit`. Knows no Kubernetes.
//!
//! A [`Runtime`] compiles components, each digest once. A [`Session`] is what one Issuer lends its plugin: the
//! configuration, the Secret behind handles, keys, a cache, limits. A call brings the two together in a fresh store that
//! is dropped when the call ends, so nothing passes from one call to the next but what the contract says.
//!
//! Nothing that a plugin returns or writes is trusted: sizes are bounded, text is cleaned, and whatever goes wrong
//! inside a plugin is a [`Breakage`], never a panic and never a blocked thread.

mod bindings;
mod budget;
mod call;
mod code;
mod compile;
mod convert;
pub mod egress;
mod engine;
mod error;
mod imports;
mod limits;
mod link;
mod load;
mod redact;
mod runtime;
mod session;
mod state;
mod turns;

#[cfg(test)]
mod tests;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use budget::{Budget, Footprint};
pub use compile::{CompilerProcess, compile_for_parent};
pub use error::{Breakage, CallError, LoadError, Phase, RuntimeError};
pub use load::Inspection;
pub use runtime::{Account, Plugin, Runtime, RuntimeConfig};
pub use session::{AuthSecret, IssuerIdentity, Limits, Session, SessionInit};

/// A panic while a lock was held is no reason for the next one: every guarded value here is valid after each step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
