//! Whatever is logged in a call says of which object: it is within the span of the caller.

use futures::FutureExt as _;
use tracing::{Instrument as _, Span, error_span};

use super::*;
use crate::bindings::IssuerPlugin;
use crate::call::Export;
use crate::log::CallName;
use crate::testing::records;

#[tokio::test]
async fn a_call_is_within_the_span_of_its_caller() {
    records::start();
    let plugin = runtime().load(checking(""), &account()).await.unwrap();
    let span = || Span::current().metadata().map(|metadata| metadata.name());
    let export: Export<IssuerPlugin, _> = Box::new(move |_, _| async move { Ok(Ok(span())) }.boxed());
    let session = session(patient());
    let call = plugin.call(&session, CallName::Check, export);
    assert_eq!(call.instrument(error_span!("the caller")).await.unwrap(), Some("the caller"));
}
