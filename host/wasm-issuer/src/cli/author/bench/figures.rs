//! Figures of components and calls, and how two of them compare.

use serde::Serialize;

use super::super::output;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    Milliseconds,
    Instructions,
    Bytes,
}

/// One figure of a component or of its calls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    pub name: &'static str,
    pub unit: Unit,
    pub value: f64,
}

/// A figure, beside that of another component where there is one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    name: &'static str,
    unit: Unit,
    this: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<f64>,
    /// How many times as much this is.
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<f64>,
}

/// By how much a figure may be higher than another, as a part of that: 0.1 for 10%.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit(f64);

impl Limit {
    /// Reads a percentage, with or without its sign.
    pub fn parse(text: &str) -> Result<Self, String> {
        let number = text.strip_suffix('%').unwrap_or(text).trim();
        match number.parse::<f64>() {
            Ok(percent) if percent.is_finite() && percent >= 0.0 => Ok(Self(percent / 100.0)),
            _ => Err("a percentage is expected, such as 10%".to_owned()),
        }
    }
}

impl Compared {
    /// The figures of one component or of two, whose figures are of the same kinds.
    pub fn all(figures: &[Vec<Figure>]) -> Vec<Self> {
        let (this, against) = (figures.first(), figures.get(1));
        let compared = |(at, Figure { name, unit, value }): (usize, &Figure)| {
            let against = against.and_then(|against| against.get(at)).map(|figure| figure.value);
            let ratio =
                against.filter(|against| *against > 0.0).map(|against| round(value / against, 1000.0));
            Self { name, unit: *unit, this: *value, against, ratio }
        };
        this.into_iter().flatten().enumerate().map(compared).collect()
    }

    /// In words, if it is higher than it may be. Times depend on what else a machine does, so they count only if asked for.
    pub fn worse_than(&self, limit: Limit, times_too: bool) -> Option<String> {
        let Self { name, unit, this, against: Some(against), .. } = self else { return None };
        let is_judged = times_too || *unit != Unit::Milliseconds;
        if !is_judged || *this <= against * (1.0 + limit.0) {
            return None;
        }
        let more = if *against > 0.0 { (this / against - 1.0) * 100.0 } else { f64::INFINITY };
        let (this, against) = (shown(*unit, *this), shown(*unit, *against));
        Some(format!(
            "{name}: {this} instead of {against}, {more:.1}% more; {}% is allowed",
            round(limit.0 * 100.0, 1000.0)
        ))
    }
}

/// With so many parts of one: 1000.0 keeps three decimals.
pub fn round(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}

/// The figures in columns.
pub fn table(figures: &[Compared]) -> String {
    let mut rows = vec![];
    if figures.iter().any(|figure| figure.against.is_some()) {
        rows.push(["", "this", "against", "ratio"].map(str::to_owned));
    }
    for Compared { name, unit, this, against, ratio } in figures {
        let against = against.map(|against| shown(*unit, against)).unwrap_or_default();
        let ratio = ratio.map(|ratio| format!("{ratio:.3}")).unwrap_or_default();
        rows.push([(*name).to_owned(), shown(*unit, *this), against, ratio]);
    }
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or_default()
    };
    let widths = [width(0), width(1), width(2), width(3)];
    let line = |[name, this, against, ratio]: &[String; 4]| {
        let [of_name, of_this, of_against, of_ratio] = widths;
        let line = format!("  {name:of_name$}  {this:>of_this$}  {against:>of_against$}  {ratio:>of_ratio$}");
        format!("{}\n", line.trim_end())
    };
    rows.iter().map(line).collect()
}

fn shown(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Milliseconds => format!("{value:.3} ms"),
        Unit::Instructions => format!("{value:.0}"),
        Unit::Bytes => output::size(value as usize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(milliseconds: f64, instructions: f64, bytes: f64) -> Vec<Figure> {
        let figure = |name, unit, value| Figure { name, unit, value };
        vec![
            figure("latency p50", Unit::Milliseconds, milliseconds),
            figure("instructions", Unit::Instructions, instructions),
            figure("memory", Unit::Bytes, bytes),
        ]
    }

    #[test]
    fn figures_stand_below_each_other() {
        let compared = Compared::all(&[figures(0.1234, 110.0, 2048.0), figures(0.5, 100.0, 2048.0)]);
        let wanted = "                    this   against  ratio\n  latency p50   0.123 ms  0.500 ms  0.247\n  instructions       \
                      110       100  1.100\n  memory           2 KiB     2 KiB  1.000\n";
        assert_eq!(table(&compared), wanted);
        let alone = "  latency p50   1.000 ms\n  instructions         2\n  memory         3 bytes\n";
        assert_eq!(table(&Compared::all(&[figures(1.0, 2.0, 3.0)])), alone);
    }

    #[test]
    fn what_is_worse_than_allowed_is_named() {
        let compared = Compared::all(&[figures(9.0, 111.0, 110.0), figures(1.0, 100.0, 100.0)]);
        let worse = |limit: &str, times| -> Vec<_> {
            let limit = Limit::parse(limit).unwrap();
            compared.iter().filter_map(|figure| figure.worse_than(limit, times)).collect()
        };
        assert_eq!(worse("10%", false), ["instructions: 111 instead of 100, 11.0% more; 10% is allowed"]);
        assert_eq!(worse("11", false), [""; 0]);
        assert_eq!(
            worse("11", true),
            ["latency p50: 9.000 ms instead of 1.000 ms, 800.0% more; 11% is allowed"]
        );
        assert_eq!(worse("0", false).len(), 2);
        assert_eq!(Compared::all(&[figures(1.0, 2.0, 3.0)])[1].worse_than(Limit(0.0), true), None);
        for wrong in ["", "%", "-1", "ten", "inf", "nan"] {
            assert!(Limit::parse(wrong).is_err(), "{wrong}");
        }
    }
}
