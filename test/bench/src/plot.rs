//! A report as SVG: bars for the rows that have a goal and something to compare with, lines for the slopes.

use std::fmt::Write;

use crate::report::{Report, Row, Slope};
use crate::scale::Scale;
use crate::side::Side;
use crate::table::digits;

const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 190.0;
const COLUMNS: usize = 3;
/// Where a panel's drawing is, within the panel.
const LEFT: f64 = 52.0;
const TOP: f64 = 44.0;
const INNER: (f64, f64) = (230.0, 110.0);

fn colour(side: Side) -> &'static str {
    match side {
        Side::Limit => "#9aa0a6",
        Side::Peer => "#4285c4",
        Side::Ours => "#d95f2b",
    }
}

/// The whole picture; text in whatever font the reader has.
pub fn svg(report: &Report) -> String {
    let mut panels: Vec<String> = Vec::new();
    for table in &report.tables {
        let compared = table.rows.iter().filter(|row| row.samples.len() > 1 && !row.measure.goals.is_empty());
        panels.extend(compared.map(|row| bars(&table.title, &table.limit, row)));
    }
    panels.extend(report.slopes.iter().map(lines));
    picture(&panels)
}

/// Panels side by side, as a file.
pub fn picture(panels: &[String]) -> String {
    let rows = panels.len().div_ceil(COLUMNS).max(1);
    let (width, height) = (WIDTH * COLUMNS as f64, HEIGHT * rows as f64);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"11\" fill=\"#202124\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    for (n, panel) in panels.iter().enumerate() {
        let (x, y) = ((n % COLUMNS) as f64 * WIDTH, (n / COLUMNS) as f64 * HEIGHT);
        let _ = write!(text, "<g transform=\"translate({x} {y})\">\n{panel}</g>\n");
    }
    text + "</svg>\n"
}

/// A panel with a bar for each of these, on a logarithmic axis.
pub fn log_bars(title: &str, unit: &str, values: &[(&str, f64)]) -> String {
    let mut panel = heading(title, unit);
    let scale = Scale::logarithmic(values.iter().map(|(_, value)| *value), LEFT + 30.0, INNER.0 - 70.0);
    for (n, (name, value)) in values.iter().enumerate() {
        let y = TOP + n as f64 * 24.0;
        panel += &bar(scale.start(), y, scale.place(*value), name, colour(Side::Ours));
        panel += &label(scale.place(*value) + 4.0, y + 14.0, "start", &digits(*value));
    }
    panel
}

/// From where an axis starts to a value's place, with its name before it.
fn bar(start: f64, y: f64, end: f64, name: &str, fill: &str) -> String {
    let width = end - start;
    label(start - 4.0, y + 14.0, "end", name)
        + &format!(
            "<rect x=\"{start:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"20\" fill=\"{fill}\"/>\n"
        )
}

fn bars(title: &str, limit: &str, row: &Row) -> String {
    let mut panel = heading(title, &row.measure.title());
    let most = row.samples.values().flatten().copied();
    let scale = Scale::linear(most, LEFT + 30.0, INNER.0 - 70.0);
    for (n, (side, samples)) in row.samples.iter().enumerate() {
        let Some(median) = row.median(*side) else { continue };
        let y = TOP + 10.0 + n as f64 * 32.0;
        let end = scale.place(median);
        let name = match side {
            Side::Limit => limit,
            Side::Peer => "Go peer",
            Side::Ours => "here",
        };
        panel += &bar(scale.start(), y, end, name, colour(*side));
        let places = samples.iter().map(|sample| scale.place(*sample));
        let (least, most) = places.fold((f64::MAX, f64::MIN), |(a, b), x| (a.min(x), b.max(x)));
        let middle = y + 10.0;
        let _ = writeln!(panel, r##"<path d="M{least:.1} {middle:.1}H{most:.1}" stroke="#202124"/>"##);
        panel += &label(most.max(end) + 4.0, y + 14.0, "start", &digits(median));
    }
    panel
}

fn lines(slope: &Slope) -> String {
    let mut panel = heading(&slope.title(), &format!("by {}", slope.of));
    let points = || slope.points.values().flatten();
    let across = Scale::logarithmic(points().map(|point| point.0), LEFT, INNER.0);
    let up = Scale::logarithmic(points().map(|point| point.1), TOP + INNER.1, -INNER.1);
    let (bottom, right) = (TOP + INNER.1, LEFT + INNER.0);
    for value in across.powers() {
        panel += &label(across.place(value), bottom + 14.0, "middle", &digits(value));
    }
    for value in up.powers() {
        let y = up.place(value);
        let _ = writeln!(panel, r##"<path d="M{LEFT:.1} {y:.1}H{right:.1}" stroke="#dadce0"/>"##);
        panel += &label(LEFT - 4.0, y + 4.0, "end", &digits(value));
    }
    for (side, points) in &slope.points {
        let places = points.iter().map(|(x, y)| (across.place(*x), up.place(*y)));
        let path: Vec<String> = places.clone().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let (path, stroke) = (path.join(" "), colour(*side));
        let _ =
            writeln!(panel, r#"<polyline points="{path}" fill="none" stroke="{stroke}" stroke-width="2"/>"#);
        for (x, y) in places {
            let _ = writeln!(panel, r#"<circle cx="{x:.1}" cy="{y:.1}" r="3" fill="{stroke}"/>"#);
        }
    }
    panel
}

fn heading(bold: &str, plain: &str) -> String {
    let bold = escaped(bold);
    format!("<text x=\"12\" y=\"18\" font-weight=\"bold\">{bold}</text>\n")
        + &label(12.0, 34.0, "start", plain)
}

fn label(x: f64, y: f64, anchor: &str, text: &str) -> String {
    let text = escaped(text);
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>\n")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Goal, Measure};

    fn report() -> Report {
        let mut report = Report::default();
        let (at, cpu) = (("backlog", "bare writer"), Measure::less("CPU <all>", "ms", &[Goal::OfPeer(0.2)]));
        for (side, sample) in [(Side::Limit, 1.0), (Side::Ours, 2.0), (Side::Ours, 4.0)] {
            report.add(at, cpu.clone(), side, sample);
        }
        report.add(at, Measure::less("alone", "ms", &[]), Side::Ours, 2.0);
        for point in [(10.0, 1.0), (1000.0, 10.0)] {
            report.point("requests", ("memory", "MiB"), Side::Ours, point);
        }
        report
    }

    #[test]
    fn a_bar_is_as_long_as_its_value() {
        let text = svg(&report());
        let width = |side: Side| {
            let bar = text.lines().find(|line| line.starts_with("<rect x=") && line.contains(colour(side)));
            let (_, rest) = bar.unwrap().split_once("width=\"").unwrap();
            rest.split('"').next().unwrap().parse::<f64>().unwrap()
        };
        // Medians of 1 and 3, where the longest would be 4.
        assert!((width(Side::Ours) / width(Side::Limit) - 3.0).abs() < 0.01, "{text}");
        assert!(text.contains("CPU &lt;all>, ms") && !text.contains("alone"), "{text}");
    }

    #[test]
    fn a_line_goes_from_corner_to_corner() {
        let text = svg(&report());
        assert!(text.contains("points=\"52.0,154.0 282.0,44.0\""), "{text}");
        assert_eq!(text.matches("<g ").count(), 2, "{text}");
        assert_eq!(text.matches("<g ").count(), text.matches("</g>").count());
    }
}
