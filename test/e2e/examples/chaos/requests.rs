//! The requests: made and approved by somebody who does not give up, and looked at when all is over.

use std::collections::HashMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use jiff::Timestamp;
use serde_json::json;
use tokio::time::{sleep, timeout};
use wasm_issuer_e2e::{Csr, Issued, Kind, Object, SOON, Test, issuer_ref};

use crate::stage::issuer;

const ISSUED: &str = "True Issued: Succeeded signing the CertificateRequest";
/// How many are made at a time.
const MAKERS: usize = 16;
/// How long the last ones may take once nothing goes wrong any more.
const PATIENCE: Duration = Duration::from_secs(300);

/// All requests, by their numbers.
pub struct Requests {
    csrs: Vec<Csr>,
    issuers: usize,
}

/// What has become of them.
#[derive(Default)]
pub struct Outcome {
    /// How many were made.
    pub made: usize,
    /// By uid: since when they have their certificate.
    pub issued: HashMap<String, Timestamp>,
    /// What those say that have none.
    pub others: Vec<String>,
    /// How many have the certificate of their own key and names, with a chain that leads to the CA.
    pub fitting: usize,
}

impl Requests {
    pub fn new(count: usize, issuers: usize) -> Self {
        let csrs = (0..count).map(|n| Csr::for_host(&format!("web-{n}.example"))).collect();
        Self { csrs, issuers }
    }

    /// The numbers of all, in so many parts.
    pub fn bursts(&self, count: usize) -> Vec<Range<usize>> {
        let at = |part: usize| self.csrs.len() * part / count;
        (0..count).map(|part| at(part)..at(part + 1)).collect()
    }

    /// Make these and approve them, however often it takes.
    pub async fn make(&self, t: &Test, numbers: Range<usize>) {
        let make = |n: usize| async move {
            let issuer = issuer_ref(&issuer(n % self.issuers));
            insist(async || t.try_request(&name(n), &issuer, &self.csrs[n].base64(), &json!({})).await).await;
            insist(async || t.try_decide(&name(n), "Approved").await).await;
        };
        stream::iter(numbers).for_each_concurrent(MAKERS, make).await;
    }

    /// Wait until each has an end, or for so long, and look at all of them.
    pub async fn outcome(&self, t: &Test) -> Outcome {
        let began = Instant::now();
        let is_open =
            |request: &Object| request.ready() != ISSUED && !request.ready().starts_with("False Failed");
        let all = loop {
            let all = t.list(Kind::CertificateRequest).await;
            if !all.iter().any(is_open) || began.elapsed() > PATIENCE {
                break all;
            }
            sleep(Duration::from_secs(1)).await;
        };
        let mut outcome = Outcome { made: self.csrs.len(), ..Outcome::default() };
        let csrs: HashMap<String, &Csr> =
            self.csrs.iter().enumerate().map(|(n, csr)| (name(n), csr)).collect();
        for request in all {
            if request.ready() != ISSUED {
                outcome.others.push(format!("{} {}", request.name(), request.ready()));
                continue;
            }
            let since =
                request.condition("Ready").and_then(|c| c["lastTransitionTime"].as_str()?.parse().ok());
            outcome.issued.insert(request.meta("uid").to_owned(), since.expect("a time"));
            let csr = csrs[request.name()];
            let is_fitting = || Issued::from_request(request).verify(csr);
            outcome.fitting += usize::from(catch_unwind(AssertUnwindSafe(is_fitting)).is_ok());
        }
        outcome
    }
}

fn name(n: usize) -> String {
    format!("web-{n:04}")
}

/// Call the API server until it has done what is asked for.
async fn insist(call: impl AsyncFn() -> kube::Result<Object>) {
    let began = Instant::now();
    loop {
        let why = match timeout(Duration::from_secs(10), call()).await {
            Ok(Ok(_)) => return,
            // By a call before, of which the answer got lost.
            Ok(Err(kube::Error::Api(status))) if status.is_already_exists() => return,
            Ok(Err(error)) => error.to_string(),
            Err(elapsed) => elapsed.to_string(),
        };
        assert!(began.elapsed() < SOON, "the API server: {why}");
        sleep(Duration::from_millis(200)).await;
    }
}
