//! `wasm-issuer plugin push` and `pull`: plugins in OCI registries.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use clap::Args;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use wasm_issuer_core::text;
use wasm_issuer_oci::{
    Access, Attachment, Component, Credentials, Digest, DockerConfig, Error, MAX_REQUESTS, Reference,
    Registry, Scheme, SignerKey, Unverified,
};
use wasm_issuer_runtime::egress::{
    AddressPolicy, EgressConfig, HostClient, HostTimes, HttpGrant, HttpLimits,
};
use wasm_issuer_runtime::{Budget, Owner};

use super::host::{self, PluginFile};
use super::http;
use super::input::{self, quoted};
use super::output::{self, size};
use super::progress::Progress;
use super::signer;
use super::verdict::Verdict;
use crate::cli::executor::block_on;
use crate::registry_http::RegistryHttp;

/// For everything that a command does, and between two signs of life of a registry.
const TIMES: HostTimes = HostTimes { all: Duration::from_secs(1800), silence: Duration::from_secs(60) };

const PUSH_HELP: &str = "\
Examples:
  wasm-issuer plugin push my_ca.wasm registry.example/team/my-ca:1.0
  wasm-issuer plugin push my_ca.wasm localhost:5000/my-ca:dev --plain-http
  wasm-issuer plugin push my_ca.wasm registry.example/team/my-ca:1.0 --sign-key signer.key

Prints the reference with its digest, for spec.plugin.image.reference of an Issuer. The same component has the same digest.

A signature is as `cosign sign --key` makes it, with no entry in a log, and there before the tag is.
A key for it, and its public half for the operator's policy (signedBy):
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out signer.key
  openssl pkey -in signer.key -pubout -out signer.pub

Exit codes:
  0  pushed
  1  the file is no plugin, or the registry refuses it
  2  wrong usage, or a file that cannot be read";

const PULL_HELP: &str = "\
Examples:
  wasm-issuer plugin pull registry.example/team/my-ca:1.0
  wasm-issuer plugin pull registry.example/team/my-ca@sha256:9f86... -o - | wasm-issuer plugin inspect -
  wasm-issuer plugin pull registry.example/team/my-ca:1.0 --verify-key cosign.pub

Exit codes:
  0  pulled
  1  the registry refuses, or what it has is no component, or is not signed
  2  wrong usage, or a file that cannot be written";

#[derive(Args)]
#[command(after_help = PUSH_HELP)]
pub struct PushArgs {
    /// The component, plain or gzip. `-` reads stdin.
    plugin: PathBuf,
    /// Where it goes: registry/name:tag
    reference: Reference,
    /// Sign it with this private key: PEM, not encrypted, of P-256, P-384, P-521 or RSA
    #[arg(long, value_name = "FILE")]
    sign_key: Option<PathBuf>,
    #[command(flatten)]
    registry: RegistryArgs,
}

#[derive(Args)]
#[command(after_help = PULL_HELP)]
pub struct PullArgs {
    /// What to pull: registry/name:tag or registry/name@sha256:...
    reference: Reference,
    /// The file that it goes to; `-` writes to stdout [default: the last part of the name, with .wasm]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Pull it only if it is signed (cosign) by this public key, PEM, or another one of them. Repeatable.
    #[arg(long, value_name = "FILE")]
    verify_key: Vec<PathBuf>,
    #[command(flatten)]
    registry: RegistryArgs,
}

#[derive(Args)]
#[command(next_help_heading = "Registry")]
pub struct RegistryArgs {
    /// Speak to the registry in clear text, as to one on this machine.
    #[arg(long)]
    plain_http: bool,
    /// The CAs of the registry as PEM [default: the public ones]
    #[arg(long, value_name = "FILE")]
    ca_bundle: Option<PathBuf>,
    /// The credentials for registries, as `docker login` writes them [default: config.json in $DOCKER_CONFIG or ~/.docker]
    #[arg(long, value_name = "FILE")]
    docker_config: Option<PathBuf>,
}

/// Who we are to a registry.
#[derive(Default)]
pub struct Login {
    credentials: Option<Credentials>,
    /// Whether a helper program may have them, which is not run.
    has_helpers: bool,
    /// Whether it is spoken to in clear text.
    is_plain: bool,
}

pub fn push(args: PushArgs) -> anyhow::Result<Verdict> {
    let (Some(tag), None) = (&args.reference.tag, &args.reference.digest) else {
        bail!(
            "{}: push to a tag, such as registry.example/name:1.0; the digest is what comes of it",
            args.reference
        );
    };
    let path = args.plugin.display();
    let refuse = |problem: String| {
        output::stderr(&format!("not pushed: {path}: {problem}\n"))?;
        Ok(Verdict::Failed)
    };
    let wasm = match PluginFile::read(&args.plugin)?.wasm {
        Ok(wasm) => wasm,
        Err(problem) => return refuse(problem.text()),
    };
    let inspection = match host::runtime()?.inspect(&wasm, &Budget::WIDE) {
        Ok(inspection) => inspection,
        Err(error) => return refuse(error.to_string()),
    };
    if let Err(error) = inspection.fits() {
        return refuse(error.to_string());
    }
    let login = args.registry.login(&args.reference)?;
    let bytes = wasm.as_slice().len();
    let component =
        Component::new(Bytes::copy_from_slice(wasm.as_slice()), &inspection.imports, &inspection.exports);
    let signature = args.sign_key.as_deref().map(|path| signer::sign(&component, path)).transpose()?;
    let mut registry = args.registry.connect(&args.reference, &login, Access::Push)?;
    let progress = Progress::new(format!("pushing {} ({})", args.reference, size(bytes)));
    let pushed = write(&mut registry, &component, tag, signature.as_ref());
    let pushed = block_on(async { Ok(progress.during(pushed).await) })?;
    let digest = match pushed {
        Ok(digest) => digest,
        Err(error) => return refuse(login.explain(&args.reference, &error)),
    };
    let reference = args.reference.at(digest);
    output::stdout(&format!("{reference}\n"))?;
    let signed = signed_by(signature.as_ref().map(Attachment::signer));
    output::stderr(&format!(
        "pushed {path} ({}{signed}); for an Issuer:\n  plugin:\n    image: {{reference: \"{reference}\"}}\n    sha256: {}\n",
        size(bytes),
        wasm.sha256()
    ))?;
    Ok(Verdict::Fine)
}

/// Write a component and its signature. Whoever follows the tag and asks for a signature finds one.
async fn write(
    registry: &mut Registry<RegistryHttp>,
    component: &Component,
    tag: &str,
    signature: Option<&Attachment>,
) -> Result<Digest, Error> {
    if let Some(signature) = signature {
        registry.push(component, &component.digest().to_string()).await?;
        registry.attach(signature).await?;
    }
    registry.push(component, tag).await
}

fn signed_by(signer: Option<&SignerKey>) -> String {
    signer.map(|signer| format!(", signed by {signer}")).unwrap_or_default()
}

pub fn pull(args: PullArgs) -> anyhow::Result<Verdict> {
    let keys = signer::read(&args.verify_key)?;
    let login = args.registry.login(&args.reference)?;
    let mut registry = args.registry.connect(&args.reference, &login, Access::Pull)?;
    let mut progress = Progress::new(format!("pulling {}", args.reference));
    let pulled = block_on(async { Ok(fetch(&mut registry, &args.reference, &keys, &mut progress).await) })?;
    drop(progress);
    let Pulled { reference, wasm, signer } = match pulled {
        Ok(pulled) => pulled,
        Err(error) => {
            let why = login.explain_unverified(&args.reference, &error, &keys);
            output::stderr(&format!("not pulled: {}: {why}\n", args.reference))?;
            return Ok(Verdict::Failed);
        }
    };
    let name = args.reference.repository.rsplit('/').next().unwrap_or_default();
    let file = args.output.unwrap_or_else(|| format!("{name}.wasm").into());
    let to = if file == Path::new("-") {
        std::io::stdout().lock().write_all(&wasm).context("cannot write to stdout")?;
        "to stdout".to_owned()
    } else {
        input::write(&file, &wasm)?;
        format!("into {}", quoted(&file))
    };
    let signed = signed_by(signer);
    output::stderr(&format!("pulled {reference} ({}{signed}) {to}\n", size(wasm.len())))?;
    Ok(Verdict::Fine)
}

/// What a reference led to.
struct Pulled<'k> {
    reference: Reference,
    wasm: Vec<u8>,
    /// Whose signature it has, where one was asked for.
    signer: Option<&'k SignerKey>,
}

async fn fetch<'k>(
    registry: &mut Registry<RegistryHttp>,
    reference: &Reference,
    keys: &'k [SignerKey],
    progress: &mut Progress,
) -> Result<Pulled<'k>, Unverified> {
    let digest = resolve(registry, reference).await?;
    let signer = if keys.is_empty() { None } else { Some(registry.signer(&digest, keys).await?) };
    let layer = registry.manifest(&digest).await?.layer;
    let total = size(usize::try_from(layer.size).unwrap_or(usize::MAX));
    let mut show = |bytes: usize| progress.show(&format!(": {} of {total}", size(bytes)));
    let wasm = registry.layer(&layer, Budget::WIDE.component_bytes, &mut show).await?;
    Ok(Pulled { reference: reference.at(digest), wasm, signer })
}

/// The digest of the manifest that a reference stands for now.
pub async fn resolve(registry: &mut Registry<RegistryHttp>, reference: &Reference) -> Result<Digest, Error> {
    match &reference.digest {
        Some(digest) => Ok(digest.clone()),
        None => registry.resolve(reference.tag.as_deref().unwrap_or_default()).await,
    }
}

impl RegistryArgs {
    /// What the user's files say of us.
    pub fn login(&self, reference: &Reference) -> anyhow::Result<Login> {
        let path = match &self.docker_config {
            Some(path) => path.clone(),
            None => match default_config().filter(|path| path.exists()) {
                Some(path) => path,
                None => return Ok(Login { is_plain: self.plain_http, ..Login::default() }),
            },
        };
        let json = input::read(&path, "the credentials", input::MAX_TEXT)?;
        let config = DockerConfig::parse(&json).with_context(|| quoted(&path))?;
        let credentials = config.credentials(reference).with_context(|| quoted(&path))?.cloned();
        Ok(Login { credentials, has_helpers: config.has_helpers, is_plain: self.plain_http })
    }

    /// A client that reaches what the user's machine reaches.
    pub fn connect(
        &self,
        reference: &Reference,
        login: &Login,
        access: Access,
    ) -> anyhow::Result<Registry<RegistryHttp>> {
        let roots = self.ca_bundle.as_deref().map(http::read_roots).transpose()?;
        let everywhere: Vec<IpNet> = vec![Ipv4Net::default().into(), Ipv6Net::default().into()];
        let addresses = AddressPolicy { private: true, allow: everywhere, deny: vec![] };
        let grant = HttpGrant { roots, addresses, ..HttpGrant::default() };
        let most = Budget::WIDE.component_bytes.saturating_add(1);
        let limits = HttpLimits {
            requests: MAX_REQUESTS,
            request_body: most,
            response_body: most,
            ..HttpLimits::default()
        };
        let egress = EgressConfig::default().with_proxy_from_env();
        let client = HostClient::new(egress, Owner::new("", "plugin"), grant, limits, TIMES);
        let scheme = if self.plain_http { Scheme::Http } else { Scheme::Https };
        Ok(Registry::new(RegistryHttp(client), reference, scheme, login.credentials.clone(), access))
    }
}

impl Login {
    /// An error with what would mend it.
    pub fn explain(&self, reference: &Reference, error: &Error) -> String {
        let registry = &reference.registry;
        let fix = match error {
            Error::Denied(_) | Error::Token(_) if self.credentials.is_some() => {
                format!("; log in to {registry} again")
            }
            Error::Denied(_) | Error::Token(_) if self.has_helpers => format!(
                "; credential helpers (credsStore, credHelpers) are not run: write the credentials for {registry} into the \
                 `auths` of a file for --docker-config"
            ),
            Error::Denied(_) | Error::Token(_) => {
                format!("; log in first, with `docker login {registry}` or alike")
            }
            Error::Http(_) if !self.is_plain && is_loopback(registry) => {
                "; a registry without TLS needs --plain-http".to_owned()
            }
            _ => String::new(),
        };
        format!("{error}{fix}")
    }

    /// Why none of these keys is known to have signed, with what would mend that.
    pub fn explain_unverified(
        &self,
        reference: &Reference,
        error: &Unverified,
        keys: &[SignerKey],
    ) -> String {
        match error {
            Unverified::Registry(error) => self.explain(reference, error),
            Unverified::Unsigned(_) => {
                format!("{error}; --verify-key asks for one by {}", text::list(keys.iter(), 500))
            }
        }
    }
}

/// Whether a registry, `host[:port]`, is on this machine by its name.
fn is_loopback(registry: &str) -> bool {
    registry.starts_with("localhost") || registry.starts_with("127.")
}

fn default_config() -> Option<PathBuf> {
    let folder = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".docker")));
    folder.map(|folder| folder.join("config.json"))
}
