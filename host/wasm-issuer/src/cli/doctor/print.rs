//! Findings for people and for programs.

mod described;
mod rows;

use std::fmt::Write as _;

use rows::{CAUSE, row};
use serde::Serialize;
use wasm_issuer_core::text::clean;

use super::diagnose::Described;
use super::finding::{Finding, Unseen};

/// How many objects that wait are named.
const SHOWN: usize = 5;

/// What `doctor` found.
#[derive(Serialize)]
pub struct Report {
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What the plugins of Issuers say of themselves, and what of that is granted.
    pub plugins: Vec<Described>,
    /// What could not be looked at.
    pub unseen: Vec<Unseen>,
    /// What was looked at, in words.
    pub looked: Vec<String>,
}

impl Report {
    /// The report for people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (n, finding) in self.findings.iter().enumerate() {
            let Finding { object, cause, mend, blocks } = finding;
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}. {}", n + 1, clean(&object.to_string(), CAUSE));
            row(&mut text, "cause", &clean(cause, CAUSE));
            row(&mut text, "mend", mend);
            if !blocks.is_empty() {
                let shown: Vec<String> =
                    blocks.iter().take(SHOWN).map(|object| clean(&object.to_string(), CAUSE)).collect();
                let more = blocks.len().saturating_sub(SHOWN);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                row(&mut text, "waits", &format!("{}{more}", shown.join(", ")));
            }
            text.push('\n');
        }
        text.push_str(&described::text(&self.plugins));
        for Unseen { what, why } in &self.unseen {
            let _ = writeln!(text, "not looked at: {}: {}", clean(what, CAUSE), clean(why, CAUSE));
        }
        let _ = writeln!(text, "looked at: {}", self.looked.join(", "));
        text.push_str(&match self.findings.len() {
            0 => "nothing is wrong there\n".to_owned(),
            1 => "one thing is wrong\n".to_owned(),
            n => format!("{n} things are wrong\n"),
        });
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::ObjectRef;
    use super::*;

    #[test]
    fn a_report_names_object_cause_mend_and_what_waits() {
        let mut finding = Finding::new(
            ObjectRef::new("WasmIssuer", "a", "ca"),
            "no\u{1b}[31m Secret",
            "do this\nthen that",
        );
        finding.blocks = (0..7).map(|n| ObjectRef::new("Certificate", "a", &format!("web-{n}"))).collect();
        let unseen = Unseen { what: "pods".to_owned(), why: "forbidden".to_owned() };
        let looked = vec!["1 Issuer".to_owned()];
        let report = Report { findings: vec![finding], plugins: vec![], unseen: vec![unseen], looked };
        let text = report.text();
        for part in [
            "1. WasmIssuer a/ca\n",
            "   mend   do this\n          then that\n",
            "Certificate a/web-4 and 2 more\n",
            "not looked at: pods: forbidden\n",
            "one thing is wrong\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}
