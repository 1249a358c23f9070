//! Who is told about requests that did not get through.

use std::net::SocketAddr;

use ipnet::IpNet;
use wasm_issuer_core::text::clean;

use super::address::Prohibition;
use super::origin::{Host, Origin};

/// Told about the requests of one session's plugin that did not get through. Called while the plugin waits: be quick.
pub trait Observer: Send + Sync {
    /// A request was not let through.
    fn denied(&self, denial: &Denial);

    /// A request was let through and got no response.
    fn failed(&self, _failure: &HttpFailure) {}

    /// The section of the operator's policy, in one line of YAML, under which this network could be reached as well, or all
    /// private addresses where it is none.
    fn policy_for(&self, network: Option<IpNet>) -> String {
        match network {
            Some(network) => format!("wasmIssuers: {{allowAddresses: [\"{network}\"]}}"),
            None => "wasmIssuers: {privateAddresses: true}".to_owned(),
        }
    }
}

/// Nobody is told.
impl Observer for () {
    fn denied(&self, _: &Denial) {}
}

/// A request that was not let through. Tenants see its texts, all but `address`: they name no address that a name led
/// to, nor what kind of address it is, or plugins could ask for what the cluster's DNS and network hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// `scheme://host[:port]`, as the plugin asked for it.
    pub destination: String,
    /// Why, as a value to count by.
    pub reason: DenialReason,
    /// Why, in words.
    pub message: String,
    /// What to add, and where, for the next such request to get through; or that nothing can be added.
    pub fix_line: String,
    /// For whoever runs the operator, and for nobody else: the address, what it is, and what would allow it.
    pub address: Option<String>,
}

/// Why a request was not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DenialReason {
    /// The Issuer does not grant the server.
    NotGranted,
    /// The server's address is out of reach.
    AddressProhibited,
}

impl DenialReason {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::NotGranted, Self::AddressProhibited];

    /// A stable name, for metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::NotGranted => "not_granted",
            Self::AddressProhibited => "address_prohibited",
        }
    }
}

impl Denial {
    pub(super) fn not_granted(origin: &Origin) -> Self {
        // An address that no policy can allow is not worth a grant.
        let never = match &origin.host {
            Host::Ip(ip) => Prohibition::of_any_policy(*ip),
            Host::Name(_) => None,
        };
        Self {
            destination: origin.to_string(),
            reason: DenialReason::NotGranted,
            message: format!("the Issuer does not grant its plugin {origin}"),
            fix_line: match (never, &origin.host) {
                (Some(never), Host::Ip(ip)) => format!("none: {ip} is {never}"),
                _ => format!("spec.http.allowedHosts: [\"{origin}\"]"),
            },
            address: None,
        }
    }

    pub(super) fn prohibited(
        origin: &Origin,
        address: SocketAddr,
        prohibition: Prohibition,
        observer: &dyn Observer,
    ) -> Self {
        let ip = address.ip();
        let fix = prohibition.fix(ip, |network| observer.policy_for(Some(network)));
        Self {
            destination: origin.to_string(),
            reason: DenialReason::AddressProhibited,
            message: format!("{origin} is at an address that plugins may not reach"),
            fix_line: match &origin.host {
                // No secret: the spec says it.
                Host::Ip(_) => fix.clone(),
                Host::Name(_) => format!(
                    "the operator's log names the address, and the section of the operator's policy that allows it; all of \
                     the cluster's own services are allowed by the section {}",
                    observer.policy_for(None)
                ),
            },
            address: Some(format!("{ip} is {prohibition}; to allow it: {fix}")),
        }
    }

    /// What tenants may see of it, in one line.
    pub fn in_short(&self) -> String {
        format!("{}; to allow it: {}", self.message, self.fix_line)
    }

    /// All of it in one line, for whoever runs the operator.
    pub fn in_full(&self) -> String {
        match &self.address {
            Some(address) => format!("{}: {address}", self.message),
            None => self.in_short(),
        }
    }
}

/// A request that got no response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpFailure {
    /// `scheme://host[:port]`, as the plugin asked for it.
    pub destination: String,
    /// Why there is none, in words: at most 500 bytes.
    pub message: String,
    /// The same for tenants, where it is theirs to mend: no address that a name led to is in it.
    pub hint: Option<String>,
}

impl HttpFailure {
    pub(super) fn new(origin: &Origin, message: String) -> Self {
        Self { destination: origin.to_string(), message: clean(&message, 500), hint: None }
    }

    /// The same with a hint about the server, at most 500 bytes.
    pub(super) fn with_hint(self, hint: Option<String>) -> Self {
        let hint = hint.map(|hint| clean(&format!("{}: {hint}", self.destination), 500));
        Self { hint, ..self }
    }
}
