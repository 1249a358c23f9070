//! The `log` import: records of the plugin's own.

use wasmtime::component::{HasData, Linker};

use crate::bindings::wasm_issuer::plugin::log::{self as wit, Host, Level};
use crate::log::CallLog;

/// What the functions need of a call.
pub struct LogView<'a> {
    pub log: &'a CallLog,
}

struct HasLog;

impl HasData for HasLog {
    type Data<'a> = LogView<'a>;
}

pub fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> LogView<'_>,
) -> wasmtime::Result<()> {
    wit::add_to_linker::<_, HasLog>(linker, view)
}

impl Host for LogView<'_> {
    fn log(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        self.log.plugin_record(level.into(), &message);
        Ok(())
    }
}

impl From<Level> for tracing::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Debug => Self::DEBUG,
            Level::Info => Self::INFO,
            Level::Warn => Self::WARN,
            Level::Error => Self::ERROR,
        }
    }
}
