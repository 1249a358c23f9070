//! Text from a plugin, a CSR or a CA is data: never a format, bounded, and without what makes a terminal or a log line
//! show something else than what is there.

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
        if c.is_whitespace() || is_unsafe(c) {
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

fn cut(mut text: String, max: usize) -> String {
    let mut end = max.saturating_sub(ELLIPSIS.len()).min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.push_str(ELLIPSIS);
    text
}

/// `text` without control and formatting characters, at most `max` characters of it.
///
/// Formatting characters (bidirectional overrides, zero-width ones) go too: they make a terminal show something else
/// than what is there.
pub fn printable(text: &str, max: usize) -> String {
    let mut clean: String =
        text.chars().take(max).map(|c| if is_unsafe(c) { '\u{FFFD}' } else { c }).collect();
    if text.chars().nth(max).is_some() {
        clean.push('…');
    }
    clean
}

/// [`printable`] for bytes that may be no UTF-8.
pub fn printable_bytes(bytes: &[u8], max: usize) -> String {
    // Four bytes a character at most: cut before converting.
    let cut = bytes.get(..max.saturating_mul(4).saturating_add(4)).unwrap_or(bytes);
    printable(&String::from_utf8_lossy(cut), max)
}

/// At most `max` bytes as hex digits.
pub fn short_hex(bytes: &[u8], max: usize) -> String {
    match bytes.get(..max) {
        Some(cut) if bytes.len() > max => format!("{}…", hex::encode(cut)),
        _ => hex::encode(bytes),
    }
}

/// The items, separated by commas, until about `max` characters; then how many were left out.
pub fn list<T: std::fmt::Display>(items: impl ExactSizeIterator<Item = T>, max: usize) -> String {
    let total = items.len();
    let mut text = String::new();
    for (shown, item) in items.enumerate() {
        if text.len() >= max {
            text.push_str(&format!(" and {} more", total - shown));
            break;
        }
        if shown > 0 {
            text.push_str(", ");
        }
        text.push_str(&item.to_string());
    }
    if total == 0 {
        text.push_str("none");
    }
    text
}

/// Control characters, and those that hide or reorder text: soft hyphens, bidirectional controls, zero-width characters,
/// tags (Unicode's default-ignorable ones, as far as no script needs them).
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{00AD}' | '\u{061C}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{E0000}'..='\u{E007F}')
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

    #[test]
    fn what_hides_or_reorders_text_goes_everywhere() {
        for c in
            ['\u{ad}', '\u{61c}', '\u{200b}', '\u{202e}', '\u{2066}', '\u{206f}', '\u{feff}', '\u{e0041}']
        {
            assert_eq!(clean(&format!("a{c}b"), 99), "a b", "{c:?}");
            assert_eq!(printable(&format!("a{c}b"), 99), "a\u{FFFD}b", "{c:?}");
        }
    }

    #[test]
    fn control_and_formatting_characters_go() {
        assert_eq!(
            printable("a\r\n\u{1b}[31mb\u{202e}c\u{200b}", 99),
            "a\u{FFFD}\u{FFFD}\u{FFFD}[31mb\u{FFFD}c\u{FFFD}"
        );
        assert_eq!(printable("ümläut", 3), "üml…");
        assert_eq!(printable("abc", 3), "abc");
        assert_eq!(printable_bytes(b"\xff\x00ok", 9), "\u{FFFD}\u{FFFD}ok");
    }

    #[test]
    fn long_values_are_cut() {
        assert_eq!(short_hex(&[0xab; 3], 3), "ababab");
        assert_eq!(short_hex(&[0xab; 4], 3), "ababab…");
        assert_eq!(list(["a"; 0].iter(), 9), "none");
        assert_eq!(list(["a", "b"].iter(), 9), "a, b");
        assert_eq!(list(["aaaa"; 9].iter(), 9), "aaaa, aaaa and 7 more");
        assert!(printable_bytes(&vec![b'x'; 1 << 20], 16).chars().count() <= 17);
    }
}
