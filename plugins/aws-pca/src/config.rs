//! `spec.config` of the Issuer.

use serde::Deserialize;
use wasm_issuer_sdk::schemars::{self, JsonSchema};

/// Which CA, and where.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// The CA's ARN: `arn:aws:acm-pca:eu-central-1:123456789012:certificate-authority/...`.
    pub arn: String,
    /// The URL of the API, where it is another than the region's own: that of a VPC endpoint.
    pub endpoint: Option<String>,
    /// The role that the credentials of the Secret are exchanged for: `arn:aws:iam::123456789012:role/issuer`.
    pub role_arn: Option<String>,
    /// The URL of STS, where it is another than the region's own.
    pub sts_endpoint: Option<String>,
    /// The ARN of the certificate template; by default the one that the request's usages and `isCA` ask for.
    pub template_arn: Option<String>,
}

impl Config {
    /// One of the parts of the ARN, which colons separate.
    fn arn_part(&self, at: usize) -> &str {
        self.arn.split(':').nth(at).unwrap_or_default()
    }

    /// Where the CA is.
    pub fn region(&self) -> &str {
        self.arn_part(3)
    }

    /// The ARN of one of AWS's templates, such as `EndEntityCertificate/V1`.
    pub fn template(&self, name: &str) -> String {
        format!("arn:{}:acm-pca:::template/{name}", self.arn_part(1))
    }

    /// The URL of a service, without a slash at its end: the given one, or the region's own.
    pub fn server(&self, given: Option<&String>, service: &str) -> String {
        let suffix = if self.arn_part(1) == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
        match given {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("https://{service}.{}.{suffix}", self.region()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(arn: &str) -> Config {
        let arn = arn.to_owned();
        Config { arn, endpoint: None, role_arn: None, sts_endpoint: None, template_arn: None }
    }

    #[test]
    fn the_arn_says_where_the_ca_is() {
        let config = of("arn:aws:acm-pca:eu-central-1:123456789012:certificate-authority/x");
        assert_eq!(config.region(), "eu-central-1");
        assert_eq!(config.server(None, "sts"), "https://sts.eu-central-1.amazonaws.com");
        assert_eq!(config.server(Some(&"https://vpce.example/".into()), "sts"), "https://vpce.example");
        let china = of("arn:aws-cn:acm-pca:cn-north-1:123456789012:certificate-authority/x");
        assert_eq!(china.server(None, "acm-pca"), "https://acm-pca.cn-north-1.amazonaws.com.cn");
        assert_eq!(china.template("A/V1"), "arn:aws-cn:acm-pca:::template/A/V1");
    }
}
