//! Connects a component's imports to the host and checks the types of both sides, so that no call can fail for them.

use wasm_issuer_core::text::clean;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentNamedList, InstancePre, Lift, Linker, Lower};

use super::bindings::IssuerPluginPre;
use super::bindings::wasm_issuer::plugin::types::{Certificate, CertificateRequest, Failure, Issuer};
use super::error::LoadError;
use super::state::CallState;

const SIGNER: &str = "wasm-issuer:plugin/signer@0.1.0";

pub fn link(
    linker: &Linker<CallState>,
    component: &Component,
) -> Result<IssuerPluginPre<CallState>, LoadError> {
    let wrong = |error: wasmtime::Error| LoadError::WrongWorld(clean(&format!("{error:#}"), 500));
    let pre = linker.instantiate_pre(component).map_err(wrong)?;
    check_type::<(&Issuer,), (Result<(), Failure>,)>(&pre, "check")?;
    check_type::<(&Issuer, &CertificateRequest), (Result<Certificate, Failure>,)>(&pre, "sign")?;
    IssuerPluginPre::new(pre).map_err(wrong)
}

/// wasmtime itself would do this at the first call only.
fn check_type<Params, Return>(pre: &InstancePre<CallState>, name: &str) -> Result<(), LoadError>
where
    Params: ComponentNamedList + Lower,
    Return: ComponentNamedList + Lift,
{
    let component = pre.component();
    let signer = component.get_export(None, SIGNER).map(|(_, index)| index);
    let function = signer.and_then(|signer| component.get_export(Some(&signer), name));
    let Some((ComponentItem::ComponentFunc(function), _)) = function else {
        return Err(LoadError::WrongWorld(format!("`{SIGNER}` has no function `{name}`")));
    };
    function.typecheck::<Params, Return>(&pre.instance_type()).map_err(|error| {
        LoadError::WrongWorld(format!("`{name}` of `{SIGNER}`: {}", clean(&format!("{error:#}"), 500)))
    })
}
