//! A report in Markdown.

use crate::report::{Goal, Measure, Report, Row, Slope, Table};
use crate::side::Side;

/// Up to here a program writes, and leaves the rest of a page alone.
const END: &str = "<!-- to here -->";

/// All of it.
pub fn markdown(report: &Report) -> String {
    let about = report.about.iter().map(|line| format!("- {line}\n")).collect::<String>();
    let mut parts = vec![about];
    parts.extend(report.tables.iter().map(table));
    if !report.slopes.is_empty() {
        parts.push(slopes(&report.slopes));
    }
    parts.join("\n")
}

/// A page with this in place of what this command wrote last; an error if the page has no place for it.
pub fn inserted(page: &str, command: &str, markdown: &str) -> Result<String, String> {
    let begin = format!("<!-- Written by `{command}`, from here -->");
    let missing = |mark: &str| format!("the page has no line {mark:?}");
    let (before, rest) = page.split_once(&begin).ok_or_else(|| missing(&begin))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| missing(END))?;
    Ok(format!("{before}{begin}\n\n{markdown}\n{END}{after}"))
}

fn table(table: &Table) -> String {
    let has = |side| table.rows.iter().any(|row| row.samples.contains_key(&side));
    let others: Vec<Side> = [Side::Limit, Side::Peer].into_iter().filter(|side| has(*side)).collect();
    let name = |side: Side| match side {
        Side::Limit => table.limit.as_str(),
        Side::Peer => "Go peer",
        Side::Ours => "here",
    };
    let sides: Vec<Side> = others.iter().copied().chain([Side::Ours]).collect();
    let mut head: Vec<String> = sides.iter().map(|side| name(*side).to_owned()).collect();
    head.extend(others.iter().map(|side| format!("here / {}", name(*side))));
    let has_goals = table.rows.iter().any(|row| !row.measure.goals.is_empty());
    let mut text = format!("### {}\n\n| | {}", table.title, head.join(" | "));
    text += if has_goals { " | to reach | |\n" } else { " |\n" };
    text += &format!("|---|{}{}\n", "--:|".repeat(head.len()), if has_goals { "---|---|" } else { "" });
    for row in &table.rows {
        let mut cells: Vec<String> = sides.iter().map(|side| cell(row, *side)).collect();
        cells.extend(others.iter().map(|side| row.ratio(*side).map_or_else(String::new, digits)));
        text += &format!("| {} | {} |", row.measure.title(), cells.join(" | "));
        if has_goals {
            text += &format!(" {} | {} |", goals(&row.measure, &table.limit), verdict(row));
        }
        text += "\n";
    }
    text
}

/// The median, and where the others are.
fn cell(row: &Row, side: Side) -> String {
    let (Some(median), Some(samples)) = (row.median(side), row.samples.get(&side)) else {
        return String::new();
    };
    let least = samples.iter().copied().fold(f64::INFINITY, f64::min);
    let most = samples.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    match samples.len() {
        1 => digits(median),
        _ => format!("{} ({} to {})", digits(median), digits(least), digits(most)),
    }
}

fn goals(measure: &Measure, limit: &str) -> String {
    let least = if measure.is_more_better { "at least" } else { "at most" };
    let goals = measure.goals.iter().map(|goal| match goal {
        Goal::OfPeer(times) => format!("{least} {times} of the peer's"),
        Goal::OfLimit(times) => format!("{least} {times} of the {limit}'s"),
        Goal::Absolute(value) => format!("{least} {value}"),
    });
    goals.collect::<Vec<_>>().join(", ")
}

fn verdict(row: &Row) -> &'static str {
    match row.is_reached() {
        Some(true) => "reached",
        Some(false) => "**not reached**",
        None => "",
    }
}

fn slopes(slopes: &[Slope]) -> String {
    let mut text =
        "### As work grows\n\n| with | what | here | exponent: 0 is flat, 1 linear |\n|---|---|---|--:|\n"
            .to_owned();
    for slope in slopes {
        let points = slope.points.get(&Side::Ours).map(Vec::as_slice).unwrap_or_default();
        let points: Vec<String> =
            points.iter().map(|(x, y)| format!("{} at {}", digits(*y), thousands(*x))).collect();
        let exponent = slope.exponent().map_or_else(String::new, digits);
        let (of, title) = (&slope.of, slope.title());
        text += &format!("| {of} | {title} | {} | {exponent} |\n", points.join("; "));
    }
    text
}

/// A number as people read it: three digits that count.
pub fn digits(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => String::new(),
        1000.0.. => thousands(value),
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        0.0 => "0".to_owned(),
        _ => format!("{value:.3}"),
    }
}

/// A whole number, with its digits in groups of three.
pub fn thousands(value: f64) -> String {
    let plain = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in plain.chars().enumerate() {
        if at > 0 && (plain.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        let texts = [12_345.6, 1000.0, 461.4, 46.14, 4.614, 0.0461, 0.0, f64::NAN].map(digits);
        assert_eq!(texts, ["12,346", "1,000", "461", "46.1", "4.61", "0.046", "0", ""]);
    }

    #[test]
    fn a_row_shows_median_spread_ratios_and_goal() {
        let mut report = Report::default();
        let speed = Measure::more("speed", "/s", &[Goal::OfPeer(3.0)]);
        let at = ("backlog", "bare writer");
        for (side, samples) in [(Side::Peer, [100.0, 90.0, 200.0]), (Side::Ours, [440.0, 460.0, 500.0])] {
            samples.into_iter().for_each(|sample| report.add(at, speed.clone(), side, sample));
        }
        report.add(at, Measure::less("memory", "MiB", &[]), Side::Ours, 35.0);
        let wanted = "
### backlog

| | Go peer | here | here / Go peer | to reach | |
|---|--:|--:|--:|---|---|
| speed, /s | 100 (90.0 to 200) | 460 (440 to 500) | 4.60 | at least 3 of the peer's | reached |
| memory, MiB |  | 35.0 |  |  |  |
";
        assert_eq!(markdown(&report), wanted);
    }

    #[test]
    fn a_page_keeps_what_people_wrote() {
        let begin = "<!-- Written by `make bench`, from here -->";
        let page = format!("Speed\n\n{begin}\nold\n{END}\n\nWhy.\n");
        let inserted = |page: &str| inserted(page, "make bench", "new");
        let new = inserted(&page).unwrap();
        assert_eq!(new, format!("Speed\n\n{begin}\n\nnew\n{END}\n\nWhy.\n"));
        assert_eq!(inserted(&new).unwrap(), new);
        assert!(inserted("Speed\n").unwrap_err().contains(begin));
    }
}
