//! What was measured, as it is kept in a file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wasm_issuer_e2e::samples::median;

use crate::side::Side;

/// All that one run measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// When, on what, how often: words for people.
    pub about: Vec<String>,
    /// In the order in which they were begun.
    pub tables: Vec<Table>,
    /// In the order in which they were begun.
    pub slopes: Vec<Slope>,
}

/// Rows that have the same to compare with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// What the rows are of, `backlog of 1,000`.
    pub title: String,
    /// What the limit is here, `bare writer`.
    pub limit: String,
    /// In the order in which they were first measured.
    pub rows: Vec<Row>,
}

/// One thing that is measured, of each side and several times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What the samples are of.
    #[serde(flatten)]
    pub measure: Measure,
    /// By side, in the order in which they were taken.
    pub samples: BTreeMap<Side, Vec<f64>>,
}

/// Something that can be measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// `CPU per certificate`
    pub what: String,
    /// `ms`
    pub unit: String,
    /// Whether more is better.
    #[serde(default)]
    pub is_more_better: bool,
    /// What this project wants to reach.
    #[serde(default)]
    pub goals: Vec<Goal>,
}

/// A bound on what this project's median is compared to something: at least so much where more is better, else at most.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Goal {
    /// So many times the peer's.
    OfPeer(f64),
    /// So many times the limit's.
    OfLimit(f64),
    /// This value.
    Absolute(f64),
}

/// How something grows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slope {
    /// What grows, `requests`.
    pub of: String,
    /// What grows with it, `peak memory`.
    pub what: String,
    /// Of the latter.
    pub unit: String,
    /// By side.
    pub points: BTreeMap<Side, Vec<(f64, f64)>>,
}

impl Measure {
    /// Of which less is better.
    pub fn less(what: &str, unit: &str, goals: &[Goal]) -> Self {
        Self { what: what.to_owned(), unit: unit.to_owned(), is_more_better: false, goals: goals.to_vec() }
    }

    /// What it is, with its unit if it has one.
    pub fn title(&self) -> String {
        title(&self.what, &self.unit)
    }

    /// Of which more is better.
    pub fn more(what: &str, unit: &str, goals: &[Goal]) -> Self {
        Self { is_more_better: true, ..Self::less(what, unit, goals) }
    }
}

impl Report {
    /// Add a sample to its row, and tell of it on stderr.
    pub fn add(&mut self, (title, limit): (&str, &str), measure: Measure, side: Side, sample: f64) {
        eprintln!("  {side:?}: {} {sample:.3} {}", measure.what, measure.unit);
        self.sample((title, limit), &measure, side, sample);
    }

    fn sample(&mut self, (title, limit): (&str, &str), measure: &Measure, side: Side, sample: f64) {
        let table = match self.tables.iter_mut().position(|table| table.title == title) {
            Some(at) => &mut self.tables[at],
            None => {
                let table = Table { title: title.to_owned(), limit: limit.to_owned(), rows: vec![] };
                self.tables.push(table);
                self.tables.last_mut().expect("it has just been pushed")
            }
        };
        let row = match table.rows.iter_mut().position(|row| row.measure.what == measure.what) {
            Some(at) => &mut table.rows[at],
            None => {
                table.rows.push(Row { measure: measure.clone(), samples: BTreeMap::new() });
                table.rows.last_mut().expect("it has just been pushed")
            }
        };
        row.samples.entry(side).or_default().push(sample);
    }

    /// Add what another run measured: other parts, or more samples of the same.
    pub fn join(&mut self, other: Self) {
        self.about
            .extend(other.about.into_iter().filter(|line| !self.about.contains(line)).collect::<Vec<_>>());
        for table in other.tables {
            for row in table.rows {
                let samples =
                    row.samples.iter().flat_map(|(side, all)| all.iter().map(|sample| (*side, *sample)));
                for (side, sample) in samples {
                    self.sample((&table.title, &table.limit), &row.measure, side, sample);
                }
            }
        }
        for slope in other.slopes {
            for (side, points) in &slope.points {
                for point in points {
                    self.point(&slope.of, (&slope.what, &slope.unit), *side, *point);
                }
            }
        }
    }

    /// Add a point to its slope, whose points are in the order of what grows.
    pub fn point(&mut self, of: &str, (what, unit): (&str, &str), side: Side, (x, y): (f64, f64)) {
        let at = self.slopes.iter().position(|slope| slope.of == of && slope.what == what);
        let at = at.unwrap_or_else(|| {
            let [of, what, unit] = [of, what, unit].map(str::to_owned);
            self.slopes.push(Slope { of, what, unit, points: BTreeMap::new() });
            self.slopes.len() - 1
        });
        let points = self.slopes[at].points.entry(side).or_default();
        points.push((x, y));
        points.sort_by(|one, other| one.0.total_cmp(&other.0));
    }
}

impl Row {
    /// The median of a side's samples, if it was measured.
    pub fn median(&self, side: Side) -> Option<f64> {
        self.samples.get(&side).map(|samples| median(samples)).filter(|value| value.is_finite())
    }

    /// This project's median in those of another side.
    pub fn ratio(&self, other: Side) -> Option<f64> {
        Some(self.median(Side::Ours)? / self.median(other).filter(|value| *value > 0.0)?)
    }

    /// Whether all goals are reached, if there are some and what they need was measured.
    pub fn is_reached(&self) -> Option<bool> {
        let reached: Vec<bool> = self.measure.goals.iter().filter_map(|goal| self.reaches(*goal)).collect();
        (!reached.is_empty()).then(|| !reached.contains(&false))
    }

    fn reaches(&self, goal: Goal) -> Option<bool> {
        let (is, bound) = match goal {
            Goal::OfPeer(bound) => (self.ratio(Side::Peer)?, bound),
            Goal::OfLimit(bound) => (self.ratio(Side::Limit)?, bound),
            Goal::Absolute(bound) => (self.median(Side::Ours)?, bound),
        };
        Some(if self.measure.is_more_better { is >= bound } else { is <= bound })
    }
}

fn title(what: &str, unit: &str) -> String {
    let comma = if unit.is_empty() { "" } else { ", " };
    format!("{what}{comma}{unit}")
}

impl Slope {
    /// What grows, with its unit if it has one.
    pub fn title(&self) -> String {
        title(&self.what, &self.unit)
    }

    /// The power of what grows that it grows with, between this project's first and last point: 0 is flat, 1 is linear.
    pub fn exponent(&self) -> Option<f64> {
        let points = self.points.get(&Side::Ours)?;
        let ((x0, y0), (x1, y1)) = (points.first()?, points.last()?);
        (points.len() > 1).then(|| (y1 / y0).ln() / (x1 / x0).ln())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(goals: &[Goal], is_more_better: bool) -> Row {
        let mut report = Report::default();
        let measure = Measure { is_more_better, ..Measure::less("speed", "ms", goals) };
        for (side, samples) in [(Side::Ours, [3.0, 9.0, 4.0]), (Side::Peer, [8.0, 8.0, 1.0])] {
            samples.into_iter().for_each(|sample| report.add(("t", "limit"), measure.clone(), side, sample));
        }
        report.tables.remove(0).rows.remove(0)
    }

    #[test]
    fn medians_are_compared() {
        let row = row(&[Goal::OfPeer(0.5)], false);
        assert_eq!((row.ratio(Side::Peer), row.ratio(Side::Limit)), (Some(0.5), None));
        assert_eq!(row.is_reached(), Some(true));
        assert_eq!(self::row(&[Goal::OfPeer(0.49)], false).is_reached(), Some(false));
        assert_eq!(self::row(&[Goal::OfPeer(0.49)], true).is_reached(), Some(true));
        assert_eq!(self::row(&[Goal::Absolute(3.9)], false).is_reached(), Some(false));
        assert_eq!(self::row(&[Goal::OfLimit(1.0)], false).is_reached(), None);
        let both = [Goal::OfLimit(1.0), Goal::OfPeer(0.5), Goal::Absolute(3.9)];
        assert_eq!(self::row(&both, false).is_reached(), Some(false));
        assert_eq!(self::row(&both[..2], false).is_reached(), Some(true));
    }

    #[test]
    fn a_report_survives_its_file() {
        let mut report = Report { about: vec!["two cores".to_owned()], ..Report::default() };
        let goals = [Goal::OfLimit(0.9)];
        report.add(("t", "limit"), Measure::more("speed", "/s", &goals), Side::Ours, 1.5);
        report.point("requests", ("memory", "MiB"), Side::Ours, (1000.0, 35.0));
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
    }

    #[test]
    fn what_several_runs_measured_is_one_report() {
        let run = |about: &str, sample, point| {
            let mut report =
                Report { about: vec!["two cores".to_owned(), about.to_owned()], ..Report::default() };
            report.add(("t", "limit"), Measure::less("speed", "ms", &[]), Side::Ours, sample);
            report.point("requests", ("memory", "MiB"), Side::Ours, point);
            report
        };
        let mut all = run("Monday", 1.0, (5000.0, 9.0));
        all.join(run("Tuesday", 3.0, (1000.0, 7.0)));
        assert_eq!(all.about, ["two cores", "Monday", "Tuesday"]);
        assert_eq!(all.tables[0].rows[0].samples[&Side::Ours], [1.0, 3.0]);
        assert_eq!(all.slopes[0].points[&Side::Ours], [(1000.0, 7.0), (5000.0, 9.0)]);
    }

    #[test]
    fn growth_has_an_exponent() {
        let mut report = Report::default();
        for point in [(1000.0, 2.0), (5000.0, 4.0), (100_000.0, 20.0)] {
            report.point("requests", ("memory", "MiB"), Side::Ours, point);
        }
        assert!((report.slopes[0].exponent().unwrap() - 0.5).abs() < 1e-9);
        report.slopes[0].points.get_mut(&Side::Ours).unwrap().truncate(1);
        assert_eq!(report.slopes[0].exponent(), None);
    }
}
