//! Extensions that clients parse before they look at anything else, and that nothing else here reads: a form that is not
//! theirs makes the whole certificate unreadable.

use std::collections::BTreeSet;

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280;
use der::asn1::OctetStringRef;
use der::{Decode, Reader, SliceReader, Tag};

use crate::x509::{
    Extension, NameConstraints, object_identifier, object_identifier_of_any_size, optional_field, sequence,
};

type Form = fn(&[u8]) -> der::Result<()>;

/// The extensions, each with its form as Go has it.
const FORMS: [(ObjectIdentifier, Form); 10] = [
    (rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER, |value| <&OctetStringRef>::from_der(value).map(drop)),
    (rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER, |value| sequence(value, skip_all)),
    (rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS, |value| list(value, distribution_point)),
    (rfc5280::ID_CE_FRESHEST_CRL, |value| list(value, distribution_point)),
    (rfc5280::ID_CE_CERTIFICATE_POLICIES, policies),
    (rfc5280::ID_CE_POLICY_MAPPINGS, |value| list(value, policy_mapping)),
    (rfc5280::ID_CE_POLICY_CONSTRAINTS, policy_constraints),
    (rfc5280::ID_CE_INHIBIT_ANY_POLICY, |value| u32::from_der(value).map(drop)),
    (rfc5280::ID_PE_AUTHORITY_INFO_ACCESS, |value| list(value, access_description)),
    (rfc5280::ID_CE_NAME_CONSTRAINTS, |value| NameConstraints::parse(value).map(drop)),
];

/// Extensions that are never critical (RFC 5280 sections 4.2.1.1, 4.2.1.2 and 4.2.2.1). Go reads no certificate where one is.
const NOT_CRITICAL: [ObjectIdentifier; 3] = [
    rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER,
    rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER,
    rfc5280::ID_PE_AUTHORITY_INFO_ACCESS,
];

/// Whether clients can read the extension, as far as they try to.
pub(super) fn can_be_read(extension: &Extension<'_>) -> bool {
    let is_wrongly_critical = extension.critical && NOT_CRITICAL.iter().any(|id| extension.is(*id));
    let form = FORMS.iter().find(|(id, _)| extension.is(*id));
    !is_wrongly_critical && form.is_none_or(|(_, form)| form(extension.value).is_ok())
}

/// Sequences in a sequence, one at least.
fn list(value: &[u8], mut read: impl FnMut(&mut SliceReader<'_>) -> der::Result<()>) -> der::Result<()> {
    sequence(value, |list| {
        while {
            list.sequence(&mut read)?;
            !list.is_finished()
        } {}
        Ok(())
    })
}

fn skip_all(reader: &mut SliceReader<'_>) -> der::Result<()> {
    while !reader.is_finished() {
        reader.tlv_bytes()?;
    }
    Ok(())
}

/// Go reads no name relative to the CRL's issuer.
fn distribution_point(point: &mut SliceReader<'_>) -> der::Result<()> {
    if let Some(name) = optional_field(point, 0, true)? {
        let mut name = SliceReader::new(name)?;
        let full = optional_field(&mut name, 0, true)?.ok_or_else(|| Tag::Sequence.value_error())?;
        skip_all(&mut SliceReader::new(full)?)?;
    }
    skip_all(point)
}

/// Each policy stands there once.
fn policies(value: &[u8]) -> der::Result<()> {
    let mut seen = BTreeSet::new();
    list(value, |policy| {
        if !seen.insert(object_identifier_of_any_size(policy)?.to_vec()) {
            return Err(Tag::ObjectIdentifier.value_error().into());
        }
        skip_all(policy)
    })
}

fn policy_mapping(mapping: &mut SliceReader<'_>) -> der::Result<()> {
    object_identifier_of_any_size(mapping)?;
    object_identifier_of_any_size(mapping).map(drop)
}

/// Two numbers, of which each may be missing.
fn policy_constraints(value: &[u8]) -> der::Result<()> {
    sequence(value, |constraints| {
        for number in [0, 1] {
            match optional_field(constraints, number, false)? {
                // A number from 0 to 127: no path is longer.
                None | Some([0..=0x7f]) => {}
                Some(_) => return Err(Tag::Integer.value_error().into()),
            }
        }
        Ok(())
    })
}

fn access_description(access: &mut SliceReader<'_>) -> der::Result<()> {
    object_identifier(access)?;
    skip_all(access)
}
