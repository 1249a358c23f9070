//! What every structure here is read with: a sequence, an optional field, the signed envelope (RFC 5280 section 4.1.1).

use der::asn1::{AnyRef, BitStringRef};
use der::{Reader, SliceReader, Tag, TagNumber, Tagged};
use spki::AlgorithmIdentifierRef;

/// Reads a value that is one SEQUENCE and nothing after it.
pub fn sequence<'a, T>(
    der: &'a [u8],
    read: impl FnOnce(&mut SliceReader<'a>) -> der::Result<T>,
) -> der::Result<T> {
    let mut reader = SliceReader::new(der)?;
    let value = reader.sequence(read)?;
    reader.finish()?;
    Ok(value)
}

/// The content of the optional field with this context-specific tag, if that is what comes next.
pub fn optional_field<'a>(
    reader: &mut SliceReader<'a>,
    number: u32,
    constructed: bool,
) -> der::Result<Option<&'a [u8]>> {
    let wanted = Tag::ContextSpecific { number: TagNumber(number), constructed };
    if reader.is_finished() || Tag::peek(reader)? != wanted {
        return Ok(None);
    }
    Ok(Some(reader.decode::<AnyRef<'a>>()?.value()))
}

/// The content of an OBJECT IDENTIFIER of any length, as far as Go reads it: each arc below 2^31, in its shortest form.
pub fn object_identifier<'a>(reader: &mut SliceReader<'a>) -> der::Result<&'a [u8]> {
    let content = object_identifier_of_any_size(reader)?;
    let mut arc = 0_u64;
    for byte in content {
        arc = arc << 7 | u64::from(byte & 0x7f);
        if arc > i32::MAX as u64 {
            return Err(Tag::ObjectIdentifier.value_error().into());
        }
        if byte & 0x80 == 0 {
            arc = 0;
        }
    }
    Ok(content)
}

/// The same with arcs of any size, such as those made of a UUID: Go reads them in policies.
pub fn object_identifier_of_any_size<'a>(reader: &mut SliceReader<'a>) -> der::Result<&'a [u8]> {
    let any: AnyRef<'a> = reader.decode()?;
    any.tag().assert_eq(Tag::ObjectIdentifier)?;
    let malformed = || Tag::ObjectIdentifier.value_error().into();
    let mut within = false;
    for byte in any.value() {
        if !within && *byte == 0x80 {
            return Err(malformed());
        }
        within = byte & 0x80 != 0;
    }
    if within || any.value().is_empty() { Err(malformed()) } else { Ok(any.value()) }
}

/// The envelope that certificates and CSRs share: something to be signed, the algorithm, the signature.
pub struct Envelope<'a> {
    /// The exact bytes that the signature covers.
    pub tbs: &'a [u8],
    /// The exact bytes of the AlgorithmIdentifier.
    pub algorithm_der: &'a [u8],
    pub algorithm: AlgorithmIdentifierRef<'a>,
    pub signature: &'a [u8],
}

impl<'a> Envelope<'a> {
    pub fn parse(der: &'a [u8]) -> der::Result<Self> {
        sequence(der, |reader| {
            let tbs = reader.tlv_bytes()?;
            let algorithm_der = reader.tlv_bytes()?;
            Ok(Self {
                tbs,
                algorithm_der,
                algorithm: der::Decode::from_der(algorithm_der)?,
                signature: whole_bytes(reader.decode()?)?,
            })
        })
    }
}

/// The bytes of a BIT STRING, which signatures and keys use as an octet string.
pub fn whole_bytes(bits: BitStringRef<'_>) -> der::Result<&[u8]> {
    bits.as_bytes().ok_or_else(|| Tag::BitString.value_error().into())
}
