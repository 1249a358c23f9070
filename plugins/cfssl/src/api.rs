//! CFSSL's API, as far as an issuer needs it, and what its answers mean.

use base64ct::{Base64, Encoding};
use serde::Deserialize;
use serde_json::{Value, json};
use wasm_issuer_sdk::http::{HttpError, Response};
use wasm_issuer_sdk::{Certificate, Failure, FailureKind, log};

use crate::config::Config;

/// What the plugin needs of the operator; tests have a world of their own.
pub trait World {
    /// Sends `body` as JSON, and returns any response that came, whatever its status.
    fn post(&self, url: &str, body: &Value) -> Result<Response, HttpError>;
    /// HMAC-SHA256 with the Issuer's authentication key.
    fn hmac(&self, message: &[u8]) -> Result<Vec<u8>, Failure>;
    /// Whether the server did not answer a short while ago.
    fn is_down(&self, url: &str) -> bool;
    fn set_down(&self, url: &str);
}

/// A CA behind one or several servers.
pub struct Ca<'a, W> {
    pub config: &'a Config,
    /// Whether requests carry a token.
    pub authenticate: bool,
    pub world: W,
}

#[derive(Deserialize)]
struct Answer {
    success: bool,
    result: Option<Issued>,
    #[serde(default)]
    errors: Vec<Complaint>,
}

/// A signed certificate or, from `info`, the CA's.
#[derive(Deserialize)]
struct Issued {
    certificate: String,
    bundle: Option<Bundle>,
}

#[derive(Deserialize)]
struct Bundle {
    bundle: String,
    root: String,
}

#[derive(Deserialize)]
struct Complaint {
    code: i64,
    message: String,
}

enum Error {
    /// No server could say yes or no.
    Unavailable(Failure),
    /// A server answered that it will not sign.
    Refused(Fault, String),
}

/// Whose fault a refusal is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Issuer,
    Request,
    Server,
    Unknown,
}

impl<W: World> Ca<'_, W> {
    /// Tries label, profile and authentication key. Nothing is signed: the CSR is none.
    pub fn check(&self) -> Result<(), Failure> {
        self.ask("info", &self.request(""))?;
        // `authsign` looks at the token before the CSR; `sign` wants one before it says whether it needs a token.
        match self.submit(if self.authenticate { "" } else { "-" }) {
            Ok(_) | Err(Error::Refused(Fault::Request | Fault::Unknown, _)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Has a CSR (PEM) signed.
    pub fn sign(&self, csr: &str) -> Result<Certificate, Failure> {
        let Issued { certificate, bundle } = match self.submit(csr) {
            // Other trouble than the Issuer's: the CSR's, or the database is down, say, so later tries may succeed.
            Err(Error::Refused(Fault::Unknown, text)) => {
                self.check()?;
                return Err(Failure::retry(format!(
                    "{text}; the CA refuses the CSR or failed to sign it: its log says which"
                )));
            }
            result => result?,
        };
        if !self.config.bundle {
            return Ok(Certificate { chain: certificate, ca: None });
        }
        if let Some(Bundle { bundle, root }) = bundle {
            return Ok(Certificate { chain: bundle, ca: Some(root).filter(|root| !root.is_empty()) });
        }
        // The server makes no bundles, like every multirootca of CFSSL itself. If its CA is a root, the operator sees it.
        let ca = self.ask("info", &self.request(""))?;
        Ok(Certificate { chain: format!("{}\n{}\n", certificate.trim_end(), ca.certificate), ca: None })
    }

    fn submit(&self, csr: &str) -> Result<Issued, Error> {
        let request = self.request(csr);
        if !self.authenticate {
            return self.ask("sign", &request);
        }
        let request = request.to_string();
        let token = self.world.hmac(request.as_bytes()).map_err(Error::Unavailable)?;
        self.ask("authsign", &authenticated(&token, request.as_bytes()))
    }

    /// Without `hosts`, all names are the CSR's. What is empty counts as left out.
    fn request(&self, csr: &str) -> Value {
        let Config { label, profile, bundle, .. } = self.config;
        json!({"certificate_request": csr, "label": label, "profile": profile, "bundle": bundle})
    }

    /// Asks the servers in their order, those that are down last, until one can say yes or no.
    fn ask(&self, endpoint: &str, body: &Value) -> Result<Issued, Error> {
        let mut urls: Vec<_> = self.config.url.iter().collect();
        let several = urls.len() > 1;
        urls.sort_by_cached_key(|url| several && self.world.is_down(url));
        let mut failures = Vec::new();
        for url in urls {
            let address = format!("{url}/api/v1/cfssl/{endpoint}");
            let response = self.world.post(&address, body).map_err(|error| Error::Unavailable(error.into()));
            match response.and_then(|response| self.read(&address, &response)) {
                Err(Error::Unavailable(failure)) => {
                    if several {
                        log::warn(&failure.message);
                        self.world.set_down(url);
                    }
                    failures.push(failure);
                }
                result => return result,
            }
        }
        Err(Error::Unavailable(merge(failures)))
    }

    fn read(&self, address: &str, response: &Response) -> Result<Issued, Error> {
        let status = response.status;
        let complaint = match response.json() {
            Ok(Answer { success: true, result: Some(issued), .. }) if status == 200 => return Ok(issued),
            Ok(Answer { errors, .. }) => errors.into_iter().next(),
            Err(_) => None,
        };
        let Complaint { code, message } = complaint.unwrap_or_else(|| Complaint {
            code: 0,
            message: response.text().trim().chars().take(200).collect(),
        });
        let Config { label, profile, .. } = self.config;
        let asked = |name, value: &str| match value {
            "" => String::new(),
            value => format!(", {name} {value:?}"),
        };
        let (label, profile) = (asked("label", label), asked("profile", profile));
        let text = format!("{address}: {message} (HTTP {status}, code {code}{label}{profile})");
        Err(match fault(status, code, &message) {
            Fault::Server => {
                let after = response.retry_after();
                Error::Unavailable(after.into_iter().fold(Failure::retry(text), Failure::after))
            }
            fault => Error::Refused(fault, text),
        })
    }
}

/// CFSSL's `auth.AuthenticatedRequest`. The token is the HMAC-SHA256 of the request's bytes.
fn authenticated(token: &[u8], request: &[u8]) -> Value {
    json!({"token": Base64::encode_string(token), "request": Base64::encode_string(request)})
}

/// `cfssl serve` has codes (doc/errorcode.txt), a `multirootca` only words.
fn fault(status: u16, code: i64, message: &str) -> Fault {
    match (status, code, message) {
        // Overloaded, broken, or not CFSSL's answer.
        (200..=299 | 408 | 429 | 500.., ..) => Fault::Server,
        // A redirect, the wrong path, an address that is not on the list.
        (300..=399 | 401 | 403..=405 | 407 | 410, ..) => Fault::Issuer,
        // The profile forbids it, or the CSR is malformed.
        (_, 5300 | 5500 | 9000..=9999, _) => Fault::Request,
        // The profile itself is wrong.
        (_, 1400 | 5000..=5999, _) => Fault::Issuer,
        (.., "bad label" | "invalid profile" | "invalid token") => Fault::Issuer,
        (.., "authentication required" | "no authentication provider") => Fault::Issuer,
        _ => Fault::Unknown,
    }
}

/// One failure of all servers': one to retry if any of them is.
fn merge(failures: Vec<Failure>) -> Failure {
    let messages: Vec<_> = failures.iter().map(|failure| failure.message.as_str()).collect();
    let message = messages.join("; ");
    let mut kinds = failures.into_iter().map(|failure| failure.kind);
    let kind = kinds.find(|kind| matches!(kind, FailureKind::Retry(_))).unwrap_or(FailureKind::Issuer);
    Failure { kind, message, condition: None }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Unavailable(failure) => failure,
            Error::Refused(Fault::Issuer, text) => Self::issuer(text),
            Error::Refused(Fault::Request, text) => Self::invalid_request(text),
            Error::Refused(Fault::Server | Fault::Unknown, text) => Self::retry(text),
        }
    }
}

#[cfg(test)]
mod tests;
