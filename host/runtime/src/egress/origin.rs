//! Scheme, host and port: what a grant names and what a request goes to. Read strictly, in one way for both.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;
use http::uri::PathAndQuery;

/// The longest name that DNS has.
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// What a plugin can speak to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// HTTP without TLS.
    Http,
    /// HTTP over TLS.
    Https,
}

impl Scheme {
    /// Read a scheme's name, in upper or lower case.
    pub fn parse(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("https") {
            Some(Self::Https)
        } else if text.eq_ignore_ascii_case("http") {
            Some(Self::Http)
        } else {
            None
        }
    }

    /// `http` or `https`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port where none is named.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// A host name in lower case without a dot at its end, or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name, to be resolved.
    Name(String),
    /// An address in its one usual form.
    Ip(IpAddr),
}

/// Why text is no `host[:port]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAuthority {
    /// It has `user@` or `user:password@` in front.
    #[error("it holds a user name; credentials belong into a Secret")]
    UserInfo,
    /// Nothing in front of the port, or nothing at all.
    #[error("the host is missing")]
    Empty,
    /// Something that DNS would not have.
    #[error("the host is not a DNS name (letters, digits and hyphens between dots)")]
    Name,
    /// `2130706433`, `0x7f.1`, `0177.0.0.1`: addresses that programs read differently.
    #[error("the host looks like an IPv4 address, and those are written as four decimal numbers")]
    Ipv4Form,
    /// Brackets without an IPv6 address in them.
    #[error("the host is not an IPv6 address in brackets")]
    Ipv6Form,
    /// `:0`, `:`, `:65536`, `:+1` and the like.
    #[error("the port is not a number from 1 to 65535")]
    Port,
}

/// Reads `host[:port]`. Without a port the result has none: the default depends on the scheme, which is not known here.
pub fn parse_authority(text: &str) -> Result<(Host, Option<u16>), InvalidAuthority> {
    if text.contains('@') {
        return Err(InvalidAuthority::UserInfo);
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']').ok_or(InvalidAuthority::Ipv6Form)?;
        let address: Ipv6Addr = address.parse().map_err(|_| InvalidAuthority::Ipv6Form)?;
        let port = match rest.strip_prefix(':') {
            Some(port) => Some(parse_port(port)?),
            None if rest.is_empty() => None,
            None => return Err(InvalidAuthority::Ipv6Form),
        };
        return Ok((Host::Ip(address.into()), port));
    }
    match text.split_once(':') {
        Some((host, port)) => Ok((parse_host(host)?, Some(parse_port(port)?))),
        None => Ok((parse_host(text)?, None)),
    }
}

fn parse_port(text: &str) -> Result<u16, InvalidAuthority> {
    let is_decimal = (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let port = is_decimal.then(|| text.parse().ok()).flatten();
    port.filter(|port| *port != 0).ok_or(InvalidAuthority::Port)
}

fn parse_host(text: &str) -> Result<Host, InvalidAuthority> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    if name.is_empty() {
        return Err(InvalidAuthority::Empty);
    }
    // What ends in a number is an address to the C library and to browsers, in many spellings; one is enough.
    if name.rsplit('.').next().is_some_and(is_number) {
        let address: Result<Ipv4Addr, _> = name.parse();
        return address.map(|address| Host::Ip(address.into())).map_err(|_| InvalidAuthority::Ipv4Form);
    }
    if name.len() > MAX_NAME || !name.split('.').all(is_label) {
        return Err(InvalidAuthority::Name);
    }
    Ok(Host::Name(name))
}

fn is_number(label: &str) -> bool {
    match label.strip_prefix("0x") {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Ip(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// Where a request goes. Displayed as `scheme://host`, with the port unless it is the scheme's own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// How the server is spoken to.
    pub scheme: Scheme,
    /// Which server, or whose name it must prove to have.
    pub host: Host,
    /// The port, the scheme's own where none was named.
    pub port: u16,
}

/// Why a URI has no [`Origin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOrigin {
    /// The scheme is another one, or missing.
    #[error("the scheme is not https or http")]
    Scheme,
    /// The part between `//` and the path does not name a server.
    #[error(transparent)]
    Authority(#[from] InvalidAuthority),
}

impl Origin {
    /// Where an absolute URI leads.
    pub fn of(uri: &Uri) -> Result<Self, InvalidOrigin> {
        let scheme = uri.scheme_str().and_then(Scheme::parse).ok_or(InvalidOrigin::Scheme)?;
        // The raw text: `Authority::port` overlooks a port that is none.
        let authority = uri.authority().ok_or(InvalidAuthority::Empty)?;
        let (host, port) = parse_authority(authority.as_str())?;
        Ok(Self { scheme, host, port: port.unwrap_or(scheme.default_port()) })
    }

    /// The URI of a path at this origin, made from parts, so that nothing else of the text that it came from is left.
    pub fn uri(&self, path_and_query: Option<&PathAndQuery>) -> Option<Uri> {
        let path = path_and_query.map_or("/", PathAndQuery::path);
        let query = path_and_query.and_then(PathAndQuery::query);
        // `*` and an absolute URI are paths to this type as well.
        if !path.starts_with('/') {
            return None;
        }
        let question = if query.is_some() { "?" } else { "" };
        format!("{self}{path}{question}{}", query.unwrap_or_default()).parse().ok()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.host)?;
        if self.port == self.scheme.default_port() { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}
