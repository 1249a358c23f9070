//! `wasm-issuer plugin inspect`

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use wasm_issuer_core::text::clean;
use wasm_issuer_runtime::{Account, Budget, Inspection};

use super::host::{self, PluginFile, PluginIdentity};
use super::issuer::name_for;
use super::output::{self, Format, OutputArgs, Table, Timings, size};
use super::package::{Packed, too_large};
use super::problem::Problem;
use super::uses;
use super::verdict::Verdict;
use crate::api::ObjectName;

const EXAMPLES: &str = "\
Examples:
  wasm-issuer plugin inspect my_ca.wasm
  wasm-issuer plugin inspect my_ca.wasm -o json | jq .functions

Exit codes:
  0  an operator takes it
  1  it does not
  2  wrong usage, or a file that cannot be read";

const CONTRACT: &str = "wasm-issuer:plugin/";
/// How much of a name from the component is shown.
const NAME: usize = 200;

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct InspectArgs {
    /// The component, plain or gzip. `-` reads stdin.
    plugin: PathBuf,
    /// The name of the Issuer and of the ConfigMap to show [default: the name of the plugin's file]
    #[arg(long)]
    name: Option<ObjectName>,
    /// Their namespace.
    #[arg(long, default_value = "default")]
    namespace: ObjectName,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    /// `accepted` or `refused`.
    result: &'static str,
    plugin: PluginIdentity,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Box<Problem>>,
    #[serde(flatten)]
    component: Option<Component>,
    timings: Timings,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Component {
    sha256: String,
    bytes: usize,
    packed_bytes: usize,
    packed_gzip: bool,
    fits_config_map: bool,
    imports: Imports,
    exports: Vec<String>,
    /// The functions that are imported of each interface.
    functions: BTreeMap<String, Vec<String>>,
    #[serde(rename = "grants")]
    capabilities: Vec<Capability>,
    issuer: String,
    commands: Vec<String>,
    #[serde(skip)]
    too_large: Option<String>,
    /// Why only a WasmClusterIssuer may use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    too_much_for_tenants: Option<String>,
}

#[derive(Default, Serialize)]
struct Imports {
    contract: Vec<String>,
    wasi: Vec<String>,
    others: Vec<String>,
}

/// Something that a plugin can do, and which field of an Issuer decides over it.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Capability {
    what: &'static str,
    possible: bool,
    detail: &'static str,
}

pub fn run(args: InspectArgs) -> anyhow::Result<Verdict> {
    let file = PluginFile::read(&args.plugin)?;
    let name = args.name.as_ref().map_or_else(|| name_for(&args.plugin), ToString::to_string);
    let facts = file.facts();
    let mut timings = Timings::default();
    let (component, problem) = match file.wasm {
        Err(problem) => (None, Some(problem)),
        Ok(wasm) => {
            let runtime = host::runtime()?;
            let component = match runtime.inspect(&wasm, &Budget::WIDE) {
                Ok(inspection) => {
                    let tenants = runtime.inspect(&wasm, &Budget::TENANT).and_then(|it| it.fits()).err();
                    let component = Component::new(inspection, wasm.as_slice(), &args, &name)?;
                    Some(Component {
                        too_much_for_tenants: tenants.map(|error| error.to_string()),
                        ..component
                    })
                }
                Err(_) => None,
            };
            let account = Account::administrators();
            // Not by the names alone: also the types of all functions have to be right.
            let (loaded, took) =
                super::block_on(async { Ok(host::load(&runtime, &args.plugin, wasm, &account).await) })?;
            timings.add("compile", took);
            (component, loaded.err().map(Box::from))
        }
    };
    let result = if problem.is_none() { "accepted" } else { "refused" };
    let verdict = if problem.is_none() { Verdict::Fine } else { Verdict::Failed };
    let report = Report { result, plugin: facts, problem, component, timings };
    match args.output.output {
        Format::Json => output::json(&report)?,
        Format::Text => output::stdout(&report.text(&args.plugin.display().to_string()))?,
    }
    Ok(verdict)
}

impl Component {
    fn new(inspection: Inspection, wasm: &[u8], args: &InspectArgs, name: &str) -> anyhow::Result<Self> {
        let packed = Packed::new(wasm)?;
        let mut imports = Imports::default();
        for import in &inspection.imports {
            let group = match import {
                import if import.starts_with(CONTRACT) => &mut imports.contract,
                import if import.starts_with("wasi:") => &mut imports.wasi,
                _ => &mut imports.others,
            };
            group.push(clean(import, NAME));
        }
        let functions = uses::functions(wasm).unwrap_or_default();
        let functions: BTreeMap<_, _> = functions
            .into_iter()
            .map(|(name, functions)| {
                (clean(&name, NAME), functions.iter().map(|it| clean(it, NAME)).collect())
            })
            .collect();
        let capabilities = capabilities(&functions);
        let plugin = args.plugin.display();
        let namespace = args.namespace.to_string();
        let commands = vec![
            format!(
                "wasm-issuer plugin package {plugin} --name {name} --namespace {namespace} \
                 | kubectl apply --server-side -f -"
            ),
            "kubectl apply -f issuer.yaml".to_owned(),
        ];
        Ok(Self {
            issuer: issuer(name, &namespace, &inspection.sha256, &capabilities),
            too_large: (!packed.fits()).then(|| too_large(wasm.len(), &packed)),
            too_much_for_tenants: None,
            sha256: inspection.sha256,
            bytes: inspection.size,
            packed_bytes: packed.bytes.len(),
            packed_gzip: packed.gzip,
            fits_config_map: packed.fits(),
            imports,
            exports: inspection.exports.iter().map(|export| clean(export, NAME)).collect(),
            functions,
            capabilities,
            commands,
        })
    }

    fn listed(&self, names: &[String]) -> String {
        let mut table = Table::default();
        for name in names {
            let functions =
                self.functions.get(name).map(|functions| functions.join(", ")).unwrap_or_default();
            table.row(name, functions);
        }
        if names.is_empty() {
            table.row("none", "");
        }
        table.text()
    }
}

/// What the imported functions let a plugin do.
fn capabilities(functions: &BTreeMap<String, Vec<String>>) -> Vec<Capability> {
    let interfaces =
        |prefix: &str| functions.iter().filter(move |(name, _)| name.starts_with(prefix)).collect::<Vec<_>>();
    let calls = |interface: &str, function: &str| {
        let wanted = format!("{CONTRACT}{interface}@");
        interfaces(&wanted).iter().any(|(_, functions)| functions.iter().any(|name| name == function))
    };
    let capability =
        |what, possible, yes, no| Capability { what, possible, detail: if possible { yes } else { no } };
    let secret = ["hmac", "placeholder", "field", "signing-key", "certificates"];
    let uses = secret.iter().any(|function| calls("secrets", &format!("[method]secret.{function}")));
    let reveals = calls("secrets", "[method]secret.reveal");
    let placeholder = calls("secrets", "[method]secret.placeholder");
    vec![
        capability(
            "secret",
            uses || reveals || calls("secrets", "names"),
            "uses keys of the Secret that spec.authSecretName names, through handles",
            "uses no Secret",
        ),
        capability(
            "reveal",
            reveals,
            "can read values, of the keys that spec.secrets.reveal names and no others",
            "cannot read any value of the Secret",
        ),
        capability(
            "keys",
            calls("keys", "ephemeral"),
            "makes private keys in the operator, which are lost when it restarts",
            "makes no private keys",
        ),
        capability(
            "network",
            !interfaces("wasi:http/").is_empty() || placeholder,
            "calls servers; spec.http.allowedHosts names those that it may reach",
            "cannot send any HTTP request",
        ),
    ]
}

fn issuer(name: &str, namespace: &str, sha256: &str, capabilities: &[Capability]) -> String {
    let can = |what| capabilities.iter().any(|capability| capability.what == what && capability.possible);
    let mut yaml = format!(
        "apiVersion: wasm-issuer.dev/v1alpha1\nkind: WasmIssuer\nmetadata:\n  name: {name:?}\n  namespace: \
         {namespace:?}\nspec:\n  plugin:\n    configMap: {{name: {name:?}}}\n    sha256: {sha256:?}\n  config: {{}}  # the plugin's own\n"
    );
    if can("secret") {
        yaml.push_str(&format!("  # authSecretName: {name}-auth  # where it is to use a Secret\n"));
    }
    if can("reveal") {
        yaml.push_str("  # secrets: {reveal: []}  # the keys that it may read\n");
    }
    if can("network") {
        yaml.push_str("  # http: {allowedHosts: []}  # https://host:port\n");
    }
    yaml
}

impl Report {
    fn text(&self, file: &str) -> String {
        let mut text = match &self.problem {
            None => format!("{file}: a plugin, implements wasm-issuer:plugin/issuer-plugin@0.1.0\n"),
            Some(problem) => format!("{file}: refused\n{}", problem.text()),
        };
        let Some(component) = &self.component else { return text };
        let gzip = if component.packed_gzip { " with gzip" } else { "; gzip does not help" };
        let room = match &component.too_large {
            None => "fits into a ConfigMap (1 MiB)".to_owned(),
            Some(why) => format!("too large for a ConfigMap: {why}"),
        };
        let mut table = Table::default();
        table
            .row("sha256", &component.sha256)
            .row("size", format!("{}, {}{gzip}", size(component.bytes), size(component.packed_bytes)))
            .row("", room)
            .row(
                "",
                component.too_much_for_tenants.as_ref().map_or_else(
                    || "within what a WasmIssuer may use".to_owned(),
                    |why| format!("only for a WasmClusterIssuer: {why}"),
                ),
            )
            .row("compiled in", self.timings.text().trim_start_matches("compile "));
        text.push_str(&table.text());
        let imports = &component.imports;
        for (title, names) in [
            ("exports", &component.exports),
            ("imports of the contract, and the functions of them", &imports.contract),
            (
                "imports of WASI (there are no files, environment, arguments or sockets behind it)",
                &imports.wasi,
            ),
            ("other imports", &imports.others),
        ] {
            text.push_str(&format!("\n{title}\n{}", component.listed(names)));
        }
        text.push_str("\nwhat it can do, judged by its imports\n");
        let mut table = Table::default();
        for capability in &component.capabilities {
            table.row(
                capability.what,
                format!("{}: {}", if capability.possible { "yes" } else { "no " }, capability.detail),
            );
        }
        text.push_str(&table.text());
        if self.problem.is_none() && component.too_large.is_none() {
            text.push_str(&format!("\nissuer.yaml\n---\n{}---\n\n", component.issuer));
            for command in &component.commands {
                text.push_str(&format!("{command}\n"));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn functions(interface: &str, names: &[&str]) -> BTreeMap<String, Vec<String>> {
        [(interface.to_owned(), names.iter().map(|name| (*name).to_owned()).collect())].into()
    }

    #[test]
    fn grants_follow_from_the_imported_functions() {
        let possible = |functions: &BTreeMap<_, _>| {
            capabilities(functions)
                .into_iter()
                .filter(|capability| capability.possible)
                .map(|capability| capability.what)
                .collect::<Vec<_>>()
        };
        let secrets = "wasm-issuer:plugin/secrets@0.1.0";
        assert_eq!(possible(&BTreeMap::new()), [""; 0]);
        assert_eq!(possible(&functions(secrets, &["get", "[method]secret.signing-key"])), ["secret"]);
        assert_eq!(possible(&functions(secrets, &["[method]secret.reveal"])), ["secret", "reveal"]);
        assert_eq!(possible(&functions(secrets, &["[method]secret.placeholder"])), ["secret", "network"]);
        assert_eq!(possible(&functions("wasm-issuer:plugin/keys@0.1.0", &["ephemeral"])), ["keys"]);
        assert_eq!(possible(&functions("wasi:http/outgoing-handler@0.2.3", &["handle"])), ["network"]);
    }

    #[test]
    fn the_issuer_is_one_that_the_api_has() {
        let capabilities =
            capabilities(&functions("wasm-issuer:plugin/secrets@0.1.0", &["[method]secret.reveal"]));
        let yaml = issuer("my-ca", "team-a", &"4f".repeat(32), &capabilities);
        let read: crate::api::WasmIssuer = serde_saphyr::from_str(&yaml).unwrap();
        assert_eq!(read.spec.0.plugin.sha256.as_deref(), Some("4f".repeat(32).as_str()));
        assert!(yaml.contains("# authSecretName: my-ca-auth") && yaml.contains("# secrets: {reveal: []}"));
    }
}
