//! Has a plugin sign one request: check, sign, wait, verify, as far as that goes.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use wasm_issuer_core::issuance::signer::{SignRequest, Signed};
use wasm_issuer_core::issuance::verify::{self, Mismatch, Verified};

use super::check::{Ready, prepare};
use super::host::PluginFile;
use super::issuer::Issuer;
use super::output::Timings;
use super::problem::{Call, Problem};
use super::reporter::Unanswered;
use super::wait::Wait;
use crate::operator::{RETRY, moment, retry_policy};

/// What came of a request.
pub enum Answer {
    Issued(Verified),
    /// Signed, but not what was asked for.
    Refused(Mismatch),
    Failed(Call, Box<Problem>),
}

/// How a request is made.
pub struct How {
    /// Whether `check` is called first.
    pub check: bool,
    /// How long it may wait while the plugin is not done.
    pub wait: Duration,
}

/// Ask a plugin for a certificate. Returns also which of its requests got no answer. An error is this machine's fault.
pub async fn ask(
    file: PluginFile,
    issuer: Issuer,
    request: &SignRequest,
    how: How,
    timings: &mut Timings,
) -> anyhow::Result<(Answer, Vec<Unanswered>)> {
    let (verification, trusted) = (issuer.verification(), issuer.trusted.clone());
    let retry = retry_policy(&issuer.spec, RETRY);
    let mut wait = Wait::new(&issuer.key, retry, how.wait, request.resume.as_deref())?;
    let ready = match prepare(file, issuer, timings).await? {
        Ok(ready) => ready,
        Err(problem) => return Ok((Answer::Failed(Call::Check, problem), Vec::new())),
    };
    if how.check
        && let Err(problem) = ready.check(timings).await
    {
        return Ok((Answer::Failed(Call::Check, problem), ready.reporter.seen()));
    }
    let signed = sign(&ready, request.clone(), &mut wait, timings).await;
    let unanswered = ready.reporter.seen();
    let signed = match signed {
        Ok(signed) => signed,
        Err(problem) => return Ok((Answer::Failed(Call::Sign, problem), unanswered)),
    };
    let started = Instant::now();
    let verified = verify::verify(request, &signed, &trusted, Timestamp::now(), &verification);
    timings.add("verify", started.elapsed());
    let answer = match verified {
        Ok(verified) => Answer::Issued(verified),
        Err(mismatch) => Answer::Refused(mismatch),
    };
    Ok((answer, unanswered))
}

/// Calls `sign`, and again for as long as `wait` says.
async fn sign(
    ready: &Ready,
    mut request: SignRequest,
    wait: &mut Wait,
    timings: &mut Timings,
) -> Result<Signed, Box<Problem>> {
    let (mut signing, mut resting) = (Duration::ZERO, Duration::ZERO);
    let signed = loop {
        let started = Instant::now();
        let signed = ready.plugin.sign(&ready.session, &request).await;
        signing += started.elapsed();
        let Err(error) = signed else { break signed };
        let Some(delay) = wait.next(&error, moment()) else { break Err(error) };
        let started = Instant::now();
        let goes_on = wait.rest(delay, &error.to_string()).await;
        resting += started.elapsed();
        if !goes_on {
            break Err(error);
        }
        request.resume = wait.resume().map(str::to_owned);
    };
    timings.add("sign", signing);
    if !resting.is_zero() {
        timings.add("wait", resting);
    }
    signed.map_err(|error| {
        let resume = wait.resume().map(str::to_owned);
        Box::new(Problem { resume, ..*Problem::of(Call::Sign, error) })
    })
}
