//! What a plugin says of itself.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;

use crate::Place;
use crate::bindings::exports::wasm_issuer::plugin::description::{Description, SecretKey, Server};

/// Which crate a plugin is; [`export!`](crate::export) knows.
#[doc(hidden)]
pub trait About {
    const NAME: &'static str;
    const VERSION: &'static str;
    const SUMMARY: &'static str;
}

/// What a plugin wants granted: the servers that it calls and the keys of the Secret that it uses.
///
/// ```
/// use wasm_issuer_sdk::Needs;
///
/// Needs::new()
///     .server_at("/url", "the CA's API")
///     .secret_key("token", "the API token")
///     .optional_secret_key("ca.crt", "the CA's root");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Needs {
    servers: Vec<Server>,
    secret_keys: Vec<SecretKey>,
}

impl Needs {
    /// Nothing.
    ///
    /// ```
    /// # use wasm_issuer_sdk::Needs;
    /// assert_eq!(Needs::new(), Needs::default());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// A server that is the same for all Issuers, by a URL of it.
    ///
    /// ```
    /// # use wasm_issuer_sdk::Needs;
    /// Needs::new().server("https://ca.example.com", "the CA's API");
    /// ```
    pub fn server(self, url: &str, purpose: &str) -> Self {
        self.a_server(Place::Fixed(url.to_owned()), purpose)
    }

    /// A server whose URL stands in `spec.config`, at this JSON Pointer (RFC 6901): `/url`.
    ///
    /// ```
    /// # use wasm_issuer_sdk::Needs;
    /// Needs::new().server_at("/url", "the CA's API");
    /// ```
    pub fn server_at(self, pointer: &str, purpose: &str) -> Self {
        self.a_server(Place::Config(pointer.to_owned()), purpose)
    }

    fn a_server(mut self, url: Place, purpose: &str) -> Self {
        self.servers.push(Server { url, purpose: purpose.to_owned() });
        self
    }

    /// A key of the Secret that the plugin uses through its handle.
    ///
    /// ```
    /// # use wasm_issuer_sdk::Needs;
    /// Needs::new().secret_key("token", "the API token");
    /// ```
    pub fn secret_key(self, name: &str, purpose: &str) -> Self {
        self.key(Place::Fixed(name.to_owned()), purpose)
    }

    /// A key of the Secret whose name stands in `spec.config`, at this JSON Pointer.
    ///
    /// ```
    /// # use wasm_issuer_sdk::Needs;
    /// Needs::new().secret_key_at("/tokenKey", "the API token");
    /// ```
    pub fn secret_key_at(self, pointer: &str, purpose: &str) -> Self {
        self.key(Place::Config(pointer.to_owned()), purpose)
    }

    /// A key of the Secret that the plugin does without where it is not there.
    ///
    /// ```
    /// # use wasm_issuer_sdk::Needs;
    /// Needs::new().optional_secret_key("ca.crt", "the CA's root");
    /// ```
    pub fn optional_secret_key(mut self, name: &str, purpose: &str) -> Self {
        self = self.secret_key(name, purpose);
        self.last_key(|key| key.optional = true)
    }

    /// The last key is read by the plugin itself: `spec.secrets.reveal` must name it.
    ///
    /// ```
    /// # use wasm_issuer_sdk::Needs;
    /// Needs::new().secret_key("account", "the account's number").revealed();
    /// ```
    pub fn revealed(self) -> Self {
        self.last_key(|key| key.reveal = true)
    }

    fn key(mut self, name: Place, purpose: &str) -> Self {
        let purpose = purpose.to_owned();
        self.secret_keys.push(SecretKey { name, purpose, optional: false, reveal: false });
        self
    }

    fn last_key(mut self, change: impl FnOnce(&mut SecretKey)) -> Self {
        self.secret_keys.last_mut().map(change);
        self
    }
}

/// The JSON Schema (draft 2020-12) of a plugin's configuration: what [`Plugin::config_schema`](crate::Plugin::config_schema)
/// says by default.
///
/// ```
/// use wasm_issuer_sdk::schemars::{self, JsonSchema};
///
/// #[derive(JsonSchema)]
/// struct Config {
///     url: String,
/// }
///
/// assert!(wasm_issuer_sdk::config_schema::<Config>().contains(r#""required":["url"]"#));
/// ```
pub fn config_schema<C: JsonSchema>() -> String {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<C>().as_value().to_string()
}

/// The description of a plugin with this schema.
pub(crate) fn describe<A: About>(needs: Needs, config_schema: String) -> Description {
    Description {
        name: A::NAME.to_owned(),
        version: A::VERSION.to_owned(),
        summary: A::SUMMARY.to_owned(),
        config_schema,
        servers: needs.servers,
        secret_keys: needs.secret_keys,
    }
}
