//! What a certificate says, for people and for JSON.

use std::fmt::Display;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use wasm_issuer_core::issuance::verify::chain::timestamp;
use wasm_issuer_core::text;
use wasm_issuer_core::x509::signature::{self, KeyKind};
use wasm_issuer_core::x509::{Certificate, Name, PublicKey, pem, usages};

use super::output::{Table, span};

/// What a certificate says, in words and in JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    subject: String,
    subject_alt_names: Vec<String>,
    issuer: String,
    not_before: Timestamp,
    not_after: Timestamp,
    lifetime_seconds: u64,
    serial: String,
    public_key: String,
    public_key_sha256: String,
    key_usages: Vec<&'static str>,
    extended_key_usages: Vec<String>,
    #[serde(rename = "isCA")]
    is_ca: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_length: Option<u32>,
    self_signed: bool,
}

impl Description {
    /// Puts a certificate into words.
    pub fn of(certificate: &Certificate<'_>) -> Self {
        let extensions = &certificate.extensions;
        let names = extensions.subject_alt_name.iter().flat_map(|names| names.iter());
        let fingerprint = signature::fingerprint(certificate.spki_der());
        Self {
            subject: name(certificate.subject_der()),
            subject_alt_names: names.map(|name| name.to_string()).collect(),
            issuer: name(certificate.issuer_der()),
            not_before: timestamp(certificate.not_before()),
            not_after: timestamp(certificate.not_after()),
            lifetime_seconds: certificate.not_after().saturating_sub(certificate.not_before()).as_secs(),
            serial: certificate.serial(),
            public_key: public_key(certificate.spki_der()),
            public_key_sha256: fingerprint.trim_start_matches("sha256:").to_owned(),
            key_usages: extensions.key_usage.unwrap_or_default().names().collect(),
            extended_key_usages: extensions
                .ext_key_usage
                .iter()
                .flatten()
                .map(usages::extended_name)
                .collect(),
            is_ca: certificate.is_ca(),
            path_length: extensions.basic_constraints.and_then(|constraints| constraints.path_len),
            self_signed: certificate.is_self_signed(),
        }
    }

    /// The certificate for people, a line for each fact.
    pub fn text(&self) -> String {
        let mut table = Table::default();
        let lifetime = span(Duration::from_secs(self.lifetime_seconds));
        let ca = match (self.is_ca, self.path_length) {
            (false, _) => "no".to_owned(),
            (true, None) => "yes".to_owned(),
            (true, Some(length)) => format!("yes, at most {length} further CA certificates below it"),
        };
        let issuer = if self.self_signed { "itself" } else { &self.issuer };
        table
            .row("subject", &self.subject)
            .row("names", list(&self.subject_alt_names))
            .row("issuer", issuer)
            .row("valid", format!("{} to {} ({lifetime})", self.not_before, self.not_after))
            .row("serial", &self.serial)
            .row("key", format!("{}, sha256:{}", self.public_key, self.public_key_sha256))
            .row("key usages", list(&self.key_usages))
            .row("extended", list(&self.extended_key_usages))
            .row("CA", ca)
            .text()
    }
}

/// The certificates of a PEM text that is known to be one, in its order.
pub fn chain(pem: &str) -> anyhow::Result<Vec<Description>> {
    let (blocks, _) = pem::blocks(pem.as_bytes(), usize::MAX)?;
    let described = |block: &pem::Block<'_>| Ok(Description::of(&Certificate::parse(&block.decode()?)?));
    blocks.iter().map(described).collect()
}

fn list<T: Display>(items: &[T]) -> String {
    text::list(items.iter(), 2000)
}

fn name(der: &[u8]) -> String {
    Name::parse(der).map_or_else(|_error| "a malformed name".to_owned(), |name| name.to_string())
}

/// `RSA 2048`, `ECDSA P-256` or `Ed25519`; what is wrong with any other key.
fn public_key(spki: &[u8]) -> String {
    let key = match PublicKey::from_spki(spki) {
        Ok(key) => key,
        Err(error) => return error.to_string(),
    };
    match (key.kind(), key.rsa_bits()) {
        (kind, Some(bits)) => format!("{kind} {bits}"),
        (KeyKind::Ed25519 | KeyKind::Rsa, None) => key.kind().to_string(),
        (curve, None) => format!("ECDSA {curve}"),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, CertifiedIssuer, DnType, KeyPair};

    use super::*;

    #[test]
    fn a_certificate_is_put_into_words() {
        let params = |name: &str, names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            let mut params = CertificateParams::new(names).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            params.not_before = rcgen::date_time_ymd(2030, 1, 1);
            params.not_after = rcgen::date_time_ymd(2030, 4, 1);
            params
        };
        let key = || KeyPair::generate().unwrap();
        let root = CertifiedIssuer::self_signed(params("root", &[]), key()).unwrap();
        let web = params("web", &["a.example", "b.example"]).signed_by(&key(), &root).unwrap();
        let described = Description::of(&Certificate::parse(web.der()).unwrap());
        let text = described.text();
        for line in [
            "subject     CN=web\n",
            "names       DNS:a.example, DNS:b.example\n",
            "issuer      CN=root\n",
            "valid       2030-01-01T00:00:00Z to 2030-04-01T00:00:00Z (90 days)\n",
            "key         ECDSA P-256, sha256:",
            "key usages  none\n",
            "CA          no\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
        let json = serde_json::to_value(&described).unwrap();
        assert_eq!(json["subjectAltNames"][1], "DNS:b.example");
        assert_eq!(
            (json["isCA"].as_bool(), json["lifetimeSeconds"].as_u64()),
            (Some(false), Some(7_776_000))
        );
    }
}
