//! The trait that a plugin implements, and how the exported functions reach it.

use std::marker::PhantomData;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::bindings::exports::wasm_issuer::plugin::{description, signer};
use crate::bindings::wasm_issuer::plugin::types;
use crate::describe::{About, Needs, config_schema, describe};
use crate::failure::INVALID_REQUEST;
use crate::{Certificate, Failure, Request, panic};

/// What a plugin's author writes. [`export!`](crate::export) makes a component of it.
///
/// ```
/// use wasm_issuer_sdk::schemars::{self, JsonSchema};
/// use wasm_issuer_sdk::{Certificate, Failure, Issuer, Needs, Plugin, Request, http};
///
/// #[derive(serde::Deserialize, JsonSchema)]
/// #[serde(rename_all = "camelCase", deny_unknown_fields)]
/// struct Config {
///     url: String,
/// }
///
/// struct MyCa;
///
/// impl Plugin for MyCa {
///     type Config = Config;
///
///     fn needs() -> Needs {
///         Needs::new().server_at("/url", "the CA's API")
///     }
///
///     fn check(issuer: &Issuer<Config>) -> Result<(), Failure> {
///         http::get(format!("{}/health", issuer.config.url)).send()?.success()?;
///         Ok(())
///     }
///
///     fn sign(issuer: &Issuer<Config>, request: &Request) -> Result<Certificate, Failure> {
///         let sign = format!("{}/sign", issuer.config.url);
///         let chain = http::post_json(sign, &request.csr_pem()).send()?.success()?.json()?;
///         Ok(Certificate { chain, ca: None })
///     }
/// }
///
/// wasm_issuer_sdk::export!(MyCa);
/// # fn main() {}
/// ```
pub trait Plugin {
    /// The shape of the Issuer's `spec.config`, for a plugin without any an empty struct. Deny unknown fields, or
    /// a misspelt one is silently ignored. Its JSON Schema, with what its documentation comments say, is what the
    /// operator holds `spec.config` against, and what `wasm-issuer plugin docs` shows.
    type Config: DeserializeOwned + JsonSchema;

    /// What the plugin wants granted. By default nothing is said about it.
    fn needs() -> Needs {
        Needs::new()
    }

    /// The JSON Schema of `Config`. By default the component makes it of the type when it is asked, for which it holds 60 KiB
    /// of code. One that is to be small holds the text, `include_str!("../config.schema.json").to_owned()`, and has a test
    /// that the text is what [`config_schema`](crate::config_schema) says.
    fn config_schema() -> String {
        config_schema::<Self::Config>()
    }

    /// Is this Issuer able to sign? Called when the Issuer, its Secret or the plugin changes, and periodically.
    /// Validate the configuration, and try the credentials where that issues nothing.
    fn check(issuer: &Issuer<Self::Config>) -> Result<(), Failure>;

    /// Sign one approved request. May run several times at once, and again with the same `uid` after a failure.
    fn sign(issuer: &Issuer<Self::Config>, request: &Request) -> Result<Certificate, Failure>;
}

/// The WasmIssuer or WasmClusterIssuer that a call is made for.
///
/// ```no_run
/// use wasm_issuer_sdk::Issuer;
///
/// fn label<C>(issuer: &Issuer<C>) -> String {
///     match &issuer.namespace {
///         Some(namespace) => format!("{namespace}/{}", issuer.name),
///         None => issuer.name.clone(),
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Issuer<C> {
    /// `WasmIssuer` or `WasmClusterIssuer`.
    pub kind: String,
    /// The namespace of a WasmIssuer.
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: String,
    /// `spec.config`.
    pub config: C,
}

impl<C: DeserializeOwned> Issuer<C> {
    fn parse(issuer: types::Issuer) -> Result<Self, String> {
        let config = parse_config(&issuer.config)?;
        Ok(Self { kind: issuer.kind, namespace: issuer.namespace, name: issuer.name, config })
    }
}

/// The error names the field, since serde's own text often does not, and leaves out line and column: nobody sees the
/// JSON that they refer to.
fn parse_config<C: DeserializeOwned>(json: &str) -> Result<C, String> {
    // From bytes as answers of servers are, or a component would hold the parser twice.
    let mut json = serde_json::Deserializer::from_slice(json.as_bytes());
    serde_path_to_error::deserialize(&mut json).map_err(|e| {
        let field = match e.path().to_string() {
            path if path == "." => "spec.config".to_owned(),
            path => format!("spec.config.{path}"),
        };
        let position = format!(" at line {} column {}", e.inner().line(), e.inner().column());
        let text = e.inner().to_string();
        format!("{field}: {}", text.strip_suffix(&position).unwrap_or(&text))
    })
}

/// The exported component of a plugin.
#[doc(hidden)]
pub struct Component<P, A>(PhantomData<(P, A)>);

impl<P: Plugin, A: About> description::Guest for Component<P, A> {
    fn describe() -> description::Description {
        describe::<A>(P::needs(), P::config_schema())
    }
}

impl<P: Plugin, A: About> signer::Guest for Component<P, A> {
    fn check(issuer: types::Issuer) -> Result<(), Failure> {
        panic::install_hook();
        P::check(&Issuer::parse(issuer).map_err(Failure::permanent)?).map_err(of_the_issuer)
    }

    /// A config that was fine for `check` and is not now is the Issuer's fault, not the request's.
    fn sign(issuer: types::Issuer, request: Request) -> Result<Certificate, Failure> {
        panic::install_hook();
        P::sign(&Issuer::parse(issuer).map_err(Failure::issuer)?, &request)
    }
}

/// A check has no request that could be at fault: a server that answers it with status 400, say, refuses the Issuer, whose
/// next check may go better.
fn of_the_issuer(failure: Failure) -> Failure {
    match &failure.condition {
        Some(condition) if condition.type_ == INVALID_REQUEST => Failure::issuer(failure.message),
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::FailureKind;
    use crate::bindings::exports::wasm_issuer::plugin::description::Guest as _;
    use crate::bindings::exports::wasm_issuer::plugin::signer::Guest as _;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Config {
        #[expect(dead_code, reason = "only parsed")]
        url: String,
        #[expect(dead_code, reason = "only parsed")]
        profile: Option<Profile>,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(rename_all = "camelCase")]
    struct Profile {
        #[expect(dead_code, reason = "only parsed")]
        max_days: u32,
    }

    struct Fine;

    struct Crate;

    impl About for Crate {
        const NAME: &'static str = "fine";
        const VERSION: &'static str = "1.2.3";
        const SUMMARY: &'static str = "does nothing";
    }

    type Exported = Component<Fine, Crate>;

    impl Plugin for Fine {
        type Config = Config;

        fn needs() -> Needs {
            Needs::new().server_at("/url", "the CA").secret_key("token", "the token").revealed()
        }

        fn check(_: &Issuer<Config>) -> Result<(), Failure> {
            Ok(())
        }

        fn sign(_: &Issuer<Config>, _: &Request) -> Result<Certificate, Failure> {
            Err(Failure::retry("not here"))
        }
    }

    fn issuer(config: &str) -> types::Issuer {
        types::Issuer {
            kind: "WasmIssuer".into(),
            namespace: Some("team-a".into()),
            name: "ca".into(),
            config: config.into(),
        }
    }

    #[test]
    fn a_config_error_names_the_field() {
        let cases = [
            ("{}", "spec.config: missing field `url`"),
            (r#"{"url": 5}"#, "spec.config.url: invalid type: integer `5`, expected a string"),
            (
                r#"{"url": "x", "profile": {"maxDays": "1"}}"#,
                r#"spec.config.profile.maxDays: invalid type: string "1", expected u32"#,
            ),
            (
                r#"{"url": "x", "ulr": 1}"#,
                "spec.config.ulr: unknown field `ulr`, expected `url` or `profile`",
            ),
        ];
        for (config, message) in cases {
            assert_eq!(Exported::check(issuer(config)), Err(Failure::permanent(message)), "{config}");
        }
    }

    #[test]
    fn no_request_is_at_fault_in_a_check() {
        assert_eq!(of_the_issuer(Failure::invalid_request("400")), Failure::issuer("400"));
        for other in [Failure::permanent("x"), Failure::retry("x").after(3), Failure::issuer("x")] {
            assert_eq!(of_the_issuer(other.clone()), other);
        }
    }

    #[test]
    fn a_config_that_fits_reaches_the_plugin() {
        assert_eq!(Exported::check(issuer(r#"{"url": "x", "profile": {"maxDays": 1}}"#)), Ok(()));
    }

    #[test]
    fn a_bad_config_while_signing_is_the_issuers_fault() {
        let request = crate::support::request(vec![]);
        let failure = Exported::sign(issuer("{}"), request).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Issuer);
    }

    #[test]
    fn a_plugin_is_described_by_its_crate_its_config_and_its_needs() {
        let said = Exported::describe();
        assert_eq!((said.name.as_str(), said.version.as_str()), ("fine", "1.2.3"));
        let schema: serde_json::Value = serde_json::from_str(&said.config_schema).unwrap();
        assert_eq!(schema["properties"]["url"]["type"], "string");
        assert_eq!(schema["required"], serde_json::json!(["url"]));
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(said.servers[0].url, crate::Place::Config("/url".into()));
        assert!(said.secret_keys[0].reveal && !said.secret_keys[0].optional);
    }
}
