//! Which servers a plugin may call: the entries of `spec.http.allowedHosts`.

use std::fmt;
use std::str::FromStr;

use wasm_issuer_core::text::clean;

use super::origin::{Host, InvalidAuthority, Origin, Scheme, parse_authority};

/// The servers that a plugin may call. By default there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    entries: Vec<GrantEntry>,
}

/// One entry: `scheme://host` or `scheme://host:port`, with `*.` in front of the host for all hosts below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantEntry {
    /// Whether they are called by TLS.
    pub scheme: Scheme,
    /// Which hosts it is for.
    pub hosts: Hosts,
    /// The port, where the entry names one.
    pub port: Option<u16>,
}

/// The hosts that an entry is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// One host: a DNS name or an IP address.
    Is(Host),
    /// Every host below this name; the name itself is not among them.
    Below(String),
}

/// An entry that grants nothing, and how to write it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("spec.http.allowedHosts: `{entry}`: {problem}")]
pub struct GrantError {
    /// The entry, as far as it can be shown.
    pub entry: String,
    problem: Problem,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Problem {
    NoScheme(String),
    Scheme(String),
    Path(String),
    AnyHost,
    Wildcard,
    WildcardAddress,
    Authority(InvalidAuthority),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoScheme(rest) => write!(f, "the scheme is missing: write `https://{rest}`"),
            Self::Scheme(rest) => {
                write!(f, "the scheme must be https or http, in front of `://`: write `https://{rest}`")
            }
            Self::Path(origin) => {
                write!(f, "a grant is for a server, without a path, a query or a fragment: write `{origin}`")
            }
            Self::AnyHost => f.write_str(
                "`*` alone would grant the whole network: name the hosts, or write `*.` and a domain",
            ),
            Self::Wildcard => {
                f.write_str("`*` stands for whole labels in front of a domain: `*.ca.example.com`")
            }
            Self::WildcardAddress => f.write_str("addresses have no wildcards: write each address out"),
            Self::Authority(error) => {
                write!(f, "{error}; write `https://host` or `https://host:port`")
            }
        }
    }
}

impl Grant {
    /// Read the entries. The first one that is wrong is the error.
    pub fn parse<T: AsRef<str>>(entries: impl IntoIterator<Item = T>) -> Result<Self, GrantError> {
        let entries = entries.into_iter().map(|entry| entry.as_ref().parse::<GrantEntry>());
        Ok(Self { entries: entries.collect::<Result<_, _>>()? })
    }

    /// One server, and no other.
    pub(super) fn of(origin: &Origin) -> Self {
        let Origin { scheme, host, port } = origin.clone();
        Self { entries: vec![GrantEntry { scheme, hosts: Hosts::Is(host), port: Some(port) }] }
    }

    /// Whether requests to there are granted.
    pub fn allows(&self, origin: &Origin) -> bool {
        self.entries.iter().any(|entry| entry.allows(origin))
    }

    /// Whether the plugin may call no server at all.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl FromStr for GrantEntry {
    type Err = GrantError;

    fn from_str(text: &str) -> Result<Self, GrantError> {
        Self::parse(text).map_err(|problem| GrantError { entry: clean(text, 300), problem })
    }
}

impl GrantEntry {
    fn parse(text: &str) -> Result<Self, Problem> {
        let shown = |text: &str| clean(text, 300);
        let (scheme, rest) = text.split_once("://").ok_or_else(|| Problem::NoScheme(shown(text)))?;
        let scheme = Scheme::parse(scheme).ok_or_else(|| Problem::Scheme(shown(rest)))?;
        if let Some((authority, _)) = rest.split_once(['/', '?', '#', '\\']) {
            return Err(Problem::Path(format!("{}://{}", scheme.as_str(), shown(authority))));
        }
        let (hosts, port) = match rest.strip_prefix("*.") {
            Some(rest) if !rest.contains('*') => match parse_authority(rest).map_err(Problem::Authority)? {
                (Host::Name(name), port) => (Hosts::Below(name), port),
                (Host::Ip(_), _) => return Err(Problem::WildcardAddress),
            },
            None if !rest.contains('*') => {
                let (host, port) = parse_authority(rest).map_err(Problem::Authority)?;
                (Hosts::Is(host), port)
            }
            None if rest == "*" || rest.starts_with("*:") => return Err(Problem::AnyHost),
            _ => return Err(Problem::Wildcard),
        };
        Ok(Self { scheme, hosts, port })
    }

    /// The port that is called.
    pub fn effective_port(&self) -> u16 {
        self.port.unwrap_or(self.scheme.default_port())
    }

    fn allows(&self, origin: &Origin) -> bool {
        self.hosts.contain(&origin.host)
            && self.scheme == origin.scheme
            && self.effective_port() == origin.port
    }
}

impl Hosts {
    /// Whether a host is one of them.
    pub fn contain(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Is(granted), host) => granted == host,
            (Self::Below(domain), Host::Name(name)) => name
                .strip_suffix(domain.as_str())
                .is_some_and(|front| front.len() > 1 && front.ends_with('.')),
            (Self::Below(_), Host::Ip(_)) => false,
        }
    }
}
