//! What the operator's tests stand on: an API server in memory and scripted plugins. No network, no WebAssembly, and the
//! clock is tokio's paused one, so that ten minutes pass in no time.
//!
//! The API server is a small working one rather than a list of expected calls: a test says what goes wrong and what must
//! be true in the end, not which calls lead there, and stays true when the operator finds a better way.

mod api_server;
mod audit;
mod certificates;
mod http;
mod issuers;
mod line;
pub mod log;
mod objects;
mod plugin;
mod registry;
mod replica;
mod rights;
mod store;

pub use api_server::{Call, Fault, ScriptedApi};
pub use audit::Paper;
pub use certificates::ANOTHER_CA;
pub use issuers::{settings, start_issuers};
pub use objects::{
    NAMESPACE, Object, SIGNING_REQUESTS, config_map, issuer, request, secret, signing_request,
};
pub use plugin::{Answer, ScriptedLoader, ScriptedSigner};
pub use registry::{INSIDE, Mood, ScriptedRegistry};
pub use replica::{Replica, Setup};
pub use rights::{Right, Rights};
