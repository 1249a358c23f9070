//! Why TLS with a server did not come about, in words that name what mends it. rustls' own are for programmers.

use std::error::Error as StdError;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription as Alert, CertificateError as Certificate, Error};
use wasm_issuer_core::text;

use super::cause::find;

/// The longest list of the names in a certificate, in bytes.
const MAX_NAMES: usize = 200;
const TRUST: &str = "the Secret of spec.http.caBundleSecretName holds those that are trusted (ca.crt)";

/// What rustls says of an error, if it is one of TLS.
pub fn words_of(error: &(dyn StdError + 'static)) -> Option<String> {
    find::<Error>(error).map(words)
}

/// The same of rustls' own error.
pub fn words(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => certificate(error),
        Error::NoCertificatesPresented => "the server has no certificate".to_owned(),
        Error::AlertReceived(alert) => alerted(*alert),
        Error::PeerIncompatible(_) => {
            "the server and the operator have no version or no cipher of TLS in common".to_owned()
        }
        Error::InvalidMessage(_) | Error::InappropriateMessage { .. } => {
            "the server does not speak TLS on this port".to_owned()
        }
        _ => "the handshake failed".to_owned(),
    }
}

fn certificate(error: &Certificate) -> String {
    let text = match error {
        Certificate::UnknownIssuer => {
            return format!("no trusted CA has signed the server's certificate; {TRUST}");
        }
        Certificate::BadSignature => {
            return format!("the server's certificate is not signed by the key of its CA; {TRUST}");
        }
        Certificate::ExpiredContext { not_after, .. } => {
            return format!(
                "the server's certificate expired on {}: the server needs a new one",
                date(*not_after)
            );
        }
        Certificate::NotValidYetContext { not_before, .. } => {
            return format!("the server's certificate is not valid before {}", date(*not_before));
        }
        Certificate::NotValidForNameContext { expected, presented } => {
            let names = text::list(presented.iter().map(|name| presented_name(name)), MAX_NAMES);
            return format!("the server's certificate is for {names}, not for {}", expected.to_str());
        }
        Certificate::Expired => "has expired",
        Certificate::NotValidYet => "is not valid yet",
        Certificate::NotValidForName => "is for another name",
        Certificate::Revoked => "is revoked",
        Certificate::InvalidPurpose | Certificate::InvalidPurposeContext { .. } => "is not one for servers",
        Certificate::UnhandledCriticalExtension => "has a critical extension that is not known here",
        Certificate::UnsupportedSignatureAlgorithmContext { .. }
        | Certificate::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "is signed by an algorithm that is not supported"
        }
        Certificate::BadEncoding => "is malformed",
        // webpki's names are all that it says.
        Certificate::Other(error) => match error.0.to_string().as_str() {
            "CaUsedAsEndEntity" => "is that of a CA: the server needs one of its own",
            name => return format!("the server's certificate is of no use: {}", spelled_out(name)),
        },
        _ => "is of no use",
    };
    format!("the server's certificate {text}")
}

/// What the server refused the handshake with.
fn alerted(alert: Alert) -> String {
    let name = alert.as_str().map_or_else(|| format!("alert {}", u8::from(alert)), spelled_out);
    let is_about_the_client = matches!(
        alert,
        Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::HandshakeFailure
    );
    let mend = "; a client certificate is what spec.http.clientCertSecretName names";
    format!("the server refused: {name}{}", if is_about_the_client { mend } else { "" })
}

/// The name in webpki's `DnsName("ca.example.com")`.
fn presented_name(name: &str) -> String {
    let inner = name.split_once('(').and_then(|(_, inner)| inner.strip_suffix(')'));
    text::printable(inner.unwrap_or(name).trim_matches('"'), MAX_NAMES)
}

/// `BadCertificate` as `bad certificate`.
fn spelled_out(name: &str) -> String {
    let mut words = String::new();
    for c in text::printable(name, 100).chars() {
        if c.is_ascii_uppercase() && words.ends_with(|last: char| last.is_ascii_lowercase()) {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
    }
    words
}

/// The day, as `2026-01-31`.
fn date(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
    time.strftime("%Y-%m-%d").to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::OtherError;

    use super::*;

    #[test]
    fn no_words_are_those_of_a_programmer() {
        let other = Certificate::Other(OtherError(Arc::new(std::io::Error::other("CaUsedAsEndEntity"))));
        let odd = Certificate::Other(OtherError(Arc::new(std::io::Error::other("IssuerNotCrlSigner"))));
        for (error, said) in [
            (
                Error::InvalidCertificate(other),
                "the server's certificate is that of a CA: the server needs one of its own",
            ),
            (Error::InvalidCertificate(odd), "the server's certificate is of no use: issuer not crl signer"),
            (Error::InvalidCertificate(Certificate::Expired), "the server's certificate has expired"),
            (
                Error::AlertReceived(Alert::CertificateRequired),
                "the server refused: certificate required; a client certificate is what spec.http.clientCertSecretName names",
            ),
            (Error::AlertReceived(Alert::InternalError), "the server refused: internal error"),
            (Error::AlertReceived(Alert::Unknown(7)), "the server refused: alert 7"),
            (Error::DecryptError, "the handshake failed"),
        ] {
            assert_eq!(words(&error), said);
        }
    }
}
