//! The form of a certificate: what clients in Go, OpenSSL and Java cannot read, or must refuse, is never published.

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280;
use der::Reader;

use super::chain::timestamp;
use super::mismatch::{CHAIN, Mismatch, VALIDITY};
use crate::text;
use crate::x509::{Certificate, Extension, Name, NameConstraints, sequence, well_formed};

const SERIAL: &str = "serialNumber";
const EXTENSIONS: &str = "extensions";
const NAMES: &str = "subjectAltName";
const SUBJECT: &str = "subject";
const ISSUER: &str = "issuer";

/// RFC 5280 section 4.1.2.2.
const MAX_SERIAL_BYTES: usize = 20;

/// Extensions that clients know how to honour, so that they may be critical.
const HONOURED: [ObjectIdentifier; 10] = [
    rfc5280::ID_CE_KEY_USAGE,
    rfc5280::ID_CE_SUBJECT_ALT_NAME,
    rfc5280::ID_CE_BASIC_CONSTRAINTS,
    rfc5280::ID_CE_NAME_CONSTRAINTS,
    rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS,
    rfc5280::ID_CE_CERTIFICATE_POLICIES,
    rfc5280::ID_CE_POLICY_MAPPINGS,
    rfc5280::ID_CE_POLICY_CONSTRAINTS,
    rfc5280::ID_CE_EXT_KEY_USAGE,
    rfc5280::ID_CE_INHIBIT_ANY_POLICY,
];

/// Extensions that clients parse before they look at anything else, and that nothing else here reads: a form that is not
/// theirs makes the whole certificate unreadable. Each with its form.
const PARSED: [(ObjectIdentifier, Form); 7] = [
    (rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER, Form::OctetString),
    (rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER, Form::Sequence),
    (rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS, Form::Sequences),
    (rfc5280::ID_CE_FRESHEST_CRL, Form::Sequences),
    (rfc5280::ID_CE_CERTIFICATE_POLICIES, Form::Sequences),
    (rfc5280::ID_PE_AUTHORITY_INFO_ACCESS, Form::Sequences),
    (rfc5280::ID_CE_NAME_CONSTRAINTS, Form::NameConstraints),
];

#[derive(Clone, Copy)]
enum Form {
    OctetString,
    /// One of anything.
    Sequence,
    /// A sequence of sequences, one at least.
    Sequences,
    NameConstraints,
}

impl Form {
    fn holds(self, value: &[u8]) -> bool {
        match self {
            Self::OctetString => <&der::asn1::OctetStringRef as der::Decode>::from_der(value).is_ok(),
            Self::Sequence => sequence(value, skip_all).is_ok(),
            Self::Sequences => sequence(value, |list| {
                while {
                    list.sequence(skip_all)?;
                    !list.is_finished()
                } {}
                Ok(())
            })
            .is_ok(),
            Self::NameConstraints => NameConstraints::parse(value).is_ok(),
        }
    }
}

fn skip_all(reader: &mut der::SliceReader<'_>) -> der::Result<()> {
    while !reader.is_finished() {
        reader.tlv_bytes()?;
    }
    Ok(())
}

/// A leaf: what holds for all that is published, and what CAs of old did in their own certificates and clients let pass.
pub(super) fn check_leaf(leaf: &Certificate<'_>) -> Result<(), Mismatch> {
    check_serial(leaf)?;
    check_lists(leaf)
}

/// A certificate of the chain.
pub(super) fn check(certificate: &Certificate<'_>) -> Result<(), Mismatch> {
    check_readable(certificate)?;
    check_critical(certificate)
}

/// A certificate of the chain or a CA certificate: roots may have critical extensions of their own, as trust in them comes
/// from elsewhere.
pub(super) fn check_readable(certificate: &Certificate<'_>) -> Result<(), Mismatch> {
    check_sign_of_serial(certificate)?;
    check_times(certificate)?;
    check_subject_and_issuer(certificate)?;
    check_parsed(certificate)
}

fn about(certificate: &Certificate<'_>, field: &'static str, message: &str) -> Mismatch {
    Mismatch::new(field, format!("{} has {message}", certificate.describe()))
}

/// Go refuses negative ones.
fn check_sign_of_serial(certificate: &Certificate<'_>) -> Result<(), Mismatch> {
    match certificate.serial_bytes().first() {
        Some(first) if *first < 0x80 => Ok(()),
        _ => Err(about(certificate, SERIAL, "a negative one")),
    }
}

fn check_serial(leaf: &Certificate<'_>) -> Result<(), Mismatch> {
    let serial = leaf.serial_bytes();
    if serial.iter().all(|byte| *byte == 0) {
        return Err(about(leaf, SERIAL, "zero; it is to be positive"));
    }
    if serial.len() > MAX_SERIAL_BYTES {
        let message = format!("one of {} octets; at most {MAX_SERIAL_BYTES} are allowed", serial.len());
        return Err(about(leaf, SERIAL, &message));
    }
    Ok(())
}

fn check_times(certificate: &Certificate<'_>) -> Result<(), Mismatch> {
    let (from, until) = (certificate.not_before(), certificate.not_after());
    if until > from {
        return Ok(());
    }
    let message = format!("an end, {}, that is not after its start, {}", timestamp(until), timestamp(from));
    Err(about(certificate, VALIDITY, &message))
}

/// A list that is there is not empty (RFC 5280 sections 4.2.1.6 and 4.2.1.12).
fn check_lists(leaf: &Certificate<'_>) -> Result<(), Mismatch> {
    let extensions = &leaf.extensions;
    if extensions.subject_alt_name.as_ref().is_some_and(|names| names.iter().len() == 0) {
        return Err(about(leaf, NAMES, "an empty list of names"));
    }
    if extensions.ext_key_usage.as_ref().is_some_and(|purposes| purposes.is_empty()) {
        return Err(about(leaf, "extendedKeyUsage", "an empty list of usages"));
    }
    Ok(())
}

/// Java reads no certificate without an issuer, and none without a subject but one whose names are critical; Go none with
/// other strings than these.
fn check_subject_and_issuer(certificate: &Certificate<'_>) -> Result<(), Mismatch> {
    let read = |field, der| {
        let name =
            Name::parse(der).map_err(|error| Mismatch::new(field, format!("it is malformed: {error}")))?;
        well_formed::check_text(&name)
            .map_err(|error| about(certificate, field, &format!("a name that is none: {error}")))?;
        Ok(name)
    };
    if read(ISSUER, certificate.issuer_der())?.is_empty() {
        return Err(about(certificate, ISSUER, "an empty name for its issuer"));
    }
    let names_are_critical =
        certificate.extensions.all.iter().any(|it| it.critical && it.is(rfc5280::ID_CE_SUBJECT_ALT_NAME));
    if read(SUBJECT, certificate.subject_der())?.is_empty() && !names_are_critical {
        return Err(about(certificate, SUBJECT, "an empty subject, and no critical subjectAltName"));
    }
    Ok(())
}

fn check_critical(certificate: &Certificate<'_>) -> Result<(), Mismatch> {
    let is_odd = |it: &&Extension<'_>| it.critical && !HONOURED.iter().any(|id| it.is(*id));
    let odd: Vec<_> = certificate.extensions.all.iter().filter(is_odd).collect();
    if odd.is_empty() {
        return Ok(());
    }
    let odd = text::list(odd.into_iter(), 200);
    Err(about(certificate, EXTENSIONS, &format!("critical extensions that clients do not know: {odd}")))
}

fn check_parsed(certificate: &Certificate<'_>) -> Result<(), Mismatch> {
    let is_malformed =
        |it: &&Extension<'_>| PARSED.iter().any(|(id, form)| it.is(*id) && !form.holds(it.value));
    match certificate.extensions.all.iter().find(is_malformed) {
        Some(odd) => Err(about(certificate, CHAIN, &format!("a malformed extension {odd}"))),
        None => Ok(()),
    }
}
