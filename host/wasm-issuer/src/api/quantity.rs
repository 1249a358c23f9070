//! Amounts of memory as Kubernetes writes them: `64Mi`.

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use kube::core::Rule;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// A number of bytes, written as a Kubernetes quantity: a whole number with `Ki`, `Mi` or `Gi` (powers of 1024), with
/// `k`, `M` or `G` (powers of 1000), or with nothing.
///
/// Kubernetes also writes fractions and exponents; for a memory limit they only invite mistakes (`64m` is 0.064 bytes).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity {
    /// The amount in bytes.
    pub bytes: u64,
}

/// A string is not a [`Quantity`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an amount of memory such as 64Mi, below 16Ei")]
pub struct QuantityError;

/// The suffixes; the binary ones come first, the largest first, in the order in which `Display` tries them.
const SUFFIXES: [(&str, u64); 7] = [
    ("Gi", 1 << 30),
    ("Mi", 1 << 20),
    ("Ki", 1 << 10),
    ("G", 1_000_000_000),
    ("M", 1_000_000),
    ("k", 1_000),
    ("", 1),
];

const PATTERN: &str = "^[0-9]+(Ki|Mi|Gi|k|M|G)?$";

impl Quantity {
    /// An amount of so many mebibytes.
    pub const fn mebibytes(count: u32) -> Self {
        Self { bytes: (count as u64) << 20 }
    }

    /// The bytes, as far as this machine can count what it has in memory.
    pub fn in_memory(self) -> usize {
        usize::try_from(self.bytes).unwrap_or(usize::MAX)
    }

    /// The CEL rule that a field is an amount within the bounds; see [`super::GoDuration::rule`].
    pub fn rule(bounds: RangeInclusive<Self>) -> Rule {
        let (min, max) = bounds.into_inner();
        let compare =
            |sign: &str, bound: Self| format!("quantity(self).compareTo(quantity('{bound}')) {sign} 0");
        Rule::new(format!("self.matches('{PATTERN}') && {} && {}", compare(">=", min), compare("<=", max)))
            .message(format!("must be an amount of memory such as 64Mi, from {min} to {max}").as_str())
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let (number, suffix) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
        let (_, scale) = SUFFIXES.into_iter().find(|(name, _)| *name == suffix).ok_or(QuantityError)?;
        let number: u64 = number.parse().map_err(|_| QuantityError)?;
        Ok(Self { bytes: number.checked_mul(scale).ok_or(QuantityError)? })
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, scale): &(&str, u64)| self.bytes >= *scale && self.bytes.is_multiple_of(*scale);
        let (suffix, scale) = SUFFIXES.into_iter().find(fits).unwrap_or(("", 1));
        write!(f, "{}{suffix}", self.bytes / scale)
    }
}

string_serde!(Quantity);

impl JsonSchema for Quantity {
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "maxLength": 16,
            "pattern": PATTERN,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_binary_and_decimal_suffixes() {
        for (text, bytes) in [
            ("0", 0),
            ("67108864", 67_108_864),
            ("64Mi", 67_108_864),
            ("512Ki", 524_288),
            ("1Gi", 1_073_741_824),
            ("1k", 1_000),
            ("64M", 64_000_000),
            ("2G", 2_000_000_000),
        ] {
            assert_eq!(text.parse(), Ok(Quantity { bytes }), "{text}");
        }
    }

    #[test]
    fn refuses_everything_else() {
        for text in
            ["", "Mi", "64m", "64mi", "64 Mi", "-1Mi", "+1Mi", "1.5Gi", "1e6", "64MiB", "99999999999Gi"]
        {
            assert_eq!(text.parse::<Quantity>(), Err(QuantityError), "{text}");
        }
    }

    #[test]
    fn writes_the_largest_suffix_that_divides_and_reads_it_back() {
        for (bytes, text) in [
            (0, "0"),
            (1, "1"),
            (1536, "1536"),
            (3 << 10, "3Ki"),
            (64 << 20, "64Mi"),
            (4 << 30, "4Gi"),
            (64_000_000, "62500Ki"),
        ] {
            assert_eq!(Quantity { bytes }.to_string(), text);
            assert_eq!(text.parse(), Ok(Quantity { bytes }));
        }
    }

    #[test]
    fn is_a_string_in_json() {
        let memory: Quantity = serde_json::from_str("\"64Mi\"").unwrap();
        assert_eq!(memory, Quantity::mebibytes(64));
        assert_eq!(serde_json::to_string(&memory).unwrap(), "\"64Mi\"");
    }
}
