//! How an artifact in a registry is called, as container tools read such names.

use std::fmt;
use std::str::FromStr;

use crate::digest::{Digest, InvalidDigest};

/// What a name without a registry in front belongs to.
const DOCKER_HUB: &str = "docker.io";
/// Where that one answers.
const DOCKER_HUB_API: &str = "registry-1.docker.io";
const MAX_REPOSITORY: usize = 255;
const MAX_TAG: usize = 128;

/// `registry/repository:tag@digest`. Displayed in full, whatever was left out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    /// `host` or `host:port`, in lower case; `docker.io` where none was named.
    pub registry: String,
    /// The path within the registry.
    pub repository: String,
    /// A name that the registry may give to something else; `latest` where neither it nor a digest was given.
    pub tag: Option<String>,
    /// The digest of the manifest. Where there is one the tag means nothing.
    pub digest: Option<Digest>,
}

/// Why text is no [`Reference`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReference {
    /// The part in front of the first slash.
    #[error("the registry is not host or host:port")]
    Registry,
    /// The part behind it.
    #[error(
        "the repository is not lower-case letters, digits and single separators (`.`, `_`, `__`, `-`, `/`), 255 at most"
    )]
    Repository,
    /// The part behind the last colon.
    #[error("the tag is not up to 128 letters, digits, `_`, `.` and `-`, the first neither `.` nor `-`")]
    Tag,
    /// The part behind the `@`.
    #[error(transparent)]
    Digest(#[from] InvalidDigest),
}

impl Reference {
    /// The server that answers for the registry, as `host` or `host:port`.
    pub fn server(&self) -> &str {
        if self.registry == DOCKER_HUB { DOCKER_HUB_API } else { &self.registry }
    }

    /// The same with the digest that the tag stands for.
    #[must_use]
    pub fn at(&self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self.clone() }
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse()?)),
            None => (text, None),
        };
        let (registry, rest) = match rest.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
            _ => (DOCKER_HUB, rest),
        };
        let (repository, tag) = match rest.rsplit_once(':') {
            Some((repository, tag)) => (repository, Some(tag.to_owned())),
            None => (rest, None),
        };
        let registry = match registry.to_ascii_lowercase() {
            name if name == "index.docker.io" => DOCKER_HUB.to_owned(),
            name => name,
        };
        let is_official = registry == DOCKER_HUB && !repository.contains('/');
        let repository = if is_official { format!("library/{repository}") } else { repository.to_owned() };
        if !is_registry(&registry) {
            return Err(InvalidReference::Registry);
        }
        if repository.len() > MAX_REPOSITORY || !repository.split('/').all(is_component) {
            return Err(InvalidReference::Repository);
        }
        if tag.as_deref().is_some_and(|tag| !is_tag(tag)) {
            return Err(InvalidReference::Tag);
        }
        let tag = tag.or_else(|| digest.is_none().then(|| "latest".to_owned()));
        Ok(Self { registry, repository, tag, digest })
    }
}

fn is_registry(text: &str) -> bool {
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_port = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port != 0)
    };
    host.len() <= 253 && host.split('.').all(is_label) && port.is_none_or(is_port)
}

/// Runs of letters and digits, between them one `.`, one or two `_`, or any number of `-`.
fn is_component(text: &str) -> bool {
    let is_alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_separator =
        |text: &&str| matches!(*text, "." | "_" | "__") || text.bytes().all(|byte| byte == b'-');
    text.starts_with(is_alphanumeric)
        && text.ends_with(is_alphanumeric)
        && text.split(is_alphanumeric).filter(|part| !part.is_empty()).all(|part| is_separator(&part))
}

fn is_tag(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= MAX_TAG
        && text.bytes().next().is_some_and(is_word)
        && text.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.as_ref().map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_container_tools_read_them() {
        let digest = format!("sha256:{}", "0f".repeat(32));
        for (text, whole) in [
            ("registry.example/cfssl:1.2", "registry.example/cfssl:1.2"),
            ("Registry.Example:5000/team/a_b__c-d---e.f", "registry.example:5000/team/a_b__c-d---e.f:latest"),
            ("localhost/a", "localhost/a:latest"),
            ("127.0.0.1:5000/a", "127.0.0.1:5000/a:latest"),
            ("cfssl", "docker.io/library/cfssl:latest"),
            ("team/cfssl:1", "docker.io/team/cfssl:1"),
            ("index.docker.io/team/cfssl:1", "docker.io/team/cfssl:1"),
            (&format!("r.example/a@{digest}"), &format!("r.example/a@{digest}")),
            (&format!("r.example/a:1@{digest}"), &format!("r.example/a:1@{digest}")),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(reference.to_string(), whole);
            assert_eq!(whole.parse(), Ok(reference));
        }
        assert_eq!("a".parse::<Reference>().unwrap().server(), "registry-1.docker.io");
        assert_eq!("r.example:5000/a".parse::<Reference>().unwrap().server(), "r.example:5000");
    }

    #[test]
    fn what_is_no_name_is_refused_by_the_part_that_is_none() {
        use InvalidReference::{Registry, Repository, Tag};
        let long = "a".repeat(256);
        for (text, error) in [
            ("", Repository),
            ("r.example/", Repository),
            ("r.example/A", Repository),
            ("r.example/a//b", Repository),
            ("r.example/../b", Repository),
            ("r.example/a..b", Repository),
            ("r.example/a___b", Repository),
            ("r.example/-a", Repository),
            ("r.example/a?b", Repository),
            ("r.example/a%2fb", Repository),
            (&format!("r.example/{long}"), Repository),
            ("https://r.example/a", Registry),
            ("r.example:0/a", Registry),
            ("r.example:65536/a", Registry),
            ("r.example:+1/a", Registry),
            ("r..example/a", Registry),
            ("user:pass/a", Registry),
            ("r.example/a:", Tag),
            ("r.example/a:.b", Tag),
            (&format!("r.example/a:{}", &long[..129]), Tag),
            ("r.example/a@sha256:abc", InvalidReference::Digest(InvalidDigest)),
            (&format!("r.example/a@sha256:{}", "0F".repeat(32)), InvalidReference::Digest(InvalidDigest)),
            (&format!("r.example/a@sha512:{}", "0f".repeat(64)), InvalidReference::Digest(InvalidDigest)),
        ] {
            assert_eq!(text.parse::<Reference>(), Err(error), "{text}");
        }
    }
}
