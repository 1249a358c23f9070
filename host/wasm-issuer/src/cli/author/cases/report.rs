//! What came of the cases: for people, as TAP, as JUnit's XML, as JSON.

mod case_report;
mod junit;
mod tap;

use anstream::ColorChoice;
use anstyle::{AnsiColor, Style};
pub use case_report::{CaseReport, CaseResult};
use clap::ValueEnum;
use serde::Serialize;

use super::super::host::PluginIdentity;
use super::super::output;
use super::super::progress::Progress;

/// How the results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A line for each case, and what differs.
    Text,
    /// Version 14 of the Test Anything Protocol.
    Tap,
    /// The XML that CI servers show.
    Junit,
    /// One JSON document.
    Json,
}

#[derive(Serialize)]
struct Document<'a> {
    result: CaseResult,
    plugin: PluginIdentity,
    passed: usize,
    failed: usize,
    cases: &'a [CaseReport],
}

/// Writes the results, each as soon as it is there where the format allows it.
pub struct Report {
    format: Format,
    is_colourful: bool,
    total: usize,
    /// Where nothing else shows how far it is.
    progress: Option<Progress>,
    cases: Vec<CaseReport>,
}

impl Report {
    /// Begin one of so many cases.
    pub fn begin(format: Format, total: usize) -> anyhow::Result<Self> {
        if format == Format::Tap {
            output::stdout(&tap::head(total))?;
        }
        let is_colourful = anstream::AutoStream::choice(&std::io::stdout()) != ColorChoice::Never;
        let is_quiet = matches!(format, Format::Junit | Format::Json);
        let progress = is_quiet.then(|| Progress::new("testing".to_owned()));
        Ok(Self { format, is_colourful, total, progress, cases: Vec::new() })
    }

    /// Say which case is next.
    pub fn next(&mut self, name: &str) {
        let how_far = format!(" {name} ({} of {})", self.cases.len() + 1, self.total);
        if let Some(progress) = &mut self.progress {
            progress.show(&how_far);
        }
    }

    /// One more case.
    pub fn add(&mut self, case: CaseReport) -> anyhow::Result<()> {
        let number = self.cases.len() + 1;
        match self.format {
            Format::Text => output::stdout(&text(number, &case, self.is_colourful))?,
            Format::Tap => output::stdout(&tap::case(number, &case)?)?,
            Format::Junit | Format::Json => {}
        }
        self.cases.push(case);
        Ok(())
    }

    /// The end. Returns whether all passed.
    pub fn end(self, plugin: PluginIdentity) -> anyhow::Result<bool> {
        drop(self.progress);
        let failed = self.cases.iter().filter(|case| !case.passed()).count();
        let passed = self.cases.len() - failed;
        match self.format {
            Format::Text => output::stdout(&format!("\npassed: {passed}, failed: {failed}\n"))?,
            Format::Tap => {}
            Format::Junit => output::stdout(&junit::document(plugin.file(), &self.cases)?)?,
            Format::Json => {
                let result = if failed == 0 { CaseResult::Passed } else { CaseResult::Failed };
                output::json(&Document { result, plugin, passed, failed, cases: &self.cases })?;
            }
        }
        Ok(failed == 0)
    }
}

fn text(number: usize, case: &CaseReport, is_colourful: bool) -> String {
    let (word, colour) = if case.passed() { ("ok", AnsiColor::Green) } else { ("not ok", AnsiColor::Red) };
    let style = if is_colourful { Style::new().fg_color(Some(colour.into())).bold() } else { Style::new() };
    let written: String = case.written.iter().map(|what| format!(", {what}")).collect();
    let CaseReport { name, milliseconds, .. } = case;
    let mut text = format!("{style}{word}{style:#} {number} - {name} ({milliseconds} ms{written})\n");
    for line in case.lines() {
        text.push_str(&format!("    {line}\n"));
    }
    text
}

#[cfg(test)]
mod tests;
