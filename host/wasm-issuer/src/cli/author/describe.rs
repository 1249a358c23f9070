//! What a certificate says, for people and for JSON.

use std::time::Duration;

use der::Decode as _;
use der::asn1::UintRef;
use jiff::Timestamp;
use serde::Serialize;
use spki::SubjectPublicKeyInfoRef;
use wasm_issuer_core::text;
use wasm_issuer_core::x509::signature::{self, KeyKind};
use wasm_issuer_core::x509::{Certificate, Name, PublicKey, usages};

use super::csr;
use super::output::{Table, span};

/// A certificate in words.
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
    key_usages: Vec<String>,
    extended_key_usages: Vec<String>,
    #[serde(rename = "isCA")]
    is_ca: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_length: Option<u32>,
    /// Whether it is its own issuer.
    self_signed: bool,
}

impl Description {
    /// Read a certificate.
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
            key_usages: csr::bits(extensions.key_usage.unwrap_or_default())
                .map(|(name, _)| name.to_owned())
                .collect(),
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

    /// For people.
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

fn list(items: &[String]) -> String {
    text::list(items.iter(), 2000)
}

fn name(der: &[u8]) -> String {
    Name::parse(der).map_or_else(|_error| "a malformed name".to_owned(), |name| name.to_string())
}

/// A time since the epoch, or the last one that there is.
pub fn timestamp(since_epoch: Duration) -> Timestamp {
    let seconds = i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

fn public_key(spki: &[u8]) -> String {
    match PublicKey::from_spki(spki).map(|key| key.kind()) {
        Ok(KeyKind::Rsa) => match rsa_bits(spki) {
            Some(bits) => format!("RSA {bits}"),
            None => "RSA".to_owned(),
        },
        Ok(KeyKind::Ed25519) => "Ed25519".to_owned(),
        Ok(curve) => format!("ECDSA {curve}"),
        Err(error) => error.to_string(),
    }
}

fn rsa_bits(spki: &[u8]) -> Option<usize> {
    #[derive(der::Sequence)]
    struct RsaPublicKey<'a> {
        modulus: UintRef<'a>,
        exponent: UintRef<'a>,
    }
    let spki = SubjectPublicKeyInfoRef::from_der(spki).ok()?;
    let key = RsaPublicKey::from_der(spki.subject_public_key.as_bytes()?).ok()?;
    let _any = key.exponent;
    Some(signature::bit_len(key.modulus.as_bytes()))
}

#[cfg(test)]
mod tests {
    use wasm_issuer_core::x509::fixtures;

    use super::*;

    #[test]
    fn a_certificate_is_put_into_words() {
        let key = fixtures::key();
        let mut template =
            fixtures::Template::new(fixtures::cn("web"), key.public_key_der(), fixtures::cn("root"));
        template.extensions = vec![fixtures::san(&[fixtures::dns("a.example"), fixtures::dns("b.example")])];
        let der = template.sign(&fixtures::key());
        let described = Description::of(&Certificate::parse(&der).unwrap());
        let text = described.text();
        for line in [
            "subject     CN=web\n",
            "names       DNS:a.example, DNS:b.example\n",
            "issuer      CN=root\n",
            "valid       2030-01-02T03:04:05Z to 2030-04-02T03:04:05Z (90 days)\n",
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
