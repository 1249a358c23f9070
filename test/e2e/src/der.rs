//! As much DER as a CSR takes, byte for byte as the test wants it: a library would put it into its own order.

use x509_cert::der::Encode;
use x509_cert::der::asn1::ObjectIdentifier;

/// One value: its tag, its length and what is in it.
pub fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        short @ 0..0x80 => out.push(short as u8),
        long => {
            let bytes = long.to_be_bytes();
            let significant = &bytes[long.leading_zeros() as usize / 8..];
            out.push(0x80 | significant.len() as u8);
            out.extend(significant);
        }
    }
    out.extend(content);
    out
}

/// A SEQUENCE of these.
pub fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

/// A SET of these, in this order.
pub fn set(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x31, &parts.concat())
}

/// An OBJECT IDENTIFIER.
pub fn oid(dotted: &str) -> Vec<u8> {
    ObjectIdentifier::new(dotted).expect("an object identifier").to_der().expect("it is short")
}

/// A BIT STRING without unused bits.
pub fn bit_string(bytes: &[u8]) -> Vec<u8> {
    tlv(0x03, &[&[0], bytes].concat())
}

/// The attribute types that tests put into subjects, by their short names.
#[expect(missing_docs, reason = "RFC 4514 section 3 has these names")]
pub mod attribute {
    pub const CN: &str = "2.5.4.3";
    pub const C: &str = "2.5.4.6";
    pub const O: &str = "2.5.4.10";
    pub const OU: &str = "2.5.4.11";
    pub const UID: &str = "0.9.2342.19200300.100.1.1";
    pub const DC: &str = "0.9.2342.19200300.100.1.25";
}

/// The tag of a UTF8String.
pub const UTF8: u8 = 0x0c;
/// The tag of a PrintableString.
pub const PRINTABLE: u8 = 0x13;
/// The tag of an IA5String.
pub const IA5: u8 = 0x16;

/// A Name of these RDNs, each of one or more attributes: type, tag of the string, value.
pub fn name(rdns: &[&[(&str, u8, &str)]]) -> Vec<u8> {
    let attribute =
        |(type_, tag, value): &(&str, u8, &str)| sequence(&[&oid(type_), &tlv(*tag, value.as_bytes())]);
    let rdn = |attributes: &&[(&str, u8, &str)]| {
        let parts: Vec<Vec<u8>> = attributes.iter().map(attribute).collect();
        tlv(0x31, &parts.concat())
    };
    tlv(0x30, &rdns.iter().map(rdn).collect::<Vec<_>>().concat())
}

/// The GeneralName of a DNS name.
pub fn dns(name: &str) -> Vec<u8> {
    tlv(0x82, name.as_bytes())
}

/// The GeneralName of an e-mail address.
pub fn email(address: &str) -> Vec<u8> {
    tlv(0x81, address.as_bytes())
}

/// The GeneralName of a URI.
pub fn uri(uri: &str) -> Vec<u8> {
    tlv(0x86, uri.as_bytes())
}

/// The GeneralName of an IP address.
pub fn ip(address: &str) -> Vec<u8> {
    match address.parse().expect("an IP address") {
        std::net::IpAddr::V4(address) => tlv(0x87, &address.octets()),
        std::net::IpAddr::V6(address) => tlv(0x87, &address.octets()),
    }
}

/// The GeneralName of an otherName that is a UTF8String.
pub fn other_name(type_: &str, value: &str) -> Vec<u8> {
    tlv(0xa0, &[oid(type_), tlv(0xa0, &tlv(UTF8, value.as_bytes()))].concat())
}
