//! Text from a plugin or a CA is data: cut to what the API accepts, control characters gone, never a format.

/// What an Event's note may hold, in bytes (the API's own limit is 1024 characters).
pub const MAX_NOTE: usize = 1024;
/// What a condition's message may hold, in bytes: far below the API's 32 KiB, so that objects stay small.
pub const MAX_MESSAGE: usize = 4096;

const ELLIPSIS: &str = "...";

/// The text with runs of control characters and white space made one space, and cut to `max` bytes.
///
/// Terminal escapes end up harmless: what introduces them is a control character.
pub fn clean(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max));
    let mut gap = false;
    for c in text.chars() {
        if c.is_control() || c.is_whitespace() || is_invisible(c) {
            gap = !out.is_empty();
            continue;
        }
        if out.len() + usize::from(gap) + c.len_utf8() > max {
            return cut(out, max);
        }
        if gap {
            out.push(' ');
            gap = false;
        }
        out.push(c);
    }
    out
}

/// Characters that reorder or hide text: a log line must read the way it was written.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn cut(mut text: String, max: usize) -> String {
    let mut end = max.saturating_sub(ELLIPSIS.len()).min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.push_str(ELLIPSIS);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_stays() {
        assert_eq!(clean("quota 100%full %s %d {}", 100), "quota 100%full %s %d {}");
    }

    #[test]
    fn control_characters_and_line_breaks_become_one_space() {
        assert_eq!(clean("  a\r\n\tb\u{1b}[31mred\u{0} \u{202e}c\n", 100), "a b [31mred c");
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        assert_eq!(clean("ääääää", 9), "äää...");
        assert!(clean(&"x ".repeat(5000), MAX_NOTE).len() <= MAX_NOTE);
        assert!(clean(&"ä".repeat(5000), MAX_NOTE).len() <= MAX_NOTE);
    }
}
