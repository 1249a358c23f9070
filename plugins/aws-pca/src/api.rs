//! The API of AWS Private CA (JSON 1.1), as far as an issuer needs it, and what its answers mean.

use serde::Deserialize;
use serde_json::{Value, json};
use wasm_issuer_sdk::Failure;
use wasm_issuer_sdk::http::Response;

use crate::config::Config;
use crate::credentials::Credentials;
use crate::sigv4::Call;

/// Errors that pass, although their status is 400.
const BUSY: [&str; 3] = ["LimitExceededException", "ThrottlingException", "TooManyRequestsException"];

/// What the CA, which must be active, signs with.
pub fn signing_algorithm(config: &Config) -> Result<String, Failure> {
    let ca = call(config, "DescribeCertificateAuthority", &json!({ "CertificateAuthorityArn": config.arn }))?;
    match text(&ca, "/CertificateAuthority/Status")?.as_str() {
        "ACTIVE" => text(&ca, "/CertificateAuthority/CertificateAuthorityConfiguration/SigningAlgorithm"),
        status => Err(Failure::issuer(format!("the CA {} is {status}, not ACTIVE", config.arn))),
    }
}

/// Orders a certificate; returns its ARN.
pub fn issue(config: &Config, order: &Value) -> Result<String, Failure> {
    text(&call(config, "IssueCertificate", order)?, "/CertificateArn")
}

/// A certificate by its ARN, with those above it up to the root, PEM; pending while the CA works on it.
pub fn certificate(config: &Config, arn: &str) -> Result<String, Failure> {
    let asked = json!({ "CertificateAuthorityArn": config.arn, "CertificateArn": arn });
    let issued = call(config, "GetCertificate", &asked)?;
    let above = text(&issued, "/CertificateChain").unwrap_or_default();
    Ok(format!("{}\n{above}", text(&issued, "/Certificate")?.trim_end()))
}

fn call(config: &Config, action: &str, asked: &Value) -> Result<Value, Failure> {
    let call = Call {
        endpoint: config.server(config.endpoint.as_ref(), "acm-pca"),
        service: "acm-pca",
        region: config.region(),
        content_type: "application/x-amz-json-1.1",
        target: Some(&format!("ACMPrivateCA.{action}")),
        body: asked.to_string(),
    };
    Ok(accepted(call.send(&Credentials::of(config)?)?)?.json()?)
}

/// The response, if it is no refusal.
pub fn accepted(response: Response) -> Result<Response, Failure> {
    if response.status == 200 { Ok(response) } else { Err(refused(&response)) }
}

/// The text at a JSON Pointer.
fn text(answer: &Value, pointer: &str) -> Result<String, Failure> {
    let text = answer.pointer(pointer).and_then(Value::as_str);
    text.map(str::to_owned).ok_or_else(|| Failure::retry(format!("AWS's answer has no text at {pointer}")))
}

/// What a refusal means: by the error's type, as AWS documents it with each action.
fn refused(response: &Response) -> Failure {
    #[derive(Deserialize)]
    struct Problem {
        #[serde(rename = "__type")]
        kind: String,
        #[serde(alias = "Message", default)]
        message: String,
    }
    let Response { server, status, .. } = response;
    let Problem { kind, message } = response.json().unwrap_or_else(|_error| Problem {
        kind: format!("HTTP {status}"),
        message: response.text().trim().to_owned(),
    });
    let kind = kind.rsplit('#').next().unwrap_or_default();
    let message = format!("{server}: {kind}: {message}");
    match kind {
        "RequestInProgressException" => Failure::pending(message),
        "MalformedCSRException" => Failure::invalid_request(message),
        "RequestFailedException" => Failure::permanent(message),
        // The Issuer's template or the request's duration: nobody can tell.
        "InvalidArgsException" | "ValidationException" => Failure::retry(message),
        kind if *status >= 500 || *status == 429 || BUSY.contains(&kind) => {
            response.retry_after().into_iter().fold(Failure::retry(message), Failure::after)
        }
        // Credentials, rights, another ARN, a CA that is not active.
        _ => Failure::issuer(message),
    }
}

#[cfg(test)]
mod tests {
    use wasm_issuer_sdk::FailureKind;

    use super::*;

    fn answered(status: u16, body: &str) -> Failure {
        let headers = vec![("Retry-After".to_owned(), b"7".to_vec())];
        refused(&Response { server: "https://aws".into(), status, headers, body: body.into() })
    }

    #[test]
    fn a_refusal_means_what_its_type_says() {
        let of = |kind: &str| answered(400, &json!({ "__type": kind, "message": "why" }).to_string());
        assert_eq!(of("ThrottlingException").kind, FailureKind::Retry(Some(7)));
        assert_eq!(of("com.amazonaws.acmpca#RequestInProgressException"), {
            Failure::pending("https://aws: RequestInProgressException: why")
        });
        assert_eq!(of("InvalidArgsException").kind, FailureKind::Retry(None));
        assert_eq!(of("MalformedCSRException").kind, FailureKind::Permanent);
        assert!(of("MalformedCSRException").condition.is_some(), "the CSR is at fault");
        assert_eq!(
            of("RequestFailedException"),
            Failure::permanent("https://aws: RequestFailedException: why")
        );
        for of_all in ["AccessDeniedException", "InvalidSignatureException", "ResourceNotFoundException"] {
            assert_eq!(of(of_all).kind, FailureKind::Issuer, "{of_all}");
        }
    }

    #[test]
    fn what_is_not_the_apis_answer_goes_by_its_status() {
        assert_eq!(answered(403, "<Code>x</Code>"), Failure::issuer("https://aws: HTTP 403: <Code>x</Code>"));
        assert_eq!(answered(502, "").kind, FailureKind::Retry(Some(7)));
        assert_eq!(answered(500, r#"{"__type": "InternalFailure"}"#).kind, FailureKind::Retry(Some(7)));
    }
}
