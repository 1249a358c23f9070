//! What a plugin says of itself, where it does: its name, the schema of its configuration, what it wants granted.

mod fits;
pub mod schema;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::FutureExt as _;
use futures::future::BoxFuture;
pub use schema::Schema;
use wasm_issuer_core::issuance::signer::{Failure, FailureKind};
use wasm_issuer_core::text::clean;
use wasmtime::Store;

use super::bindings::description::{self as wit, Described};
use super::call::{Export, Instance};
use super::egress::HttpGrant;
use super::error::CallError;
use super::issuer_memory::IssuerMemory;
use super::link::Linked;
use super::log::CallName;
use super::runtime::Plugin;
use super::session::{Session, SessionInit};
use super::state::CallState;

/// The most servers, and the most keys, that a plugin names.
const MAX_NEEDS: usize = 32;
/// The longest of the texts.
const MAX_TEXT: usize = 1 << 10;

/// What a plugin says of itself. The texts are clean and at most 1 KiB long.
#[derive(Clone, Debug)]
pub struct Description {
    /// The plugin's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it does, in a sentence.
    pub summary: String,
    /// The schema of `spec.config`.
    pub config: Schema,
    /// The servers that it calls.
    pub servers: Vec<Server>,
    /// The keys of the Secret that it uses.
    pub secret_keys: Vec<SecretKey>,
}

/// A server that a plugin calls.
#[derive(Clone, Debug)]
pub struct Server {
    /// A URL of it.
    pub url: Place,
    /// What for.
    pub purpose: String,
}

/// A key of the Secret that a plugin uses.
#[derive(Clone, Debug)]
pub struct SecretKey {
    /// Its name.
    pub name: Place,
    /// What it holds.
    pub purpose: String,
    /// Whether the plugin does without it.
    pub optional: bool,
    /// Whether the plugin reads the value itself.
    pub reveal: bool,
}

/// Where something is said that a plugin needs.
#[derive(Clone, Debug)]
pub enum Place {
    /// In the description.
    Fixed(String),
    /// In `spec.config`, at this JSON Pointer.
    Config(String),
}

impl Instance for Described {
    fn of<'a>(linked: &'a Linked, store: &'a mut Store<CallState>) -> BoxFuture<'a, wasmtime::Result<Self>> {
        async move {
            let described = linked.described.as_ref();
            let described = described.ok_or_else(|| wasmtime::Error::msg("nothing is described"))?;
            described.instantiate_async(store).await
        }
        .boxed()
    }
}

impl Plugin {
    /// What it says of itself; none where it says nothing. Asked for the Issuer of a session, of which it learns nothing
    /// but whom it works for.
    pub async fn describe(
        self: &Arc<Self>,
        session: &Arc<Session>,
    ) -> Result<Option<Description>, CallError> {
        if self.linked.described.is_none() {
            return Ok(None);
        }
        let export: Export<Described, wit::Description> = Box::new(move |instance, store| {
            async move { Ok(Ok(instance.wasm_issuer_plugin_description().call_describe(store).await?)) }
                .boxed()
        });
        let said = self.call(&granting_nothing(session), CallName::Check, export).await?;
        let read = Description::read(said).map(Some);
        read.map_err(|error| {
            failed(format!("the plugin describes itself wrongly, which its author can mend: {error}"))
        })
    }

    /// Refuse a configuration that is none by what the plugin says of itself. Once for a session.
    pub(super) async fn fits(self: &Arc<Self>, session: &Arc<Session>) -> Result<(), CallError> {
        if self.linked.described.is_none() || session.config_fits.load(Ordering::Relaxed) {
            return Ok(());
        }
        let Some(description) = self.describe(session).await? else { return Ok(()) };
        let config = session.config.clone();
        // A small schema can ask for as many steps as a large one.
        let look = move || description.faults(&config);
        match self.runtime.turns.compute(&session.owner(), look).await {
            Ok(faults) if faults.is_empty() => {
                session.config_fits.store(true, Ordering::Relaxed);
                Ok(())
            }
            Ok(faults) => Err(failed(faults.join("; "))),
            Err(error) => {
                Err(failed(format!("spec.config cannot be held against the plugin's schema: {error}")))
            }
        }
    }
}

/// Nothing but a change of the Issuer or of the plugin helps.
fn failed(message: String) -> CallError {
    CallError::Failed(Failure { kind: FailureKind::Permanent, message, condition: None })
}

fn granting_nothing(session: &Session) -> Arc<Session> {
    Session::new(SessionInit {
        issuer: session.issuer.clone(),
        config: "{}".into(),
        secret: None,
        reveal: Default::default(),
        keys: Default::default(),
        limits: session.limits.clone(),
        http: HttpGrant::default(),
        observer: session.observer.clone(),
        memory: IssuerMemory::unlimited().share(""),
    })
}

impl Description {
    fn read(said: wit::Description) -> Result<Self, String> {
        let wit::Description { name, version, summary, config_schema, servers, secret_keys } = said;
        let needs = servers.len().max(secret_keys.len());
        if needs > MAX_NEEDS {
            return Err(format!("it names {needs} servers or keys; {MAX_NEEDS} are read"));
        }
        Ok(Self {
            name: text(&name, "name")?,
            version: text(&version, "version")?,
            summary: text(&summary, "summary")?,
            config: Schema::parse(&config_schema).map_err(|error| format!("its config-schema: {error}"))?,
            servers: servers.into_iter().map(Server::read).collect::<Result<_, _>>()?,
            secret_keys: secret_keys.into_iter().map(SecretKey::read).collect::<Result<_, _>>()?,
        })
    }

    /// What of a configuration, JSON, does not fit.
    fn faults(&self, config: &str) -> Result<Vec<String>, String> {
        let config = serde_json::from_str(config).map_err(|error| error.to_string())?;
        fits::faults(&self.config, &config, "spec.config")
    }
}

impl Server {
    fn read(said: wit::Server) -> Result<Self, String> {
        Ok(Self { url: Place::read(said.url)?, purpose: text(&said.purpose, "purpose")? })
    }
}

impl SecretKey {
    fn read(said: wit::SecretKey) -> Result<Self, String> {
        Ok(Self {
            name: Place::read(said.name)?,
            purpose: text(&said.purpose, "purpose")?,
            optional: said.optional,
            reveal: said.reveal,
        })
    }
}

impl Place {
    fn read(said: wit::Place) -> Result<Self, String> {
        Ok(match said {
            wit::Place::Fixed(it) => Self::Fixed(text(&it, "place")?),
            wit::Place::Config(pointer) if pointer.starts_with('/') => Self::Config(text(&pointer, "place")?),
            wit::Place::Config(pointer) => {
                return Err(format!(
                    "`{}` is no JSON Pointer into spec.config, such as `/url`",
                    clean(&pointer, 100)
                ));
            }
        })
    }
}

fn text(text: &str, what: &str) -> Result<String, String> {
    if text.len() > MAX_TEXT {
        return Err(format!("its {what} has {} bytes; {MAX_TEXT} are read", text.len()));
    }
    Ok(clean(text, MAX_TEXT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> wit::Description {
        wit::Description {
            name: "a\u{1b}[1mca".into(),
            version: "1.0.0".into(),
            summary: "signs".into(),
            config_schema: r#"{"properties": {"url": {"type": "string"}}, "additionalProperties": false}"#
                .into(),
            servers: vec![wit::Server { url: wit::Place::Config("/url".into()), purpose: "the CA".into() }],
            secret_keys: Vec::new(),
        }
    }

    #[test]
    fn a_configuration_is_held_against_the_schema() {
        let description = Description::read(said()).unwrap();
        assert_eq!(description.name, "a [1mca");
        assert_eq!(description.faults(r#"{"url": "x"}"#).unwrap(), [""; 0]);
        assert_eq!(
            description.faults(r#"{"url": 1, "ulr": 2}"#).unwrap(),
            [
                "spec.config.ulr: no such field; there are `url`",
                "spec.config.url: a number where a string is expected"
            ]
        );
    }

    #[test]
    fn a_description_that_breaks_its_bounds_is_refused() {
        let key = |name| wit::SecretKey { name, purpose: String::new(), optional: false, reveal: false };
        let fixed = || wit::Place::Fixed("token".into());
        let many = (0..=MAX_NEEDS).map(|_| key(fixed())).collect();
        let long = "x".repeat(MAX_TEXT + 1);
        let cases = [
            (wit::Description { secret_keys: many, ..said() }, "it names 33 servers or keys; 32 are read"),
            (
                wit::Description { summary: long.clone(), ..said() },
                "its summary has 1025 bytes; 1024 are read",
            ),
            (
                wit::Description { secret_keys: vec![key(wit::Place::Fixed(long))], ..said() },
                "its place has 1025 bytes; 1024 are read",
            ),
            (
                wit::Description { secret_keys: vec![key(wit::Place::Config("url".into()))], ..said() },
                "`url` is no JSON Pointer into spec.config, such as `/url`",
            ),
            (
                wit::Description { config_schema: r#"{"not": {}}"#.into(), ..said() },
                "its config-schema: unknown field `not`",
            ),
        ];
        for (said, error) in cases {
            let refused = Description::read(said).unwrap_err();
            assert!(refused.starts_with(error), "{refused}");
        }
    }
}
