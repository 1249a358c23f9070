//! Credentials for registries as `docker login` and Secrets of type `kubernetes.io/dockerconfigjson` keep them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use wasm_issuer_core::text::clean;
use zeroize::{Zeroize, Zeroizing};

use crate::reference::Reference;

/// More than the host and the repository of any reference have, with `https://` and `/v2/`: a longer key is for nothing.
const MAX_KEY: usize = 600;

/// A file or a Secret's value with credentials by registry.
pub struct DockerConfig {
    entries: Vec<Entry>,
    /// Whether there are helper programs, which this crate does not run.
    pub has_helpers: bool,
}

/// A user and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Sent with Basic.
    pub username: Zeroizing<String>,
    /// Sent with Basic.
    pub password: Zeroizing<String>,
}

/// An entry that holds an identity token in place of a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the entry `{0}` holds an identity token, which is not supported: use a user and a password or access token"
)]
pub struct IdentityToken(String);

/// Why text holds no credentials. Never quotes them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DockerConfigError {
    /// Not JSON, or not of that shape.
    #[error(r#"not a Docker configuration: JSON with `{{"auths": {{"registry.example": {{"auth": "..."}}}}}}` is expected"#)]
    Shape,
    /// An `auth` that cannot be read.
    #[error("the entry `{0}`: `auth` is not base64 of `user:password`")]
    Auth(String),
}

struct Entry {
    key: String,
    credentials: Result<Credentials, IdentityToken>,
}

/// What an entry's key is for. It is not kept: the parts of a key take many times its memory.
struct Place {
    /// The labels of the host in lower case, in which `*` is any text.
    host: Vec<String>,
    port: Option<String>,
    /// The first components of the repository.
    path: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    #[serde(default)]
    auths: BTreeMap<String, WrittenEntry>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, serde::de::IgnoredAny>,
    #[serde(default)]
    creds_store: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WrittenEntry {
    username: Option<Wiped>,
    password: Option<Wiped>,
    auth: Option<Wiped>,
    #[serde(alias = "identitytoken")]
    identity_token: Option<Wiped>,
}

/// Text that leaves nothing in memory.
#[derive(Deserialize)]
#[serde(from = "String")]
pub struct Wiped(pub Zeroizing<String>);

impl From<String> for Wiped {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl DockerConfig {
    /// Read what `docker login` writes.
    pub fn parse(json: &[u8]) -> Result<Self, DockerConfigError> {
        // serde's own words may quote a password.
        let written: Written = serde_json::from_slice(json).map_err(|_| DockerConfigError::Shape)?;
        let mut entries = Vec::new();
        for (key, entry) in written.auths {
            if key.len() > MAX_KEY {
                continue;
            }
            // A helper keeps what an empty entry stands for.
            if let Some(credentials) = entry.credentials(&key)? {
                entries.push(Entry { key, credentials });
            }
        }
        entries.shrink_to_fit();
        let has_helpers = !written.cred_helpers.is_empty() || !written.creds_store.is_empty();
        Ok(Self { entries, has_helpers })
    }

    /// The credentials for a reference: of the entries that match it, as Kubernetes matches them, the one with the longest
    /// path, and of those one without `*`.
    pub fn credentials(&self, reference: &Reference) -> Result<Option<&Credentials>, IdentityToken> {
        let places = self.entries.iter().map(|entry| (entry, Place::of(&entry.key)));
        let matching = places.filter(|(_, place)| place.holds(reference));
        let best = matching.max_by_key(|(entry, place)| (place.path.len(), !entry.key.contains('*')));
        best.map(|(entry, _)| entry.credentials.as_ref().map_err(Clone::clone)).transpose()
    }

    /// The memory that it takes, in bytes.
    pub fn size(&self) -> usize {
        self.entries.iter().map(Entry::size).sum()
    }
}

impl Entry {
    fn size(&self) -> usize {
        // An allocator rounds up: a short text takes as much as one of two words.
        let text = |text: &str| text.len() + 2 * size_of::<usize>();
        let secrets = match &self.credentials {
            Ok(Credentials { username, password }) => text(username) + text(password),
            Err(IdentityToken(key)) => text(key),
        };
        size_of::<Self>() + text(&self.key) + secrets
    }
}

impl WrittenEntry {
    fn credentials(self, key: &str) -> Result<Option<Result<Credentials, IdentityToken>>, DockerConfigError> {
        let filled = |text: Option<Wiped>| text.map(|Wiped(text)| text).filter(|text| !text.is_empty());
        if filled(self.identity_token).is_some() {
            return Ok(Some(Err(IdentityToken(clean(key, 200)))));
        }
        if let Some(auth) = filled(self.auth) {
            let wrong = || DockerConfigError::Auth(clean(key, 200));
            let plain = Zeroizing::new(BASE64.decode(auth.trim()).map_err(|_| wrong())?);
            let plain = std::str::from_utf8(&plain).map_err(|_| wrong())?;
            let (username, password) = plain.split_once(':').ok_or_else(wrong)?;
            // Some tools pad the password with NUL.
            let password = password.trim_end_matches('\0');
            let (username, password) = (username.to_owned().into(), password.to_owned().into());
            return Ok(Some(Ok(Credentials { username, password })));
        }
        let both = filled(self.username).zip(filled(self.password));
        Ok(both.map(|(username, password)| Ok(Credentials { username, password })))
    }
}

impl Place {
    fn of(key: &str) -> Self {
        let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
        let (authority, path) = key.split_once('/').unwrap_or((key, ""));
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port.to_owned())),
            None => (authority, None),
        };
        let host = match host.to_ascii_lowercase().as_str() {
            "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
            host => host.to_owned(),
        };
        let mut path: Vec<String> =
            path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        // The API's version, which `docker login` writes.
        if path.first().is_some_and(|first| first == "v1" || first == "v2") {
            path.remove(0);
        }
        Self { host: host.split('.').map(str::to_owned).collect(), port, path }
    }

    fn holds(&self, reference: &Reference) -> bool {
        let (host, port) = match reference.registry.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (reference.registry.as_str(), None),
        };
        let labels: Vec<&str> = host.split('.').collect();
        let mut path = reference.repository.split('/');
        self.port.as_deref() == port
            && self.host.len() == labels.len()
            && self.host.iter().zip(labels).all(|(pattern, label)| fits(pattern, label))
            && self.path.iter().all(|part| path.next() == Some(part))
    }
}

/// Whether text fits a pattern in which `*` is any text.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((front, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(front) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let Some(last) = parts.pop() else { return false };
    for part in parts {
        let Some((_, behind)) = text.split_once(part) else { return false };
        text = behind;
    }
    text.ends_with(last)
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

impl Credentials {
    /// As the header field `Authorization` has them.
    pub(crate) fn basic(&self) -> Zeroizing<String> {
        let mut both = format!("{}:{}", *self.username, *self.password);
        let basic = Zeroizing::new(format!("Basic {}", BASE64.encode(&both)));
        both.zeroize();
        basic
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(entries: &[(&str, &str)]) -> DockerConfig {
        let entry = |(key, user): &(&str, &str)| {
            format!(r#""{key}": {{"auth": "{}"}}"#, BASE64.encode(format!("{user}:pass:word")))
        };
        let entries: Vec<String> = entries.iter().map(entry).collect();
        let json = format!(r#"{{"auths": {{{}}}}}"#, entries.join(","));
        DockerConfig::parse(json.as_bytes()).unwrap()
    }

    fn user(config: &DockerConfig, reference: &str) -> Option<String> {
        let credentials = config.credentials(&reference.parse().unwrap()).unwrap();
        credentials.map(|it| it.username.to_string())
    }

    #[test]
    fn an_entry_is_for_what_its_key_names() {
        for (key, reference, fits) in [
            ("r.example", "r.example/a", true),
            ("https://R.example/v2/", "r.example/a", true),
            ("r.example", "r.example:5000/a", false),
            ("r.example:5000", "r.example:5000/a", true),
            ("r.example:5000", "r.example/a", false),
            ("r.example/team", "r.example/team/a", true),
            ("r.example/team", "r.example/team-b/a", false),
            ("*.example", "r.example/a", true),
            ("*.example", "a.r.example/a", false),
            ("*.example", "example.com/a", false),
            ("r*-eu.example", "r1-eu.example/a", true),
            ("r*-eu.example", "r1-us.example/a", false),
            ("https://index.docker.io/v1/", "a", true),
            ("docker.io", "team/a", true),
            ("evil-r.example", "r.example/a", false),
            ("r.example.evil", "r.example/a", false),
        ] {
            assert_eq!(user(&config(&[(key, "u")]), reference).is_some(), fits, "{key} {reference}");
        }
    }

    #[test]
    fn the_most_specific_entry_is_taken() {
        let config = config(&[("*.example", "any"), ("r.example", "host"), ("r.example/team", "team")]);
        assert_eq!(user(&config, "r.example/team/a").as_deref(), Some("team"));
        assert_eq!(user(&config, "r.example/other/a").as_deref(), Some("host"));
        assert_eq!(user(&config, "s.example/a").as_deref(), Some("any"));
        assert_eq!(user(&config, "other/a"), None);
    }

    #[test]
    fn a_user_and_a_password_are_read_in_each_form() {
        let json = br#"{"auths": {"a.example": {"username": "u", "password": "p"}, "b.example": {}}, "credsStore": "x"}"#;
        let parsed = DockerConfig::parse(json).unwrap();
        assert!(parsed.has_helpers);
        assert_eq!(user(&parsed, "a.example/a").as_deref(), Some("u"));
        assert_eq!(user(&parsed, "b.example/a"), None);
        let parsed = config(&[("a.example", "u")]);
        let found = parsed.credentials(&"a.example/a".parse().unwrap()).unwrap().unwrap();
        assert_eq!(found.password.as_str(), "pass:word");
        assert_eq!(found.basic().as_str(), "Basic dTpwYXNzOndvcmQ=");
    }

    #[test]
    fn what_cannot_be_used_is_said_and_never_quoted() {
        let parse = |json: &str| DockerConfig::parse(json.as_bytes()).err().unwrap().to_string();
        assert!(parse("s3cret").starts_with("not a Docker configuration"));
        assert!(!parse(r#"{"auths": {"a": {"auth": ["s3cret"]}}}"#).contains("s3cret"));
        assert_eq!(
            parse(r#"{"auths": {"a.example": {"auth": "s3cret"}}}"#),
            "the entry `a.example`: `auth` is not base64 of `user:password`"
        );
        let token = br#"{"auths": {"a.example": {"auth": "dTpw", "identitytoken": "s3cret"}}}"#;
        let error = DockerConfig::parse(token).unwrap();
        let error = error.credentials(&"a.example/a".parse().unwrap()).unwrap_err().to_string();
        assert!(error.contains("identity token") && !error.contains("s3cret"), "{error}");
    }

    #[test]
    fn what_is_kept_is_a_small_multiple_of_what_was_written_and_is_told() {
        let dots = ".".repeat(1 << 20);
        let parsed = config(&[(&dots, "u"), ("r.example", "user")]);
        assert_eq!(parsed.entries.len(), 1);
        assert_eq!(user(&parsed, "r.example/a").as_deref(), Some("user"));
        let all: Vec<String> = (0..1000).map(|n| format!("{n}.example")).collect();
        let all: Vec<(&str, &str)> = all.iter().map(|key| (key.as_str(), "u")).collect();
        let parsed = config(&all);
        assert!(parsed.size() > parsed.entries.capacity() * size_of::<Entry>() + 1000 * "u:pass:word".len());
        assert!(size_of::<Entry>() <= 96, "{}", size_of::<Entry>());
    }
}
