//! Certificates from [AWS Private CA](https://docs.aws.amazon.com/privateca/latest/APIReference/). The Issuer's secret
//! access key stays in the operator.

mod api;
mod config;
mod credentials;
mod sigv4;

use std::time::{SystemTime, UNIX_EPOCH};

use base64ct::{Base64, Encoding as _};
use serde_json::json;
use wasm_issuer_sdk::{Certificate, Failure, FailureKind, Issuer, Needs, Plugin, Request, cache};

use config::Config;

/// How long the CA's algorithm is believed, in seconds. It cannot change.
const ALGORITHM_SECONDS: u32 = 3600;
/// AWS makes most certificates within two seconds.
const POLL_SECONDS: u32 = 2;
/// How long before now certificates begin, since clocks differ; an hour by AWS's default, which would be too long in all.
const BACKDATE_SECONDS: u64 = 60;

struct AwsPca;

impl Plugin for AwsPca {
    type Config = Config;

    fn config_schema() -> String {
        include_str!("../config.schema.json").to_owned()
    }

    fn needs() -> Needs {
        Needs::new()
            .server_at("/endpoint", "the API, https://acm-pca.<region>.amazonaws.com by default")
            .server_at(
                "/stsEndpoint",
                "STS, where there is a role; https://sts.<region>.amazonaws.com by default",
            )
            .secret_key("accessKeyId", "the access key's ID")
            .secret_key("secretAccessKey", "the secret access key")
            .optional_secret_key("sessionToken", "the session token of temporary credentials")
            .revealed()
    }

    fn check(issuer: &Issuer<Config>) -> Result<(), Failure> {
        if !issuer.config.arn.starts_with("arn:") {
            return Err(Failure::permanent("spec.config.arn is no ARN: it begins with arn:"));
        }
        api::signing_algorithm(&issuer.config).map(drop)
    }

    /// Orders once: the order's ARN is what a request goes on with, also when the operator has restarted.
    fn sign(issuer: &Issuer<Config>, request: &Request) -> Result<Certificate, Failure> {
        let config = &issuer.config;
        let chain = match &request.resume {
            // Not one of a CA that the Issuer had before.
            Some(order) if order.starts_with(&config.arn) => api::certificate(config, order)?,
            _ => {
                let order = order(config, request)?;
                api::certificate(config, &order).map_err(|failure| ordered(failure, &order))?
            }
        };
        Ok(Certificate { chain, ca: None })
    }
}

/// Why an order is not done: whatever it is, the order exists, and nobody is to make another.
fn ordered(failure: Failure, order: &str) -> Failure {
    match failure.kind {
        FailureKind::Permanent => failure,
        _ => Failure::pending(failure.message).resume(order).poll_after(POLL_SECONDS),
    }
}

fn order(config: &Config, request: &Request) -> Result<String, Failure> {
    let algorithm = cache::get_or_make("algorithm", Some(ALGORITHM_SECONDS), || {
        api::signing_algorithm(config).map(String::into_bytes)
    })?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let begin = now.saturating_sub(BACKDATE_SECONDS);
    let template = config.template_arn.clone();
    api::issue(
        config,
        &json!({
            "CertificateAuthorityArn": config.arn,
            "Csr": Base64::encode_string(request.csr_pem().as_bytes()),
            "SigningAlgorithm": String::from_utf8_lossy(&algorithm),
            "TemplateArn": template.unwrap_or_else(|| config.template(template_for(request))),
            "ValidityNotBefore": { "Type": "ABSOLUTE", "Value": begin },
            "Validity": { "Type": "ABSOLUTE", "Value": begin.saturating_add(request.duration_seconds) },
            // 36 characters, as many as AWS takes.
            "IdempotencyToken": request.uid,
        }),
    )
}

/// AWS's template for what is asked ("Understanding certificate templates" in its user guide). The usages are the
/// template's.
fn template_for(request: &Request) -> &'static str {
    let asks = |usage: &str| request.usages.iter().any(|asked| asked == usage);
    match (asks("server auth"), asks("client auth")) {
        _ if request.is_ca => "SubordinateCACertificate_PathLen0/V1",
        _ if asks("code signing") => "CodeSigningCertificate/V1",
        _ if asks("ocsp signing") => "OCSPSigningCertificate/V1",
        (true, false) => "EndEntityServerAuthCertificate/V1",
        (false, true) => "EndEntityClientAuthCertificate/V1",
        _ => "EndEntityCertificate/V1",
    }
}

wasm_issuer_sdk::export!(AwsPca);

#[cfg(test)]
mod tests {
    use wasm_issuer_sdk::Requester;

    use super::*;

    fn template(is_ca: bool, usages: &[&str]) -> &'static str {
        let requester =
            Requester { username: String::new(), uid: String::new(), groups: vec![], extra: vec![] };
        template_for(&Request {
            namespace: None,
            name: String::new(),
            uid: String::new(),
            csr: vec![],
            duration_seconds: 0,
            is_ca,
            usages: usages.iter().map(|usage| (*usage).to_owned()).collect(),
            annotations: vec![],
            requester,
            resume: None,
        })
    }

    #[test]
    fn the_template_is_the_one_for_what_is_asked() {
        let key = "digital signature";
        assert_eq!(template(true, &["cert sign", "server auth"]), "SubordinateCACertificate_PathLen0/V1");
        assert_eq!(template(false, &[key, "server auth"]), "EndEntityServerAuthCertificate/V1");
        assert_eq!(template(false, &[key, "client auth"]), "EndEntityClientAuthCertificate/V1");
        assert_eq!(template(false, &["client auth", "server auth"]), "EndEntityCertificate/V1");
        assert_eq!(template(false, &[key]), "EndEntityCertificate/V1");
        assert_eq!(template(false, &[key, "code signing"]), "CodeSigningCertificate/V1");
        assert_eq!(template(false, &["ocsp signing"]), "OCSPSigningCertificate/V1");
    }

    #[test]
    fn an_order_that_exists_is_gone_on_with_unless_it_has_failed() {
        for failure in [Failure::retry("x"), Failure::issuer("x"), Failure::pending("x")] {
            let pending = Failure::pending("x").resume("arn:1").poll_after(POLL_SECONDS);
            assert_eq!(ordered(failure, "arn:1"), pending);
        }
        assert_eq!(ordered(Failure::permanent("x"), "arn:1"), Failure::permanent("x"));
    }
}
