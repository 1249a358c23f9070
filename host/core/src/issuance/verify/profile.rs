//! What a CA's profile may decide: the leaf against the request, and against the certificates above it.

use std::time::Duration;

use const_oid::ObjectIdentifier;
use const_oid::db::{rfc4519, rfc5280};
use jiff::SignedDuration;

use super::chain::timestamp;
use super::differences::{Difference, Found};
use super::form;
use super::mismatch::{self, Mismatch};
use super::purposes;
use crate::issuance::signer::SignRequest;
use crate::x509::{Certificate, Extension, Name, Usages, general_name};

const SUBJECT: &str = "subject";
const KEY_USAGE: &str = "keyUsage";
const DURATION: &str = "duration";
const VALIDITY: &str = "validity";
const EXTENSIONS: &str = "extensions";

/// How far a lifetime may be off: CAs round to seconds and back-date a little.
const DURATION_TOLERANCE: Duration = Duration::from_secs(30);

/// Extensions that are judged by rules of their own.
const JUDGED: [ObjectIdentifier; 4] = [
    rfc5280::ID_CE_KEY_USAGE,
    rfc5280::ID_CE_SUBJECT_ALT_NAME,
    rfc5280::ID_CE_BASIC_CONSTRAINTS,
    rfc5280::ID_CE_EXT_KEY_USAGE,
];
/// Extensions that say who issued a certificate, by which rules, and where its revocation is told.
const ORDINARY: [ObjectIdentifier; 8] = [
    rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER,
    rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER,
    rfc5280::ID_CE_ISSUER_ALT_NAME,
    rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS,
    rfc5280::ID_CE_FRESHEST_CRL,
    rfc5280::ID_CE_CERTIFICATE_POLICIES,
    rfc5280::ID_PE_AUTHORITY_INFO_ACCESS,
    // Signed certificate timestamps (RFC 6962).
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.2"),
];
/// Extensions that narrow what a CA may do.
const NARROWING: [ObjectIdentifier; 4] = [
    rfc5280::ID_CE_NAME_CONSTRAINTS,
    rfc5280::ID_CE_POLICY_MAPPINGS,
    rfc5280::ID_CE_POLICY_CONSTRAINTS,
    rfc5280::ID_CE_INHIBIT_ANY_POLICY,
];
/// Extensions that a CSR may ask for: they bind the holder and give nothing. Whoever approves a request sees no others of
/// the CSR's extensions than those that are judged, and to somebody they may mean a power: a user's SID, for instance.
const ASKED_FOR: [ObjectIdentifier; 1] = [
    // The TLS feature must-staple (RFC 7633).
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.24"),
];

/// Every difference, those of the request first. `above` are the certificates that the leaf depends on. An error where
/// what was asked for, or what was given, cannot be read, or where no profile may decide.
pub(super) fn compare(
    request: &SignRequest,
    leaf: &Certificate<'_>,
    above: &[&Certificate<'_>],
) -> Result<Vec<Found>, Mismatch> {
    let wanted =
        Usages::parse(&request.usages).map_err(|error| Mismatch::new(KEY_USAGE, error.to_string()))?;
    let purposes = purposes::wanted(request, &wanted);
    let differences = [
        subject(request, leaf)?,
        key_usage(&wanted, leaf),
        purposes::differing(&purposes, leaf),
        purposes::limited(&purposes, leaf, above)?,
        duration(request.duration, leaf),
        outlives(leaf, above),
        extensions(request, leaf),
        critical_extensions(above),
    ];
    Ok(differences.into_iter().flatten().collect())
}

/// Where a certificate has no alternative name, its subject is all that it says about its holder (a Kubernetes client's
/// user and groups, for instance): then it has nothing beyond the CSR's, and nothing can allow it.
fn subject(request: &SignRequest, leaf: &Certificate<'_>) -> Result<Option<Found>, Mismatch> {
    let malformed = |error: der::Error| Mismatch::new(SUBJECT, format!("it is malformed: {error}"));
    let found = Name::parse(leaf.subject_der()).map_err(malformed)?;
    let requested = Name::parse(request.csr.subject_der()).map_err(malformed)?;
    if found.matches(&requested) {
        return Ok(None);
    }
    let names = leaf.extensions.subject_alt_name.as_ref().map(|names| names.keys()).unwrap_or_default();
    let repeats_a_name =
        |common_name: &str| general_name::repeating(common_name).any(|name| names.contains(&name));
    let is_beyond = found.beyond(&requested).iter().any(|attribute| {
        !attribute.is(rfc4519::COMMON_NAME) || !attribute.text().is_some_and(|cn| repeats_a_name(&cn))
    });
    let mismatch = Mismatch::between(SUBJECT, &requested, &found);
    match (is_beyond, names.is_empty()) {
        (false, _) => Ok(Some(Found::told(mismatch))),
        (true, false) => Ok(Some(Found::needing(Difference::Subject, mismatch))),
        (true, true) => Err(mismatch),
    }
}

fn key_usage(wanted: &Usages, leaf: &Certificate<'_>) -> Option<Found> {
    let found = leaf.extensions.key_usage.unwrap_or_default();
    (found != wanted.key_usage).then(|| Found::told(Mismatch::between(KEY_USAGE, wanted.key_usage, found)))
}

fn duration(wanted: Duration, leaf: &Certificate<'_>) -> Option<Found> {
    let found = leaf.not_after().saturating_sub(leaf.not_before());
    let readable = |duration| {
        SignedDuration::try_from(duration).map_or("an endless one".to_owned(), |d| format!("{d:#}"))
    };
    (found.abs_diff(wanted) > DURATION_TOLERANCE)
        .then(|| Found::told(Mismatch::between(DURATION, readable(wanted), readable(found))))
}

/// Whether the leaf expires after its issuer; or, which its issuer has brought about, after one above that.
fn outlives(leaf: &Certificate<'_>, above: &[&Certificate<'_>]) -> Option<Found> {
    let expires_later = |issuer: &&&Certificate<'_>| leaf.not_after() > issuer.not_after();
    let (at, first) = above.iter().enumerate().find(|(_, issuer)| expires_later(issuer))?;
    let (own, issuers) = (timestamp(leaf.not_after()), timestamp(first.not_after()));
    let message = format!("the certificate expires at {own}; {}, above it, at {issuers}", first.describe());
    let mismatch = Mismatch::new(VALIDITY, message);
    Some(if at == 0 { Found::needing(Difference::OutlivesIssuer, mismatch) } else { Found::told(mismatch) })
}

fn extensions(request: &SignRequest, leaf: &Certificate<'_>) -> Option<Found> {
    let is_ordinary = |extension: &Extension<'_>| {
        let is = |id: &ObjectIdentifier| extension.is(*id);
        JUDGED.iter().chain(&ORDINARY).any(is)
            || (request.is_ca && NARROWING.iter().any(is))
            || (ASKED_FOR.iter().any(is) && request.csr.asks_for(extension))
    };
    let further: Vec<_> = leaf.extensions.all.iter().filter(|extension| !is_ordinary(extension)).collect();
    (!further.is_empty()).then(|| {
        let further = mismatch::list(further.into_iter());
        let mismatch = Mismatch::between(EXTENSIONS, "none beyond the ordinary ones", further);
        Found::needing(Difference::Extensions, mismatch)
    })
}

/// Those of a root that only some clients let pass. Others in the path have been refused by then.
fn critical_extensions(above: &[&Certificate<'_>]) -> Option<Found> {
    above.iter().find_map(|ca| form::check_critical(ca).err()).map(Found::told)
}
