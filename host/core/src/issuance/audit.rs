//! What the audit records: each decision about a request that cannot be taken back. A try that will be repeated is none.
//!
//! A record holds what an object says, what a CSR asks for, what a certificate is and what a status says of it, and nothing
//! else: no annotation, nothing of a Secret. Each text in it is bounded and without control characters, and so is each
//! list, so that one record is one line of some 100 KiB at most, whoever has written what is in it.

mod record;

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
pub use record::{
    AskedFor, CertificateFacts, Decision, IssuerFacts, ObjectName, PluginName, Record, SCHEMA, Who, Written,
    schema,
};

use super::condition::{self, DENIED, FAILED, READY};
use super::plan::RequestStatus;
use super::request::{RequestPlan, Tries};
use super::verify::chain::timestamp;
use crate::text::{MAX_MESSAGE, MAX_NOTE, clean, printable};
use crate::x509::{Certificate, Csr, Name, name, pem};

/// The longest text of a list, in characters: a DNS name has 253 at most.
const MAX_ITEM: usize = 256;
/// The bytes of all names: a hundred of the longest. What is more is counted.
const MAX_NAMES: usize = 32 << 10;
/// The bytes of all attributes of a subject, all groups, all usages.
const MAX_LIST: usize = 8 << 10;
/// The longest text besides, in characters: the name of a user, of an object, of a source.
const MAX_TEXT: usize = 512;

/// What a record says that the plan does not.
pub struct Facts<'a> {
    /// The request.
    pub object: ObjectName,
    /// Its `metadata.creationTimestamp`.
    pub created: Timestamp,
    /// What it asks for, if that is at hand.
    pub asked: Option<Asked<'a>>,
    /// The Issuer that it names.
    pub issuer: IssuerFacts,
    /// The plugin that was called.
    pub plugin: Option<&'a PluginName>,
    /// How long the call took.
    pub took: Option<Duration>,
}

/// What a request asks for, and who does.
pub struct Asked<'a> {
    /// `spec.username`
    pub username: &'a str,
    /// `spec.uid`
    pub uid: &'a str,
    /// `spec.groups`
    pub groups: &'a [String],
    /// `spec.usages`
    pub usages: &'a [String],
    /// `spec.isCA`
    pub is_ca: bool,
    /// The lifetime, if it can be read.
    pub duration: Option<Duration>,
    /// The CSR, if it can be accepted.
    pub csr: Option<&'a Csr>,
}

/// What a plan decides for good, if it does. `before` is what was remembered when it was made.
pub fn decision(plan: &RequestPlan, before: Tries) -> Option<Decision> {
    let status = plan.status.as_ref()?;
    if status.certificate.is_some() {
        return Some(Decision::Issued);
    }
    // No plugin fails what none was asked for: the request itself is at fault.
    let is_asked = plan.remember.attempts > before.attempts;
    match condition::find(&status.conditions, READY)?.reason.as_str() {
        DENIED => Some(Decision::Denied),
        "Failed" if !is_asked || plan.remember.refusals > before.refusals => Some(Decision::Refused),
        "Failed" => Some(Decision::Failed),
        _ => None,
    }
}

/// The record of a plan that decides something for good at `now`, as it is once the status is written.
pub fn record(plan: &RequestPlan, before: Tries, facts: Facts<'_>, now: Timestamp) -> Option<Box<Record>> {
    let decision = decision(plan, before)?;
    let status = plan.status.as_ref()?;
    let ready = condition::find(&status.conditions, READY)?;
    let said = [FAILED, DENIED].into_iter().find_map(|type_| condition::find(&status.conditions, type_));
    let said = said.unwrap_or(ready);
    let is_warning = |notice: &&super::plan::Notice| notice.warning && decision == Decision::Issued;
    Some(Box::new(Record {
        schema: SCHEMA,
        decided_at: now.to_string(),
        decision,
        written: Written::Yes,
        not_written: None,
        reason: short(&said.reason),
        message: clean(&said.message, MAX_MESSAGE),
        warnings: plan.events.iter().filter(is_warning).map(|notice| clean(&notice.note, MAX_NOTE)).collect(),
        object: ObjectName {
            kind: short(&facts.object.kind),
            namespace: facts.object.namespace.as_deref().map(short),
            name: short(&facts.object.name),
            uid: short(&facts.object.uid),
        },
        requester: facts.asked.as_ref().map(who),
        asked: facts.asked.as_ref().map(asked_for),
        issuer: IssuerFacts {
            kind: short(&facts.issuer.kind),
            namespace: facts.issuer.namespace.as_deref().map(short),
            name: short(&facts.issuer.name),
            uid: facts.issuer.uid.as_deref().map(short),
            generation: facts.issuer.generation,
        },
        plugin: facts.plugin.map(|it| PluginName { sha256: short(&it.sha256), source: short(&it.source) }),
        certificate: certificate(status),
        attempts: plan.remember.attempts,
        sign_milliseconds: facts.took.map(|took| took.as_millis().try_into().unwrap_or(u64::MAX)),
        age_seconds: now.duration_since(facts.created).as_secs(),
    }))
}

impl Record {
    /// The same where the decision is not in the request's status, or nobody knows.
    pub fn unwritten(self, written: Written, why: &str) -> Self {
        Self { written, not_written: Some(clean(why, MAX_NOTE)), ..self }
    }

    /// The memory that its texts take, in bytes, about.
    pub fn size(&self) -> usize {
        let lists = [
            Some(&self.warnings),
            self.requester.as_ref().map(|who| &who.groups),
            self.asked.as_ref().map(|asked| &asked.subject),
            self.asked.as_ref().map(|asked| &asked.names),
            self.asked.as_ref().map(|asked| &asked.usages),
        ];
        let texts = lists.into_iter().flatten().flatten().map(|text| size_of::<String>() + text.len());
        size_of::<Self>() + self.message.len() + 8 * MAX_TEXT + texts.sum::<usize>()
    }
}

fn who(asked: &Asked<'_>) -> Who {
    let (groups, groups_left_out) = list(asked.groups.iter().map(|group| item(group)), MAX_LIST);
    Who { username: short(asked.username), uid: short(asked.uid), groups, groups_left_out }
}

fn asked_for(asked: &Asked<'_>) -> AskedFor {
    let (usages, usages_left_out) = list(asked.usages.iter().map(|usage| item(usage)), MAX_LIST);
    let (subject, subject_left_out) = asked.csr.map(subject).unwrap_or_default();
    let names = asked.csr.map(Csr::names).unwrap_or_default();
    let (names, names_left_out) = list(names.iter().map(|name| name.describe(MAX_ITEM)), MAX_NAMES);
    AskedFor {
        subject,
        subject_left_out,
        names,
        names_left_out,
        usages,
        usages_left_out,
        is_ca: asked.is_ca,
        duration_seconds: asked.duration.map(|duration| duration.as_secs()),
        csr_sha256: asked.csr.map(|csr| sha256(csr.der())),
    }
}

fn subject(csr: &Csr) -> (Vec<String>, usize) {
    // These bytes parsed once already.
    let Ok(name) = Name::parse(csr.subject_der()) else { return Default::default() };
    list(name.attributes().map(|attribute| attribute.describe(MAX_ITEM)), MAX_LIST)
}

/// What tells the certificate of a status from all others.
fn certificate(status: &RequestStatus) -> Option<CertificateFacts> {
    // It was encoded by this process.
    let (_, der) = pem::first_block(status.certificate.as_ref()?.as_bytes()).ok()?;
    let leaf = Certificate::parse(&der).ok()?;
    let serial = leaf.serial();
    Some(CertificateFacts {
        sha256: sha256(&der),
        // A number that starts with a high bit has a zero in front of it in DER, which nobody writes.
        serial: serial.strip_prefix("00").filter(|rest| !rest.is_empty()).unwrap_or(&serial).to_owned(),
        issuer: Name::parse(leaf.issuer_der())
            .map_or_else(|_| name::quoted(leaf.issuer_der()), |n| n.to_string()),
        not_before: timestamp(leaf.not_before()).to_string(),
        not_after: timestamp(leaf.not_after()).to_string(),
    })
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes))
}

fn short(text: &str) -> String {
    printable(text, MAX_TEXT)
}

fn item(text: &str) -> String {
    printable(text, MAX_ITEM)
}

/// The items until they have `max` bytes, and how many were left out.
fn list(items: impl Iterator<Item = String>, max: usize) -> (Vec<String>, usize) {
    let (mut bytes, mut kept, mut left_out) = (0, Vec::new(), 0);
    for text in items {
        // What comes after one that had no room is left out as well: what is kept are the first.
        if left_out > 0 || bytes + text.len() > max {
            left_out += 1;
        } else {
            bytes += text.len();
            kept.push(text);
        }
    }
    (kept, left_out)
}

#[cfg(test)]
mod tests;
