//! `wasm-issuer plugin inspect`

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::anyhow;
use clap::Args;
use serde::Serialize;
use wasm_issuer_runtime::describe::Description;
use wasm_issuer_runtime::{Account, ComponentBytes, Runtime};

use super::against::Comparison;
use super::component::Component;
use super::grants;
use super::host::{self, PluginFile, PluginIdentity};
use super::issuer::name_for;
use super::language;
use super::output::{self, Format, OutputArgs, Table, Timings, size};
use super::problem::{Call, Problem};
use super::verdict::Verdict;
use crate::api::{IssuerKind, ObjectName};
use crate::cli::description;

const EXAMPLES: &str = "\
Examples:
  wasm-issuer plugin inspect my_ca.wasm
  wasm-issuer plugin inspect my_ca.wasm -o json | jq .functions
  wasm-issuer plugin inspect new.wasm --against old.wasm
  wasm-issuer plugin inspect new.wasm --against old.wasm -o json | jq -e .against.equal

Exit codes, which say nothing of differences: two builds are hardly ever the same bytes
  0  an operator takes it
  1  it does not
  2  wrong usage, or a file that cannot be read";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct InspectArgs {
    /// The component, plain or gzip. `-` reads stdin.
    plugin: PathBuf,
    /// Another component, such as the one that serves now: what differs from it is shown in place of the rest.
    #[arg(long, value_name = "PLUGIN")]
    against: Option<PathBuf>,
    /// The name of the Issuer and of the ConfigMap to show [default: the name of the plugin's file]
    #[arg(long)]
    name: Option<ObjectName>,
    /// Their namespace [default: default, or for a WasmClusterIssuer, whose ConfigMap is the operator's, wasm-issuer]
    #[arg(long, short)]
    namespace: Option<ObjectName>,
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
    #[serde(flatten)]
    installation: Option<Installation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<Said>,
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<Comparison>,
    timings: Timings,
}

/// What it says of itself, as far as it fits here.
#[derive(Serialize)]
struct Said {
    name: String,
    version: String,
    summary: String,
}

impl From<Description> for Said {
    fn from(Description { name, version, summary, .. }: Description) -> Self {
        Self { name, version, summary }
    }
}

/// How it gets into a cluster.
#[derive(Serialize)]
struct Installation {
    /// An Issuer in YAML.
    issuer: String,
    commands: Vec<String>,
}

pub fn run(args: InspectArgs) -> anyhow::Result<Verdict> {
    let runtime = host::runtime()?;
    let file = PluginFile::read(&args.plugin)?;
    let other = args.against.as_deref().map(|path| read_other(&runtime, path)).transpose()?;
    let plugin = file.facts();
    let mut timings = Timings::default();
    let (component, loaded) = match file.wasm {
        Err(problem) => (None, Err(problem)),
        Ok(wasm) => {
            let component = Component::of(&runtime, &wasm)?.ok();
            (component, load(&runtime, &args.plugin, wasm, &mut timings)?)
        }
    };
    let (description, problem) = match loaded {
        Ok(description) => (description.map(Said::from), None),
        Err(problem) => (None, Some(problem)),
    };
    let (result, verdict) = match &problem {
        None => ("accepted", Verdict::Fine),
        Some(_) => ("refused", Verdict::Failed),
    };
    let against = args.against.as_ref().zip(other).zip(component.as_ref());
    let against = against.map(|((path, old), new)| Comparison::of(path.display().to_string(), &old, new));
    let installation = component.as_ref().map(|component| Installation::of(component, &args));
    let report = Report { result, plugin, problem, component, installation, description, against, timings };
    match args.output.output {
        Format::Json => output::json(&report)?,
        Format::Text => output::stdout(&report.text(&args.plugin.display().to_string()))?,
    }
    Ok(verdict)
}

/// The facts about the component that is compared with, which need not be a plugin.
fn read_other(runtime: &Runtime, path: &Path) -> anyhow::Result<Component> {
    let named = |why: String| anyhow!("--against {}: {why}", path.display());
    let wasm = PluginFile::read(path)?.wasm.map_err(|problem| named(problem.message))?;
    Component::of(runtime, &wasm)?.map_err(|error| named(error.to_string()))
}

/// What it says of itself, if it does, or why it cannot be loaded. Not by the names alone: also the types of all functions
/// have to be right.
fn load(
    runtime: &Arc<Runtime>,
    path: &Path,
    wasm: ComponentBytes,
    timings: &mut Timings,
) -> anyhow::Result<Result<Option<Description>, Box<Problem>>> {
    let account = Account::administrators();
    super::block_on(async {
        let (loaded, took) = host::load(runtime, path, wasm, &account).await;
        timings.add("compile", took);
        Ok(match loaded {
            Ok(plugin) => {
                let described = description::of(&plugin, &name_for(path)).await;
                described.map_err(|error| Problem::of(Call::Check, error))
            }
            Err(error) => Err(error.into()),
        })
    })
}

impl Installation {
    fn of(component: &Component, args: &InspectArgs) -> Self {
        let (kind, namespace) = match &component.too_much_for_tenants {
            None => (IssuerKind::Namespaced, "default"),
            Some(_) => (IssuerKind::Cluster, "wasm-issuer"),
        };
        let namespace = args.namespace.as_deref().unwrap_or(namespace);
        let name = args.name.as_ref().map_or_else(|| name_for(&args.plugin), ToString::to_string);
        let plugin = args.plugin.display();
        Self {
            issuer: grants::issuer(kind, &name, namespace, &component.sha256, &component.capabilities),
            commands: vec![
                format!(
                    "wasm-issuer plugin package {plugin} --name {name} --namespace {namespace} \
                     | kubectl apply --server-side -f -"
                ),
                "kubectl apply -f issuer.yaml".to_owned(),
            ],
        }
    }
}

impl Report {
    fn text(&self, file: &str) -> String {
        let mut text = match (&self.problem, self.component.as_ref().and_then(|it| it.world.as_ref())) {
            (None, Some(world)) => format!("{file}: a plugin, implements {world}\n"),
            (None, None) => format!("{file}: a plugin\n"),
            (Some(problem), _) => format!("{file}: refused\n{}", problem.text()),
        };
        let Some(component) = &self.component else { return text };
        if let Some(against) = &self.against {
            text.push_str(&against.text());
            return text;
        }
        if let Some(Said { name, version, summary }) = &self.description {
            text.push_str(&format!(
                "{name} {version}: {summary}; `wasm-issuer plugin docs {file}` has its configuration\n"
            ));
        }
        text.push_str(&component.facts(self.timings.text().trim_start_matches("compile ")));
        text.push_str(&component.interfaces());
        text.push_str(&component.abilities());
        if let Some(installation) = &self.installation
            && self.problem.is_none()
            && component.too_large.is_none()
        {
            text.push_str(&format!("\nissuer.yaml\n---\n{}---\n\n", installation.issuer));
            for command in &installation.commands {
                text.push_str(&format!("{command}\n"));
            }
        }
        text
    }
}

impl Component {
    /// Its digest, size and origin, and how long it took to compile.
    fn facts(&self, compiled_in: &str) -> String {
        let gzip = if self.packed_gzip { " with gzip" } else { "; gzip does not help" };
        let room = match &self.too_large {
            None => "fits into a ConfigMap (1 MiB)".to_owned(),
            Some(why) => format!("too large for a ConfigMap: {why}"),
        };
        let whose = match &self.too_much_for_tenants {
            None => "within what a WasmIssuer may use".to_owned(),
            Some(why) => format!("only for a WasmClusterIssuer: {why}"),
        };
        let mut table = Table::default();
        table
            .row("sha256", &self.sha256)
            .row("size", format!("{}, {}{gzip}", size(self.bytes), size(self.packed_bytes)))
            .row("", room)
            .row("", whose)
            .row("compiled in", compiled_in);
        if let Some(advice) = language::advice(&self.producers) {
            table.row("written in", advice);
        }
        for (field, producers) in &self.producers {
            table.row(field, producers.iter().map(String::as_str).collect::<Vec<_>>().join(", "));
        }
        table.text()
    }

    fn interfaces(&self) -> String {
        let imports = &self.imports;
        let groups = [
            ("exports", &self.exports),
            ("imports of the contract, and the functions of them", &imports.contract),
            (
                "imports of WASI (there are no files, environment, arguments or sockets behind it)",
                &imports.wasi,
            ),
            ("other imports", &imports.others),
        ];
        groups.map(|(title, names)| format!("\n{title}\n{}", self.listed(names))).concat()
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

    fn abilities(&self) -> String {
        let mut table = Table::default();
        for capability in &self.capabilities {
            let can = if capability.possible { "yes" } else { "no " };
            table.row(capability.what, format!("{can}: {}", capability.detail));
        }
        format!("\nwhat it can do, judged by its imports\n{}", table.text())
    }
}
