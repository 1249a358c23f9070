//! Version 14 of the Test Anything Protocol: <https://testanything.org/tap-version-14-specification.html>.

use serde::Serialize;

use super::super::difference::Difference;
use super::case_report::CaseReport;

#[derive(Serialize)]
struct Diagnosis<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    differences: &'a [Difference],
}

/// What stands in front of the cases.
pub fn head(total: usize) -> String {
    format!("TAP version 14\n1..{total}\n")
}

/// The line of a case, and a YAML block about one that failed.
pub fn case(number: usize, case: &CaseReport) -> anyhow::Result<String> {
    let word = if case.passed() { "ok" } else { "not ok" };
    let mut text = format!("{word} {number} - {}\n", escaped(&case.name));
    if !case.passed() {
        let diagnosis = Diagnosis { message: case.problem.as_deref(), differences: &case.differences };
        let yaml = serde_saphyr::to_string(&diagnosis)?;
        let lines: String = yaml.lines().map(|line| format!("  {line}\n")).collect();
        text.push_str(&format!("  ---\n{lines}  ...\n"));
    }
    Ok(text)
}

/// A `#` would begin a directive, such as SKIP.
fn escaped(name: &str) -> String {
    name.replace('\\', "\\\\").replace('#', "\\#")
}
