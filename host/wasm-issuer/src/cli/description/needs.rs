//! What a plugin says that it needs of one Issuer, held against what the spec grants.

use serde::Serialize;
use serde_json::Value;
use wasm_issuer_runtime::describe::{Description, Place, SecretKey, Server};
use wasm_issuer_runtime::egress::{Grant, Origin};

use super::{default_at, field};
use crate::api::{IssuerSpec, is_data_key};

/// Something that a plugin says that it needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Need {
    /// What it is.
    #[serde(flatten)]
    pub what: Needed,
    /// The field of the configuration that names it; none where the plugin needs it whatever that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What for, in the plugin's words.
    pub purpose: String,
    /// Whether the plugin does without it.
    pub optional: bool,
    /// Whether the spec grants it. Of a key, whether there is a Secret that it may be in: nobody looks into that.
    pub granted: bool,
}

/// What a plugin needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Needed {
    /// A server, `scheme://host[:port]`, which `spec.http.allowedHosts` grants.
    Server(String),
    /// A key of the Secret of `spec.authSecretName`.
    Key(String),
    /// A key whose value the plugin reads, which `spec.secrets.reveal` grants besides.
    RevealedKey(String),
}

impl Need {
    /// Whether the plugin cannot do what it is there for, if what it says is so.
    pub fn lacks(&self) -> bool {
        !self.granted && !self.optional
    }
}

/// What a plugin needs with the configuration of this spec. A URL that is none and a key that no Secret has are left out: what
/// is shown is pasted, into shells too, and the plugin's check says what is wrong with them.
pub fn needs(description: &Description, spec: &IssuerSpec) -> Vec<Need> {
    let config = serde_json::from_str(spec.config.json()).unwrap_or_default();
    let named = |place| named(description, &config, place);
    let servers = description.servers.iter().flat_map(|it| {
        let (field, urls) = named(&it.url);
        urls.into_iter().filter_map(move |url| server(it, field.clone(), &url, spec))
    });
    let keys = description.secret_keys.iter().flat_map(|it| {
        let (field, names) = named(&it.name);
        names.into_iter().filter_map(move |name| key(it, field.clone(), name, spec))
    });
    servers.chain(keys).collect()
}

/// The same spec with all that lacks granted as well; none where nothing lacks. A Secret that is missing gets the Issuer's name.
pub fn granting(needs: &[Need], spec: &IssuerSpec, issuer: &str) -> Option<IssuerSpec> {
    let mut granting = spec.clone();
    for need in needs.iter().filter(|need| need.lacks()) {
        match &need.what {
            Needed::Server(origin) => add(&mut granting.http.allowed_hosts, origin),
            Needed::Key(_) => {}
            Needed::RevealedKey(name) => add(&mut granting.secrets.reveal, name),
        }
        let is_key = !matches!(need.what, Needed::Server(_));
        if is_key && granting.auth_secret_name.is_none() {
            granting.auth_secret_name = format!("{issuer}-auth").parse().ok();
        }
    }
    (granting != *spec).then_some(granting)
}

/// The fields of a spec that are to be as they are in another one, as YAML, each a line.
pub fn section(spec: &IssuerSpec, wanted: &IssuerSpec) -> String {
    let mut lines = String::new();
    let mut line = |name: &str, value: Value| lines.push_str(&format!("{name}: {value}\n"));
    if wanted.http != spec.http {
        line("http", serde_json::json!(wanted.http));
    }
    if wanted.secrets != spec.secrets {
        line("secrets", serde_json::json!(wanted.secrets));
    }
    if wanted.auth_secret_name != spec.auth_secret_name {
        line("authSecretName", serde_json::json!(wanted.auth_secret_name));
    }
    lines
}

/// The field that names something, and what it names. A field that is left out has the default of the schema.
fn named(description: &Description, config: &Value, place: &Place) -> (Option<String>, Vec<String>) {
    let pointer = match place {
        Place::Fixed(name) => return (None, vec![name.clone()]),
        Place::Config(pointer) => pointer,
    };
    let names = match config.pointer(pointer) {
        Some(Value::String(name)) => vec![name.clone()],
        Some(Value::Array(names)) => names.iter().filter_map(|it| it.as_str().map(str::to_owned)).collect(),
        Some(_) => vec![],
        None => default_at(&description.config, pointer).map(str::to_owned).into_iter().collect(),
    };
    (Some(field(pointer)), names)
}

fn server(server: &Server, field: Option<String>, url: &str, spec: &IssuerSpec) -> Option<Need> {
    let origin = Origin::of(&url.parse().ok()?).ok()?;
    let granted = Grant::parse(&spec.http.allowed_hosts).is_ok_and(|grant| grant.allows(&origin));
    let what = Needed::Server(origin.to_string());
    Some(Need { what, field, purpose: server.purpose.clone(), optional: false, granted })
}

fn key(key: &SecretKey, field: Option<String>, name: String, spec: &IssuerSpec) -> Option<Need> {
    let is_revealed = !key.reveal || spec.secrets.reveal.contains(&name);
    is_data_key(&name).then(|| Need {
        what: if key.reveal { Needed::RevealedKey(name) } else { Needed::Key(name) },
        field,
        purpose: key.purpose.clone(),
        optional: key.optional,
        granted: spec.auth_secret_name.is_some() && is_revealed,
    })
}

fn add(list: &mut Vec<String>, entry: &str) {
    if !list.iter().any(|there| there == entry) {
        list.push(entry.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wasm_issuer_runtime::describe::Schema;

    use super::*;

    fn description() -> Description {
        let schema = r#"{"properties": {"key": {"type": "string", "default": "token"}}}"#;
        let key = |name, optional, reveal| SecretKey { name, purpose: "to prove".into(), optional, reveal };
        Description {
            name: "ca".into(),
            version: "1.0.0".into(),
            summary: String::new(),
            config: Schema::parse(schema).unwrap(),
            servers: vec![
                Server { url: Place::Config("/url".into()), purpose: "the CA".into() },
                Server { url: Place::Fixed("https://login.example".into()), purpose: "tokens".into() },
            ],
            secret_keys: vec![
                key(Place::Config("/key".into()), false, true),
                key(Place::Fixed("pin".into()), true, false),
            ],
        }
    }

    fn spec(config: Value, rest: Value) -> IssuerSpec {
        let mut spec = json!({"plugin": {"builtin": "x"}, "config": config});
        spec.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn what_is_needed_is_read_off_the_configuration_and_its_defaults() {
        let urls = json!({"url": ["https://a.example:8443/api", "http://b.example", "none"], "key": "other"});
        let granted = json!({
            "http": {"allowedHosts": ["https://*.example:8443", "https://login.example"]},
            "authSecretName": "ca", "secrets": {"reveal": ["token"]},
        });
        let told = |config, rest| -> Vec<_> {
            let needs = needs(&description(), &spec(config, rest));
            needs.into_iter().map(|it| (it.what, it.field, it.granted)).collect()
        };
        let url = || Some("spec.config.url".to_owned());
        let key = || Some("spec.config.key".to_owned());
        let server = |origin: &str| Needed::Server(origin.to_owned());
        assert_eq!(
            told(urls, granted.clone()),
            [
                (server("https://a.example:8443"), url(), true),
                (server("http://b.example"), url(), false),
                (server("https://login.example"), None, true),
                (Needed::RevealedKey("other".into()), key(), false),
                (Needed::Key("pin".into()), None, true),
            ]
        );
        assert_eq!(
            told(json!({"url": 5}), granted.clone()),
            [
                (server("https://login.example"), None, true),
                (Needed::RevealedKey("token".into()), key(), true),
                (Needed::Key("pin".into()), None, true),
            ]
        );
        // What is pasted into a shell is no command.
        let hostile = json!({"url": "https://$(x).example", "key": "$(x)"});
        assert_eq!(told(hostile, granted).len(), 2);
    }

    #[test]
    fn what_lacks_is_granted_beside_what_is_there() {
        let config = json!({"url": "https://ca.example/"});
        let bare = spec(
            config.clone(),
            json!({"http": {"allowedHosts": ["https://x.example"], "caBundleSecretName": "root"}}),
        );
        let wanted = granting(&needs(&description(), &bare), &bare, "my-ca").unwrap();
        assert_eq!(
            section(&bare, &wanted),
            "http: {\"allowedHosts\":[\"https://x.example\",\"https://ca.example\",\"https://login.example\"],\
             \"caBundleSecretName\":\"root\"}\nsecrets: {\"reveal\":[\"token\"]}\nauthSecretName: \"my-ca-auth\"\n"
        );
        // What is optional asks for no Secret.
        let mut enough = wanted;
        enough.auth_secret_name = None;
        let mut needs_pin = description();
        needs_pin.secret_keys.remove(0);
        assert_eq!(granting(&needs(&needs_pin, &enough), &enough, "my-ca"), None);
    }
}
