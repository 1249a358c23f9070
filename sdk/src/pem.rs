//! PEM (RFC 7468), as far as certificates need it. The crate `pem-rfc7468` reads one document a call, with nothing after it
//! and in lines of one length; CAs answer with text around several certificates, and some in lines of any length.

use base64ct::{Base64, Encoding as _};

use crate::Failure;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Any DER as one PEM block, with lines of 64 characters.
///
/// ```
/// use wasm_issuer_sdk::pem;
///
/// let pem = pem::encode("CERTIFICATE REQUEST", &[1, 2, 3]);
/// assert_eq!(pem, "-----BEGIN CERTIFICATE REQUEST-----\nAQID\n-----END CERTIFICATE REQUEST-----\n");
/// ```
pub fn encode(label: &str, der: &[u8]) -> String {
    let mut pem = format!("-----BEGIN {label}-----\n");
    let base64 = Base64::encode_string(der);
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = tail;
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}

/// One PEM block for each certificate.
///
/// ```
/// use wasm_issuer_sdk::pem;
///
/// let chain = pem::encode_certificates([[1u8, 2, 3], [4, 5, 6]]);
/// assert_eq!(chain.matches("BEGIN CERTIFICATE").count(), 2);
/// ```
pub fn encode_certificates(certificates: impl IntoIterator<Item = impl AsRef<[u8]>>) -> String {
    certificates.into_iter().map(|der| encode("CERTIFICATE", der.as_ref())).collect()
}

/// The certificates in a CA's answer, as DER; text around them is skipped. At least one.
///
/// A malformed answer says nothing about the request: the failure is one to retry.
///
/// ```
/// use wasm_issuer_sdk::pem;
///
/// let answer = "issued:\n-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n";
/// assert_eq!(pem::decode_certificates(answer), Ok(vec![vec![1, 2, 3]]));
/// ```
pub fn decode_certificates(pem: &str) -> Result<Vec<Vec<u8>>, Failure> {
    let mut certificates = Vec::new();
    let mut rest = pem;
    while let Some((_, after)) = rest.split_once(BEGIN) {
        let (body, after) =
            after.split_once(END).ok_or_else(|| Failure::retry("PEM: a certificate has no end"))?;
        let base64: String = body.split_ascii_whitespace().collect();
        let der = Base64::decode_vec(&base64)
            .map_err(|e| Failure::retry(format!("PEM: a certificate's base64: {e}")))?;
        certificates.push(der);
        rest = after;
    }
    if certificates.is_empty() { Err(Failure::retry("PEM: no certificate")) } else { Ok(certificates) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        for length in [1, 47, 48, 49, 1000] {
            let certificates = [vec![7; length], vec![9; length]];
            let pem = encode_certificates(&certificates);
            assert!(pem.lines().all(|line| line.len() <= 64));
            assert_eq!(decode_certificates(&pem), Ok(certificates.to_vec()));
        }
    }

    #[test]
    fn text_around_and_windows_line_ends_are_skipped() {
        let pem = format!("subject=CN\r\n{BEGIN}\r\nAQID\r\n{END}\r\nbye");
        assert_eq!(decode_certificates(&pem), Ok(vec![vec![1, 2, 3]]));
    }

    #[test]
    fn garbage_is_an_error() {
        for pem in ["", "no PEM", &format!("{BEGIN}\nAQID"), &format!("{BEGIN}\n!!\n{END}")] {
            assert!(decode_certificates(pem).is_err(), "{pem}");
        }
    }
}
