//! What a plugin writes, as lines for its author: `plugin info  text`. On a laptop there is one plugin, and the command says
//! itself whose call it was.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;
use wasm_issuer_runtime::{NETWORK_RECORDS, PLUGIN_RECORDS};

/// Writes plugins' records as plain text, and all others as they are for an operator.
#[derive(Default)]
pub struct Plain(Format);

impl<S, N> FormatEvent<S, N> for Plain
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut to: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if event.metadata().target() != PLUGIN_RECORDS {
            return self.0.format_event(context, to, event);
        }
        let mut record = Record::default();
        event.record(&mut record);
        let Record { source, text } = record;
        // The command tells each of these once.
        if source == NETWORK_RECORDS {
            return Ok(());
        }
        let who = if source == "host" { "host" } else { "plugin" };
        let (level, colour) = level(event.metadata().level());
        if to.has_ansi_escapes() {
            writeln!(to, "{who} \x1b[{colour}m{level:5}\x1b[0m {text}")
        } else {
            writeln!(to, "{who} {level:5} {text}")
        }
    }
}

/// A level's name, and its colour as a terminal calls it.
fn level(level: &Level) -> (&'static str, u8) {
    match *level {
        Level::ERROR => ("error", 31),
        Level::WARN => ("warn", 33),
        Level::INFO => ("info", 32),
        Level::DEBUG | Level::TRACE => ("debug", 34),
    }
}

/// What counts of a plugin's record.
#[derive(Default)]
struct Record {
    source: String,
    text: String,
}

impl Visit for Record {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "source" {
            self.source = value.to_owned();
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.text = format!("{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing::subscriber::with_default;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(colours: bool, log: impl FnOnce()) -> String {
        let lines = Lines::default();
        let to = lines.clone();
        let builder = tracing_subscriber::fmt().with_ansi(colours).with_writer(move || to.clone());
        with_default(builder.event_format(Plain::default()).finish(), log);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_plugins_records_are_plain_text_and_colours_are_for_terminals() {
        let log = || {
            tracing::info!(target: PLUGIN_RECORDS, issuer = "ca", source = "log", "asking {}", "the CA");
            tracing::error!(target: PLUGIN_RECORDS, source = "host", "internal error");
        };
        assert_eq!(lines(false, log), "plugin info  asking the CA\nhost error internal error\n");
        assert_eq!(lines(true, log).lines().next(), Some("plugin \x1b[32minfo \x1b[0m asking the CA"));
    }

    #[test]
    fn what_the_command_tells_itself_is_left_out_and_others_records_are_as_ever() {
        let log = || {
            tracing::warn!(target: PLUGIN_RECORDS, source = NETWORK_RECORDS, "denied: https://a");
            tracing::warn!(key = 5, "something else");
        };
        let lines = lines(false, log);
        assert!(
            !lines.contains("denied") && lines.contains(" WARN ") && lines.contains("something else key=5"),
            "{lines}"
        );
    }
}
