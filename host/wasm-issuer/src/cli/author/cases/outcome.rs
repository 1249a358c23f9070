//! What comes of a case, and what is to come of it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wasm_issuer_core::issuance::verify::{Mismatch, Verified};

use super::super::describe;
use super::super::problem::Problem;
use super::super::verdict::Verdict;
use super::compare::{self, Rule};
use super::difference::Difference;

/// Where an expectation is said to differ.
const PLACE: &str = "expect";
/// What a certificate says of time, which is another one in each run unless the clock is set.
const TIMES: [&str; 2] = ["notBefore", "notAfter"];

/// What came of a call; as an expectation, what has to be so. The words are those of `plugin check -o json` and
/// `plugin sign -o json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Outcome {
    pub result: Ending,
    /// The kind of a failure: `retry`, `permanent`, `issuer`, `pending`, `broken` or `verification`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// How a plugin broke, or the field of a certificate that was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// In an expectation `*` stands for any text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// As `Type=Status Reason`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<String>,
    /// When to ask again: a Retry-After, or when to poll.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_seconds: Option<u64>,
    /// The rules by which the certificate differs from the request, which the operator reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warnings: Option<Vec<String>>,
    /// The chain that would be published, leaf first. Of an expected one, those fields count that it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificates: Option<Vec<Map<String, Value>>>,
    /// The CA certificates that would be published beside it, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<Vec<Map<String, Value>>>,
}

/// How a call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// A check.
    Passed,
    /// A certificate that the operator would publish.
    Issued,
    /// A certificate that the operator would not publish.
    Refused,
    Pending,
    Failed,
}

impl Outcome {
    fn of(result: Ending) -> Self {
        Self {
            result,
            kind: None,
            reason: None,
            message: None,
            condition: None,
            resume: None,
            after_seconds: None,
            warnings: None,
            certificates: None,
            ca: None,
        }
    }

    /// A check that passed.
    pub fn passed() -> Self {
        Self::of(Ending::Passed)
    }

    /// A certificate that holds what was asked for.
    pub fn issued(verified: &Verified) -> anyhow::Result<Self> {
        Ok(Self {
            warnings: Some(verified.warnings.iter().map(|warning| warning.field.to_owned()).collect()),
            certificates: Some(described(&verified.certificate)?),
            ca: verified.ca.as_deref().map(described).transpose()?,
            ..Self::of(Ending::Issued)
        })
    }

    /// A certificate that does not.
    pub fn refused(mismatch: &Mismatch) -> Self {
        Self::with(Ending::Refused, *Problem::refused(mismatch))
    }

    /// A call that did not succeed.
    pub fn failed(problem: Problem) -> Self {
        let ending = if problem.verdict() == Verdict::Pending { Ending::Pending } else { Ending::Failed };
        Self::with(ending, problem)
    }

    fn with(result: Ending, problem: Problem) -> Self {
        Self {
            kind: Some(problem.kind.to_owned()),
            reason: problem.reason.map(str::to_owned),
            message: Some(problem.message),
            condition: problem.condition,
            resume: problem.resume,
            after_seconds: problem.after_seconds,
            ..Self::of(result)
        }
    }

    /// Where what was found is not as this expects.
    pub fn differences(&self, found: &Self) -> Vec<Difference> {
        let is_said =
            |message: &String| compare::matches(message, found.message.as_deref().unwrap_or_default());
        // The one text in which a `*` is no character of its own.
        let message = if self.message.as_ref().is_some_and(is_said) { &found.message } else { &self.message };
        let expected = Self { message: message.clone(), ..self.clone() };
        compare::values(&expected.json(), &found.json(), Rule::Expected, &format!("{PLACE} "))
    }

    /// What of two outcomes of a case is the same, for an expectation that holds the next time too.
    pub fn stable(&self, other: &Self, is_clock_set: bool) -> Self {
        let same = same(&self.json(), &other.json()).and_then(|value| serde_json::from_value(value).ok());
        let mut stable: Self = same.unwrap_or_else(|| Self::of(self.result));
        for certificate in
            stable.certificates.iter_mut().chain(&mut stable.ca).flatten().filter(|_| !is_clock_set)
        {
            TIMES.iter().for_each(|time| drop(certificate.remove(*time)));
        }
        stable
    }

    /// The outcome without what keys that are made anew, and the time, make of certificates.
    pub fn without_certificates(&self) -> Self {
        Self { certificates: None, ca: None, ..self.clone() }
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

fn described(chain: &str) -> anyhow::Result<Vec<Map<String, Value>>> {
    let certificates = describe::chain(chain)?;
    let fields = certificates
        .iter()
        .map(|certificate| Ok(serde_json::from_value(serde_json::to_value(certificate)?)?));
    fields.collect()
}

/// What two values have in common.
fn same(one: &Value, other: &Value) -> Option<Value> {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let fields =
                one.iter().filter_map(|(name, value)| Some((name.clone(), same(value, other.get(name)?)?)));
            Some(Value::Object(fields.collect()))
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => one
            .iter()
            .zip(other)
            .map(|(one, other)| same(one, other))
            .collect::<Option<_>>()
            .map(Value::Array),
        _ => (one == other).then(|| one.clone()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn outcome(value: Value) -> Outcome {
        serde_json::from_value(value).unwrap()
    }

    fn places(expected: Value, found: Value) -> Vec<String> {
        outcome(expected)
            .differences(&outcome(found))
            .into_iter()
            .map(|difference| difference.place)
            .collect()
    }

    #[test]
    fn only_what_is_expected_counts() {
        let found = json!({"result": "failed", "kind": "retry", "message": "503 from ca-1: busy", "afterSeconds": 30});
        assert!(places(json!({"result": "failed"}), found.clone()).is_empty());
        assert!(places(json!({"result": "failed", "message": "503 from *: busy"}), found.clone()).is_empty());
        let wrong =
            json!({"result": "failed", "kind": "permanent", "message": "busy", "condition": "A=True B"});
        assert_eq!(places(wrong, found.clone()), ["expect /condition", "expect /kind", "expect /message"]);
        assert_eq!(places(json!({"result": "passed", "message": "*"}), found), ["expect /result"]);
        assert_eq!(
            places(json!({"result": "passed", "message": "a"}), json!({"result": "passed"})),
            ["expect /message"]
        );
        assert!(serde_json::from_value::<Outcome>(json!({"result": "failed", "massage": "a"})).is_err());
    }

    #[test]
    fn what_differs_between_two_runs_is_not_expected() {
        let run = |serial: &str, after: u64| {
            let leaf = json!({"subject": "CN=a", "serial": serial, "notAfter": "2030", "names": ["DNS:*.a", serial]});
            outcome(
                json!({"result": "issued", "certificates": [leaf], "afterSeconds": after, "warnings": []}),
            )
        };
        let stable = json!({"result": "issued", "certificates": [{"subject": "CN=a"}], "warnings": []});
        assert_eq!(run("1", 1).stable(&run("2", 2), false).json(), stable);
        assert_eq!(run("1", 1).stable(&run("1", 1), true).json(), run("1", 1).json());
        // A star in a name is that name's own.
        let expected = outcome(json!({"result": "issued", "certificates": [{"names": ["DNS:*.a", "1"]}]}));
        let other = outcome(json!({"result": "issued", "certificates": [{"names": ["DNS:b.a", "1"]}]}));
        assert_eq!(expected.differences(&other).len(), 1);
        assert!(expected.differences(&run("1", 1)).is_empty());
    }
}
