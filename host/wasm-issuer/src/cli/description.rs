//! What a plugin says of itself, for who asks it on a laptop.

pub mod needs;

use std::sync::Arc;

use wasm_issuer_runtime::describe::{Description, Schema};
use wasm_issuer_runtime::egress::HttpGrant;
use wasm_issuer_runtime::{
    CallError, CallLimits, IssuerIdentity, IssuerMemory, Plugin, Session, SessionInit,
};

use crate::api::IssuerKind;

/// What a loaded plugin says of itself, if it does. It is granted nothing, and told that it works for an Issuer of this name.
pub async fn of(plugin: &Arc<Plugin>, name: &str) -> Result<Option<Description>, CallError> {
    let session = Session::new(SessionInit {
        issuer: IssuerIdentity {
            kind: IssuerKind::Namespaced.to_string(),
            namespace: Some("default".into()),
            name: name.to_owned(),
        },
        config: "{}".into(),
        secret: None,
        reveal: Default::default(),
        keys: Default::default(),
        limits: CallLimits::default(),
        http: HttpGrant::default(),
        observer: Arc::new(()),
        memory: IssuerMemory::unlimited().share(""),
    });
    plugin.describe(&session).await
}

/// A JSON Pointer into the configuration, as people write paths: `/a/b` is `spec.config.a.b`.
pub fn field(pointer: &str) -> String {
    format!("spec.config{}", pointer.replace('/', ".").replace("~1", "/").replace("~0", "~"))
}

/// The default of the field at a JSON Pointer with one part, if it is a string.
pub fn default_at<'a>(root: &'a Schema, pointer: &str) -> Option<&'a str> {
    let property = root.keywords()?.properties.get(pointer.strip_prefix('/')?)?;
    property.keywords()?.default.as_ref()?.as_str()
}
