//! Log records on stderr, for people or for machines.

use std::io::IsTerminal;

use anyhow::Context;
use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

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

impl LoggingArgs {
    /// Log to stderr from here on.
    pub fn install(&self) -> anyhow::Result<()> {
        let filter = EnvFilter::try_new(&self.log_level)
            .with_context(|| format!("--log-level {:?} is not a filter", self.log_level))?;
        let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        match self.log_format {
            LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).init(),
            LogFormat::Json => builder.json().flatten_event(true).init(),
        }
        Ok(())
    }
}
