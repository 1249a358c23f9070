//! A component's bytes, and what they must be to be compiled at all. Nothing here runs or compiles anything.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use wasm_issuer_core::text::clean;
use wasmparser::{Parser, Payload};
use wasmtime::Engine;

use super::budget::{self, Budget, Footprint};
use super::error::LoadError;

/// The interface that a plugin exports.
const SIGNER: &str = "wasm-issuer:plugin/signer";
const SIGNER_VERSION: (u64, u64) = (0, 1);

/// What a plugin may import: the linker has nothing else.
const IMPORTS: [(&str, (u64, u64), &[&str]); 8] = [
    ("wasm-issuer:plugin", (0, 1), &["types", "secrets", "keys", "certificates", "cache", "log"]),
    (
        "wasi:cli",
        (0, 2),
        &[
            "environment",
            "exit",
            "stdin",
            "stdout",
            "stderr",
            "terminal-input",
            "terminal-output",
            "terminal-stdin",
            "terminal-stdout",
            "terminal-stderr",
        ],
    ),
    ("wasi:clocks", (0, 2), &["monotonic-clock", "wall-clock"]),
    ("wasi:filesystem", (0, 2), &["preopens", "types"]),
    ("wasi:http", (0, 2), &["outgoing-handler", "types"]),
    ("wasi:io", (0, 2), &["error", "poll", "streams"]),
    ("wasi:random", (0, 2), &["insecure", "insecure-seed", "random"]),
    (
        "wasi:sockets",
        (0, 2),
        &[
            "instance-network",
            "ip-name-lookup",
            "network",
            "tcp",
            "tcp-create-socket",
            "udp",
            "udp-create-socket",
        ],
    ),
];

/// The bytes of what should be a component, with their digest: it is computed once, here. Clones share the bytes.
#[derive(Clone)]
pub struct ComponentBytes {
    wasm: Bytes,
    sha256: String,
}

impl ComponentBytes {
    /// Take the bytes as they are, whatever they are.
    pub fn new(wasm: Vec<u8>) -> Self {
        let sha256 = hex::encode(digest(&SHA256, &wasm));
        Self { wasm: wasm.into(), sha256 }
    }

    /// The SHA-256 of the bytes: 64 hexadecimal digits, in lower case.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The bytes as they were given.
    pub fn as_slice(&self) -> &[u8] {
        &self.wasm
    }
}

/// Only what identifies them: a component may have megabytes.
impl fmt::Debug for ComponentBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ComponentBytes").field("sha256", &self.sha256).finish_non_exhaustive()
    }
}

/// What the bytes of a component say about themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// 64 hexadecimal digits: the SHA-256 of the bytes.
    pub sha256: String,
    /// How many bytes there are.
    pub size: usize,
    /// The names of all imports, in the component's order.
    pub imports: Vec<String>,
    /// The names of all exports, in the component's order.
    pub exports: Vec<String>,
    /// What it asks of the host.
    pub footprint: Footprint,
}

impl Inspection {
    pub(super) fn of(component: &ComponentBytes, budget: &Budget) -> Result<Self, LoadError> {
        let wasm = component.as_slice();
        sniff(wasm)?;
        within(wasm.len(), budget)?;
        // Before the names, so that what is kept of them is bounded.
        let footprint = budget::measure(wasm, &budget.footprint)?;
        let (imports, exports) = names(wasm)?;
        Ok(Self { sha256: component.sha256.clone(), size: wasm.len(), imports, exports, footprint })
    }

    /// Refuse what is beyond another budget than the one that it was inspected with.
    pub(super) fn within(&self, budget: &Budget) -> Result<(), LoadError> {
        within(self.size, budget)?;
        self.footprint.within(&budget.footprint)
    }

    /// Refuse imports that nothing provides, and exports that are not a plugin's, as far as names tell.
    pub fn fits(&self) -> Result<(), LoadError> {
        if let Some(name) = self.imports.iter().find(|name| !is_available(name)) {
            return Err(LoadError::UnknownImport { name: clean(name, 200), hint: hint(name) });
        }
        let signers: Vec<_> = self.exports.iter().filter(|name| interface(name).0 == SIGNER).collect();
        if signers.iter().any(|name| interface(name).1 == Some(SIGNER_VERSION)) {
            return Ok(());
        }
        Err(LoadError::WrongWorld(match (signers.first(), self.exports.as_slice()) {
            (Some(other), _) => {
                format!("it exports `{}`, this operator calls `{SIGNER}@0.1.0`", clean(other, 200))
            }
            (None, []) => format!("it exports nothing, `{SIGNER}@0.1.0` is missing"),
            (None, exports) => {
                format!("`{SIGNER}@0.1.0` is missing; it exports {}", clean(&exports.join(", "), 500))
            }
        }))
    }
}

/// Refuse whatever does not start like a component, by name if it can be told: the parser's own words for it would be
/// "bad magic number". A file compiled to machine code must never get further than this.
fn sniff(bytes: &[u8]) -> Result<(), LoadError> {
    if bytes.is_empty() {
        return Err(LoadError::Empty);
    }
    if Engine::detect_precompiled(bytes).is_some() {
        return Err(LoadError::Precompiled);
    }
    match bytes.strip_prefix(b"\0asm") {
        Some([0x0d, 0, 1, 0, ..]) => {}
        Some([1, 0, 0, 0, ..]) => return Err(LoadError::CoreModule),
        Some(_) => return Err(LoadError::NotWasm { found: "WebAssembly of an unknown version" }),
        None => return Err(LoadError::NotWasm { found: describe(bytes) }),
    }
    Ok(())
}

fn within(bytes: usize, budget: &Budget) -> Result<(), LoadError> {
    let limit = budget.component_bytes;
    if bytes > limit { Err(LoadError::TooLarge { bytes, limit }) } else { Ok(()) }
}

fn describe(bytes: &[u8]) -> &'static str {
    const FORMATS: [(&[u8], &str); 8] = [
        (b"\x7fELF", "an ELF file"),
        (b"\x1f\x8b", "gzip data, compressed once too often"),
        (b"\x28\xb5\x2f\xfd", "zstd data"),
        (b"PK", "a zip archive"),
        (b"(component", "WebAssembly text"),
        (b"(module", "WebAssembly text"),
        (b"MZ", "a Windows program"),
        (b"AGFzb", "base64, encoded once too often"),
    ];
    if let Some((_, name)) = FORMATS.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return name;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => "text",
        _ if bytes.get(257..262) == Some(b"ustar") => "a tar archive",
        _ => "something else",
    }
}

/// The names of a component's own imports and exports; those of components within it do not matter.
fn names(wasm: &[u8]) -> wasmparser::Result<(Vec<String>, Vec<String>)> {
    let mut imports = Vec::new();
    let mut exports = Vec::new();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    exports.push(export?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok((imports, exports))
}

/// `a:b/c@1.2.3` as `a:b/c` and what must match of the version. Of `0.x` versions that is `(0, x)`.
fn interface(name: &str) -> (&str, Option<(u64, u64)>) {
    let Some((interface, version)) = name.split_once('@') else { return (name, None) };
    let mut parts = version.split('.').map(|part| part.parse::<u64>().ok());
    match (parts.next().flatten(), parts.next().flatten(), parts.next().flatten(), parts.next()) {
        (Some(major), Some(minor), Some(_), None) => (interface, Some((major, minor))),
        _ => (interface, None),
    }
}

fn is_available(import: &str) -> bool {
    let (name, version) = interface(import);
    let Some((package, interface)) = name.split_once('/') else { return false };
    IMPORTS.iter().any(|(known, known_version, interfaces)| {
        *known == package && Some(*known_version) == version && interfaces.contains(&interface)
    })
}

fn hint(import: &str) -> &'static str {
    if import.starts_with("wasi:http/") {
        "of wasi:http this operator has version 0.2 of outgoing-handler and types"
    } else if import.starts_with("wasm-issuer:plugin/") {
        "this operator has version 0.1 of wasm-issuer:plugin; a newer operator may have more"
    } else {
        "a plugin may import wasm-issuer:plugin 0.1 and WASI 0.2 (cli, clocks, filesystem, http, io, random, sockets)"
    }
}
