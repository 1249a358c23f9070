//! Results on stdout, everything else on stderr.

use std::fmt::Write as _;
use std::io::{ErrorKind, Write};
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;

/// How a result is written.
#[derive(Args, Clone, Copy)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// How the result is written: for people, or as one JSON document on stdout.
    #[arg(short, long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub output: Format,
}

/// The formats of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON document.
    Json,
}

/// Write text to stdout. A reader that has seen enough, like `head`, is no error.
pub fn stdout(text: &str) -> anyhow::Result<()> {
    write_to(&mut std::io::stdout().lock(), text)
}

/// Write text to stderr.
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
    /// One more line.
    pub fn row(&mut self, name: impl Into<String>, value: impl Into<String>) -> &mut Self {
        self.0.push((name.into(), value.into()));
        self
    }

    /// The lines, indented.
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
    /// A part that took that long.
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

/// A time span for people: `90 days`, `1 h 30 min`, `250 ms`.
pub fn span(duration: Duration) -> String {
    const UNITS: [(&str, u64); 4] = [("days", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];
    let seconds = duration.as_secs();
    if seconds == 0 {
        return format!("{} ms", duration.as_millis());
    }
    let mut parts = Vec::new();
    let mut rest = seconds;
    for (unit, length) in UNITS {
        let count = rest / length;
        rest %= length;
        if count > 0 {
            let unit = if count == 1 && unit == "days" { "day" } else { unit };
            parts.push(format!("{count} {unit}"));
        }
    }
    parts.truncate(2);
    parts.join(" ")
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
        assert_eq!(span(Duration::from_secs(86_400 + 3_601)), "1 day 1 h");
        assert_eq!(span(Duration::from_secs(90)), "1 min 30 s");
        assert_eq!(span(Duration::from_millis(250)), "250 ms");
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
