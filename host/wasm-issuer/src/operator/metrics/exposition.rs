//! The two text formats that Prometheus reads.

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The text format 0.0.4, which everything reads, promtool among it.
    Classic,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The one that a request's `Accept` header asks for. Without a word about it, the classic one.
    pub fn accepted(accept: Option<&str>) -> Self {
        match accept {
            Some(accept) if accept.contains("application/openmetrics-text") => Self::OpenMetrics,
            _ => Self::Classic,
        }
    }

    /// For the `Content-Type` header.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// All metrics of a registry.
    pub(super) fn text_of(self, registry: &Registry) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, registry);
        match self {
            Self::OpenMetrics => text,
            Self::Classic => classic(&text),
        }
    }
}

/// The classic text that says the same: there a counter's name is that of its samples, with `_total`, and the text has no
/// end mark.
fn classic(text: &str) -> String {
    let mut classic = String::with_capacity(text.len());
    let mut lines = text.lines().filter(|line| *line != "# EOF").peekable();
    let mut is_counter = false;
    while let Some(line) = lines.next() {
        let mut words = line.splitn(4, ' ');
        let (mark, keyword, name, rest) = (words.next(), words.next(), words.next(), words.next());
        match (mark, keyword, name, rest) {
            (Some("#"), Some(keyword @ ("HELP" | "TYPE")), Some(name), Some(rest)) => {
                if keyword == "HELP" {
                    // The type stands in the next line.
                    is_counter = lines.peek().is_some_and(|next| next.ends_with(" counter"));
                }
                let total = if is_counter { "_total" } else { "" };
                classic.extend(["# ", keyword, " ", name, total, " ", rest, "\n"]);
            }
            _ => classic.extend([line, "\n"]),
        }
    }
    classic
}
