//! step-ca's API, as far as an issuer needs it, and what its answers mean.

use serde_json::Value;
use wasm_issuer_sdk::Failure;
use wasm_issuer_sdk::http::{self, Meaning, Request};

use crate::config::Config;

/// More pages of provisioners than a CA has.
const MAX_PAGES: usize = 20;
/// Tokens are refused with 401, which is not the request's fault; its names, duration and key with 403.
const MEANINGS: [(u16, Meaning); 1] = [(403, Meaning::InvalidRequest)];

/// A provisioner as the CA lists it.
pub struct Provisioner(pub Value);

impl Provisioner {
    /// The ID of its key, which tokens name.
    pub fn kid(&self) -> &str {
        text(&self.0, "/key/kid").unwrap_or_default()
    }

    /// Its private key in a JWE, where the CA keeps it.
    pub fn encrypted_key(&self) -> Option<&str> {
        text(&self.0, "/encryptedKey")
    }

    /// One of its limits, as Go writes durations.
    pub fn claim(&self, name: &str) -> Option<&str> {
        text(&self.0, &format!("/claims/{name}"))
    }

    fn describe(&self) -> String {
        let [kind, name] = ["/type", "/name"].map(|field| text(&self.0, field).unwrap_or_default());
        format!("{kind} {name} {}", self.kid())
    }

    fn is_the_one_of(&self, config: &Config) -> bool {
        let wanted = &config.provisioner;
        text(&self.0, "/type") == Some("JWK")
            && text(&self.0, "/name") == Some(wanted.name.as_str())
            && wanted.kid.as_ref().is_none_or(|kid| kid == self.kid())
    }
}

/// Whether the CA answers.
pub fn health(config: &Config) -> Result<(), Failure> {
    ask(http::get(config.at("/health"))).map(drop)
}

/// The JWK provisioner that the configuration names. Where there is none the message says which there are.
pub fn provisioner(config: &Config) -> Result<Provisioner, Failure> {
    let (mut others, mut cursor) = (Vec::new(), String::new());
    for _ in 0..MAX_PAGES {
        let url = config.at(&format!("/provisioners?limit=100&cursor={cursor}"));
        let mut page = ask(http::get(url))?;
        let listed = page.get_mut("provisioners").map(Value::take);
        let Some(Value::Array(listed)) = listed else {
            return Err(Failure::retry(format!("{}: the answer lists no provisioners", config.url)));
        };
        for provisioner in listed.into_iter().map(Provisioner) {
            if provisioner.is_the_one_of(config) {
                return Ok(provisioner);
            }
            others.push(provisioner.describe());
        }
        cursor = text(&page, "/nextCursor").unwrap_or_default().to_owned();
        if cursor.is_empty() {
            break;
        }
    }
    let (url, others) = (&config.url, others.join(", "));
    Err(Failure::issuer(format!(
        "{url}: there is no JWK provisioner as spec.config.provisioner says; there are {others}"
    )))
}

/// The chain that the CA answers with, PEM.
pub fn sign(config: &Config, order: &Value) -> Result<String, Failure> {
    let signed = ask(http::post_json(config.at("/1.0/sign"), order))?;
    let chain = signed.get("certChain").and_then(Value::as_array);
    Ok(chain.into_iter().flatten().filter_map(Value::as_str).collect())
}

fn ask(request: Request) -> Result<Value, Failure> {
    let mut response = request.send()?;
    // Not by `Response::json`, which is for types: there is no field to name here.
    let answer: Result<Value, _> = serde_json::from_slice(&response.body);
    if response.status >= 300
        && let Some(message) = answer.as_ref().ok().and_then(|problem| text(problem, "/message"))
    {
        response.body = message.into();
    }
    let server = response.success_with(&MEANINGS)?.server;
    answer.map_err(|error| Failure::retry(format!("{server}: the answer is not JSON: {error}")))
}

/// The text at a JSON Pointer.
fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}
