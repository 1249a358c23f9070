//! Whose key signs: the one of the Issuer's Secret, which stays in the operator, or one that STS lends for a role.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use wasm_issuer_sdk::secrets::{self, Encoding, Hash, HmacKey, PlaceholderForm};
use wasm_issuer_sdk::{Failure, cache};

use crate::api::accepted;
use crate::config::Config;
use crate::sigv4::Call;

const SESSION_TOKEN: &str = "sessionToken";
const ASSUME: &str = "Action=AssumeRole&Version=2011-06-15&RoleSessionName=wasm-issuer";
/// STS lends for an hour by default.
const ROLE_SECONDS: u32 = 45 * 60;

#[derive(Deserialize, Serialize)]
pub struct Credentials {
    /// The access key's ID, or what stands for it on its way.
    pub id: String,
    /// The secret access key, where it is no secret of the Issuer's.
    secret: Option<String>,
    /// Of temporary credentials.
    pub token: Option<String>,
}

impl Credentials {
    /// Those that the Issuer names.
    pub fn of(config: &Config) -> Result<Self, Failure> {
        let Some(role) = &config.role_arn else { return Self::of_the_secret() };
        let borrowed = cache::get_or_make("role", Some(ROLE_SECONDS), || {
            let borrowed = Self::of_the_secret()?.assume(config, role)?;
            serde_json::to_vec(&borrowed).map_err(Failure::retry)
        })?;
        serde_json::from_slice(&borrowed).map_err(Failure::retry)
    }

    fn of_the_secret() -> Result<Self, Failure> {
        let id = secrets::get("accessKeyId")?.placeholder(&PlaceholderForm::Plain)?;
        let has_token = secrets::names().iter().any(|name| name == SESSION_TOKEN);
        // It is part of what is signed, so the plugin has to read it.
        let token = has_token.then(|| secrets::get(SESSION_TOKEN)?.reveal()).transpose()?;
        let token = token.map(|token| String::from_utf8_lossy(&token).trim().to_owned());
        Ok(Self { id, secret: None, token })
    }

    /// The last of a chain of HMACs, each of which is the next one's key.
    pub fn hmac(&self, chain: &[Vec<u8>]) -> Result<Vec<u8>, Failure> {
        let Some(secret) = &self.secret else {
            let key = HmacKey::new(Encoding::Raw).prefix("AWS4");
            return Ok(secrets::get("secretAccessKey")?.hmac(Hash::Sha256, &key, chain)?);
        };
        chain.iter().try_fold(format!("AWS4{secret}").into_bytes(), |key, message| {
            let mac = Hmac::<Sha256>::new_from_slice(&key).map_err(Failure::permanent)?;
            Ok(mac.chain_update(message).finalize().into_bytes().to_vec())
        })
    }

    /// AssumeRole (AWS STS API Reference).
    fn assume(&self, config: &Config, role: &str) -> Result<Self, Failure> {
        let call = Call {
            endpoint: config.server(config.sts_endpoint.as_ref(), "sts"),
            service: "sts",
            region: config.region(),
            content_type: "application/x-www-form-urlencoded",
            target: None,
            body: format!("{ASSUME}&RoleArn={}", percent_encoded(role)),
        };
        let response = accepted(call.send(self)?)?;
        // XML. None of these has a character that it escapes.
        let text = response.text();
        let field = |name: &str| {
            let (_, rest) = text.split_once(&format!("<{name}>"))?;
            rest.split_once("</").map(|(value, _)| value.to_owned())
        };
        match (field("AccessKeyId"), field("SecretAccessKey"), field("SessionToken")) {
            (Some(id), secret @ Some(_), token @ Some(_)) => Ok(Self { id, secret, token }),
            _ => Err(Failure::retry(format!("{}: the answer has no credentials", response.server))),
        }
    }
}

fn percent_encoded(text: &str) -> String {
    let is_kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encoded = |byte| if is_kept(byte) { char::from(byte).into() } else { format!("%{byte:02X}") };
    text.bytes().map(encoded).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of "Deriving the signing key" in the AWS General Reference.
    #[test]
    fn the_signing_key_is_the_one_of_the_reference() {
        let secret = Some("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned());
        let credentials = Credentials { id: String::new(), secret, token: None };
        let chain = ["20150830", "us-east-1", "iam", "aws4_request"].map(|part| part.as_bytes().to_vec());
        let key = credentials.hmac(&chain).unwrap();
        let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
    }
}
