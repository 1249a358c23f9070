//! Who may read the metrics: the API server says so, by a TokenReview and a SubjectAccessReview, as for controller-runtime.
//!
//! Each costs it two calls, and anybody may send a token. So answers are remembered, few are asked for at a time, and those
//! who were allowed lately do not wait behind strangers.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tracing::warn;

use crate::operator::read::in_time;

/// How long a token may go on without being looked at again, and how long it is refused without.
const ALLOWED_FOR: Duration = Duration::from_secs(60);
const REFUSED_FOR: Duration = Duration::from_secs(30);
/// How long whoever was allowed is no stranger.
const KNOWN_FOR: Duration = Duration::from_secs(3600);
/// How many tokens are remembered of those that were allowed, and of others.
const MAX_ALLOWED: usize = 64;
const MAX_REFUSED: usize = 1024;
/// How many strangers' tokens are looked at at a time, and how many others.
const STRANGERS: usize = 2;
const KNOWN: usize = 8;
/// How long a token waits for its turn. Prometheus waits for 10 s for all.
const PATIENCE: Duration = Duration::from_secs(4);

/// What a token is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may read the metrics.
    Allowed,
    /// It is somebody's who may not.
    Forbidden,
    /// It is nobody's.
    Unknown,
    /// The API server did not say.
    Unanswered,
}

/// Asks the API server, and remembers what it said.
pub struct Access {
    client: Client,
    allowed: Mutex<HashMap<Digest, Instant>>,
    refused: Mutex<HashMap<Digest, (Verdict, Instant)>>,
    known: Semaphore,
    strangers: Semaphore,
}

/// The SHA-256 of a token: the token itself is not kept.
type Digest = [u8; 32];

impl Access {
    /// Nobody is known yet.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            allowed: Mutex::default(),
            refused: Mutex::default(),
            known: Semaphore::new(KNOWN),
            strangers: Semaphore::new(STRANGERS),
        }
    }

    /// Whether a bearer token may read the metrics.
    pub async fn of(&self, token: &str) -> Verdict {
        let mut sha256 = Digest::default();
        sha256.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        if let Some(verdict) = self.remembered(&sha256) {
            return verdict;
        }
        let is_known = lock(&self.allowed).contains_key(&sha256);
        let turns = if is_known { &self.known } else { &self.strangers };
        let Ok(Ok(_turn)) = timeout(PATIENCE, turns.acquire()).await else { return Verdict::Unanswered };
        // Another request may have brought the same one.
        if let Some(verdict) = self.remembered(&sha256) {
            return verdict;
        }
        let verdict = self.ask(token).await.unwrap_or_else(|error| {
            warn!(
                error,
                "cannot find out who asks for metrics; may the ServiceAccount create tokenreviews and subjectaccessreviews \
                 (deploy/monitoring/secure-metrics.yaml)?"
            );
            Verdict::Unanswered
        });
        self.remember(sha256, verdict);
        verdict
    }

    async fn ask(&self, token: &str) -> Result<Verdict, String> {
        let Some(user) = self.user(token).await? else { return Ok(Verdict::Unknown) };
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                non_resource_attributes: Some(NonResourceAttributes {
                    path: Some("/metrics".to_owned()),
                    verb: Some("get".to_owned()),
                }),
                user: user.username,
                uid: user.uid,
                groups: user.groups,
                extra: user.extra,
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let api: Api<SubjectAccessReview> = Api::all(self.client.clone());
        let answer = in_time(api.create(&PostParams::default(), &review)).await;
        let status = answer.map_err(|error| format!("SubjectAccessReview: {error}"))?.status;
        let is_allowed = status.is_some_and(|status| status.allowed && status.denied != Some(true));
        Ok(if is_allowed { Verdict::Allowed } else { Verdict::Forbidden })
    }

    /// Whose token it is, if it is anybody's.
    async fn user(&self, token: &str) -> Result<Option<UserInfo>, String> {
        let spec = TokenReviewSpec { token: Some(token.to_owned()), audiences: None };
        let api: Api<TokenReview> = Api::all(self.client.clone());
        let review = TokenReview { spec, ..TokenReview::default() };
        let answer = in_time(api.create(&PostParams::default(), &review)).await;
        let status = answer.map_err(|error| format!("TokenReview: {error}"))?.status.unwrap_or_default();
        Ok(status.user.filter(|_| status.authenticated == Some(true)))
    }

    fn remembered(&self, sha256: &Digest) -> Option<Verdict> {
        let now = Instant::now();
        if lock(&self.allowed).get(sha256).is_some_and(|at| now.duration_since(*at) < ALLOWED_FOR) {
            return Some(Verdict::Allowed);
        }
        let (verdict, at) = *lock(&self.refused).get(sha256)?;
        (now.duration_since(at) < REFUSED_FOR).then_some(verdict)
    }

    fn remember(&self, sha256: Digest, verdict: Verdict) {
        let now = Instant::now();
        match verdict {
            Verdict::Allowed => {
                lock(&self.refused).remove(&sha256);
                let mut allowed = lock(&self.allowed);
                if allowed.len() >= MAX_ALLOWED && !allowed.contains_key(&sha256) {
                    allowed.retain(|_, at| now.duration_since(*at) < KNOWN_FOR);
                }
                if allowed.len() >= MAX_ALLOWED && !allowed.contains_key(&sha256) {
                    // Tokens are exchanged every hour or so: the oldest is the one that is not used any more.
                    let oldest = allowed.iter().min_by_key(|(_, at)| **at).map(|(sha256, _)| *sha256);
                    oldest.and_then(|oldest| allowed.remove(&oldest));
                }
                allowed.insert(sha256, now);
            }
            Verdict::Forbidden | Verdict::Unknown => {
                lock(&self.allowed).remove(&sha256);
                let mut refused = lock(&self.refused);
                if refused.len() >= MAX_REFUSED {
                    refused.retain(|_, (_, at)| now.duration_since(*at) < REFUSED_FOR);
                }
                if refused.len() < MAX_REFUSED {
                    refused.insert(sha256, (verdict, now));
                }
            }
            Verdict::Unanswered => {}
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while the lock was held leaves a whole map behind: every change is one insert or remove.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
