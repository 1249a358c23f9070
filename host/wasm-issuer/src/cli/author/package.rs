//! `wasm-issuer plugin package`

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::ensure;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::Args;
use flate2::Compression;
use flate2::write::GzEncoder;
use wasm_issuer_runtime::Budget;

use super::host::{self, PluginFile};
use super::issuer::name_for;
use super::output::{self, size};
use super::problem::Problem;
use super::verdict::Verdict;
use crate::api::{ObjectName, is_data_key};

/// What the API server accepts as the data of a ConfigMap.
pub const CONFIG_MAP_LIMIT: usize = 1 << 20;

const EXAMPLES: &str = "\
Example:
  wasm-issuer plugin package my_ca.wasm --name my-ca -n team-a \\
    | kubectl apply --server-side -f -

Server-side, because a client-side apply keeps a copy in an annotation, which holds 256 KiB.

Exit codes:
  0  printed
  1  the file is no plugin, or too large
  2  wrong usage, or a file that cannot be read";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct PackageArgs {
    /// The component, plain or gzip. `-` reads stdin.
    plugin: PathBuf,
    /// The ConfigMap's name [default: the name of the plugin's file]
    #[arg(long)]
    name: Option<ObjectName>,
    /// The ConfigMap's namespace: the Issuer's, or for a WasmClusterIssuer the operator's cluster resource namespace.
    /// Without, kubectl takes its own default.
    #[arg(long, short)]
    namespace: Option<ObjectName>,
    /// The key that holds the plugin.
    #[arg(long, default_value = "plugin.wasm")]
    key: String,
}

/// A component as it is stored.
pub struct Packed {
    pub bytes: Vec<u8>,
    pub gzip: bool,
}

impl Packed {
    /// The smaller one of the component and its gzip. The same component gives the same bytes.
    pub fn new(wasm: &[u8]) -> std::io::Result<Self> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(wasm)?;
        let gzip = encoder.finish()?;
        Ok(if gzip.len() < wasm.len() {
            Self { bytes: gzip, gzip: true }
        } else {
            Self { bytes: wasm.to_vec(), gzip: false }
        })
    }

    /// Whether a ConfigMap has room for it.
    pub fn fits(&self) -> bool {
        self.bytes.len() <= CONFIG_MAP_LIMIT
    }
}

pub fn run(args: PackageArgs) -> anyhow::Result<Verdict> {
    ensure!(is_data_key(&args.key), "--key {:?}: only letters, digits, '-', '_' and '.'", args.key);
    let name = args.name.map_or_else(|| name_for(&args.plugin), |name| name.to_string());
    let file = PluginFile::read(&args.plugin)?;
    let path = args.plugin.display();
    let failed = |problem: Box<Problem>| {
        output::stderr(&format!("not packaged: {path}\n{}", problem.text()))?;
        Ok(Verdict::Failed)
    };
    let wasm = match file.wasm {
        Ok(wasm) => wasm,
        Err(problem) => return failed(problem),
    };
    let inspection = host::runtime()?.inspect(&wasm, &Budget::WIDE);
    if let Err(error) = inspection.and_then(|inspection| inspection.fits()) {
        return failed(error.into());
    }
    let packed = Packed::new(wasm.as_slice())?;
    let bytes = wasm.as_slice().len();
    if !packed.fits() {
        output::stderr(&format!("not packaged: {path}: {}\n", too_large(bytes, &packed)))?;
        return Ok(Verdict::Failed);
    }
    let namespace = args.namespace.as_deref();
    output::stdout(&config_map(&name, namespace, &args.key, &packed.bytes, wasm.sha256()))?;
    let stored = if packed.gzip { "gzip" } else { "as it is" };
    output::stderr(&format!(
        "packaged {path}: {}, stored {stored} in {}; a ConfigMap holds 1 MiB\n",
        size(bytes),
        size(packed.bytes.len())
    ))?;
    Ok(Verdict::Fine)
}

/// Why a ConfigMap cannot hold a component.
pub fn too_large(plain: usize, packed: &Packed) -> String {
    let gzip = if packed.gzip { "with gzip" } else { "and gzip does not help" };
    format!(
        "it has {plain} bytes, {} {gzip}, and a ConfigMap holds at most {CONFIG_MAP_LIMIT} (1 MiB): build it with \
         opt-level = \"s\", lto = true, codegen-units = 1, panic = \"abort\" and strip = true",
        packed.bytes.len()
    )
}

/// Every name in quotes: YAML takes `123` for a number.
fn config_map(name: &str, namespace: Option<&str>, key: &str, bytes: &[u8], sha256: &str) -> String {
    let namespace = namespace.map(|namespace| format!("  namespace: {namespace:?}\n")).unwrap_or_default();
    format!(
        "# The plugin's SHA-256, for spec.plugin.sha256 of an Issuer: {sha256}\n\
         apiVersion: v1\n\
         kind: ConfigMap\n\
         metadata:\n  name: {name:?}\n{namespace}\
         binaryData:\n  {key:?}: {}\n",
        BASE64.encode(bytes)
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;
    use crate::operator::gunzip;

    #[test]
    fn gzip_is_used_where_it_helps_and_is_always_the_same() {
        let packed = Packed::new(&[0; 4096]).unwrap();
        assert!(packed.gzip && packed.bytes.len() < 100);
        assert_eq!(packed.bytes, Packed::new(&[0; 4096]).unwrap().bytes);
        assert_eq!(gunzip(packed.bytes, "x", 4096).unwrap(), [0; 4096]);
        let noise = Packed::new(b"\x01\x80\x7f").unwrap();
        assert_eq!((noise.gzip, noise.bytes.as_slice()), (false, &b"\x01\x80\x7f"[..]));
    }

    #[test]
    fn the_manifest_is_a_config_map() {
        let yaml = config_map("123", Some("team-a"), "plugin.wasm", b"\0asm", "4f0c");
        let map: ConfigMap = serde_saphyr::from_str(&yaml).unwrap();
        assert_eq!(
            (map.metadata.name.as_deref(), map.metadata.namespace.as_deref()),
            (Some("123"), Some("team-a"))
        );
        assert_eq!(map.binary_data.unwrap()["plugin.wasm"].0, b"\0asm");
        assert!(!config_map("a", None, "k", b"", "").contains("namespace"));
    }

    #[test]
    fn what_does_not_fit_names_the_sizes() {
        let packed = Packed { bytes: vec![0; CONFIG_MAP_LIMIT + 1], gzip: true };
        assert!(!packed.fits());
        let text = too_large(3 << 20, &packed);
        assert!(text.contains("3145728 bytes, 1048577 with gzip") && text.contains("1 MiB"), "{text}");
        assert_eq!(name_for(Path::new("a.wasm")), "a");
    }
}
