//! Log records on stderr, for people or for machines.

mod queue;

use std::io::{IsTerminal, stderr};

use anyhow::Context;
use clap::{Args, ValueEnum};
pub use queue::Dropped;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

/// How log records are written.
#[derive(Args)]
pub struct LoggingArgs {
    /// What is logged: a level, or levels by module as in `info,wasm_issuer_runtime=debug`.
    #[arg(long, global = true, env = "WASM_ISSUER_LOG", default_value = "info", value_name = "FILTER")]
    log_level: String,
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
}

impl LoggingArgs {
    /// Log to stderr from here on. While it takes no more, whoever logs waits, or, if the log is `behind` the work, some
    /// records wait and the rest is dropped.
    pub fn install(&self, behind: bool) -> anyhow::Result<Logging> {
        if !behind {
            self.init(BoxMakeWriter::new(stderr))?;
            return Ok(Logging { _writers: Vec::new(), dropped: Dropped::default() });
        }
        let (queue, _writers) = queue::to(stderr, stderr);
        let dropped = queue.dropped();
        self.init(BoxMakeWriter::new(queue))?;
        Ok(Logging { _writers, dropped })
    }

    fn init(&self, writer: BoxMakeWriter) -> anyhow::Result<()> {
        let filter = EnvFilter::try_new(&self.log_level)
            .with_context(|| format!("--log-level {:?} is not a filter", self.log_level))?;
        let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
        match self.log_format {
            LogFormat::Text => builder.with_ansi(stderr().is_terminal()).init(),
            LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).init(),
        }
        Ok(())
    }
}
