//! What a plugin imports. Each module is one interface: a view of what it needs of a call, the interface's functions for
//! that view, and how to add them to a linker. None knows what else there is in a call.

pub mod cache;
pub mod certificates;
pub mod http;
pub mod keys;
pub mod log;
pub mod secrets;
