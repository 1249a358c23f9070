//! Connects a component's imports to the host and checks the types of both sides, so that no call can fail for them.

use wasm_issuer_core::text::clean;
use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentNamedList, HasData, InstancePre, Lift, Linker, Lower};

use super::bindings::IssuerPluginPre;
use super::bindings::description::{DescribedPre, Description};
use super::bindings::wasm_issuer::plugin::types::{self, Certificate, CertificateRequest, Failure, Issuer};
use super::error::LoadError;
use super::imports::{cache, certificates, http, keys, log, secrets};
use super::state::CallState;

const SIGNER: &str = "wasm-issuer:plugin/signer@0.1.0";
const DESCRIPTION: &str = "wasm-issuer:plugin/description@0.1.0";

/// Everything that a plugin can import. What is behind WASI is decided in [`CallState`].
pub fn linker(engine: &Engine) -> wasmtime::Result<Linker<CallState>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    types::add_to_linker::<_, HasTypes>(&mut linker, |_| ())?;
    cache::add_to_linker(&mut linker, CallState::cache_view)?;
    certificates::add_to_linker(&mut linker, CallState::judge_view)?;
    http::add_to_linker(&mut linker, CallState::http_view)?;
    keys::add_to_linker(&mut linker, CallState::keys_view)?;
    log::add_to_linker(&mut linker, CallState::log_view)?;
    secrets::add_to_linker(&mut linker, CallState::secrets_view)?;
    Ok(linker)
}

/// The contract's `types` has no functions, so they need nothing of a call.
struct HasTypes;

impl HasData for HasTypes {
    type Data<'a> = ();
}

impl types::Host for () {}

/// A component whose imports are connected: what is left to do for a call is to make an instance.
pub struct Linked {
    /// For `check` and `sign`.
    pub plugin: IssuerPluginPre<CallState>,
    /// For `describe`, where it has that.
    pub described: Option<DescribedPre<CallState>>,
}

/// Connects a component, whose exports must have the contract's types.
pub fn link(linker: &Linker<CallState>, component: &Component) -> Result<Linked, LoadError> {
    let wrong = |error: wasmtime::Error| LoadError::WrongWorld(clean(&format!("{error:#}"), 500));
    let pre = linker.instantiate_pre(component).map_err(wrong)?;
    check_type::<(&Issuer,), (Result<(), Failure>,)>(&pre, SIGNER, "check")?;
    check_type::<(&Issuer, &CertificateRequest), (Result<Certificate, Failure>,)>(&pre, SIGNER, "sign")?;
    let described = if component.get_export_index(None, DESCRIPTION).is_some() {
        check_type::<(), (Description,)>(&pre, DESCRIPTION, "describe")?;
        Some(DescribedPre::new(pre.clone()).map_err(wrong)?)
    } else {
        None
    };
    Ok(Linked { plugin: IssuerPluginPre::new(pre).map_err(wrong)?, described })
}

/// wasmtime itself would do this at the first call only.
fn check_type<Params, Return>(
    pre: &InstancePre<CallState>,
    interface: &str,
    name: &str,
) -> Result<(), LoadError>
where
    Params: ComponentNamedList + Lower,
    Return: ComponentNamedList + Lift,
{
    let component = pre.component();
    let exported = component.get_export(None, interface).map(|(_, index)| index);
    let function = exported.and_then(|exported| component.get_export(Some(&exported), name));
    let Some((ComponentItem::ComponentFunc(function), _)) = function else {
        return Err(LoadError::WrongWorld(format!("`{interface}` has no function `{name}`")));
    };
    function.typecheck::<Params, Return>(&pre.instance_type()).map_err(|error| {
        LoadError::WrongWorld(format!("`{name}` of `{interface}`: {}", clean(&format!("{error:#}"), 500)))
    })
}
