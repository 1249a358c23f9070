//! Takes secret values out of text that is shown to people: an upstream error may well repeat a token.

use std::cmp::Reverse;

use wasm_issuer_core::text::clean;
use zeroize::Zeroizing;

/// Shorter values would take half of an innocent message away.
const MIN_SECRET: usize = 8;
/// A secret of several lines is looked for line by line, too; shorter lines say nothing by themselves.
const MIN_LINE: usize = 16;
/// No longer values are looked for line by line, and of several that are together longer only the first.
const MAX_SPLIT: usize = 64 << 10;

const REDACTED: &str = "[redacted]";

/// What a value that is looked for takes besides its bytes: its place in the list, and what the allocator adds.
const ENTRY: usize = 64;

/// Values that no text may show.
#[derive(Default)]
pub struct Redactor {
    /// The longest first: taking a part out of a value would leave the rest of it.
    values: Vec<Zeroizing<String>>,
}

impl Redactor {
    /// One that looks for nothing.
    pub fn none() -> &'static Self {
        static NONE: Redactor = Redactor { values: Vec::new() };
        &NONE
    }

    /// Look for these values, each in the form that [`clean`] leaves it in, and for the lines of them.
    pub fn of<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut split = MAX_SPLIT;
        let mut values: Vec<_> =
            values.into_iter().flat_map(|value| shown_forms(value, &mut split)).collect();
        values.sort_by_key(|value| Reverse(value.len()));
        Self { values }
    }

    /// Look for this value too.
    pub fn add(&mut self, value: &[u8]) {
        for value in shown_forms(value, &mut { MAX_SPLIT }) {
            let at = self.values.partition_point(|other| other.len() > value.len());
            self.values.insert(at, value);
        }
    }

    /// The memory that it takes, in bytes.
    pub fn size(&self) -> usize {
        self.values.iter().map(|value| value.capacity() + ENTRY).sum()
    }

    /// Whether a text shows a value.
    pub fn finds(&self, text: &str) -> bool {
        let text = clean(text, usize::MAX);
        self.values.iter().any(|value| text.contains(value.as_str()))
    }

    /// The text without the values. Of a text that was cut, an end that may be the start of a value goes as well.
    fn redact(&self, mut text: String, was_cut: bool) -> String {
        for value in &self.values {
            if text.contains(value.as_str()) {
                text = text.replace(value.as_str(), REDACTED);
            }
            if was_cut && let Some(end) = start_at_end(&text, value) {
                text.truncate(end);
                text.push_str(REDACTED);
            }
        }
        text
    }
}

/// What of a value a text could show. Its lines count only if it has no more than `split` bytes, which it uses up.
fn shown_forms<'a>(value: &'a [u8], split: &mut usize) -> impl Iterator<Item = Zeroizing<String>> + use<'a> {
    let text = std::str::from_utf8(value).unwrap_or_default();
    let is_split = text.len() <= *split && text.trim().contains('\n');
    *split -= if is_split { text.len() } else { 0 };
    let lines = text.lines().filter(move |line| is_split && !line.starts_with("-----"));
    let forms = std::iter::once((text, MIN_SECRET)).chain(lines.map(|line| (line, MIN_LINE)));
    forms.filter_map(|(text, min)| {
        let form = Zeroizing::new(clean(text, usize::MAX));
        (form.len() >= min).then_some(form)
    })
}

/// Where a start of `value`, long enough to matter, stands at the end of a cut text.
fn start_at_end(text: &str, value: &str) -> Option<usize> {
    let text = text.strip_suffix("...").unwrap_or(text);
    (MIN_SECRET..value.len())
        .filter_map(|len| value.get(..len))
        .take_while(|start| start.len() <= text.len())
        .find(|start| text.ends_with(start))
        .map(|start| text.len() - start.len())
}

/// Text from a plugin as it may be shown: cleaned, without secrets, at most `max` bytes.
pub fn presentable(text: &str, max: usize, secrets: &[&Redactor]) -> String {
    let was_cut = text.len() > max;
    let cleaned = clean(text, max);
    let redacted = secrets.iter().fold(cleaned, |text, secrets| secrets.redact(text, was_cut));
    if redacted.len() > max { clean(&redacted, max) } else { redacted }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(secret: &str, text: &str, max: usize) -> String {
        let mut redactor = Redactor::default();
        redactor.add(secret.as_bytes());
        presentable(text, max, &[&redactor])
    }

    #[test]
    fn values_of_eight_bytes_and_more_are_taken_out() {
        assert_eq!(
            shown("hunter22\n", "401 for token hunter22, hunter22", 100),
            "401 for token [redacted], [redacted]"
        );
        assert_eq!(shown("admin", "no such user: admin", 100), "no such user: admin");
    }

    #[test]
    fn a_value_within_a_value_leaves_nothing() {
        let mut redactor = Redactor::default();
        redactor.add(b"password");
        redactor.add(b"password-for-production");
        assert_eq!(presentable("got password-for-production", 100, &[&redactor]), "got [redacted]");
    }

    #[test]
    fn each_line_of_a_key_is_taken_out() {
        let pem = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEG\nCCqGSM49AwEHBG0wawIBAQQg\n-----END PRIVATE KEY-----\n";
        assert_eq!(shown(pem, &format!("bad key: {pem}"), 1000), "bad key: [redacted]");
        assert_eq!(shown(pem, "line CCqGSM49AwEHBG0wawIBAQQg", 1000), "line [redacted]");
        assert_eq!(shown(pem, "-----BEGIN PRIVATE KEY-----", 1000), "-----BEGIN PRIVATE KEY-----");
    }

    #[test]
    fn lines_are_looked_for_in_so_many_bytes_of_all_values() {
        let lines = |first: &str| format!("{first}\n{}", "sixteen letters.\n".repeat(2_000));
        let values = ["the first line of one", "the first line of another"].map(lines);
        let redactor = Redactor::of(values.iter().map(String::as_bytes));
        let [one, another] = values.each_ref().map(|value| value.lines().next().unwrap());
        assert_eq!(presentable(one, 100, &[&redactor]), REDACTED);
        assert_eq!(presentable(another, 100, &[&redactor]), another);
        assert_eq!(presentable(&values[1], 100_000, &[&redactor]), REDACTED);
    }

    #[test]
    fn control_characters_hide_nothing() {
        assert_eq!(shown("two\nparts", "got two\u{0}parts", 100), "got [redacted]");
    }

    #[test]
    fn a_value_at_the_cut_goes_too() {
        let secret = "s3cr3t-s3cr3t-s3cr3t";
        let text = format!("{} {secret}", "x".repeat(30));
        assert_eq!(shown(secret, &text, 44), format!("{} [redacted]", "x".repeat(30)));
        assert!(shown(secret, &"s3cr3t-s3cr3t-s3cr3t ".repeat(1000), 64).len() <= 64);
        assert_eq!(shown("12345678", &"12345678 ".repeat(8), 16).len(), 16);
    }
}
