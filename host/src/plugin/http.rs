//! The `wasi:http` import: what is behind it is [`crate::egress`]; here its requests are tied to the call that made them.

use std::sync::Arc;

use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView};

use super::log::CallLog;
use super::state::CallState;
use crate::egress::{Denial, Failure, Observer};

/// Longer texts about a request say nothing more.
const MAX_TEXT: usize = 1024;

/// Notes what did not get through among the records of the call, and tells the session's observer. The plugin chose
/// where to: what it put of a secret into a host name is not repeated.
pub struct CallObserver {
    pub log: Arc<CallLog>,
}

impl Observer for CallObserver {
    fn denied(&self, denial: &Denial) {
        let shown = |text: &str| self.log.presentable(text, MAX_TEXT);
        let denial = Denial {
            destination: shown(&denial.destination),
            message: shown(&denial.message),
            fix_line: shown(&denial.fix_line),
            ..*denial
        };
        self.log.note(&format!("denied: {}; to allow it: {}", denial.message, denial.fix_line));
        self.log.session().observer.denied(&denial);
    }

    fn failed(&self, failure: &Failure) {
        let shown = |text: &str| self.log.presentable(text, MAX_TEXT);
        let failure =
            Failure { destination: shown(&failure.destination), message: shown(&failure.message) };
        self.log.note(&format!("no response from {}: {}", failure.destination, failure.message));
        self.log.session().observer.failed(&failure);
    }
}

impl WasiHttpView for CallState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.http.deadline = self.clock.deadline;
        WasiHttpCtxView { hooks: &mut self.http, table: &mut self.table, ctx: &mut self.http_ctx }
    }
}
