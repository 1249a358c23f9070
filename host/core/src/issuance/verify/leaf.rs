//! The leaf against the request.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::SignedDuration;

use super::mismatch::{CHAIN, Mismatch};
use crate::issuance::signer::SignRequest;
use crate::text;
use crate::x509::{Certificate, GeneralName, GeneralNames, Name, Usages, general_name, signature, usages};

const PUBLIC_KEY: &str = "publicKey";
const NAMES: &str = "subjectAltName";
const CA_FLAG: &str = "basicConstraints";
const SUBJECT: &str = "subject";
const KEY_USAGE: &str = "keyUsage";
const EXT_KEY_USAGE: &str = "extendedKeyUsage";
const DURATION: &str = "duration";

/// How far a lifetime may be off: CAs round to seconds and back-date a little.
const DURATION_TOLERANCE: Duration = Duration::from_secs(30);

/// How many characters of a list a message shows.
const LIST_CHARS: usize = 400;

/// The rules that always hold.
pub fn enforce(request: &SignRequest, leaf: &Certificate<'_>) -> Result<(), Mismatch> {
    let csr = &request.csr;
    if leaf.spki_der() != csr.spki_der() {
        let fingerprint = signature::fingerprint;
        return Err(Mismatch::between(PUBLIC_KEY, fingerprint(csr.spki_der()), fingerprint(leaf.spki_der())));
    }
    check_names(request, leaf)?;
    if leaf.is_ca() != request.is_ca {
        return Err(Mismatch::between(CA_FLAG, ca_flag(request.is_ca), ca_flag(leaf.is_ca())));
    }
    if leaf.is_self_signed() {
        return Err(Mismatch::new(CHAIN, "the certificate is self-signed, with the key of the request"));
    }
    Ok(())
}

fn ca_flag(is_ca: bool) -> &'static str {
    if is_ca { "CA:TRUE" } else { "CA:FALSE" }
}

/// RFC 5280 section 4.2.1.6. Names are sets here: their order and repetitions say nothing.
fn check_names(request: &SignRequest, leaf: &Certificate<'_>) -> Result<(), Mismatch> {
    let requested = request.csr.names();
    let none = GeneralNames::default();
    let found = leaf.extensions.subject_alt_name.as_ref().unwrap_or(&none);
    let (requested_keys, found_keys) = (requested.keys(), found.keys());
    let allowed: BTreeSet<_> =
        request.csr.common_names().iter().flat_map(|name| general_name::repeating(name)).collect();

    let is_missing = |name: &GeneralName<'_>| !found_keys.contains(&name.key());
    let is_beyond = |name: &GeneralName<'_>| {
        let key = name.key();
        !requested_keys.contains(&key) && !allowed.contains(&key)
    };
    if requested.iter().any(|name| is_missing(&name)) || found.iter().any(|name| is_beyond(&name)) {
        return Err(Mismatch::between(
            NAMES,
            telling(requested.iter().collect(), is_missing),
            telling(found.iter().collect(), is_beyond),
        ));
    }
    Ok(())
}

/// The names as a list; in a long one, those that differ come first, so that they are among the ones shown.
fn telling(mut names: Vec<GeneralName<'_>>, differs: impl Fn(&GeneralName<'_>) -> bool) -> String {
    if names.len() > 8 {
        names.sort_by_cached_key(|name| !differs(name));
    }
    text::list(names.iter(), LIST_CHARS)
}

/// The rules that a CA's profile may overrule. An error where it may not.
pub fn compare(request: &SignRequest, leaf: &Certificate<'_>) -> Result<Vec<Mismatch>, Mismatch> {
    let wanted =
        Usages::parse(&request.usages).map_err(|error| Mismatch::new(KEY_USAGE, error.to_string()))?;
    let differences = [
        compare_subject(request, leaf)?,
        compare_key_usage(&wanted, leaf),
        compare_ext_key_usage(&wanted, leaf),
        compare_duration(request.duration, leaf),
    ];
    Ok(differences.into_iter().flatten().collect())
}

fn compare_subject(request: &SignRequest, leaf: &Certificate<'_>) -> Result<Option<Mismatch>, Mismatch> {
    let malformed = |error: der::Error| Mismatch::new(SUBJECT, format!("it is malformed: {error}"));
    let found = Name::parse(leaf.subject_der()).map_err(malformed)?;
    let requested = Name::parse(request.csr.subject_der()).map_err(malformed)?;
    if found.matches(&requested) {
        return Ok(None);
    }
    let mismatch = Mismatch::between(SUBJECT, &requested, &found);
    let has_names = leaf.extensions.subject_alt_name.as_ref().is_some_and(|names| names.iter().len() > 0);
    if has_names || found.beyond(&requested).is_empty() { Ok(Some(mismatch)) } else { Err(mismatch) }
}

fn compare_key_usage(wanted: &Usages, leaf: &Certificate<'_>) -> Option<Mismatch> {
    let found = leaf.extensions.key_usage.unwrap_or_default();
    (found != wanted.key_usage).then(|| Mismatch::between(KEY_USAGE, wanted.key_usage, found))
}

fn compare_ext_key_usage(wanted: &Usages, leaf: &Certificate<'_>) -> Option<Mismatch> {
    let none = BTreeSet::new();
    let found = leaf.extensions.ext_key_usage.as_ref().unwrap_or(&none);
    let list = |purposes: &BTreeSet<_>| text::list(purposes.iter().map(usages::extended_name), LIST_CHARS);
    (*found != wanted.extended).then(|| Mismatch::between(EXT_KEY_USAGE, list(&wanted.extended), list(found)))
}

fn compare_duration(wanted: Duration, leaf: &Certificate<'_>) -> Option<Mismatch> {
    let found = leaf.not_after().saturating_sub(leaf.not_before());
    let readable = |duration| {
        SignedDuration::try_from(duration).map_or("an endless one".to_owned(), |d| format!("{d:#}"))
    };
    (found.abs_diff(wanted) > DURATION_TOLERANCE)
        .then(|| Mismatch::between(DURATION, readable(wanted), readable(found)))
}
