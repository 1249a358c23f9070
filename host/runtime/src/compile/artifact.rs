//! Machine code: the one place where bytes become something that runs outside of the sandbox.

use wasm_issuer_core::text::clean;
use wasmtime::Engine;
use wasmtime::component::Component;

/// Machine code for this engine. Only made here: by compiling, by a child that runs this same program, and by reading
/// back what one of these two made from a folder that nobody else can write to.
pub struct Artifact(pub Vec<u8>);

/// Compile, or say what is wrong with the component.
pub fn precompile(engine: &Engine, wasm: &[u8]) -> Result<Artifact, String> {
    engine.precompile_component(wasm).map(Artifact).map_err(|error| clean(&format!("{error:#}"), 500))
}

/// Make the component of machine code.
#[expect(unsafe_code, reason = "machine code cannot be checked; where it comes from is what counts")]
pub fn revive(engine: &Engine, artifact: &Artifact) -> wasmtime::Result<Component> {
    // SAFETY: wasmtime asks that the bytes are what `Engine::precompile_component` returned, unmodified. That is what an
    // `Artifact` is: nothing that a user provides becomes one, and those from the folder are checked by their digest.
    let component = unsafe { Component::deserialize(engine, &artifact.0) }?;
    component.initialize_copy_on_write_image()?;
    Ok(component)
}
