//! The CA's API, and what its answers mean. Nothing here calls the operator, so `cargo test` runs all of it.
//!
//! This one is made up; put yours in its place:
//!
//! | | |
//! |---|---|
//! | `GET /profiles/NAME` | 200 if the token may ask for certificates of this profile |
//! | `POST /certificates` | 201 with the certificate, or 202 with the number of an order |
//! | `GET /orders/ID` | 200 with the certificate, or 202 as long as it is not done |

use serde::{Deserialize, Serialize};
use wasm_issuer_sdk::http::{Meaning, Response};
use wasm_issuer_sdk::{Certificate, Failure};

/// Seconds until an order is asked for again, if the CA does not say.
const POLL_AFTER: u32 = 30;

/// What a status means where it is not what the SDK takes it for: 401, 403 and 404 are the Issuer's fault, 400 and 422 the
/// request's, 429 and 5xx are tried again, no sooner than `Retry-After` says. This CA answers 409 while another call with the
/// same `requestId` is not done.
const OF_AN_ORDER: [(u16, Meaning); 1] = [(409, Meaning::Retry)];
/// This CA answers 404 for an order that it has forgotten. cert-manager's next request makes another one.
const OF_A_POLL: [(u16, Meaning); 1] = [(404, Meaning::Permanent)];

/// The way to the CA. `lib.rs` has the real one, the tests one of their own.
pub trait Ca {
    /// What the CA answers, whatever its status.
    fn get(&self, path: &str) -> Result<Response, Failure>;
    /// What the CA answers, whatever its status.
    fn post(&self, path: &str, order: &Order<'_>) -> Result<Response, Failure>;
}

/// The body of `POST /certificates`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Order<'a> {
    /// The certification request, PEM.
    pub csr: String,
    pub profile: &'a str,
    pub duration_seconds: u64,
    /// The same in every try, so that the CA makes one certificate of them all.
    pub request_id: &'a str,
}

/// The answer 200 or 201.
#[derive(Debug, Deserialize)]
struct Issued {
    /// PEM, the leaf first.
    chain: String,
    /// PEM, the root.
    ca: Option<String>,
}

/// The answer 202.
#[derive(Debug, Deserialize)]
struct Accepted {
    order: String,
}

/// Tries address, token and profile. Nothing is issued.
pub fn check(ca: &impl Ca, profile: &str) -> Result<(), Failure> {
    ca.get(&format!("/profiles/{profile}"))?.success()?;
    Ok(())
}

/// Makes an order, or asks for the one that `resume` names.
pub fn sign(ca: &impl Ca, order: &Order<'_>, resume: Option<&str>) -> Result<Certificate, Failure> {
    match resume {
        None => certificate(ca.post("/certificates", order)?, &OF_AN_ORDER),
        Some(id) => certificate(ca.get(&format!("/orders/{id}"))?, &OF_A_POLL),
    }
}

fn certificate(response: Response, meanings: &[(u16, Meaning)]) -> Result<Certificate, Failure> {
    let response = response.success_with(meanings)?;
    if response.status == 202 {
        return Err(pending(&response));
    }
    let Issued { chain, ca } = response.json()?;
    Ok(Certificate { chain, ca })
}

/// The operator calls `sign` again after a while, with what `resume` holds, also when it has been restarted meanwhile.
fn pending(response: &Response) -> Failure {
    let server = &response.server;
    match response.json() {
        // It becomes a part of a path.
        Ok(Accepted { order }) if !is_name(&order) => {
            Failure::retry(format!("{server}: {order:?} is no number of an order"))
        }
        Ok(Accepted { order }) => Failure::pending(format!("{server}: order {order} is not done"))
            .resume(order)
            .poll_after(response.retry_after().unwrap_or(POLL_AFTER)),
        Err(error) => error.into(),
    }
}

/// Whether the text stands for itself in a path.
pub fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=64).contains(&text.len()) && text.bytes().all(fits)
}

#[cfg(test)]
mod tests;
