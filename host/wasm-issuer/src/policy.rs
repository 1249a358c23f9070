//! The operator's policy: what Issuers may grant to their plugins, however much their authors wish for.
//!
//! A grant needs two keys: the Issuer's spec asks, and the policy, which only whoever runs the operator can write,
//! allows. A WasmIssuer belongs to a tenant, so its defaults are narrow; a WasmClusterIssuer belongs to an
//! administrator, so its are wide.

mod fault;
mod file;
mod host_bound;
mod refusal;
mod registry_bound;
mod remark;
mod written;

use std::fmt;

pub use fault::{Fault, Faults, Position};
pub use file::{CurrentPolicy, PolicyFile};
pub use host_bound::HostBound;
use ipnet::IpNet;
pub use refusal::{Refusal, Section, Violation};
use refusal::{Wishes, list, quoted};
pub use registry_bound::RegistryBound;
pub use remark::Remark;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use wasm_issuer_core::issuance::verify::{Difference, Mode, Verification};
use wasm_issuer_core::text;
use wasm_issuer_oci::{Reference, SignerKey};
use wasm_issuer_runtime::egress::{AddressPolicy, GrantEntry, Scheme};
pub use written::Written;

use crate::api::{GoDuration, IssuerKind, IssuerSpec, PluginSource, Quantity, VerificationSpec, ranges};

/// The policy: a YAML file, unknown fields refused. What it leaves out keeps its default.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Policy {
    /// What WasmIssuers may have, which belong to tenants.
    pub wasm_issuers: Bounds,
    /// What WasmClusterIssuers may have, which belong to administrators.
    pub wasm_cluster_issuers: Bounds,
}

/// What the Issuers of one kind may have.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Bounds {
    /// Where plugins may come from: `configMap`, `image`, `builtin`.
    pub sources: Vec<SourceKind>,
    /// The SHA-256 digests of the plugins that may run; empty means any.
    pub sha256: Vec<String>,
    /// The registries that `spec.plugin.image` may name: `host[:port]`, where `*` is any, `*.suffix` every host below it,
    /// and a missing port any port. They are spoken to by https; with `http://` in front, in clear text.
    pub registries: Vec<RegistryBound>,
    /// Public keys as PEM, one of which must have signed each plugin in a registry (docs/oci.md); empty means that none need
    /// be signed. Where there are any no plugin may be from a ConfigMap, which has no signature.
    pub signed_by: Vec<SignerKey>,
    /// What `spec.http.allowedHosts` may name: `scheme://host[:port]`, where `*` is any host, `*.suffix` every host below
    /// it, and a missing port any port.
    pub allowed_hosts: Vec<HostBound>,
    /// Whether plugins may reach private addresses (RFC 1918, RFC 6598, RFC 4193): the cluster's own services, for
    /// instance.
    pub private_addresses: bool,
    /// Networks whose addresses plugins may reach although they are private or loopback. Link-local addresses, a
    /// cloud's metadata service among them, and the API server's are never reached.
    pub allow_addresses: Vec<IpNet>,
    /// Networks whose addresses plugins never reach, whatever the two above allow.
    pub deny_addresses: Vec<IpNet>,
    /// Whether `spec.secrets.reveal` may name keys.
    pub reveal: bool,
    /// How strictly certificates are compared with their requests at the least, whatever `spec.verification.mode` says.
    pub verification: Mode,
    /// What `spec.verification.allow` may name.
    pub allow_differences: Vec<Difference>,
    /// The most that `spec.limits.timeout` may be.
    pub max_timeout: GoDuration,
    /// The most that `spec.limits.memory` may be.
    pub max_memory: Quantity,
    /// How large a plugin may be, unpacked; the operator's `--max-component` holds besides.
    pub max_component: Quantity,
}

/// What `signedBy` is where plugins need not be signed.
const ANYBODY: [SignerKey; 0] = [];

/// Where a plugin comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SourceKind {
    /// `spec.plugin.configMap`
    ConfigMap,
    /// `spec.plugin.image`
    Image,
    /// `spec.plugin.builtin`
    Builtin,
}

/// Why a policy could not be read.
#[derive(Debug, Error)]
pub enum PolicyError {
    /// The file, named first, is not there or not text.
    #[error("cannot read the policy {0}: {1}")]
    Read(String, std::io::Error),
    /// It has unknown fields, or values that cannot be.
    #[error("the policy {0} is not one: {1}")]
    Invalid(String, Faults),
}

impl Default for Policy {
    fn default() -> Self {
        let tenant = Bounds {
            sources: vec![SourceKind::ConfigMap, SourceKind::Image, SourceKind::Builtin],
            sha256: vec![],
            registries: vec![RegistryBound::any()],
            signed_by: vec![],
            allowed_hosts: vec![HostBound::any(Scheme::Https)],
            private_addresses: false,
            allow_addresses: vec![],
            deny_addresses: vec![],
            reveal: false,
            verification: Mode::Reported,
            allow_differences: vec![],
            max_timeout: GoDuration::from_secs(30),
            max_memory: Quantity::mebibytes(256),
            max_component: Quantity::mebibytes(16),
        };
        let admin = Bounds {
            allowed_hosts: vec![HostBound::any(Scheme::Https), HostBound::any(Scheme::Http)],
            private_addresses: true,
            reveal: true,
            allow_differences: Difference::ALL.to_vec(),
            max_timeout: *ranges::TIMEOUT.end(),
            max_memory: *ranges::MEMORY.end(),
            max_component: Quantity::mebibytes(64),
            ..tenant.clone()
        };
        Self { wasm_issuers: tenant, wasm_cluster_issuers: admin }
    }
}

impl Policy {
    /// The defaults as a policy file with comments, to start one from.
    pub const DEFAULT_FILE: &str = include_str!("policy/default.yaml");

    /// Puts what the text of a policy file says over the defaults.
    pub fn parse(text: &str) -> Result<Self, Faults> {
        Written::read(text)?.policy()
    }

    /// The bounds of a kind.
    pub fn bounds(&self, kind: IssuerKind) -> &Bounds {
        match kind {
            IssuerKind::Namespaced => &self.wasm_issuers,
            IssuerKind::Cluster => &self.wasm_cluster_issuers,
        }
    }

    /// Refuses a spec that asks for more than the bounds of its kind, with all that goes too far.
    pub fn check(&self, kind: IssuerKind, spec: &IssuerSpec) -> Result<(), Refusal> {
        let bounds = self.bounds(kind);
        let mut wishes = Wishes::new(kind);
        let source = spec.plugin.source().ok().map(SourceKind::of);
        if let Some(source) = source.filter(|source| !bounds.sources.contains(source)) {
            wishes.more(format!("spec.plugin.{source}"), "sources", &bounds.sources, [source]);
        }
        if source == Some(SourceKind::ConfigMap) && !bounds.signed_by.is_empty() {
            let others: Vec<_> = bounds.sources.iter().filter(|it| **it != SourceKind::ConfigMap).collect();
            let wish = "spec.plugin.configMap, which has no signature".to_owned();
            wishes.beyond(wish, &list(&others), "signedBy", ANYBODY);
        }
        // What is no reference is nowhere, and says so when it is to be read.
        let reference = spec.plugin.image.as_ref().and_then(|image| image.reference().ok());
        if let Some(reference) = reference.filter(|it| bounds.registry_scheme(it).is_none()) {
            let wish = format!("the registry {} in spec.plugin.image.reference", reference.registry);
            wishes.more(
                wish,
                "registries",
                &bounds.registries,
                reference.registry.parse::<RegistryBound>().ok(),
            );
        }
        let (mut beyond, mut unreadable) = (vec![], vec![]);
        for entry in &spec.http.allowed_hosts {
            match entry.parse::<GrantEntry>() {
                Ok(granted) if bounds.allowed_hosts.iter().any(|bound| bound.covers(&granted)) => {}
                Ok(_) => beyond.push(entry),
                Err(error) => unreadable.push(error),
            }
        }
        if !beyond.is_empty() {
            // What a grant says is a bound, too, but for the port, which is the scheme's where it says none.
            let wish = format!("{} in spec.http.allowedHosts", quoted(&beyond));
            let more = beyond.iter().filter_map(|entry| entry.parse::<HostBound>().ok());
            wishes.more(wish, "allowedHosts", &bounds.allowed_hosts, more);
        }
        let reveal = &spec.secrets.reveal;
        if !reveal.is_empty() && !bounds.reveal {
            let wish = format!("{} in spec.secrets.reveal", quoted(reveal));
            wishes.beyond(wish, "none", "reveal", true);
        }
        let allow = &spec.verification.allow;
        let differences: Vec<_> =
            allow.iter().filter(|it| !bounds.allow_differences.contains(it)).copied().collect();
        if !differences.is_empty() {
            let wish = format!("{} in spec.verification.allow", list(&differences));
            wishes.more(wish, "allowDifferences", &bounds.allow_differences, differences);
        }
        if !allow.is_empty() && bounds.verification == Mode::Strict {
            let wish = format!("{} in spec.verification.allow", list(allow));
            wishes.beyond(wish, "none", "verification", Mode::Reported);
        }
        let (timeout, memory) = (&spec.limits.timeout, &spec.limits.memory);
        if timeout.0 > bounds.max_timeout.0 {
            let (wish, most) =
                (format!("{timeout} for spec.limits.timeout"), format!("up to {}", bounds.max_timeout));
            wishes.beyond(wish, &most, "maxTimeout", timeout);
        }
        if *memory > bounds.max_memory {
            let (wish, most) =
                (format!("{memory} for spec.limits.memory"), format!("up to {}", bounds.max_memory));
            wishes.beyond(wish, &most, "maxMemory", memory);
        }
        let violation = wishes.violation();
        if unreadable.is_empty() && violation.is_none() {
            return Ok(());
        }
        Err(Refusal { unreadable, violation })
    }

    /// Refuses a plugin by its digest, 64 lower-case hex digits, where the policy lists others.
    pub fn check_digest(&self, kind: IssuerKind, sha256: &str) -> Result<(), Violation> {
        let allowed = &self.bounds(kind).sha256;
        let mut wishes = Wishes::new(kind);
        if !allowed.is_empty() && allowed.iter().all(|digest| digest != sha256) {
            wishes.more(format!("the plugin with SHA-256 {sha256}"), "sha256", allowed, [sha256.to_owned()]);
        }
        wishes.violation().map_or(Ok(()), Err)
    }

    /// The section under which plugins of this kind of Issuer could reach this network as well, or all private addresses
    /// where it is none.
    pub fn reaching(&self, kind: IssuerKind, network: Option<IpNet>) -> Section {
        let mut wishes = Wishes::new(kind);
        match network {
            Some(network) => {
                wishes.more(String::new(), "allowAddresses", &self.bounds(kind).allow_addresses, [network]);
            }
            None => wishes.beyond(String::new(), "", "privateAddresses", true),
        }
        wishes.section
    }
}

impl Bounds {
    /// How the certificates of an Issuer are compared with their requests: as its spec says, or more strictly.
    pub fn verification(&self, spec: &VerificationSpec) -> Verification {
        Verification { mode: spec.mode.max(self.verification), allow: spec.allow.clone() }
    }

    /// How the registry of a reference is spoken to; none where it may not be named. In clear text where an entry says so,
    /// whatever the others say.
    pub fn registry_scheme(&self, reference: &Reference) -> Option<Scheme> {
        let of = |scheme| self.registries.iter().any(|bound| bound.covers(scheme, &reference.registry));
        [Scheme::Http, Scheme::Https].into_iter().find(|scheme| of(*scheme))
    }

    /// What the bounds of this kind say to a plugin in a registry that none of the keys in `signed_by` has signed.
    pub fn unsigned(&self, kind: IssuerKind) -> Violation {
        let allowed = format!("what is signed by {}", text::list(self.signed_by.iter(), 500));
        Violation::of(kind, "plugins that are not signed".to_owned(), &allowed, "signedBy", ANYBODY)
    }

    /// Which addresses plugins may reach.
    pub fn addresses(&self) -> AddressPolicy {
        AddressPolicy {
            private: self.private_addresses,
            allow: self.allow_addresses.clone(),
            deny: self.deny_addresses.clone(),
        }
    }
}

impl SourceKind {
    fn of(source: PluginSource<'_>) -> Self {
        match source {
            PluginSource::ConfigMap(_) => Self::ConfigMap,
            PluginSource::Image(_) => Self::Image,
            PluginSource::Builtin(_) => Self::Builtin,
        }
    }
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConfigMap => "configMap",
            Self::Image => "image",
            Self::Builtin => "builtin",
        })
    }
}

#[cfg(test)]
mod tests;
