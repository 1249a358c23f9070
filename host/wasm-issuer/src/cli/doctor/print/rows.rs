//! Lines that have a name in front.

use std::fmt::Write as _;

/// How much of a cause is shown: conditions have no more.
pub const CAUSE: usize = 4096;

/// A name and what follows it, its lines below each other.
pub fn row(text: &mut String, name: &str, value: &str) {
    for (n, line) in value.lines().enumerate() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "   {:<6} {line}", if n == 0 { name } else { "" });
    }
}
