//! The operator's policy on a laptop: it bounds what an Issuer grants here as it does in the cluster.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use clap::Args;
use ipnet::IpNet;
use wasm_issuer_core::issuance::issuer::CheckFailure;
use wasm_issuer_core::issuance::verify::Verification;
use wasm_issuer_runtime::egress::{AddressPolicy, GrantEntry, Host, Hosts};

use super::input::{self, quoted};
use super::problem::Problem;
use crate::api::{IssuerKind, IssuerSpec, Quantity};
use crate::operator::{ObservedConfig, admit_component, admit_spec};
use crate::policy::{Policy, PolicyError};

/// What leads to this machine and nowhere else.
const LOOPBACK: [IpNet; 2] = [
    IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
    IpNet::new_assert(IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
];

/// Which policy bounds what the Issuer may grant.
#[derive(Args)]
#[command(next_help_heading = "The policy")]
pub struct PolicyArgs {
    /// The operator's policy, a file as `wasm-issuer run --policy` takes it [default: what `wasm-issuer policy show` prints]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Let granted servers on this machine through, in clear text too: localhost, 127.0.0.0/8 and ::1. Everything else is as
    /// the policy says.
    #[arg(long)]
    allow_loopback: bool,
}

/// A policy, and whether this machine's own servers are exempt from it.
#[derive(Clone, Debug, Default)]
pub struct AppliedPolicy {
    policy: Policy,
    allow_loopback: bool,
}

impl PolicyArgs {
    /// Read the policy. Its mistakes are an error, each with its line.
    pub fn read(&self) -> anyhow::Result<AppliedPolicy> {
        let policy = match &self.policy {
            None => Policy::default(),
            Some(path) => {
                let text = input::text(path, "the policy")?;
                Policy::parse(&text).map_err(|faults| PolicyError::Invalid(quoted(path), faults))?
            }
        };
        Ok(AppliedPolicy { policy, allow_loopback: self.allow_loopback })
    }
}

impl AppliedPolicy {
    /// What the operator would refuse of an Issuer, and of the component with that digest where it is known, in its words and
    /// all at once.
    pub fn refusal(&self, kind: IssuerKind, spec: &IssuerSpec, sha256: Option<&str>) -> Option<Box<Problem>> {
        let config = ObservedConfig::of(spec.config.clone());
        let of_spec = admit_spec(&self.policy, kind, &self.judged(spec), &config).err();
        let component = sha256.map(|sha256| admit_component(&self.policy, kind, &spec.plugin, sha256));
        match (of_spec, component.and_then(Result::err)) {
            (None, None) => None,
            (None, Some(refused)) => Some(Problem::inadmissible(&refused)),
            (Some(refused), None) => Some(Problem::not_admitted(&refused)),
            (Some(refused), Some(component)) => {
                Some(Problem::not_admitted(&refused.and(CheckFailure::passing(component))))
            }
        }
    }

    /// How certificates are compared with their requests: as the spec says, or more strictly.
    pub fn verification(&self, kind: IssuerKind, spec: &IssuerSpec) -> Verification {
        self.policy.bounds(kind).verification(&spec.verification)
    }

    /// How large its plugin may be.
    pub fn max_component(&self, kind: IssuerKind) -> Quantity {
        self.policy.bounds(kind).max_component
    }

    /// Which addresses the plugin may reach.
    pub fn addresses(&self, kind: IssuerKind) -> AddressPolicy {
        let mut addresses = self.policy.bounds(kind).addresses();
        if self.allow_loopback {
            addresses.allow.extend(LOOPBACK);
        }
        addresses
    }

    /// What would allow this network as well, or all private addresses where it is none: a section of the policy, and for this
    /// machine's own servers the argument.
    pub fn reaching(&self, kind: IssuerKind, network: Option<IpNet>) -> String {
        let section = self.policy.reaching(kind, network);
        match network {
            Some(network) if is_loopback(network.addr()) => {
                format!("{section}, or, on this machine alone, --allow-loopback")
            }
            _ => section.to_string(),
        }
    }

    /// The spec that the policy is to judge: without what --allow-loopback exempts.
    fn judged(&self, spec: &IssuerSpec) -> IssuerSpec {
        let mut judged = spec.clone();
        if self.allow_loopback {
            judged.http.allowed_hosts.retain(|entry| !is_on_this_machine(entry));
        }
        judged
    }
}

fn is_loopback(address: IpAddr) -> bool {
    LOOPBACK.iter().any(|network| network.contains(&address))
}

/// Whether an entry of `spec.http.allowedHosts` grants a server on this machine and no other. Where `localhost` leads
/// elsewhere the rules for addresses hold.
fn is_on_this_machine(entry: &str) -> bool {
    match entry.parse::<GrantEntry>().map(|granted| granted.hosts) {
        Ok(Hosts::Is(Host::Ip(address))) => is_loopback(address),
        Ok(Hosts::Is(Host::Name(name))) => name == "localhost",
        Ok(Hosts::Below(_)) | Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use wasm_issuer_runtime::egress::Prohibition;

    use super::*;
    use crate::api::PluginSpec;

    fn spec(hosts: &[&str], reveal: &[&str]) -> IssuerSpec {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let mut spec = IssuerSpec::new(PluginSpec::default());
        spec.http.allowed_hosts = texts(hosts);
        spec.secrets.reveal = texts(reveal);
        spec
    }

    fn applied(policy: &str, allow_loopback: bool) -> AppliedPolicy {
        AppliedPolicy { policy: Policy::parse(policy).unwrap(), allow_loopback }
    }

    #[test]
    fn what_the_cluster_refuses_is_refused_in_its_words_and_all_at_once() {
        let policy = applied("wasmIssuers: {sha256: [ab]}", false);
        let spec = spec(&["http://169.254.169.254", "ftp://x"], &["token"]);
        let refused = policy.refusal(IssuerKind::Namespaced, &spec, Some("cd")).unwrap();
        assert_eq!(refused.kind, "policy");
        let words = policy.policy.check(IssuerKind::Namespaced, &spec).unwrap_err().to_string();
        assert!(refused.message.starts_with(&words), "{}", refused.message);
        for part in
            ["`ftp://x`", "\"http://169.254.169.254\" in spec.http", "spec.secrets.reveal", "SHA-256 cd"]
        {
            assert!(refused.message.contains(part), "{part}: {}", refused.message);
        }
        assert!(policy.refusal(IssuerKind::Namespaced, &spec, None).is_some());
        assert_eq!(
            policy.refusal(IssuerKind::Namespaced, &self::spec(&["https://a"], &[]), Some("ab")),
            None
        );
    }

    #[test]
    fn each_kind_has_its_own_bounds() {
        let policy = AppliedPolicy::default();
        let spec = spec(&["http://ca.example"], &["token"]);
        assert!(policy.refusal(IssuerKind::Namespaced, &spec, None).is_some());
        assert_eq!(policy.refusal(IssuerKind::Cluster, &spec, None), None);
        assert!(
            !policy.addresses(IssuerKind::Namespaced).private
                && policy.addresses(IssuerKind::Cluster).private
        );
        let strict = applied("wasmIssuers: {verification: Strict}", false);
        let mode = |kind| strict.verification(kind, &spec).mode;
        assert_ne!(mode(IssuerKind::Namespaced), mode(IssuerKind::Cluster));
    }

    #[test]
    fn loopback_is_let_through_on_demand_and_nothing_else_is() {
        let (bare, with) = (applied("", false), applied("", true));
        let mine = ["http://127.0.0.1:8888", "https://127.9.9.9", "http://[::1]:80", "http://localhost:1"];
        for host in mine {
            assert_eq!(with.refusal(IssuerKind::Namespaced, &spec(&[host], &[]), None), None, "{host}");
        }
        for host in
            ["http://10.0.0.1", "http://169.254.169.254", "http://localhost.example", "http://*.localhost"]
        {
            assert!(
                with.refusal(IssuerKind::Namespaced, &spec(&[mine[0], host], &[]), None).is_some(),
                "{host}"
            );
        }
        assert!(bare.refusal(IssuerKind::Namespaced, &spec(&mine[..1], &[]), None).is_some());
        let reach = |policy: &AppliedPolicy, address: &str| {
            policy
                .addresses(IssuerKind::Namespaced)
                .vet(address.parse::<SocketAddr>().unwrap(), &[])
                .map(drop)
        };
        for address in ["127.0.0.1:1", "127.255.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(reach(&with, address), Ok(()), "{address}");
            assert!(matches!(reach(&bare, address), Err(Prohibition::Special(_))), "{address}");
        }
        for address in ["10.0.0.1:1", "169.254.169.254:1", "0.0.0.0:1", "[::]:1", "[fe80::1]:1"] {
            assert!(reach(&with, address).is_err(), "{address}");
        }
        let denied = applied("wasmIssuers: {denyAddresses: [127.0.0.0/8]}", true);
        assert_eq!(reach(&denied, "127.0.0.1:1"), Err(Prohibition::Denied));
    }

    #[test]
    fn what_would_allow_an_address_is_the_policys_section_or_the_argument() {
        let policy = AppliedPolicy::default();
        let allow = |network: &str| policy.reaching(IssuerKind::Namespaced, Some(network.parse().unwrap()));
        assert_eq!(allow("10.0.0.1/32"), "wasmIssuers: {allowAddresses: [\"10.0.0.1/32\"]}");
        assert!(allow("127.0.0.1/32").ends_with("--allow-loopback"), "{}", allow("127.0.0.1/32"));
    }
}
