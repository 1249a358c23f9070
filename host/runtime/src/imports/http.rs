//! The `wasi:http` import: wasmtime's own, with a few functions in place of its own. What a request meets on its way out
//! is in [`crate::egress`].

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, LinkerInstance, Resource};
use wasmtime_wasi::p2::bindings::io::error::Error as IoError;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, HostOutgoingRequest as _, Method};
use wasmtime_wasi_http::p2::bindings::{LinkOptions, http};
use wasmtime_wasi_http::p2::types::HostOutgoingRequest;
use wasmtime_wasi_http::{Error as Code, WasiHttp, WasiHttpCtxView};

use crate::egress::{MAX_METHOD, MAX_PATH};

/// A host name of DNS, a port, and what may be wrong with them.
const MAX_AUTHORITY: usize = 512;

/// What the functions need of a call.
pub type HttpView<'a> = WasiHttpCtxView<'a>;

/// Add `outgoing-handler`, and `types` that it needs.
pub fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> HttpView<'_>,
) -> wasmtime::Result<()> {
    http::outgoing_handler::add_to_linker::<_, WasiHttp>(linker, view)?;
    http::types::add_to_linker::<_, WasiHttp>(linker, &LinkOptions::default().into(), view)?;
    linker.allow_shadowing(true);
    replace(&mut linker.instance("wasi:http/types@0.2.12")?, view)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Put functions of our own in place of wasmtime's.
fn replace<T: Send + 'static>(
    types: &mut LinkerInstance<'_, T>,
    view: fn(&mut T) -> HttpView<'_>,
) -> wasmtime::Result<()> {
    type Store<'a, T> = StoreContextMut<'a, T>;
    // A request that is not sent yet is memory of the host, which no limit of the plugin's counts: names of methods have
    // no limit at all, the other parts 64 KiB each.
    types.func_wrap(
        "[method]outgoing-request.set-method",
        move |mut store: Store<'_, T>, (request, method): (Resource<HostOutgoingRequest>, Method)| {
            match &method {
                Method::Other(name) if name.len() > MAX_METHOD => Ok((Err(()),)),
                _ => Ok((view(store.data_mut()).set_method(request, method)?,)),
            }
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-path-with-query",
        move |mut store: Store<'_, T>, (request, path): (Resource<HostOutgoingRequest>, Option<String>)| {
            if path.as_ref().is_some_and(|path| path.len() > MAX_PATH) {
                return Ok((Err(()),));
            }
            Ok((view(store.data_mut()).set_path_with_query(request, path)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-authority",
        move |mut store: Store<'_, T>,
              (request, authority): (Resource<HostOutgoingRequest>, Option<String>)| {
            if authority.as_ref().is_some_and(|authority| authority.len() > MAX_AUTHORITY) {
                return Ok((Err(()),));
            }
            Ok((view(store.data_mut()).set_authority(request, authority)?,))
        },
    )?;
    // wasmtime-wasi-http 48 looks for codes of its bindings' type only, but what ends the stream of a body early is an
    // `Error` of the crate, so a plugin would get no code for it.
    types.func_wrap("http-error-code", move |mut store: Store<'_, T>, (error,): (Resource<IoError>,)| {
        let error = view(store.data_mut()).table.get(&error)?;
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
