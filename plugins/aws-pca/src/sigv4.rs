//! AWS Signature Version 4 (AWS General Reference, "Signature Version 4 signing process") of a POST to `/`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};
use wasm_issuer_sdk::Failure;
use wasm_issuer_sdk::der::DateTime;
use wasm_issuer_sdk::http::{Method, Request, Response};

use crate::credentials::Credentials;

/// What is sent.
pub struct Call<'a> {
    /// Scheme, host and port.
    pub endpoint: String,
    pub service: &'a str,
    pub region: &'a str,
    pub content_type: &'a str,
    /// What a JSON API is to do.
    pub target: Option<&'a str>,
    pub body: String,
}

impl Call<'_> {
    /// Signs and sends it. Returns any response that comes.
    pub fn send(self, credentials: &Credentials) -> Result<Response, Failure> {
        let stamp = stamp(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())?;
        let fields = self.fields(&stamp, credentials.token.as_deref());
        let (names, to_sign) = self.to_sign(&stamp, &fields);
        let chain = [date(&stamp), self.region, self.service, "aws4_request", &to_sign];
        let signature = hex(&credentials.hmac(&chain.map(|it| it.as_bytes().to_vec()))?);
        let (id, scope) = (&credentials.id, self.scope(&stamp));
        let mut request = Request::new(Method::Post, format!("{}/", self.endpoint)).header(
            "authorization",
            format!("AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}"),
        );
        // The operator writes `host` itself.
        for (name, value) in fields.into_iter().filter(|(name, _)| *name != "host") {
            request = request.header(name, value);
        }
        Ok(request.body(self.body).send()?)
    }

    /// The header fields that are signed, sorted.
    fn fields(&self, stamp: &str, token: Option<&str>) -> Vec<(&'static str, String)> {
        let host = self.endpoint.split_once("://").map_or("", |(_, host)| host);
        let fields = [
            ("content-type", Some(self.content_type)),
            ("host", Some(host)),
            ("x-amz-date", Some(stamp)),
            ("x-amz-security-token", token),
            ("x-amz-target", self.target),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name, value?.to_owned()))).collect()
    }

    /// The names of the fields, and the string to sign.
    fn to_sign(&self, stamp: &str, fields: &[(&str, String)]) -> (String, String) {
        let names = fields.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let fields: String = fields.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let request = format!("POST\n/\n\n{fields}\n{names}\n{}", sha256(&self.body));
        let text = format!("AWS4-HMAC-SHA256\n{stamp}\n{}\n{}", self.scope(stamp), sha256(&request));
        (names, text)
    }

    fn scope(&self, stamp: &str) -> String {
        format!("{}/{}/{}/aws4_request", date(stamp), self.region, self.service)
    }
}

/// `20150830` of `20150830T123600Z`.
fn date(stamp: &str) -> &str {
    stamp.get(..8).unwrap_or_default()
}

/// `20150830T123600Z`
fn stamp(since_epoch: Duration) -> Result<String, Failure> {
    let time = DateTime::from_unix_duration(since_epoch)
        .map_err(|error| Failure::retry(format!("the clock: {error}")))?;
    Ok(time.to_string().replace(['-', ':'], ""))
}

fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with botocore 1.44 (`SigV4Auth.canonical_request` and `string_to_sign`) for the same call.
    #[test]
    fn the_string_to_sign_is_botocores() {
        let call = Call {
            endpoint: "https://acm-pca.eu-central-1.amazonaws.com".to_owned(),
            service: "acm-pca",
            region: "eu-central-1",
            content_type: "application/x-amz-json-1.1",
            target: Some("ACMPrivateCA.GetCertificate"),
            body: "{}".to_owned(),
        };
        let stamp = stamp(Duration::from_secs(1_440_938_160)).unwrap();
        assert_eq!(stamp, "20150830T123600Z");
        let (names, to_sign) = call.to_sign(&stamp, &call.fields(&stamp, Some("token")));
        assert_eq!(names, "content-type;host;x-amz-date;x-amz-security-token;x-amz-target");
        assert_eq!(to_sign, TO_SIGN);
    }

    const TO_SIGN: &str = "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/eu-central-1/acm-pca/aws4_request\n\
                           88a2fb54c26a3c75a187baa535c0f023cf37645083854da376a355d9502f7323";
}
