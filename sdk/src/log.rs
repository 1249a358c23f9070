//! Log records. The operator adds which Issuer and request they belong to.
//!
//! What a plugin prints to stdout and stderr becomes records too.

/// ```
/// use wasm_issuer_sdk::log::Level;
///
/// assert_ne!(Level::Debug, Level::Error);
/// ```
#[doc(inline)]
pub use crate::bindings::wasm_issuer::plugin::log::Level;

/// For the plugin's author.
///
/// ```no_run
/// use wasm_issuer_sdk::log;
///
/// log::debug("the order is 7");
/// ```
pub fn debug(message: impl AsRef<str>) {
    write(Level::Debug, message.as_ref());
}

/// For whoever runs the plugin.
///
/// ```no_run
/// use wasm_issuer_sdk::log;
///
/// log::info("the CA has another root now");
/// ```
pub fn info(message: impl AsRef<str>) {
    write(Level::Info, message.as_ref());
}

/// For whoever runs the plugin: something is odd, and the call goes on.
///
/// ```no_run
/// use wasm_issuer_sdk::log;
///
/// log::warn("the CA answered only at the second try");
/// ```
pub fn warn(message: impl AsRef<str>) {
    write(Level::Warn, message.as_ref());
}

/// For whoever runs the plugin: something is wrong. What fails the call belongs into its failure.
///
/// ```no_run
/// use wasm_issuer_sdk::log;
///
/// log::error("the CA's clock is an hour behind");
/// ```
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
