//! The types that users see: `WasmIssuer`, `WasmClusterIssuer`, and the part of cert-manager's API that an issuer meets.
//!
//! The doc comments on the Issuer's fields are its documentation: they become the CRD's descriptions, which
//! `kubectl explain wasmissuer.spec` prints. Everything that the API server can reject is rejected there, by the
//! schema's patterns, limits and CEL rules. The Rust types reject it once more while they are deserialised, because
//! a cluster may still run an older CRD.

/// Serialises a type as the string that its `Display` writes and its `FromStr` reads.
macro_rules! string_serde {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub mod cert_manager;
pub mod config;
pub mod crds;
pub mod duration;
pub mod issuer;
pub mod kind;
pub mod name;
pub mod plugin;
pub mod quantity;
pub mod ranges;
pub mod reference;
pub mod signer_name;
pub mod spec;

pub use config::PluginConfig;
pub use duration::GoDuration;
pub use issuer::{
    IssuerObject, IssuerStatus, PluginStatus, WasmClusterIssuer, WasmClusterIssuerSpec, WasmIssuer,
    WasmIssuerSpec,
};
pub use kind::{IssuerKey, IssuerKind, UnknownKind};
pub use name::{ObjectName, is_data_key};
pub use plugin::{
    ConfigMapSource, ImageSource, NotOneSource, PinMismatch, PluginSource, PluginSpec, ReferenceError,
};
pub use quantity::Quantity;
pub use spec::{HttpSpec, IssuerSpec, LimitsSpec, RetrySpec, SecretsSpec, VerificationSpec};

/// The API version of the Issuer kinds.
pub const VERSION: &str = "v1alpha1";

#[cfg(test)]
mod schema_tests;
