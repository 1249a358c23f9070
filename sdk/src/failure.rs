//! Building [`Failure`]s: the kind says what the operator does next, so choose it with care.

use std::fmt::Display;

use crate::cache::CacheError;
use crate::keys::{Algorithm, KeyError};
use crate::secrets::SecretError;
use crate::{Condition, ConditionStatus, Failure, FailureKind, Pending};

/// The type and the reason of the condition that tells cert-manager that the request itself is at fault.
pub(crate) const INVALID_REQUEST: &str = "InvalidRequest";

impl Failure {
    fn new(kind: FailureKind, message: impl Display) -> Self {
        Self { kind, message: message.to_string(), condition: None }
    }

    /// Try again, with a growing delay, until the Issuer's maximum retry duration is over. The right kind whenever
    /// in doubt: a failed request costs a Certificate at least an hour of back-off.
    ///
    /// ```
    /// use wasm_issuer_sdk::Failure;
    ///
    /// let failure = Failure::retry("the CA is being restarted");
    /// ```
    pub fn retry(message: impl Display) -> Self {
        Self::new(FailureKind::Retry(None), message)
    }

    /// For [`Failure::retry`]: no sooner than after so many seconds (an HTTP `Retry-After`).
    ///
    /// ```
    /// use wasm_issuer_sdk::{Failure, FailureKind};
    ///
    /// assert_eq!(Failure::retry("busy").after(30).kind, FailureKind::Retry(Some(30)));
    /// ```
    pub fn after(mut self, seconds: u32) -> Self {
        if let FailureKind::Retry(delay) = &mut self.kind {
            *delay = Some(seconds);
        }
        self
    }

    /// No later try can succeed: the request, or in `check` the Issuer, becomes `Failed`.
    ///
    /// ```
    /// use wasm_issuer_sdk::Failure;
    ///
    /// let failure = Failure::permanent("the CA has revoked this order");
    /// ```
    pub fn permanent(message: impl Display) -> Self {
        Self::new(FailureKind::Permanent, message)
    }

    /// The request itself is at fault: [`Failure::permanent`] with the condition that tells cert-manager so.
    ///
    /// ```
    /// use wasm_issuer_sdk::Failure;
    ///
    /// let failure = Failure::invalid_request("at most 90 days are signed");
    /// ```
    pub fn invalid_request(message: impl Display) -> Self {
        Self::permanent(message).with_condition(INVALID_REQUEST, ConditionStatus::TrueStatus, INVALID_REQUEST)
    }

    /// The fault is the Issuer's, not the request's (credentials refused, an unknown profile): the operator checks
    /// the Issuer anew, and its requests wait.
    ///
    /// ```
    /// use wasm_issuer_sdk::Failure;
    ///
    /// let failure = Failure::issuer("the CA has no profile \"server\" (spec.config.profile)");
    /// ```
    pub fn issuer(message: impl Display) -> Self {
        Self::new(FailureKind::Issuer, message)
    }

    /// The CA has accepted the request and is not done.
    ///
    /// ```
    /// use wasm_issuer_sdk::Failure;
    ///
    /// let failure = Failure::pending("the CA waits for an approval").resume("order-7").poll_after(60);
    /// ```
    pub fn pending(message: impl Display) -> Self {
        Self::new(FailureKind::Pending(Pending { resume: None, poll_after_seconds: None }), message)
    }

    /// For [`Failure::pending`]: handed back as [`Request::resume`](crate::Request::resume) with the next `sign`,
    /// also after a restart of the operator. At most 4 KiB of printable text.
    ///
    /// ```no_run
    /// use wasm_issuer_sdk::{Failure, Request};
    ///
    /// /// The order of this request, made with the first call.
    /// fn order(request: &Request, make: impl Fn() -> String) -> Result<String, Failure> {
    ///     match &request.resume {
    ///         Some(order) => Ok(order.clone()),
    ///         None => Err(Failure::pending("ordered").resume(make())),
    ///     }
    /// }
    /// ```
    pub fn resume(mut self, token: impl Into<String>) -> Self {
        if let FailureKind::Pending(pending) = &mut self.kind {
            pending.resume = Some(token.into());
        }
        self
    }

    /// For [`Failure::pending`]: ask again after so many seconds.
    ///
    /// ```
    /// use wasm_issuer_sdk::Failure;
    ///
    /// let failure = Failure::pending("ordered").poll_after(30);
    /// ```
    pub fn poll_after(mut self, seconds: u32) -> Self {
        if let FailureKind::Pending(pending) = &mut self.kind {
            pending.poll_after_seconds = Some(seconds);
        }
        self
    }

    /// Set a condition on the CertificateRequest besides. Type and reason are CamelCase.
    ///
    /// ```
    /// use wasm_issuer_sdk::{ConditionStatus, Failure};
    ///
    /// let failure = Failure::pending("the CA waits for an approval")
    ///     .with_condition("AwaitingApproval", ConditionStatus::TrueStatus, "Manual");
    /// ```
    pub fn with_condition(
        mut self,
        r#type: impl Into<String>,
        status: ConditionStatus,
        reason: impl Into<String>,
    ) -> Self {
        self.condition = Some(Condition { type_: r#type.into(), status, reason: reason.into() });
        self
    }
}

/// A Secret that cannot be used is for the Issuer's owner to mend.
impl From<SecretError> for Failure {
    fn from(error: SecretError) -> Self {
        match error {
            SecretError::NotFound(message)
            | SecretError::NotGranted(message)
            | SecretError::Invalid(message) => Self::issuer(message),
            SecretError::Other(message) => Self::retry(message),
        }
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Unsupported(algorithm) => {
                Self::issuer(format!("the host has no {} keys here", name(algorithm)))
            }
            KeyError::WrongKey(message) => Self::issuer(message),
            KeyError::LimitExceeded(message) => Self::permanent(message),
            KeyError::Other(message) => Self::retry(message),
        }
    }
}

fn name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::RsaPkcs1Sha256 => "RSA",
        Algorithm::EcdsaP256Sha256 => "P-256",
        Algorithm::EcdsaP384Sha384 => "P-384",
        Algorithm::EcdsaP521Sha512 => "P-521",
        Algorithm::Ed25519 => "Ed25519",
    }
}

impl From<CacheError> for Failure {
    fn from(error: CacheError) -> Self {
        match error {
            CacheError::LimitExceeded(message) => Self::permanent(message),
            CacheError::Other(message) => Self::retry(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_helper_makes_its_kind() {
        assert_eq!(Failure::retry("x").kind, FailureKind::Retry(None));
        assert_eq!(Failure::retry("x").after(30).kind, FailureKind::Retry(Some(30)));
        assert_eq!(Failure::permanent("x").after(30).kind, FailureKind::Permanent);
        assert_eq!(
            Failure::pending("x").resume("order-7").poll_after(5).kind,
            FailureKind::Pending(Pending { resume: Some("order-7".into()), poll_after_seconds: Some(5) })
        );
        let condition = Failure::invalid_request("x").condition.unwrap();
        assert_eq!(
            (condition.type_.as_str(), condition.status),
            ("InvalidRequest", ConditionStatus::TrueStatus)
        );
    }

    #[test]
    fn a_secret_that_cannot_be_used_is_the_issuers_fault() {
        for error in [SecretError::NotFound, SecretError::NotGranted, SecretError::Invalid] {
            assert_eq!(Failure::from(error("why".into())), Failure::issuer("why"));
        }
        assert_eq!(Failure::from(SecretError::Other("why".into())), Failure::retry("why"));
    }
}
