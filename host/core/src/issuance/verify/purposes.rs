//! What a certificate is for: its extended key usages against those that were asked for, and against those that the CAs
//! above it have, which clients take as a limit for all that is below.

use std::collections::BTreeSet;

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280;

use super::differences::{Difference, Found};
use super::mismatch::{self, Mismatch};
use crate::issuance::signer::SignRequest;
use crate::x509::{Certificate, Usages, usages};

const EXT_KEY_USAGE: &str = "extendedKeyUsage";

/// Extended key usages that every CA of servers and clients may give.
const ORDINARY: [ObjectIdentifier; 2] = [rfc5280::ID_KP_SERVER_AUTH, rfc5280::ID_KP_CLIENT_AUTH];

type Purposes = BTreeSet<ObjectIdentifier>;

/// What a request asks for. A CSR may ask for purposes that cert-manager's API has no name for.
pub(super) fn wanted(request: &SignRequest, usages: &Usages) -> Purposes {
    usages.extended.iter().chain(request.csr.ext_key_usage().into_iter().flatten()).copied().collect()
}

/// Where the leaf has others than it asked for.
pub(super) fn differing(wanted: &Purposes, leaf: &Certificate<'_>) -> Option<Found> {
    let found = leaf.extensions.ext_key_usage.clone().unwrap_or_default();
    if found == *wanted {
        return None;
    }
    let mismatch = Mismatch::between(EXT_KEY_USAGE, list(wanted), list(&found));
    Some(if found.difference(wanted).any(|purpose| !ORDINARY.contains(purpose)) {
        Found::needing(Difference::ExtendedKeyUsages, mismatch)
    } else {
        Found::told(mismatch)
    })
}

/// Where a CA above lets the leaf be for less than it is meant for; an error where nothing is left of that. By a root's
/// limit only some clients go (Go and OpenSSL, not rustls and Java): it is told.
pub(super) fn limited(
    wanted: &Purposes,
    leaf: &Certificate<'_>,
    above: &[&Certificate<'_>],
) -> Result<Option<Found>, Mismatch> {
    let meant = meant(wanted, leaf);
    let mut left = meant.clone();
    let mut told = None;
    for (ca, limit) in above.iter().filter_map(|ca| Some((ca, limit_of(ca)?))) {
        if left.is_subset(limit) {
            continue;
        }
        left.retain(|purpose| limit.contains(purpose));
        let mismatch = Mismatch::new(
            EXT_KEY_USAGE,
            format!(
                "the certificate is for {}; {}, above it, allows {}: clients take it for {}",
                list(&meant),
                ca.describe(),
                list(limit),
                if left.is_empty() { "nothing".to_owned() } else { format!("{} alone", list(&left)) },
            ),
        );
        if left.is_empty() && !ca.is_self_signed() {
            return Err(mismatch);
        }
        told = Some(Found::told(mismatch));
    }
    Ok(told)
}

/// What the leaf is to be used for. One without purposes is for all of them, so that what was asked for counts.
fn meant(wanted: &Purposes, leaf: &Certificate<'_>) -> Purposes {
    let wanted = || wanted.iter().copied().filter(|purpose| *purpose != rfc5280::ANY_EXTENDED_KEY_USAGE);
    let Some(own) = limit_of(leaf) else { return wanted().collect() };
    let both: Purposes = wanted().filter(|purpose| own.contains(purpose)).collect();
    if both.is_empty() { own.clone() } else { both }
}

/// The purposes that a certificate is limited to, if it is.
fn limit_of<'c>(certificate: &'c Certificate<'_>) -> Option<&'c Purposes> {
    let limit = certificate.extensions.ext_key_usage.as_ref()?;
    (!limit.is_empty() && !limit.contains(&rfc5280::ANY_EXTENDED_KEY_USAGE)).then_some(limit)
}

fn list(purposes: &Purposes) -> String {
    mismatch::list(purposes.iter().map(usages::extended_name))
}
