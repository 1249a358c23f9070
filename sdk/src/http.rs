//! A small blocking HTTP client over `wasi:http` (feature `http`), with JSON in and out.
//!
//! ```no_run
//! # use wasm_issuer_sdk::{Failure, http, secrets::{self, PlaceholderForm}};
//! # #[derive(serde::Serialize)] struct Order { csr: String }
//! # #[derive(serde::Deserialize)] struct Answer { chain: String }
//! fn order(url: &str, order: &Order) -> Result<String, Failure> {
//!     // The operator puts the value in on the way out.
//!     let token = secrets::get("token")?.placeholder(&PlaceholderForm::Plain)?;
//!     let response = http::post_json(url, order).header("authorization", format!("Bearer {token}")).send()?;
//!     let answer: Answer = response.success()?.json()?;
//!     Ok(answer.chain)
//! }
//! ```
//!
//! Only hosts that the Issuer's `spec.http.allowedHosts` grants can be reached; the operator does TLS, with
//! the CA and the client certificate that the spec names. Redirects are answers like any other.
//!
//! # Errors
//!
//! An [`HttpError`] names the server and turns into the [`Failure`](crate::Failure) that fits, so `?` is all that most
//! plugins need. What becomes of a status is the author's to say where the server's API means something else by it than
//! most do: [`Response::success_with`] takes a table of [`Meaning`]s; for a status that the table does not name, and in
//! [`Response::success`], it is this:
//!
//! | status | [`Meaning`] | because |
//! |---|---|---|
//! | 400, 413, 422 | `InvalidRequest` | it is what the request holds that the server refuses: the same in every later try |
//! | 409 | `Permanent` | what the server holds contradicts the request, and goes on to; cert-manager's next request has another `uid` |
//! | 408, 425, 429, 5xx | `Retry` | it passes; `Retry-After` is kept |
//! | 3xx, all other 4xx | `Issuer` | it is how the server is asked: the URL (404, 405, 410, a redirect), the credentials (401, 403, 407) |
//!
//! Whatever kept the request from being answered at all is retried, unless it concerns every request of the Issuer:
//! [`HttpErrorKind`] says which is which.

use serde::Serialize;

mod error;
mod request;
mod response;
mod status;
mod url;

pub use error::{HttpError, HttpErrorKind};
pub use request::Request;
pub use response::Response;
pub use status::Meaning;
pub use wasip2::http::types::Method;

/// A GET request. The URL is absolute: `http://` or `https://`.
///
/// ```no_run
/// # use wasm_issuer_sdk::{Failure, http};
/// fn check(url: &str) -> Result<(), Failure> {
///     http::get(format!("{url}/health")).send()?.success()?;
///     Ok(())
/// }
/// ```
pub fn get(url: impl Into<String>) -> Request {
    Request::new(Method::Get, url)
}

/// A POST request with a JSON body, to an absolute URL. The header `Content-Type` is set.
///
/// ```no_run
/// # use wasm_issuer_sdk::{Failure, http};
/// #[derive(serde::Serialize)]
/// struct Order<'a> {
///     csr: &'a str,
/// }
///
/// fn order(csr: &str) -> Result<http::Response, Failure> {
///     Ok(http::post_json("https://ca.example.com/certificates", &Order { csr }).send()?.success()?)
/// }
/// ```
pub fn post_json(url: impl Into<String>, body: &(impl Serialize + ?Sized)) -> Request {
    Request::new(Method::Post, url).json(body)
}
