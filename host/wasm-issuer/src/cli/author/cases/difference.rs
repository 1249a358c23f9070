//! Where something is not as it was expected to be, in words.

use serde::Serialize;
use wasm_issuer_core::text::clean;

/// How much of a long text is shown.
const SHOWN: usize = 160;
/// How much of that stands before the place where two texts part.
const BEFORE: usize = 40;

/// One thing that is not as it was expected to be. All texts are clean and short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Where: `request 2, body /profile`, or `expect /kind`.
    pub place: String,
    /// What the case says.
    pub expected: String,
    /// What there was.
    pub found: String,
}

impl Difference {
    /// Of two texts the part is shown where they differ.
    pub fn new(place: impl Into<String>, expected: &str, found: &str) -> Self {
        let common = common_prefix(expected, found);
        Self { place: place.into(), expected: excerpt(expected, common), found: excerpt(found, common) }
    }

    /// The same, found within something.
    pub fn within(self, place: &str) -> Self {
        Self { place: format!("{place}, {}", self.place), ..self }
    }
}

/// The bytes with which both texts begin.
fn common_prefix(one: &str, other: &str) -> usize {
    let same = one.chars().zip(other.chars()).take_while(|(one, other)| one == other);
    same.map(|(one, _)| one.len_utf8()).sum()
}

/// All of a text that is short, and of a long one the part around a place.
fn excerpt(text: &str, at: usize) -> String {
    if text.len() <= SHOWN {
        return clean(text, SHOWN);
    }
    let mut start = at.saturating_sub(BEFORE).min(text.len() - SHOWN);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let (_, rest) = text.split_at(start);
    let shown = clean(rest, SHOWN);
    if start == 0 { shown } else { format!("...{shown}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_shown_where_they_part() {
        let (one, other) = (format!("{}one{}", "é".repeat(500), "b".repeat(500)), "é".repeat(500) + "other");
        let Difference { expected, found, .. } = Difference::new("body", &one, &other);
        assert!(
            expected.starts_with("...é") && expected.contains("éone") && expected.len() < 170,
            "{expected}"
        );
        assert!(found.ends_with("éother") && found.starts_with("...é"), "{found}");
    }

    #[test]
    fn what_is_shown_cannot_write_to_a_terminal() {
        let difference = Difference::new("body", "a\u{1b}[31m", "b\nc").within("request 1");
        assert_eq!((difference.place.as_str(), difference.found.as_str()), ("request 1, body", "b c"));
        assert_eq!(difference.expected, "a [31m");
    }
}
