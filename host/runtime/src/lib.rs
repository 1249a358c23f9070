//! Runs plugins: components that implement `wit/world.wit`. Knows no Kubernetes.
//!
//! A [`Runtime`] compiles components, each digest once. A [`Session`] is what one Issuer lends its plugin: the
//! configuration, the Secret behind handles, keys, a cache, limits. A call brings the two together in a fresh store that
//! is dropped when the call ends, so nothing passes from one call to the next but what the contract says.
//!
//! Nothing that a plugin returns or writes is trusted: sizes are bounded, text is cleaned, and whatever goes wrong
//! inside a plugin is a [`Breakage`], never a panic and never a blocked thread.
//!
//! A module uses only modules that stand before it here:
//!
//! | modules | what they are |
//! |---|---|
//! | `background`, `lock`, `engine`, `error`, `fair`, `fair_bytes`, `folder`, `panic`, `redact`, [`egress`] | what needs none of the others |
//! | `budget`, `code`, `memory`, `issuer_memory` | what plugins may take of the host: in their bytes, loaded, in a call, and between calls |
//! | `component`, `compile` | from bytes to machine code |
//! | `allowance`, `thread`, `turns` | who computes when processors are short |
//! | `cache`, `secret`, `verified` | what else a session holds |
//! | `rehearsal` | what a test of a plugin puts in the place of the world |
//! | `session`, `log`, `observer` | an Issuer's side of its calls, and the text of one call |
//! | `bindings`, `convert`, `imports` | the contract: its types, and the functions that a plugin may call |
//! | `state`, `diagnosis`, `link` | a call's store, which ties the imports to a session; how it ended; every import |
//! | `runtime`, `call` | plugins and their calls |

mod allowance;
mod background;
mod bindings;
mod budget;
mod cache;
mod call;
mod code;
mod compile;
mod component;
mod convert;
pub mod describe;
mod diagnosis;
pub mod egress;
mod engine;
mod error;
mod fair;
mod fair_bytes;
mod folder;
mod imports;
mod issuer_memory;
mod link;
mod lock;
mod log;
mod memory;
mod observer;
mod panic;
mod redact;
mod rehearsal;
mod runtime;
mod secret;
mod session;
mod state;
#[cfg(any(test, feature = "fixtures"))]
#[doc(hidden)]
pub mod testing;
mod thread;
mod turns;
mod verified;

#[cfg(test)]
mod tests;

pub use budget::{Budget, Footprint};
pub use code::Account;
pub use compile::{CompilerProcess, compile_for_parent};
pub use component::{ComponentBytes, Inspection};
pub use error::{Breakage, CallError, Doing, LoadError, NoIssuerMemory, Phase, RuntimeError};
pub use fair::{FairSlot, FairSlots, Owner};
pub use fair_bytes::{FairBytes, Share, Shortage};
pub use folder::Folder;
pub use issuer_memory::{IssuerMemory, IssuerShare};
pub use log::PLUGIN_RECORDS;
pub use observer::NETWORK_RECORDS;
pub use panic::redact_panics;
pub use rehearsal::{Meter, Rehearsal, Spent};
pub use runtime::{Cache, Plugin, Runtime, RuntimeConfig};
pub use secret::{Secret, SecretData};
pub use session::{CallLimits, IssuerIdentity, Session, SessionInit};
pub use turns::Turns;
