//! What the author of a policy should know of it: where it is wider than the defaults, and what that means.

use ipnet::IpNet;
use serde::Serialize;

use super::refusal::field_of;
use super::{Bounds, Policy};
use crate::api::IssuerKind;

/// What is private (RFC 1918, RFC 6598, RFC 4193).
const PRIVATE: [&str; 5] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"];
const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1/128"];

/// Something about one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// `wasmIssuers` or `wasmClusterIssuers`.
    pub section: &'static str,
    /// The field in it.
    pub field: &'static str,
    /// Which item of the field's list it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<usize>,
    /// What its author should know.
    pub message: String,
}

impl Policy {
    /// What is wider than the defaults, and what can have no effect.
    pub fn remarks(&self) -> Vec<Remark> {
        let defaults = Self::default();
        IssuerKind::ALL
            .into_iter()
            .flat_map(|kind| of_bounds(kind, self.bounds(kind), defaults.bounds(kind)))
            .collect()
    }
}

fn of_bounds(kind: IssuerKind, bounds: &Bounds, defaults: &Bounds) -> Vec<Remark> {
    let mut remarks = Vec::new();
    let mut say = |field, item, message: &str| {
        remarks.push(Remark { section: field_of(kind), field, item, message: message.to_owned() });
    };
    for (n, digest) in bounds.sha256.iter().enumerate() {
        if digest.len() != 64 || !digest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            say("sha256", Some(n), "no plugin has this digest: it has 64 digits, 0 to 9 and a to f");
        }
    }
    for (n, host) in bounds.allowed_hosts.iter().enumerate() {
        if defaults.allowed_hosts.contains(host) {
            continue;
        }
        if host.is_plain() {
            say("allowedHosts", Some(n), "what plugins send there can be read and changed on the way");
        }
        if host.is_boundless() {
            say(
                "allowedHosts",
                Some(n),
                "these hosts are nobody's in particular: a plugin can send there what it knows",
            );
        }
    }
    if bounds.private_addresses && !defaults.private_addresses {
        let message = "plugins reach the Services and pods of the cluster, other tenants' too; allowAddresses can name \
                       single networks";
        say("privateAddresses", None, message);
    }
    for (n, network) in bounds.allow_addresses.iter().enumerate() {
        if let Some(message) = of_network(network, bounds.private_addresses) {
            say("allowAddresses", Some(n), &message);
        }
    }
    if bounds.reveal && !defaults.reveal {
        say(
            "reveal",
            None,
            "plugins see the values of Secrets that their Issuers name, and can send them to allowedHosts",
        );
    }
    for (n, difference) in bounds.allow_differences.iter().enumerate() {
        if !defaults.allow_differences.contains(difference) {
            let message = format!("certificates may differ from what was asked for in {difference}");
            say("allowDifferences", Some(n), &message);
        }
    }
    remarks
}

/// What it means that a network may be reached.
fn of_network(network: &IpNet, private_is_allowed: bool) -> Option<String> {
    let read = |text: &&str| text.parse::<IpNet>().ok();
    if network.prefix_len() == 0 {
        return Some("every address, but those that no policy allows".to_owned());
    }
    if LOOPBACK
        .iter()
        .filter_map(read)
        .any(|loopback| loopback.contains(network) || network.contains(&loopback))
    {
        return Some("loopback: what listens in the operator's own pod".to_owned());
    }
    let private = PRIVATE.iter().filter_map(read).find(|private| network.contains(private))?;
    (!private_is_allowed)
        .then(|| format!("all of the private network {private}, the cluster's Services and pods maybe"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remarks(text: &str) -> Vec<String> {
        let remarks = Policy::parse(text).unwrap().remarks();
        let text = |r: Remark| {
            let item = r.item.map(|n| format!("[{n}]")).unwrap_or_default();
            format!("{}.{}{item}: {}", r.section, r.field, r.message)
        };
        remarks.into_iter().map(text).collect()
    }

    #[test]
    fn the_defaults_and_what_is_narrower_are_not_remarked_upon() {
        for text in [
            "",
            "wasmIssuers: {allowedHosts: ['https://ca.example'], allowAddresses: [10.1.2.0/24]}",
            "wasmClusterIssuers: {allowAddresses: [10.0.0.0/8], reveal: false}",
        ] {
            assert_eq!(remarks(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn what_is_wider_than_the_defaults_is_told() {
        for (text, told) in [
            (
                "wasmIssuers: {allowedHosts: ['https://*', 'http://ca.example']}",
                "wasmIssuers.allowedHosts[1]: what plugins",
            ),
            (
                "wasmIssuers: {allowedHosts: ['https://*.com']}",
                "wasmIssuers.allowedHosts[0]: these hosts are nobody's",
            ),
            (
                "wasmIssuers: {privateAddresses: true}",
                "wasmIssuers.privateAddresses: plugins reach the Services",
            ),
            ("wasmIssuers: {allowAddresses: [0.0.0.0/0]}", "wasmIssuers.allowAddresses[0]: every address"),
            ("wasmIssuers: {allowAddresses: ['::/0']}", "wasmIssuers.allowAddresses[0]: every address"),
            (
                "wasmIssuers: {allowAddresses: [10.0.0.0/8]}",
                "wasmIssuers.allowAddresses[0]: all of the private network 10",
            ),
            (
                "wasmIssuers: {allowAddresses: [172.0.0.0/8]}",
                "wasmIssuers.allowAddresses[0]: all of the private network 172",
            ),
            (
                "wasmClusterIssuers: {allowAddresses: [127.0.0.1/32]}",
                "wasmClusterIssuers.allowAddresses[0]: loopback",
            ),
            ("wasmIssuers: {reveal: true}", "wasmIssuers.reveal: plugins see"),
            (
                "wasmIssuers: {allowDifferences: [Subject]}",
                "wasmIssuers.allowDifferences[0]: certificates may differ",
            ),
            ("wasmIssuers: {sha256: [ABC]}", "wasmIssuers.sha256[0]: no plugin has this digest"),
        ] {
            let remarks = remarks(text);
            assert!(remarks.len() == 1 && remarks[0].starts_with(told), "{text}: {remarks:?}");
        }
    }
}
