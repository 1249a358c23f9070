//! What a plugin imports: each module is one interface of the contract, or WASI's, in front of what the host does.

pub mod cache;
pub mod http;
pub mod keys;
pub mod log;
pub mod secrets;
