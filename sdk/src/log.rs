//! Log records. The operator adds which Issuer and request they belong to.
//!
//! What a plugin prints to stdout and stderr becomes records too.

#[doc(inline)]
pub use crate::bindings::wasm_issuer::plugin::log::Level;

/// For the plugin's author.
pub fn debug(message: impl AsRef<str>) {
    write(Level::Debug, message.as_ref());
}

/// For whoever runs the plugin.
pub fn info(message: impl AsRef<str>) {
    write(Level::Info, message.as_ref());
}

/// For whoever runs the plugin: something is odd, and the call goes on.
pub fn warn(message: impl AsRef<str>) {
    write(Level::Warn, message.as_ref());
}

/// For whoever runs the plugin: something is wrong. What fails the call belongs into its failure.
pub fn error(message: impl AsRef<str>) {
    write(Level::Error, message.as_ref());
}

/// Outside a component, in a plugin's own unit tests, records go to stderr.
fn write(level: Level, message: &str) {
    if cfg!(target_family = "wasm") {
        crate::bindings::wasm_issuer::plugin::log::log(level, message);
    } else {
        eprintln!("{level:?}: {message}");
    }
}
