//! What a component says about itself, and what an operator makes of its size.

use serde::{Serialize, Serializer};
use wasm_issuer_core::text::clean;
use wasm_issuer_runtime::{Budget, ComponentBytes, Footprint, LoadError, Runtime};

use super::grants::{CONTRACT, Capability, Functions, capabilities};
use super::package::{Packed, too_large};
use super::producers::{self, Producers};
use super::uses;

/// How much of a name from the component is shown.
const NAME: usize = 200;
/// The export by which a plugin is known.
const SIGNER: &str = "wasm-issuer:plugin/signer@";

/// The facts about one component.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Component {
    pub sha256: String,
    pub bytes: usize,
    pub packed_bytes: usize,
    pub packed_gzip: bool,
    pub fits_config_map: bool,
    /// The world that it implements; none where it exports no signer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub world: Option<String>,
    pub producers: Producers,
    pub imports: Imports,
    pub exports: Vec<String>,
    /// The functions that are imported of each interface.
    pub functions: Functions,
    #[serde(rename = "grants")]
    pub capabilities: Vec<Capability>,
    /// What it asks of the host.
    #[serde(serialize_with = "by_name")]
    pub footprint: Footprint,
    /// Why no ConfigMap holds it.
    #[serde(skip)]
    pub too_large: Option<String>,
    /// Why only a WasmClusterIssuer may use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub too_much_for_tenants: Option<String>,
}

/// Imported interfaces, by whose they are.
#[derive(Default, Serialize)]
pub struct Imports {
    pub contract: Vec<String>,
    pub wasi: Vec<String>,
    pub others: Vec<String>,
}

impl Component {
    /// Reads the facts off the bytes; nothing is compiled. The inner error is the component's fault.
    pub fn of(runtime: &Runtime, wasm: &ComponentBytes) -> anyhow::Result<Result<Self, LoadError>> {
        let inspection = match runtime.inspect(wasm, &Budget::WIDE) {
            Ok(inspection) => inspection,
            Err(error) => return Ok(Err(error)),
        };
        let of_tenants = runtime.inspect(wasm, &Budget::TENANT).and_then(|it| it.fits()).err();
        let packed = Packed::new(wasm.as_slice())?;
        let functions = functions(wasm.as_slice());
        Ok(Ok(Self {
            too_large: (!packed.fits()).then(|| too_large(inspection.size, &packed)),
            too_much_for_tenants: of_tenants.map(|error| error.to_string()),
            sha256: inspection.sha256,
            bytes: inspection.size,
            packed_bytes: packed.bytes.len(),
            packed_gzip: packed.gzip,
            fits_config_map: packed.fits(),
            world: world(&inspection.exports),
            producers: producers::of(wasm.as_slice()),
            imports: Imports::of(&inspection.imports),
            exports: inspection.exports.iter().map(|export| clean(export, NAME)).collect(),
            capabilities: capabilities(&functions),
            functions,
            footprint: inspection.footprint,
        }))
    }
}

impl Imports {
    fn of(names: &[String]) -> Self {
        let mut imports = Self::default();
        for name in names {
            let group = match name {
                name if name.starts_with(CONTRACT) => &mut imports.contract,
                name if name.starts_with("wasi:") => &mut imports.wasi,
                _ => &mut imports.others,
            };
            group.push(clean(name, NAME));
        }
        imports
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &String> {
        self.contract.iter().chain(&self.wasi).chain(&self.others)
    }
}

fn by_name<S: Serializer>(footprint: &Footprint, to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(footprint.counts())
}

/// The world of the contract whose signer is exported.
fn world(exports: &[String]) -> Option<String> {
    let version = exports.iter().find_map(|export| export.strip_prefix(SIGNER))?;
    Some(format!("{CONTRACT}issuer-plugin@{}", clean(version, NAME)))
}

fn functions(wasm: &[u8]) -> Functions {
    let shown = |(interface, functions): (String, Vec<String>)| {
        (clean(&interface, NAME), functions.iter().map(|it| clean(it, NAME)).collect())
    };
    uses::functions(wasm).unwrap_or_default().into_iter().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_world_is_that_of_the_exported_signer() {
        let world = |export: &str| world(&["a:b/c@1.0.0".to_owned(), export.to_owned()]);
        let of_next = world("wasm-issuer:plugin/signer@0.2.1");
        assert_eq!(of_next.as_deref(), Some("wasm-issuer:plugin/issuer-plugin@0.2.1"));
        assert_eq!(world("wasi:cli/run@0.2.0"), None);
    }
}
