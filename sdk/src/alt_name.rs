//! The names of a request as the APIs of CAs want them: as text.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use der::asn1::AnyRef;
use der::{Decode as _, Tagged as _};

use crate::name::first_common_name;
use crate::{Csr, Failure};

/// A subject alternative name as text.
///
/// ```
/// # use wasm_issuer_sdk::AltName;
/// assert_eq!(AltName::Ip([10, 0, 0, 1].into()).to_string(), "10.0.0.1");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AltName {
    /// A dNSName.
    Dns(String),
    /// An iPAddress.
    Ip(IpAddr),
    /// An rfc822Name.
    Email(String),
    /// A uniformResourceIdentifier.
    Uri(String),
}

/// The text alone, without what kind of name it is.
impl fmt::Display for AltName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) | Self::Email(name) | Self::Uri(name) => f.write_str(name),
            Self::Ip(address) => write!(f, "{address}"),
        }
    }
}

impl Csr {
    /// The subject's first common name, as text.
    ///
    /// ```no_run
    /// # fn subject(request: &wasm_issuer_sdk::Request) -> Result<String, wasm_issuer_sdk::Failure> {
    /// Ok(request.csr()?.common_name().unwrap_or_default())
    /// # }
    /// ```
    pub fn common_name(&self) -> Option<String> {
        first_common_name(self.subject())
    }

    /// The subject alternative names as text. Another kind than those of [`AltName`] is the request's fault: a CA that
    /// is asked by text cannot give it.
    ///
    /// ```no_run
    /// # fn identifiers(request: &wasm_issuer_sdk::Request) -> Result<Vec<String>, wasm_issuer_sdk::Failure> {
    /// Ok(request.csr()?.alt_names()?.iter().map(ToString::to_string).collect())
    /// # }
    /// ```
    pub fn alt_names(&self) -> Result<Vec<AltName>, Failure> {
        let Some(names) = self.subject_alt_name() else { return Ok(Vec::new()) };
        let names = Vec::<AnyRef<'_>>::from_der(names).map_err(|error| malformed(&error.to_string()))?;
        names.iter().map(alt_name).collect()
    }
}

fn malformed(why: &str) -> Failure {
    Failure::invalid_request(format!("the CSR's subject alternative name is malformed: {why}"))
}

/// A GeneralName by its tag (RFC 5280 section 4.2.1.6). x509-cert's type for it knows what a directory name holds, which
/// makes a component 70 KiB larger.
fn alt_name(name: &AnyRef<'_>) -> Result<AltName, Failure> {
    let text = || match std::str::from_utf8(name.value()) {
        Ok(text) if text.is_ascii() => Ok(text.to_owned()),
        _ => Err(malformed("a name is not ASCII")),
    };
    let kind = match name.tag().number().0 {
        1 => return text().map(AltName::Email),
        2 => return text().map(AltName::Dns),
        6 => return text().map(AltName::Uri),
        7 => {
            let address = address(name.value()).map(AltName::Ip);
            return address.ok_or_else(|| malformed("an IP address has neither 4 nor 16 bytes"));
        }
        0 => "otherName",
        3 => "x400Address",
        4 => "directoryName",
        5 => "ediPartyName",
        8 => "registeredID",
        _ => return Err(malformed("a name is of no kind")),
    };
    Err(Failure::invalid_request(format!("this CA cannot give a name of the kind {kind}")))
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(Ipv4Addr::from).map(IpAddr::V4);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(Ipv6Addr::from).map(IpAddr::V6)).ok()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    #[test]
    fn names_become_text() {
        let mut params = CertificateParams::new(vec!["web.example".to_owned()]).unwrap();
        params.subject_alt_names.extend([
            SanType::IpAddress([10, 0, 0, 1].into()),
            SanType::IpAddress("2001:db8::1".parse().unwrap()),
            SanType::Rfc822Name("me@a.example".try_into().unwrap()),
            SanType::URI("spiffe://a.example/web".try_into().unwrap()),
        ]);
        params.distinguished_name.push(DnType::OrganizationName, "Example");
        params.distinguished_name.push(DnType::CommonName, "web");
        let csr = params.serialize_request(&KeyPair::generate().unwrap()).unwrap();
        let csr = Csr::from_der(csr.der()).unwrap();
        assert_eq!(csr.common_name().as_deref(), Some("web"));
        let names: Vec<_> = csr.alt_names().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(
            names,
            ["web.example", "10.0.0.1", "2001:db8::1", "me@a.example", "spiffe://a.example/web"]
        );
    }

    #[test]
    fn a_name_that_is_no_text_is_the_requests_fault() {
        let mut params = CertificateParams::default();
        params.subject_alt_names.push(SanType::OtherName((vec![1, 3, 6, 1], "x".into())));
        let csr = params.serialize_request(&KeyPair::generate().unwrap()).unwrap();
        let failure = Csr::from_der(csr.der()).unwrap().alt_names().unwrap_err();
        assert!(failure.message.contains("otherName") && failure.condition.is_some(), "{failure:?}");
    }
}
