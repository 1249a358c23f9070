//! What was done and what was found, for people.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use wasm_issuer_e2e::judgement::{Interruption, Judgement};

use crate::blow::Blow;
use crate::requests::Outcome;

/// Something that was done.
pub struct Row {
    pub blow: Blow,
    /// When, since the start.
    pub at: SignedDuration,
    /// How many signs were under way.
    pub in_flight: usize,
    pub interruption: Interruption,
}

impl Row {
    fn took(&self) -> SignedDuration {
        self.interruption.ended.duration_since(self.interruption.began)
    }

    fn text(&self) -> String {
        let (at, took) = (self.at.as_secs_f64(), self.took().as_secs_f64());
        format!("{at:7.1} {:40} {took:8.1} {:10}", self.blow.describe(), self.in_flight)
    }

    /// Tell, while the others are still to come.
    pub fn tell(&self) {
        eprintln!("chaos: {}", self.text());
    }
}

/// Print all. Whether all promises were kept.
pub fn print(rows: &[Row], outcome: &Outcome, judgement: &Judgement, terms: usize) -> bool {
    let mut again: BTreeMap<Option<usize>, usize> = BTreeMap::new();
    judgement.repeats.iter().for_each(|repeat| *again.entry(repeat.because).or_default() += 1);
    println!("\n{:>7} {:40} {:>8} {:>10} {:>12}", "after s", "what", "lasted s", "in flight", "asked again");
    for (at, row) in rows.iter().enumerate() {
        println!("{} {:12}", row.text(), again.get(&Some(at)).copied().unwrap_or_default());
    }
    println!(
        "\n{terms} terms of leaders; \"in flight\" is what the CA was at when it happened, and \"asked again\" for how many"
    );
    println!("requests the CA was asked once more because of it.\n");
    let Outcome { made, issued, others, fitting } = outcome;
    let (repeats, on_their_way) = (judgement.repeats.len(), judgement.on_their_way.len());
    let promises = [
        (format!("{made} requests are issued"), issued.len().abs_diff(*made)),
        (
            "each certificate is for its request's key and names, below the CA".to_owned(),
            issued.len() - fitting,
        ),
        (
            format!(
                "the CA was asked once for each, but {repeats} times in whose middle somebody died or was stopped"
            ),
            again.get(&None).copied().unwrap_or_default(),
        ),
        ("the CA was never asked for what was issued already".to_owned(), judgement.needless.len()),
        (
            format!(
                "it was asked by nobody but the leader of that moment, checks too, but for {on_their_way} calls that were on \
                 their way when who asked was stopped"
            ),
            judgement.strangers.len(),
        ),
        ("no request was under way at two replicas at once".to_owned(), judgement.at_once.len()),
    ];
    for (promise, exceptions) in &promises {
        let verdict = if *exceptions == 0 { "kept".to_owned() } else { format!("BROKEN {exceptions} times") };
        println!("{verdict:>16}: {promise}");
    }
    others.iter().take(10).for_each(|other| println!("not issued: {other}"));
    let unexplained = judgement.repeats.iter().filter(|repeat| repeat.because.is_none());
    unexplained.take(10).for_each(|repeat| println!("for no reason: {repeat:?}"));
    let calls = judgement.needless.iter().chain(&judgement.strangers).chain(&judgement.at_once);
    calls.take(10).for_each(|call| println!("should not be: {call:?}"));
    judgement.is_good() && promises.iter().all(|(_, exceptions)| *exceptions == 0)
}
