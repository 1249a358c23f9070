//! Which addresses a connection may go to, whatever name led there.
//!
//! An IPv6 address can carry an IPv4 address that packets end up at (mapped, NAT64, 6to4, Teredo and others). Each such
//! address is vetted with all that it carries, and the strictest answer counts.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// What the operator allows an Issuer's plugin to connect to. By default only public addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    /// Whether private addresses (RFC 1918, RFC 6598, RFC 4193) are allowed.
    pub private: bool,
    /// Networks that are allowed although they are private, loopback or reserved. What is forbidden always stays so.
    pub allow: Vec<IpNet>,
    /// Networks that are forbidden, even where `allow` names them.
    pub deny: Vec<IpNet>,
}

/// Where the API server listens.
///
/// All ports of its address are out of reach, because nothing else is to be found there. Only on loopback, where an
/// address is shared by all programs of a machine, the port decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiServer(pub SocketAddr);

/// Where API servers listen, as far as is known. Clones are the same list, which changes while plugins run: each
/// connection is judged by what is known then.
#[derive(Clone, Debug, Default)]
pub struct ApiServers(Arc<RwLock<Arc<[ApiServer]>>>);

impl ApiServers {
    /// From now on these, and no others.
    pub fn set(&self, servers: Vec<ApiServer>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = servers.into();
    }

    /// Those that are known now.
    pub fn get(&self) -> Arc<[ApiServer]> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Why an address is out of reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prohibition {
    /// No policy can allow it; the text says what it is.
    Never(&'static str),
    /// Private (RFC 1918, RFC 6598, RFC 4193), and the policy does not allow these.
    Private,
    /// Loopback or reserved, and the policy does not name its network; the text says what it is.
    Special(&'static str),
    /// In a network that the policy denies.
    Denied,
}

impl fmt::Display for Prohibition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never(what) => write!(f, "{what}, which plugins never reach"),
            Self::Private => f.write_str("a private address"),
            Self::Special(what) => f.write_str(what),
            Self::Denied => f.write_str("in a network that the operator's policy denies"),
        }
    }
}

impl Prohibition {
    /// What keeps an address out of reach under every policy.
    pub(super) fn of_any_policy(address: IpAddr) -> Option<Self> {
        let everything = AddressPolicy {
            private: true,
            allow: vec![Ipv4Net::default().into(), Ipv6Net::default().into()],
            deny: Vec::new(),
        };
        everything.vet(SocketAddr::new(address, 0), &[]).err()
    }

    /// What would have to change for that address to be reached. `section` is the policy's under which a network is.
    pub(super) fn fix(self, address: IpAddr, section: impl FnOnce(IpNet) -> String) -> String {
        match self {
            Self::Never(_) => "no Issuer and no policy can allow it".to_owned(),
            Self::Denied => "take its network out of denyAddresses in the operator's policy".to_owned(),
            Self::Special(_) | Self::Private => {
                format!("the section of the operator's policy {}", section(address.into()))
            }
        }
    }
}

impl AddressPolicy {
    /// The address to connect to in place of this one, or why there is none.
    pub fn vet(&self, address: SocketAddr, api_servers: &[ApiServer]) -> Result<SocketAddr, Prohibition> {
        let ip = address.ip().to_canonical();
        for face in std::iter::once(ip).chain(carried(ip).into_iter().flatten().map(IpAddr::V4)) {
            let server = |server: &ApiServer| {
                let ApiServer(server) = *server;
                server.ip().to_canonical() == face && (!face.is_loopback() || server.port() == address.port())
            };
            if api_servers.iter().any(server) {
                return Err(Prohibition::Never("the Kubernetes API server"));
            }
            self.vet_face(face)?;
        }
        Ok(SocketAddr::new(ip, address.port()))
    }

    fn vet_face(&self, ip: IpAddr) -> Result<(), Prohibition> {
        let Some(class) = class(ip) else {
            return if contains(&self.deny, ip) { Err(Prohibition::Denied) } else { Ok(()) };
        };
        match class {
            Prohibition::Never(_) => Err(class),
            _ if contains(&self.deny, ip) => Err(Prohibition::Denied),
            _ if contains(&self.allow, ip) => Ok(()),
            Prohibition::Private if self.private => Ok(()),
            _ => Err(class),
        }
    }
}

fn contains(networks: &[IpNet], ip: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&ip))
}

/// What keeps an address from being an ordinary public one.
fn class(ip: IpAddr) -> Option<Prohibition> {
    match ip {
        IpAddr::V4(ip) => class_v4(ip),
        IpAddr::V6(ip) => class_v6(ip),
    }
}

const METADATA: Prohibition = Prohibition::Never("a cloud's metadata service");
const RESERVED: Prohibition = Prohibition::Special("a reserved address");
const EXAMPLES: Prohibition = Prohibition::Special("an address for documentation or benchmarks");
const LOOPBACK: Prohibition = Prohibition::Special("a loopback address");
const MULTICAST: Prohibition = Prohibition::Never("a multicast address");
const LINK_LOCAL: Prohibition = Prohibition::Never("a link-local address");
const UNSPECIFIED: Prohibition = Prohibition::Never("the unspecified address");

fn class_v4(ip: Ipv4Addr) -> Option<Prohibition> {
    Some(match ip.octets() {
        // Linux takes 0.0.0.0 for this machine.
        [0, ..] => UNSPECIFIED,
        [169, 254, 169, 254] => METADATA,
        [169, 254, ..] => LINK_LOCAL,
        [224..=239, ..] => MULTICAST,
        [255, 255, 255, 255] => Prohibition::Never("the broadcast address"),
        [240..=255, ..] => Prohibition::Never("a reserved address"),
        // Alibaba Cloud, Azure, Oracle Cloud: not link-local, and as good a source of credentials.
        [100, 100, 100, 200] | [168, 63, 129, 16] | [192, 0, 0, 192] => METADATA,
        [127, ..] => LOOPBACK,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Prohibition::Private,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [198, 18..=19, ..] => EXAMPLES,
        [192, 0, 0, _] | [192, 88, 99, _] => RESERVED,
        _ => return None,
    })
}

fn class_v6(ip: Ipv6Addr) -> Option<Prohibition> {
    Some(match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => UNSPECIFIED,
        [0, 0, 0, 0, 0, 0, 0, 1] => LOOPBACK,
        [0xff00..=0xffff, ..] => MULTICAST,
        [0xfe80..=0xfebf, ..] => LINK_LOCAL,
        // Amazon, Akamai, Google Cloud, Oracle Cloud, Scaleway.
        [0xfd00, 0x0ec2, ..]
        | [0xfd00, 0xa9fe, 0xa9fe, ..]
        | [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254]
        | [0xfd00, 0x00c1, 0, 0, 0, 0, 0xa9fe, 0xa9fe]
        | [0xfd00, 0x0042, 0, 0, 0, 0, 0, 0x0042] => METADATA,
        // fec0::/10 is what unique local addresses were called before.
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => Prohibition::Private,
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] | [0x2001, 0x0002, 0, ..] => EXAMPLES,
        // Judged by the IPv4 address that they carry.
        [0x0064, 0xff9b, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => {
            return None;
        }
        [0x2001, 0x0010..=0x001f, ..] => RESERVED,
        [0x2000..=0x3fff, ..] => return None,
        _ => RESERVED,
    })
}

/// The IPv4 addresses within an IPv6 address.
fn carried(ip: IpAddr) -> [Option<Ipv4Addr>; 2] {
    let IpAddr::V6(ip) = ip else { return [None; 2] };
    let v4 = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => [None; 2],
        // Compatible, translated (RFC 2765) and NAT64; mapped ones are IPv4 addresses by now.
        [0, 0, 0, 0, 0, 0, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => [v4(high, low), None],
        // 6to4
        [0x2002, high, low, ..] => [v4(high, low), None],
        // Teredo: the server, and the client with its bits turned over.
        [0x2001, 0, server_high, server_low, _, _, high, low] => {
            [v4(server_high, server_low), v4(!high, !low)]
        }
        // ISATAP
        [_, _, _, _, 0 | 0x0200, 0x5efe, high, low] => [v4(high, low), None],
        _ => [None; 2],
    }
}
