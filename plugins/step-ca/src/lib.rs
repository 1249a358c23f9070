//! Certificates from [step-ca](https://github.com/smallstep/certificates), asked for with the one-time tokens of a JWK
//! provisioner. The provisioner's key stays in the operator: it is decrypted, and signs, there.

mod api;
mod config;
mod duration;

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use wasm_issuer_sdk::{
    AltName, Certificate, Failure, FailureKind, HostKey, Issuer, Needs, Plugin, Request, cache, http,
    is_key_usage, jws, pem, secrets,
};

use api::Provisioner;
use config::Config;

/// How long a token is good, in seconds. It is used at once.
const TOKEN_SECONDS: u64 = 5 * 60;
/// How long it is believed that tokens are taken, in seconds. The CA keeps the ID of each.
const TRIAL_SECONDS: u32 = 24 * 3600;
/// A CSR with another common name than its token: the CA refuses it once it has taken the token, and issues nothing.
const TRIAL_CSR: &[u8] = include_bytes!("trial.der");
/// When certificates begin, from now on: as by step-ca's own default.
const NOT_BEFORE: &str = "-1m";

struct StepCa;

impl Plugin for StepCa {
    type Config = Config;

    fn config_schema() -> String {
        include_str!("../config.schema.json").to_owned()
    }

    fn needs() -> Needs {
        Needs::new()
            .server_at("/url", "step-ca")
            .secret_key_at("/provisioner/passwordKey", "the provisioner's password")
            .optional_secret_key("key", "its private key, PEM, in place of the password")
    }

    /// Tries the server, its root, the provisioner and the password; and once a day, or after one was refused, a token.
    fn check(issuer: &Issuer<Config>) -> Result<(), Failure> {
        let config = &issuer.config;
        api::health(config)?;
        roots(config)?;
        let provisioner = api::provisioner(config)?;
        duration::nearest(0, &provisioner, None)?;
        let key = key(config, &provisioner)?;
        match cache::get("trial").as_deref() {
            Some(b"taken") => Ok(()),
            _ => trial(config, &provisioner, &key),
        }
    }

    fn sign(issuer: &Issuer<Config>, request: &Request) -> Result<Certificate, Failure> {
        let config = &issuer.config;
        let csr = request.csr()?;
        let names: Vec<_> = csr.alt_names()?.iter().map(AltName::to_string).collect();
        let common_name = csr.common_name().or_else(|| names.first().cloned());
        let common_name = common_name.ok_or_else(|| Failure::invalid_request("the CSR has no name"))?;
        let provisioner = api::provisioner(config)?;
        let max = config.provisioner.max_duration_seconds;
        let seconds = duration::nearest(request.duration_seconds, &provisioner, max)?;
        let key = key(config, &provisioner)?;
        let order = json!({
            "csr": request.csr_pem(),
            "ott": token(config, (&provisioner, &key), &request.csr, (&common_name, &names))?,
            "notBefore": NOT_BEFORE,
            "notAfter": format!("{seconds}s"),
            "templateData": template_data(config, request),
        });
        let chain = api::sign(config, &order).inspect_err(|failure| {
            if matches!(failure.kind, FailureKind::Issuer) {
                remember_trial(b"refused");
            }
        })?;
        Ok(Certificate { chain, ca: Some(roots(config)?) })
    }
}

/// What the Issuer says, and of the request what makes a certificate's extensions.
fn template_data(config: &Config, request: &Request) -> Value {
    // step-ca's templates take `server_auth` for `serverAuth`.
    let step_name = |usage: &String| match usage.as_str() {
        "signing" => "digital_signature".to_owned(),
        "s/mime" => "email_protection".to_owned(),
        usage => usage.replace(' ', "_"),
    };
    let (key, extended): (Vec<_>, Vec<_>) = request.usages.iter().partition(|usage| is_key_usage(usage));
    let names = |usages: Vec<&String>| usages.into_iter().map(step_name).collect::<Value>();
    let mut data = json!(config.template_data);
    data["keyUsage"] = names(key);
    data["extKeyUsage"] = names(extended);
    data["isCA"] = request.is_ca.into();
    data
}

/// The provisioner's key: the one that the CA keeps, or the Secret's own.
fn key(config: &Config, provisioner: &Provisioner) -> Result<HostKey, Failure> {
    let password = &config.provisioner.password_key;
    match provisioner.encrypted_key() {
        _ if !secrets::names().contains(password) => HostKey::from_secret("key"),
        Some(jwe) => HostKey::from_jwe(password, jwe),
        None => Err(Failure::issuer(format!(
            "{}: the CA keeps no key of this provisioner: put it into the Secret, PEM, as `key` in place of `{password}`",
            config.url
        ))),
    }
}

/// A one-time token of the provisioner (a JWT, RFC 7519) for one CSR (DER) and the names in it.
fn token(
    config: &Config,
    (provisioner, key): (&Provisioner, &HostKey),
    csr: &[u8],
    (common_name, names): (&str, &[String]),
) -> Result<String, Failure> {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = since_epoch.as_secs();
    let fingerprint = jws::encode(&Sha256::digest(csr));
    let claims = json!({
        "iss": config.provisioner.name,
        "aud": config.at("/1.0/sign"),
        "sub": common_name,
        "sans": names,
        "iat": now,
        "exp": now.saturating_add(TOKEN_SECONDS),
        // The CA takes each once; a request that is tried again needs another.
        "jti": format!("{fingerprint}-{}", since_epoch.as_nanos()),
        "cnf": { "x5rt#S256": fingerprint },
    });
    jws::compact(key, json!({ "typ": "JWT", "kid": provisioner.kid() }), &claims)
}

/// Shows the CA a token with a CSR that it will not sign.
fn trial(config: &Config, provisioner: &Provisioner, key: &HostKey) -> Result<(), Failure> {
    let order = json!({
        "csr": pem::encode("CERTIFICATE REQUEST", TRIAL_CSR),
        "ott": token(config, (provisioner, key), TRIAL_CSR, ("trial", &[]))?,
    });
    match api::sign(config, &order) {
        // The CSR is refused, not the token.
        Ok(_) | Err(Failure { kind: FailureKind::Permanent, .. }) => {
            remember_trial(b"taken");
            Ok(())
        }
        Err(Failure { kind: FailureKind::Issuer, message, .. }) => Err(Failure::issuer(format!(
            "{message}; the CA's log says why: for another key, a clock, or a url whose host is none of its dnsNames"
        ))),
        Err(failure) => Err(failure),
    }
}

/// What does not fit into the cache costs time only.
fn remember_trial(outcome: &[u8]) {
    let _ = cache::set("trial", outcome, Some(TRIAL_SECONDS));
}

/// The CA's roots, PEM; where the configuration names one, that one alone.
fn roots(config: &Config) -> Result<String, Failure> {
    let roots = http::get(config.at("/roots.pem")).send()?.success()?;
    let roots = pem::decode_certificates(&roots.text())?;
    let Some(wanted) = &config.root_sha256 else { return Ok(pem::encode_certificates(roots)) };
    let wanted = wanted.replace(':', "").to_ascii_lowercase();
    let sha256 =
        |der: &[u8]| Sha256::digest(der).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    match roots.into_iter().find(|root| sha256(root) == wanted) {
        Some(root) => Ok(pem::encode_certificates([root])),
        None => Err(Failure::issuer(format!(
            "{}: none of the CA's roots has the SHA-256 {wanted} (spec.config.rootSha256)",
            config.url
        ))),
    }
}

wasm_issuer_sdk::export!(StepCa);
