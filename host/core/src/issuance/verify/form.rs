//! The form of a certificate: what clients in Go, OpenSSL and Java cannot read, or must refuse, is never published.

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280;

use super::chain::timestamp;
use super::extension_forms;
use super::mismatch::{CHAIN, Mismatch, VALIDITY};
use crate::text;
use crate::x509::{Certificate, Extension, Name, well_formed};

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

/// A certificate of the chain or a CA certificate: roots may have critical extensions of their own, which are told.
pub(super) fn check_readable(certificate: &Certificate<'_>) -> Result<(), Mismatch> {
    check_integer_of_serial(certificate)?;
    check_times(certificate)?;
    check_subject_and_issuer(certificate)?;
    check_alternative_names(certificate)?;
    check_parsed(certificate)
}

fn about(certificate: &Certificate<'_>, field: &'static str, message: &str) -> Mismatch {
    Mismatch::new(field, format!("{} has {message}", certificate.describe()))
}

/// Go refuses negative ones, and those that are not in DER's shortest form.
fn check_integer_of_serial(certificate: &Certificate<'_>) -> Result<(), Mismatch> {
    match certificate.serial_bytes() {
        [] | [0, 0..=0x7f, ..] => Err(about(certificate, SERIAL, "one that is no INTEGER of DER")),
        [0x80..=0xff, ..] => Err(about(certificate, SERIAL, "a negative one")),
        _ => Ok(()),
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

/// Those of a CA, too: nobody has asked for them, but clients read them.
fn check_alternative_names(certificate: &Certificate<'_>) -> Result<(), Mismatch> {
    let mut names = certificate.extensions.subject_alt_name.iter();
    names
        .try_for_each(well_formed::check_each)
        .map_err(|error| about(certificate, NAMES, &format!("a name that is none: {error}")))
}

/// Go and OpenSSL refuse a critical extension that they do not know in whichever certificate, rustls and Java not in a root.
pub(super) fn check_critical(certificate: &Certificate<'_>) -> Result<(), Mismatch> {
    let is_odd = |it: &&Extension<'_>| it.critical && !HONOURED.iter().any(|id| it.is(*id));
    let odd: Vec<_> = certificate.extensions.all.iter().filter(is_odd).collect();
    if odd.is_empty() {
        return Ok(());
    }
    let odd = text::list(odd.into_iter(), 200);
    Err(about(certificate, EXTENSIONS, &format!("critical extensions that clients do not know: {odd}")))
}

fn check_parsed(certificate: &Certificate<'_>) -> Result<(), Mismatch> {
    match certificate.extensions.all.iter().find(|it| !extension_forms::can_be_read(it)) {
        Some(odd) => Err(about(certificate, CHAIN, &format!("a malformed extension {odd}"))),
        None => Ok(()),
    }
}
