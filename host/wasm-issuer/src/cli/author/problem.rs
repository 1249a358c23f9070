//! Why a plugin did not do what was asked, and what the operator would do about it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use wasm_issuer_core::issuance::issuer::CheckFailure;
use wasm_issuer_core::issuance::signer::{Failure, FailureKind};
use wasm_issuer_core::issuance::verify::Mismatch;
use wasm_issuer_runtime::{CallError, LoadError};

use super::output::{Table, span};
use super::verdict::Verdict;
use crate::operator::Inadmissible;

/// Why a plugin was of no use, for people and for JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// `load`, `pin`, `policy`, `retry`, `permanent`, `issuer`, `pending`, `broken` or `verification`.
    pub kind: &'static str,
    /// A stable name of what went wrong, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// In words: the plugin's, or the host's.
    pub message: String,
    /// What the operator would do.
    pub operator: String,
    /// The token with which a pending request goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resume: Option<String>,
    /// When the plugin wants to be asked again, if it says that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_seconds: Option<u64>,
    /// The condition that the plugin sets besides, as `Type=Status Reason`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
}

const NOT_LOADED: &str = "does not load the plugin: the Issuer is not ready (Pending), or goes on with the plugin \
                          that served before";
const RETRY_CHECK: &str =
    "keeps the Issuer not ready (Pending) and checks again, after 1 s at first and 5 min at most";
const RETRY_SIGN: &str =
    "keeps the request Pending and tries again, after 1 s at first and 5 min at most, for a day";

/// The functions of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Call {
    Check,
    Sign,
}

impl Problem {
    fn new(kind: &'static str, message: String, operator: impl Into<String>) -> Self {
        Self {
            kind,
            reason: None,
            message,
            operator: operator.into(),
            resume: None,
            after_seconds: None,
            condition: None,
        }
    }

    /// Bytes that are no plugin.
    pub fn unusable(reason: &'static str, message: String) -> Box<Self> {
        Box::new(Self { reason: Some(reason), ..Self::new("load", message, NOT_LOADED) })
    }

    /// A component that may not run for the Issuer.
    pub fn inadmissible(refused: &Inadmissible) -> Box<Self> {
        let kind = match refused {
            Inadmissible::Pin(_) => "pin",
            Inadmissible::Policy(_) => "policy",
        };
        Box::new(Self::new(kind, refused.to_string(), NOT_LOADED))
    }

    /// An Issuer that asks for more than it may have.
    pub fn not_admitted(refused: &CheckFailure) -> Box<Self> {
        let operator = "makes the Issuer Failed, and looks again when its spec or the policy changes";
        Box::new(Self::new("policy", refused.message.clone(), operator))
    }

    /// A certificate that is not what was asked for.
    pub fn refused(mismatch: &Mismatch) -> Box<Self> {
        let operator = "publishes nothing and asks again; the third refusal makes the request Failed, which \
                        cert-manager tries again after an hour";
        let message = format!("the certificate was refused: {mismatch}");
        Box::new(Self { reason: Some(mismatch.field), ..Self::new("verification", message, operator) })
    }

    /// A call that did not succeed.
    pub fn of(call: Call, error: CallError) -> Box<Self> {
        let reason = match &error {
            CallError::Broken(breakage) => Some(breakage.label()),
            CallError::Failed(_) => None,
        };
        let Failure { kind, message, condition } = error.into_failure();
        let problem = match kind {
            _ if reason.is_some() => {
                let operator = if call == Call::Check { RETRY_CHECK } else { RETRY_SIGN };
                Self::new("broken", message, operator)
            }
            FailureKind::Retry { after } => {
                let after_seconds = after.map(|after| after.as_secs());
                Self { after_seconds, ..Self::new("retry", message, retried(call, after)) }
            }
            FailureKind::Permanent => Self::new("permanent", message, permanent(call)),
            FailureKind::Issuer => Self::new("issuer", message, issuer(call)),
            FailureKind::Pending { resume, poll_after } => {
                let after_seconds = poll_after.map(|after| after.as_secs());
                Self { resume, after_seconds, ..Self::new("pending", message, pending(call, poll_after)) }
            }
        };
        let condition = condition.filter(|_| call == Call::Sign);
        let condition = condition.map(|it| format!("{}={} {}", it.type_, it.status, it.reason));
        Box::new(Self { reason, condition, ..problem })
    }

    /// What it means for the exit code.
    pub fn verdict(&self) -> Verdict {
        if self.kind == "pending" { Verdict::Pending } else { Verdict::Failed }
    }

    pub fn text(&self) -> String {
        let mut table = Table::default();
        match self.reason {
            Some(reason) => table.row("kind", format!("{} ({reason})", self.kind)),
            None => table.row("kind", self.kind),
        };
        table.row("message", &self.message);
        if let Some(condition) = &self.condition {
            table.row("condition", condition);
        }
        if let Some(resume) = &self.resume {
            table.row("resume", resume);
        }
        table.row("the operator", &self.operator).text()
    }
}

impl From<LoadError> for Box<Problem> {
    fn from(error: LoadError) -> Self {
        Problem::unusable(error.label(), error.to_string())
    }
}

fn retried(call: Call, after: Option<Duration>) -> String {
    let text = if call == Call::Check { RETRY_CHECK } else { RETRY_SIGN };
    match after {
        Some(after) => format!("{text}; never before {}", span(after)),
        None => text.to_owned(),
    }
}

fn permanent(call: Call) -> &'static str {
    match call {
        Call::Check => {
            "makes the Issuer Failed and checks again only when its spec, Secret or plugin changes"
        }
        Call::Sign => "makes the request Failed; cert-manager makes a new one after an hour or more",
    }
}

fn issuer(call: Call) -> &'static str {
    match call {
        Call::Check => RETRY_CHECK,
        Call::Sign => {
            "keeps the request Pending, makes the Issuer not ready and checks it again after 2 s or more"
        }
    }
}

fn pending(call: Call, poll_after: Option<Duration>) -> String {
    let Call::Sign = call else { return RETRY_CHECK.to_owned() };
    match poll_after {
        Some(after) => format!("keeps the request Pending and calls `sign` again after {}", span(after)),
        None => "keeps the request Pending and calls `sign` again, after 1 s at first and 1 min at most"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use wasm_issuer_core::issuance::signer::FailureCondition;
    use wasm_issuer_runtime::Breakage;

    use super::*;

    fn failed(kind: FailureKind) -> CallError {
        let condition =
            FailureCondition { type_: "InvalidRequest".into(), status: "True", reason: "Policy".into() };
        CallError::Failed(Failure { kind, message: "no".into(), condition: Some(condition) })
    }

    #[test]
    fn each_kind_says_what_the_operator_does() {
        let retry = FailureKind::Retry { after: Some(Duration::from_secs(90)) };
        let pending = FailureKind::Pending { resume: Some("order-1".into()), poll_after: None };
        let cases = [
            (Call::Check, failed(retry.clone()), "retry", "checks again"),
            (Call::Sign, failed(retry), "retry", "never before 1 minute 30 seconds"),
            (Call::Check, failed(FailureKind::Permanent), "permanent", "makes the Issuer Failed"),
            (Call::Sign, failed(FailureKind::Permanent), "permanent", "makes the request Failed"),
            (Call::Check, failed(FailureKind::Issuer), "issuer", "checks again"),
            (Call::Sign, failed(FailureKind::Issuer), "issuer", "makes the Issuer not ready"),
            (Call::Check, failed(pending.clone()), "pending", "checks again"),
            (Call::Sign, failed(pending), "pending", "calls `sign` again"),
            (Call::Sign, Breakage::StackOverflow.into(), "broken", "tries again"),
        ];
        for (call, error, kind, operator) in cases {
            let problem = Problem::of(call, error);
            assert_eq!(problem.kind, kind);
            assert!(problem.operator.contains(operator), "{problem:?}");
            assert_eq!(problem.condition.is_some(), call == Call::Sign && kind != "broken");
            let verdict = if kind == "pending" { Verdict::Pending } else { Verdict::Failed };
            assert_eq!(problem.verdict(), verdict);
        }
    }

    #[test]
    fn the_text_names_everything_that_there_is() {
        let pending = FailureKind::Pending { resume: Some("order-1".into()), poll_after: None };
        let text = Problem::of(Call::Sign, failed(pending)).text();
        for part in ["kind          pending\n", "message       no\n", "InvalidRequest=True Policy", "order-1"]
        {
            assert!(text.contains(part), "{text}");
        }
    }
}
