//! Durations as Go and Kubernetes write them: `90s`, `1m30s`, `500ms`.

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use kube::core::Rule;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// A duration that is written as a string in Go's syntax.
///
/// Parsing takes everything that Go's `time.ParseDuration` takes, bar negative values, so that it also reads what
/// cert-manager writes (`2160h0m0s`). The schema of the Issuer's fields is narrower: whole numbers, at most four of
/// them, as in the Gateway API. (`kube::core::Duration` panics on a value that overflows.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration(pub Duration);

/// Why a string is not a [`GoDuration`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Not in Go's syntax.
    #[error("not a duration such as 90s, 1m30s or 500ms")]
    Syntax,
    /// A number with a unit that Go does not have, such as days.
    #[error("a duration's units are h, m, s, ms, us and ns: 90 days are 2160h")]
    Unit,
    /// Below zero.
    #[error("a duration must not be negative")]
    Negative,
    /// Above what Go can hold.
    #[error("a duration must be shorter than 292 years")]
    TooLong,
}

/// The units in the order in which they are written, each in nanoseconds.
const UNITS: [(&str, u64); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// What the schema takes of Go's syntax.
const PATTERN: &str = "^([0-9]{1,5}(h|m|s|ms)){1,4}$";

impl GoDuration {
    /// A duration of so many whole seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// A duration of so many whole milliseconds.
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    /// The CEL rule that a field is a duration within the bounds. It repeats the pattern, because the API server evaluates
    /// rules even where the pattern did not match, and would show an error of the rule itself.
    pub fn rule(bounds: RangeInclusive<Self>) -> Rule {
        let (min, max) = bounds.into_inner();
        Rule::new(format!(
            "self.matches('{PATTERN}') && duration(self) >= duration('{min}') && duration(self) <= duration('{max}')"
        ))
        .message(format!("must be a duration such as 500ms, 90s or 1h30m, from {min} to {max}").as_str())
    }
}

impl FromStr for GoDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let mut rest = text.strip_prefix('+').unwrap_or(text);
        if text.starts_with('-') {
            return Err(DurationError::Negative);
        }
        if rest == "0" {
            return Ok(Self(Duration::ZERO));
        }
        if rest.is_empty() {
            return Err(DurationError::Syntax);
        }
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let (nanos, next) = leading_part(rest)?;
            total = total
                .checked_add(nanos)
                .filter(|total| i64::try_from(*total).is_ok())
                .ok_or(DurationError::TooLong)?;
            rest = next;
        }
        Ok(Self(Duration::from_nanos(total)))
    }
}

/// The nanoseconds of one number with its unit, such as `1.5h`, and what follows it.
fn leading_part(text: &str) -> Result<(u64, &str), DurationError> {
    let (whole, rest) = digits(text);
    let (fraction, rest) = rest.strip_prefix('.').map_or(("", rest), digits);
    if whole.is_empty() && fraction.is_empty() {
        return Err(DurationError::Syntax);
    }
    let (unit, rest) =
        rest.split_at(rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len()));
    let unit = match unit {
        "\u{b5}s" | "\u{3bc}s" => "us", // the micro sign and the Greek letter
        unit => unit,
    };
    let (_, scale) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or(match unit {
        "d" | "day" | "days" | "w" | "mo" | "M" | "y" | "Y" => DurationError::Unit,
        _ => DurationError::Syntax,
    })?;

    let number = |digits: &str| if digits.is_empty() { Ok(0) } else { digits.parse::<u64>() };
    let whole =
        number(whole).ok().and_then(|whole| whole.checked_mul(scale)).ok_or(DurationError::TooLong)?;
    // More digits than fit into a u64 are far below a nanosecond.
    let fraction = &fraction[..fraction.len().min(18)];
    let part = u128::from(number(fraction).map_err(|_| DurationError::Syntax)?) * u128::from(scale);
    let part = part / fraction.bytes().fold(1, |power, _| power * 10);
    let nanos = u64::try_from(part).ok().and_then(|part| whole.checked_add(part));
    Ok((nanos.ok_or(DurationError::TooLong)?, rest))
}

/// Splits the decimal digits off the front.
fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_nanos();
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, scale) in UNITS {
            let count = rest / u128::from(scale);
            rest %= u128::from(scale);
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        Ok(())
    }
}

string_serde!(GoDuration);

impl JsonSchema for GoDuration {
    fn schema_name() -> Cow<'static, str> {
        "GoDuration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    // Not `format: duration`: the API server's reading of it knows days and weeks, which Go does not.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "maxLength": 24,
            "pattern": PATTERN,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanos(text: &str) -> Result<u128, DurationError> {
        text.parse::<GoDuration>().map(|duration| duration.0.as_nanos())
    }

    #[test]
    fn reads_what_go_reads() {
        const SECOND: u128 = 1_000_000_000;
        for (text, expected) in [
            ("0", 0),
            ("0s", 0),
            ("+5s", 5 * SECOND),
            ("5.s", 5 * SECOND),
            (".5s", SECOND / 2),
            ("1m30s", 90 * SECOND),
            ("500ms", SECOND / 2),
            ("12us", 12_000),
            ("12\u{b5}s", 12_000),
            ("12\u{3bc}s", 12_000),
            ("1.5h", 5400 * SECOND),
            ("10.5s4m", 250 * SECOND + SECOND / 2),
            ("2160h0m0s", 2160 * 3600 * SECOND),
            ("1h2m3s4ms5us6ns", 3_723_004_005_006),
            ("0.100000000000000000000h", 360 * SECOND),
            ("9223372036854775807ns", 9_223_372_036_854_775_807),
        ] {
            assert_eq!(nanos(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refuses_what_go_refuses() {
        use DurationError::{Negative, Syntax, TooLong, Unit};
        for (text, expected) in [
            ("", Syntax),
            ("+", Syntax),
            (".", Syntax),
            (".s", Syntax),
            ("3", Syntax),
            ("1d", Unit),
            ("90d", Unit),
            ("1y2w", Unit),
            ("12h90days", Unit),
            ("P90D", Syntax),
            ("90", Syntax),
            (" 90s", Syntax),
            ("1 s", Syntax),
            ("s", Syntax),
            ("1m-30s", Syntax),
            ("1e3s", Syntax),
            ("infs", Syntax),
            ("1\u{e9}", Syntax),
            ("-5s", Negative),
            ("9223372036854775808ns", TooLong),
            ("99999999999999999999999h", TooLong),
            ("2562047h2562047h", TooLong),
        ] {
            assert_eq!(nanos(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn writes_the_shortest_form_and_reads_it_back() {
        for (duration, expected) in [
            (Duration::ZERO, "0s"),
            (Duration::from_millis(500), "500ms"),
            (Duration::from_secs(60), "1m"),
            (Duration::from_secs(90), "1m30s"),
            (Duration::from_secs(5400), "1h30m"),
            (Duration::from_nanos(1_500_001), "1ms500us1ns"),
        ] {
            let text = GoDuration(duration).to_string();
            assert_eq!(text, expected);
            assert_eq!(text.parse(), Ok(GoDuration(duration)));
        }
    }

    #[test]
    fn is_a_string_in_json() {
        let duration: GoDuration = serde_json::from_str("\"1m30s\"").unwrap();
        assert_eq!(duration, GoDuration::from_secs(90));
        assert_eq!(serde_json::to_string(&duration).unwrap(), "\"1m30s\"");
        assert!(serde_json::from_str::<GoDuration>("90").is_err());
    }
}
