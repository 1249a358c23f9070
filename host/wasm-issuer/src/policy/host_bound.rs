//! The servers that the policy lets Issuers grant: an entry of `allowedHosts` in the policy.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use wasm_issuer_runtime::egress::{GrantEntry, Hosts, Scheme};

/// Servers by scheme, host and port. Unlike in an Issuer's grant the host may be any, and a missing port means any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostBound {
    scheme: Scheme,
    /// Any where it is none.
    hosts: Option<Hosts>,
    /// Any where it is none.
    port: Option<u16>,
}

/// Text that is no [`HostBound`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not scheme://host[:port], such as https://*.example.com:8443")]
pub struct HostBoundError(String);

impl HostBound {
    /// Every server of that scheme.
    pub fn any(scheme: Scheme) -> Self {
        Self { scheme, hosts: None, port: None }
    }

    /// Whether what is sent to it can be read on the way.
    pub fn is_plain(&self) -> bool {
        self.scheme == Scheme::Http
    }

    /// Whether its hosts are no organisation's own: any, or all below a top-level name.
    pub fn is_boundless(&self) -> bool {
        match &self.hosts {
            None => true,
            Some(Hosts::Below(name)) => !name.contains('.'),
            Some(Hosts::Is(_)) => false,
        }
    }

    /// Whether everything that this entry of `spec.http.allowedHosts` grants is within the bound.
    pub fn covers(&self, entry: &GrantEntry) -> bool {
        let hosts = match (&self.hosts, &entry.hosts) {
            (None, _) => true,
            (Some(bound), Hosts::Is(host)) => bound.contain(host),
            // `*.b` covers `*.a.b`, and `*.b` itself.
            (Some(Hosts::Below(bound)), Hosts::Below(name)) => {
                bound == name || name.ends_with(&format!(".{bound}"))
            }
            (Some(Hosts::Is(_)), Hosts::Below(_)) => false,
        };
        hosts && self.scheme == entry.scheme && self.port.is_none_or(|port| port == entry.effective_port())
    }
}

impl FromStr for HostBound {
    type Err = HostBoundError;

    fn from_str(text: &str) -> Result<Self, HostBoundError> {
        let fail = || HostBoundError(text.to_owned());
        // Any host is what no grant may be for, so that its parser sees some host in the place of a lone `*`.
        let any = text.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.strip_prefix('*')?)));
        if let Some((scheme, port)) = any.filter(|(_, port)| port.is_empty() || port.starts_with(':')) {
            let entry: GrantEntry = format!("{scheme}://any{port}").parse().map_err(|_| fail())?;
            return Ok(Self { scheme: entry.scheme, hosts: None, port: entry.port });
        }
        let GrantEntry { scheme, hosts, port } = text.parse().map_err(|_| fail())?;
        Ok(Self { scheme, hosts: Some(hosts), port })
    }
}

impl fmt::Display for HostBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme.as_str())?;
        match &self.hosts {
            None => f.write_str("*"),
            Some(Hosts::Is(host)) => write!(f, "{host}"),
            Some(Hosts::Below(name)) => write!(f, "*.{name}"),
        }?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl Serialize for HostBound {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HostBound {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
