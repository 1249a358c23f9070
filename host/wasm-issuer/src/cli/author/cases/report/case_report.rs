//! What came of one case.

use serde::Serialize;

use super::super::difference::Difference;
use super::super::outcome::Outcome;

/// What came of one case.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CaseReport {
    pub name: String,
    pub result: CaseResult,
    /// Why nothing was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    pub differences: Vec<Difference>,
    pub outcome: Outcome,
    /// `recorded`, `updated`, or both.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub written: Vec<&'static str>,
    pub milliseconds: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CaseResult {
    Passed,
    Failed,
}

impl CaseReport {
    /// Whether it did.
    pub fn passed(&self) -> bool {
        self.result == CaseResult::Passed
    }

    /// What is wrong, a line each.
    pub fn lines(&self) -> Vec<String> {
        let differs = |Difference { place, expected, found }: &Difference| {
            [place.clone(), format!("  expected  {expected}"), format!("  found     {found}")]
        };
        self.problem.iter().cloned().chain(self.differences.iter().flat_map(differs)).collect()
    }
}
