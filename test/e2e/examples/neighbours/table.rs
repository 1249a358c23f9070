//! What was measured, as a table in Markdown.

use std::time::Duration;

use wasm_issuer_e2e::samples::percentile;

use crate::neighbour::Signed;
use crate::pod::Usage;
use crate::rows::Row;

/// What was measured of a row.
pub struct Figures {
    /// What its requests took.
    pub signed: Signed,
    /// From the creation of an Issuer to its being ready.
    pub new_issuers: Vec<Duration>,
    /// How often the neighbour's Issuer was anything but ready.
    pub unready: usize,
    /// The most that the operator took.
    pub most: Usage,
    /// From a start of the operator to the next certificate.
    pub restart: Option<Duration>,
    /// What the operator takes when all is over.
    pub after: Usage,
    /// Whether the neighbour gets its certificates then.
    pub is_well: bool,
}

/// The table; each row is printed when it has been measured.
pub struct Table {
    quiet: Option<Quiet>,
    is_good: bool,
}

/// What the others are compared with.
struct Quiet {
    p99: Duration,
    after: Usage,
}

/// How much more a row may be than when all is quiet.
const TIMES: u32 = 2;

impl Table {
    /// Print the head.
    pub fn begin() -> Self {
        println!(
            "| row | what the tenant does | p50 ms | p99 ms | max ms | API p99 ms | unready | new Issuer s | restart s | memory MiB | files | threads | memory, files after | |"
        );
        println!("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|");
        Self { quiet: None, is_good: true }
    }

    /// Print a row that is measured elsewhere.
    pub fn elsewhere(&self, row: &Row, test: &str) {
        println!("| {} | {} | | | | | | | | | | | | the test `{test}` |", row.name, row.what);
    }

    /// Print a row. The first one is what the others are compared with.
    pub fn add(&mut self, row: &Row, figures: &Figures) {
        let at = |share| percentile(&figures.signed.took, share).unwrap_or_default();
        let quiet = self.quiet.get_or_insert(Quiet { p99: at(0.99), after: figures.after });
        let problems = problems(figures, quiet, at(0.99));
        self.is_good &= problems.is_empty();
        let verdict = if problems.is_empty() { "good".to_owned() } else { problems.join(", ") };
        let seconds = |time: Duration| format!("{:.1}", time.as_secs_f64());
        let ms = |time: Duration| format!("{:.0}", time.as_secs_f64() * 1000.0);
        let Usage { memory, files, threads, .. } = figures.most;
        println!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {memory:.0} | {files} | {threads} | {:.0}, {} | {verdict} |",
            row.name,
            row.what,
            ms(at(0.5)),
            ms(at(0.99)),
            ms(at(1.0)),
            ms(percentile(&figures.signed.api, 0.99).unwrap_or_default()),
            figures.unready,
            figures.new_issuers.iter().max().copied().map_or_else(String::new, seconds),
            figures.restart.map_or_else(String::new, seconds),
            figures.after.memory,
            figures.after.files,
        );
    }

    /// What the operator takes when all has been quiet.
    pub fn quiet(&self) -> Option<Usage> {
        self.quiet.as_ref().map(|quiet| quiet.after)
    }

    /// Whether all rows are as they should be.
    pub fn is_good(&self) -> bool {
        self.is_good
    }
}

/// What is not as it should be.
fn problems(figures: &Figures, quiet: &Quiet, p99: Duration) -> Vec<String> {
    let mut all = Vec::new();
    if p99 > quiet.p99 * TIMES {
        all.push(format!("p99 × {:.1}", p99.as_secs_f64() / quiet.p99.as_secs_f64()));
    }
    if figures.unready > 0 {
        all.push("unready".to_owned());
    }
    if figures.most.ended > 0 {
        all.push(format!("ended {} times", figures.most.ended));
    }
    if !figures.is_well {
        all.push("no recovery".to_owned());
    }
    if !figures.after.is_back(quiet.after) {
        all.push("memory or files kept".to_owned());
    }
    all
}
