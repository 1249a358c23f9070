//! Log records on stderr, for people or for machines.

mod level;
mod plain;
mod queue;

use std::io::{IsTerminal, stderr};
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};
pub use level::LogLevel;
use level::Reload;
use plain::Plain;
pub use queue::Dropped;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

/// How log records are written.
#[derive(Args)]
pub struct LoggingArgs {
    /// What is logged: a level, or levels by module as in `info,wasm_issuer_runtime=debug`.
    #[arg(long, global = true, env = "WASM_ISSUER_LOG", default_value = "info", value_name = "FILTER")]
    log_level: String,
    /// A file that holds such a filter, which is read again when it changes. Where it is empty or does not exist,
    /// --log-level holds. Default: none.
    #[arg(long, global = true, env = "WASM_ISSUER_LOG_LEVEL_FILE", value_name = "FILE")]
    log_level_file: Option<PathBuf>,
    /// Whether log records are lines for people or JSON for machines.
    #[arg(long, global = true, env = "WASM_ISSUER_LOG_FORMAT", default_value = "text", value_enum)]
    log_format: LogFormat,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    /// One line each, for people.
    Text,
    /// One JSON object each.
    Json,
}

/// What is logged. Dropping it writes what waits.
pub struct Logging {
    _writers: Vec<WorkerGuard>,
    /// The records that nobody read in time.
    pub dropped: Dropped,
    /// What is logged, and what changes it.
    pub level: LogLevel,
}

impl LoggingArgs {
    /// Log to stderr from here on. While it takes no more, whoever logs waits, or, if it is the log of the operator, some records
    /// wait and the rest is dropped. At a command what plugins write is shown as plain text.
    pub fn install(&self, is_operator: bool) -> anyhow::Result<Logging> {
        let (writer, _writers, dropped) = if is_operator {
            let (queue, writers) = queue::to(stderr, stderr);
            let dropped = queue.dropped();
            (BoxMakeWriter::new(queue), writers, dropped)
        } else {
            (BoxMakeWriter::new(stderr), Vec::new(), Dropped::default())
        };
        let reload = self.init(writer, !is_operator)?;
        let level = LogLevel::new(self.log_level.clone(), self.log_level_file.clone(), reload);
        Ok(Logging { _writers, dropped, level })
    }

    fn init(&self, writer: BoxMakeWriter, is_plain: bool) -> anyhow::Result<Reload> {
        let filter = level::filter(&self.log_level).context("--log-level")?;
        let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
        Ok(match self.log_format {
            LogFormat::Text if is_plain => {
                let builder =
                    builder.with_ansi(has_colours()).event_format(Plain::default()).with_filter_reloading();
                let handle = builder.reload_handle();
                builder.init();
                Box::new(move |filter| Ok(handle.reload(filter)?))
            }
            LogFormat::Text => {
                let builder = builder.with_ansi(has_colours()).with_filter_reloading();
                let handle = builder.reload_handle();
                builder.init();
                Box::new(move |filter| Ok(handle.reload(filter)?))
            }
            LogFormat::Json => {
                let builder =
                    builder.json().flatten_event(true).with_current_span(false).with_filter_reloading();
                let handle = builder.reload_handle();
                builder.init();
                Box::new(move |filter| Ok(handle.reload(filter)?))
            }
        })
    }
}

/// Whether text on stderr has colours: at a terminal, unless its user wants none (<https://no-color.org>).
fn has_colours() -> bool {
    stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
