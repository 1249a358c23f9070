#![doc = include_str!("../README.md")]

#[doc(hidden)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "described-plugin",
        pub_export_macro: true,
        default_bindings_module: "wasm_issuer_sdk::bindings",
        additional_derives: [PartialEq],
    });
}

pub mod cache;
#[cfg(feature = "http")]
pub mod http;
pub mod jws;
pub mod keys;
pub mod log;
pub mod pem;
#[cfg(feature = "rcgen")]
pub mod rcgen;
pub mod secrets;

mod alt_name;
mod authority;
mod builder;
mod csr;
mod describe;
mod failure;
mod name;
mod panic;
mod parsed;
mod path;
mod plugin;
mod usages;

// The tests' support knows this crate by its name.
#[cfg(test)]
extern crate self as wasm_issuer_sdk;
#[cfg(test)]
#[path = "../tests/support/mod.rs"]
mod support;

pub use alt_name::AltName;
pub use authority::{Authority, common_name};
#[doc(inline)]
pub use bindings::exports::wasm_issuer::plugin::description::Place;
#[doc(inline)]
pub use bindings::wasm_issuer::plugin::types::{
    Certificate, CertificateRequest as Request, Condition, ConditionStatus, Failure, FailureKind, Pending,
    Requester,
};
pub use builder::CertificateBuilder;
pub use csr::Csr;
pub use der;
#[doc(hidden)]
pub use describe::About;
pub use describe::Needs;
pub use keys::{Algorithm, HostKey, JwsAlgorithm, Signer};
pub use parsed::ParsedCertificate;
#[doc(hidden)]
pub use plugin::Component;
pub use plugin::{Issuer, Plugin};
pub use schemars;
pub use usages::Usages;
pub use x509_cert;

/// Exports a [`Plugin`] as the component's interfaces: `signer`, and `description` with the name, the version and the
/// description of the crate, the schema of the configuration and what the plugin needs. Once a component, at the top level
/// of its crate.
///
/// Elsewhere than in WebAssembly it exports nothing: native linkers do not take the names.
#[macro_export]
macro_rules! export {
    ($plugin:ty) => {
        const _: () = {
            struct Crate;
            impl $crate::About for Crate {
                const NAME: &'static str = env!("CARGO_PKG_NAME");
                const VERSION: &'static str = env!("CARGO_PKG_VERSION");
                const SUMMARY: &'static str = env!("CARGO_PKG_DESCRIPTION");
            }
            type Component = $crate::Component<$plugin, Crate>;
            const _: Option<Component> = None;
            #[cfg(target_family = "wasm")]
    $crate::bindings::export!(Component with_types_in $crate::bindings);
        };
    };
}
