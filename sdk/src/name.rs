//! Names (RFC 5280, 4.1.2.4) for messages. RustCrypto's own text knows every attribute that there is, and makes a component
//! larger by half.

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode as _, Reader as _, Sequence, SliceReader, Tag, Tagged as _};

/// How much of a name a message shows.
const NAME_CHARS: usize = 200;
/// The attributes of 2.5.4 that CAs' names have.
const SHORT_NAMES: [(u8, &str); 8] =
    [(3, "CN"), (5, "serialNumber"), (6, "C"), (7, "L"), (8, "ST"), (9, "STREET"), (10, "O"), (11, "OU")];

#[derive(Sequence)]
struct Attribute<'a> {
    oid: ObjectIdentifier,
    value: AnyRef<'a>,
}

/// A Name (DER) as the operator writes it, `O=Example, CN=example`: in the order of the encoding, cut where it is long.
pub(crate) fn readable(name: &[u8]) -> String {
    match attributes(name) {
        Ok(attributes) if attributes.is_empty() => "an empty name".into(),
        Ok(attributes) => {
            let shown: Vec<String> = attributes.iter().map(attribute).collect();
            shown.join(", ").chars().take(NAME_CHARS).collect()
        }
        Err(_) => "a malformed name".into(),
    }
}

/// The value of a Name's (DER) first common name, if it has one that is text.
pub(crate) fn first_common_name(name: &[u8]) -> Option<String> {
    let attributes = attributes(name).ok()?;
    let common_name = attributes.iter().find(|attribute| attribute.oid.as_bytes() == [0x55, 0x04, 3])?;
    // Those that CSRs have are UTF-8 or a part of ASCII.
    String::from_utf8(common_name.value.value().to_vec()).ok()
}

fn attributes(name: &[u8]) -> der::Result<Vec<Attribute<'_>>> {
    let mut all = Vec::new();
    for relative in Vec::<AnyRef<'_>>::from_der(name)? {
        relative.tag().assert_eq(Tag::Set)?;
        let mut reader = SliceReader::new(relative.value())?;
        while !reader.is_finished() {
            all.push(reader.decode()?);
        }
    }
    Ok(all)
}

fn attribute(Attribute { oid, value }: &Attribute<'_>) -> String {
    let short = SHORT_NAMES.iter().find(|(arc, _)| oid.as_bytes() == [0x55, 0x04, *arc]);
    let name = short.map_or_else(|| oid.to_string(), |(_, name)| (*name).to_owned());
    let mut text = format!("{name}=");
    // RFC 4514, 2.4: a value cannot look like another attribute.
    for c in String::from_utf8_lossy(value.value()).chars() {
        if matches!(c, ',' | '+' | '=' | '\\' | '"') {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_as_the_operator_writes_it() {
        // O=Corp, CN=a,CN=b; a multi-valued relative name with an attribute of no short name.
        let name = [
            &[0x30, 0x2e][..],
            &[0x31, 0x0d, 0x30, 0x0b, 6, 3, 0x55, 4, 10, 0x13, 4],
            b"Corp",
            &[0x31, 0x1d, 0x30, 0x0d, 6, 3, 0x55, 4, 3, 0x0c, 6],
            b"a,CN=b",
            &[0x30, 0x0c, 6, 3, 0x55, 4, 0x2a, 0x0c, 5],
            b"Alice",
        ]
        .concat();
        assert_eq!(readable(&name), "O=Corp, CN=a\\,CN\\=b, 2.5.4.42=Alice");
        assert_eq!(readable(&[0x30, 0]), "an empty name");
        assert_eq!(readable(&name[..20]), "a malformed name");
    }
}
