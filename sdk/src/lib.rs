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
/// ```
/// use wasm_issuer_sdk::Place;
///
/// let url = Place::Config("/url".into());
/// assert_ne!(url, Place::Fixed("https://ca.example.com".into()));
/// ```
#[doc(inline)]
pub use bindings::exports::wasm_issuer::plugin::description::Place;
/// ```
/// use wasm_issuer_sdk::{Certificate, pem};
///
/// let (leaf, intermediate, root) = ([1u8, 2, 3], [4u8, 5, 6], [7u8, 8, 9]);
/// let chain = pem::encode_certificates([leaf, intermediate]);
/// let certificate = Certificate { chain, ca: Some(pem::encode_certificates([root])) };
/// ```
#[doc(inline)]
pub use bindings::wasm_issuer::plugin::types::Certificate;
/// ```no_run
/// use wasm_issuer_sdk::{Failure, Request};
///
/// /// Only what the namespace of the request stands for.
/// fn judge(request: &Request) -> Result<(), Failure> {
///     match request.namespace.as_deref() {
///         Some("team-a") => Ok(()),
///         _ => Err(Failure::permanent("this CA is for the namespace team-a")),
///     }
/// }
/// ```
#[doc(inline)]
pub use bindings::wasm_issuer::plugin::types::CertificateRequest as Request;
/// ```no_run
/// # use wasm_issuer_sdk::Request;
/// fn asked_by(request: &Request) -> &str {
///     &request.requester.username
/// }
/// ```
#[doc(inline)]
pub use bindings::wasm_issuer::plugin::types::Requester;
/// ```
/// use wasm_issuer_sdk::{Condition, ConditionStatus, Failure};
///
/// let failure = Failure::pending("an approval is missing")
///     .with_condition("AwaitingApproval", ConditionStatus::TrueStatus, "Manual");
/// let (type_, reason) = ("AwaitingApproval".to_owned(), "Manual".to_owned());
/// assert_eq!(failure.condition, Some(Condition { type_, status: ConditionStatus::TrueStatus, reason }));
/// ```
#[doc(inline)]
pub use bindings::wasm_issuer::plugin::types::{Condition, ConditionStatus};
/// ```
/// use wasm_issuer_sdk::{Failure, FailureKind, Pending};
///
/// let failure: Failure = Failure::pending("ordered").resume("order-7").poll_after(30);
/// let pending = Pending { resume: Some("order-7".into()), poll_after_seconds: Some(30) };
/// assert_eq!(failure.kind, FailureKind::Pending(pending));
/// ```
#[doc(inline)]
pub use bindings::wasm_issuer::plugin::types::{Failure, FailureKind, Pending};
pub use builder::CertificateBuilder;
pub use csr::Csr;
pub use der;
#[doc(hidden)]
pub use describe::About;
pub use describe::{Needs, config_schema};
pub use keys::{Algorithm, HostKey, JwsAlgorithm, Signer};
pub use parsed::ParsedCertificate;
#[doc(hidden)]
pub use plugin::Component;
pub use plugin::{Issuer, Plugin};
pub use schemars;
pub use usages::{Usages, is_key_usage};
pub use x509_cert;

/// Exports a [`Plugin`] as the component's interfaces: `signer`, and `description` with the name, the version and the
/// description of the crate, the schema of the configuration and what the plugin needs. Once a component, at the top level
/// of its crate.
///
/// Elsewhere than in WebAssembly it exports nothing: native linkers do not take the names.
///
/// ```
/// use wasm_issuer_sdk::schemars::{self, JsonSchema};
/// use wasm_issuer_sdk::{Certificate, Failure, Issuer, Plugin, Request};
///
/// #[derive(serde::Deserialize, JsonSchema)]
/// struct Config {}
///
/// struct Nobody;
///
/// impl Plugin for Nobody {
///     type Config = Config;
///
///     fn check(_: &Issuer<Config>) -> Result<(), Failure> {
///         Err(Failure::issuer("this CA signs nothing"))
///     }
///
///     fn sign(_: &Issuer<Config>, _: &Request) -> Result<Certificate, Failure> {
///         Err(Failure::permanent("this CA signs nothing"))
///     }
/// }
///
/// wasm_issuer_sdk::export!(Nobody);
/// # fn main() {}
/// ```
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
