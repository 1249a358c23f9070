//! The `wasi:http` import: what is behind it is [`crate::egress`]; here its requests are tied to the call that made them.

use std::sync::Arc;

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, LinkerInstance, Resource};
use wasmtime_wasi::p2::bindings::io::error::Error as IoError;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, HostOutgoingRequest as _, Method};
use wasmtime_wasi_http::p2::types::HostOutgoingRequest;
use wasmtime_wasi_http::{Error as Code, WasiHttpCtxView, WasiHttpView};

use super::log::CallLog;
use crate::egress::{Denial, Failure, MAX_METHOD, MAX_PATH, Observer};
use crate::state::CallState;

/// A host name of DNS, a port, and what may be wrong with them.
const MAX_AUTHORITY: usize = 512;
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
        let failure = Failure { destination: shown(&failure.destination), message: shown(&failure.message) };
        self.log.note(&format!("no response from {}: {}", failure.destination, failure.message));
        self.log.session().observer.failed(&failure);
    }
}

/// Link `wasi:http`: `outgoing-handler`, and `types` that it needs.
pub fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    linker.allow_shadowing(true);
    add_own(&mut linker.instance("wasi:http/types@0.2.12")?)?;
    linker.allow_shadowing(false);
    Ok(())
}

type Store<'a> = StoreContextMut<'a, CallState>;

/// Functions of our own in place of wasmtime's.
fn add_own(types: &mut LinkerInstance<'_, CallState>) -> wasmtime::Result<()> {
    // A request that is not sent yet is memory of the host, which no limit of the plugin's counts: names of methods have
    // no limit at all, the other parts 64 KiB each.
    types.func_wrap(
        "[method]outgoing-request.set-method",
        |mut store: Store<'_>, (request, method): (Resource<HostOutgoingRequest>, Method)| match &method {
            Method::Other(name) if name.len() > MAX_METHOD => Ok((Err(()),)),
            _ => Ok((store.data_mut().http().set_method(request, method)?,)),
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-path-with-query",
        |mut store: Store<'_>, (request, path): (Resource<HostOutgoingRequest>, Option<String>)| {
            if path.as_ref().is_some_and(|path| path.len() > MAX_PATH) {
                return Ok((Err(()),));
            }
            Ok((store.data_mut().http().set_path_with_query(request, path)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-authority",
        |mut store: Store<'_>, (request, authority): (Resource<HostOutgoingRequest>, Option<String>)| {
            if authority.as_ref().is_some_and(|authority| authority.len() > MAX_AUTHORITY) {
                return Ok((Err(()),));
            }
            Ok((store.data_mut().http().set_authority(request, authority)?,))
        },
    )?;
    // wasmtime-wasi-http 48 looks for codes of its bindings' type only, but what ends the stream of a body early is an
    // `Error` of the crate, so a plugin would get no code for it.
    types.func_wrap("http-error-code", |mut store: Store<'_>, (error,): (Resource<IoError>,)| {
        let error = store.data_mut().table.get(&error)?;
        let code = error.downcast_ref().map(body_code).or_else(|| error.downcast_ref().cloned());
        Ok((code,))
    })
}

/// What can end a body early.
fn body_code(error: &Code) -> ErrorCode {
    match error {
        Code::ConnectionReadTimeout => ErrorCode::ConnectionReadTimeout,
        Code::ConnectionTerminated => ErrorCode::ConnectionTerminated,
        Code::HttpRequestBodySize(size) => ErrorCode::HttpRequestBodySize(*size),
        Code::HttpResponseBodySize(size) => ErrorCode::HttpResponseBodySize(*size),
        Code::HttpResponseIncomplete => ErrorCode::HttpResponseIncomplete,
        Code::HttpResponseTimeout => ErrorCode::HttpResponseTimeout,
        Code::HttpResponseTrailerSectionSize(size) => ErrorCode::HttpResponseTrailerSectionSize(*size),
        _ => ErrorCode::HttpProtocolError,
    }
}

impl WasiHttpView for CallState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.http.deadline = self.clock.deadline;
        WasiHttpCtxView { hooks: &mut self.http, table: &mut self.table, ctx: &mut self.http_ctx }
    }
}
