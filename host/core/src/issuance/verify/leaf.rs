//! What the leaf never has, and what it never lacks.

use std::collections::BTreeSet;

use super::mismatch::{self, CHAIN, Mismatch};
use crate::issuance::signer::SignRequest;
use crate::x509::{Certificate, GeneralName, GeneralNames, KeyUsage, general_name, is_host_name, signature};

const PUBLIC_KEY: &str = "publicKey";
const NAMES: &str = "subjectAltName";
const CA_FLAG: &str = "basicConstraints";
const KEY_USAGE: &str = "keyUsage";

/// Refuses a leaf with another key, other names or other powers than were asked for.
pub(super) fn check(request: &SignRequest, leaf: &Certificate<'_>) -> Result<(), Mismatch> {
    let csr = &request.csr;
    if leaf.spki_der() != csr.spki_der() {
        let fingerprint = signature::fingerprint;
        return Err(Mismatch::between(PUBLIC_KEY, fingerprint(csr.spki_der()), fingerprint(leaf.spki_der())));
    }
    check_names(request, leaf)?;
    if leaf.is_ca() != request.is_ca {
        return Err(Mismatch::between(CA_FLAG, ca_flag(request.is_ca), ca_flag(leaf.is_ca())));
    }
    let usage = leaf.extensions.key_usage.unwrap_or_default();
    if !request.is_ca && usage.contains(KeyUsage::CERT_SIGN) {
        return Err(Mismatch::between(KEY_USAGE, "no CA certificate", usage));
    }
    if leaf.is_self_signed() {
        return Err(Mismatch::new(CHAIN, "the certificate is self-signed, with the key of the request"));
    }
    Ok(())
}

fn ca_flag(is_ca: bool) -> &'static str {
    if is_ca { "CA:TRUE" } else { "CA:FALSE" }
}

/// RFC 5280 section 4.2.1.6. Names are sets here: their order and repetitions say nothing. Where a common name is a name
/// at all, it may be repeated as one.
fn check_names(request: &SignRequest, leaf: &Certificate<'_>) -> Result<(), Mismatch> {
    let requested = request.csr.names();
    let none = GeneralNames::default();
    let found = leaf.extensions.subject_alt_name.as_ref().unwrap_or(&none);
    let (requested_keys, found_keys) = (requested.keys(), found.keys());
    let common_names = request.csr.common_names().iter().filter(|name| may_be_repeated(name));
    let allowed: BTreeSet<_> = common_names.flat_map(|name| general_name::repeating(name)).collect();

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

/// A host, an email address or an IP address.
fn may_be_repeated(common_name: &str) -> bool {
    let host = common_name.rsplit_once('@').map_or(common_name, |(_, host)| host);
    is_host_name(host) || common_name.parse::<std::net::IpAddr>().is_ok()
}

/// The names as a list; in a long one, those that differ come first, so that they are among the ones shown.
fn telling(mut names: Vec<GeneralName<'_>>, differs: impl Fn(&GeneralName<'_>) -> bool) -> String {
    if names.len() > 8 {
        names.sort_by_cached_key(|name| !differs(name));
    }
    mismatch::list(names.iter())
}
