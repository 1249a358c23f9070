//! Results on stdout, everything else on stderr.

use std::fmt::Write as _;
use std::io::{ErrorKind, Write};
use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::fmt::friendly::{Designator, Spacing, SpanPrinter};
use jiff::{SignedDuration, Span, SpanRound, Unit};
use serde::Serialize;

/// How a result is written.
#[derive(Args, Clone, Copy)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// How the result is written: for people, or as one JSON document on stdout.
    #[arg(short, long, global = true, value_enum, default_value = "text", value_name = "FORMAT")]
    pub output: Format,
}

/// The formats of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables and sentences.
    Text,
    /// One JSON document.
    Json,
}

/// Write text to stdout. A reader that has seen enough, like `head`, is no error.
pub fn stdout(text: &str) -> anyhow::Result<()> {
    write_to(&mut std::io::stdout().lock(), text)
}

/// Write text to stderr, likewise.
pub fn stderr(text: &str) -> anyhow::Result<()> {
    write_to(&mut std::io::stderr().lock(), text)
}

fn write_to(to: &mut impl Write, text: &str) -> anyhow::Result<()> {
    match to.write_all(text.as_bytes()).and_then(|()| to.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Write a value to stdout as a JSON document.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    stdout(&format!("{}\n", serde_json::to_string_pretty(value)?))
}

/// Lines of a name and a value, the values below each other.
#[derive(Default)]
pub struct Table(Vec<(String, String)>);

impl Table {
    pub fn row(&mut self, name: impl Into<String>, value: impl Into<String>) -> &mut Self {
        self.0.push((name.into(), value.into()));
        self
    }

    /// The lines, each indented and with its newline.
    pub fn text(&self) -> String {
        let width = self.0.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
        let mut text = String::new();
        for (name, value) in &self.0 {
            let line = format!("  {name:width$}  {value}");
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// How long the parts of a command took, in milliseconds.
#[derive(Default)]
pub struct Timings(Vec<(&'static str, f64)>);

impl Serialize for Timings {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

impl Timings {
    /// Adds a part. It is kept in milliseconds with two decimals.
    pub fn add(&mut self, part: &'static str, took: Duration) {
        let millis = (took.as_secs_f64() * 100_000.0).round() / 100.0;
        self.0.push((part, millis));
    }

    /// `compile 120 ms, check 1.2 ms`
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (part, millis) in &self.0 {
            let gap = if text.is_empty() { "" } else { ", " };
            let _ = write!(text, "{gap}{part} {millis} ms");
        }
        text
    }
}

/// A size for people: `229 KiB`.
pub fn size(bytes: usize) -> String {
    const KIB: usize = 1 << 10;
    const MIB: usize = 1 << 20;
    let tenths = |unit: usize| (bytes.saturating_mul(10) + unit / 2) / unit;
    match bytes {
        0..KIB => format!("{bytes} bytes"),
        KIB..MIB => format!("{} KiB", bytes.div_ceil(KIB)),
        _ => format!("{}.{} MiB", tenths(MIB) / 10, tenths(MIB) % 10),
    }
}

/// A time span for people, to the millisecond: `90 days`, `1 hour 30 minutes`, `250 milliseconds`.
pub fn span(duration: Duration) -> String {
    let printer =
        SpanPrinter::new().designator(Designator::Verbose).spacing(Spacing::BetweenUnitsAndDesignators);
    let days = SpanRound::new().smallest(Unit::Millisecond).largest(Unit::Day).days_are_24_hours();
    let span = SignedDuration::try_from(duration).and_then(|it| Span::try_from(it)?.round(days));
    span.map_or_else(|_error| "an endless time".to_owned(), |span| printer.span_to_string(&span))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_spans_are_readable() {
        assert_eq!(size(1023), "1023 bytes");
        assert_eq!(size(1025), "2 KiB");
        assert_eq!(size(1 << 20), "1.0 MiB");
        assert_eq!(size(1_704_000), "1.6 MiB");
        assert_eq!(span(Duration::from_secs(90 * 86_400)), "90 days");
        assert_eq!(span(Duration::from_secs(86_400 + 3_601)), "1 day 1 hour 1 second");
        assert_eq!(span(Duration::from_secs(90)), "1 minute 30 seconds");
        assert_eq!(span(Duration::from_millis(250)), "250 milliseconds");
        assert_eq!(span(Duration::ZERO), "0 seconds");
        assert_eq!(span(Duration::MAX), "an endless time");
    }

    #[test]
    fn values_stand_below_each_other() {
        let mut table = Table::default();
        table.row("a", "1").row("long", "2").row("none", "");
        assert_eq!(table.text(), "  a     1\n  long  2\n  none\n");
    }

    #[test]
    fn timings_are_milliseconds() {
        let mut timings = Timings::default();
        timings.add("compile", Duration::from_micros(120_456));
        timings.add("check", Duration::from_secs(1));
        assert_eq!(timings.text(), "compile 120.46 ms, check 1000 ms");
    }
}
