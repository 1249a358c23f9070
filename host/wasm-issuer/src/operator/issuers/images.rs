//! Plugins in OCI registries: a reference is located, and its component is pulled, or found where it was kept.
//!
//! A registry may be anybody's, slow, and as large as it likes. So each step has its time and its turn, no more bytes are
//! taken than a component may have, and nobody who reads a ConfigMap waits for any of it.

mod kept;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kept::KeptImages;
use tracing::warn;
use wasm_issuer_oci::{
    Access, Credentials, Digest, Error, Layer, MAX_REQUESTS, Reference, Registry, Scheme, Unverified,
};
use wasm_issuer_runtime::egress::{self, EgressConfig, HostClient, HostTimes, HttpGrant, HttpLimits};
use wasm_issuer_runtime::{ComponentBytes, FairSlot, FairSlots, Folder, Turns};

use super::lend::RegistryAccess;
use super::place::Place;
use super::source_error::SourceError;
use super::sources::FoundComponent;
use crate::api::ImageSource;
use crate::registry_http::RegistryHttp;

/// How many tags and manifests are asked for at a time.
const ASKS: usize = 16;
/// How many components are being pulled, or wait in memory to be compiled or found.
const PULLS: usize = 4;
/// The same of those that were kept: nobody's registry keeps them waiting.
const READS: usize = 4;
/// For a tag and a manifest, or for signatures, with a token.
const ASK: HostTimes = HostTimes { all: Duration::from_secs(15), silence: Duration::from_secs(15) };
/// For a component, which is tens of megabytes at most.
const PULL: HostTimes = HostTimes { all: Duration::from_secs(120), silence: Duration::from_secs(15) };
/// In what is no component: a manifest, a signature or a token.
const MAX_ANSWER: usize = 1 << 20;

/// The registries, and what was pulled from them.
pub struct Images {
    egress: EgressConfig,
    turns: Turns,
    asks: Arc<FairSlots>,
    pulls: Arc<FairSlots>,
    reads: Arc<FairSlots>,
    kept: KeptImages,
}

/// What a reference leads to now. Displayed as people call it: `image registry.example/cfssl:1.2@sha256:...`.
pub struct Located {
    /// With its digest.
    reference: Reference,
    /// The manifest's.
    digest: Digest,
    layer: Layer,
    /// Whether its owner has pulled it: who asks by a digest alone need not be let in where it is from.
    pub is_known: bool,
    /// Whether its tag was followed, and is to be kept with the component.
    is_by_tag: bool,
}

impl Images {
    /// Nothing is asked for yet. Components that were pulled are kept in `folder`, if there is one.
    pub fn new(egress: EgressConfig, folder: Option<Folder>, turns: Turns) -> Self {
        let (asks, pulls, reads) = (FairSlots::new(ASKS), FairSlots::new(PULLS), FairSlots::new(READS));
        Self { egress, turns, asks, pulls, reads, kept: KeptImages::new(folder) }
    }

    /// Find out what a reference leads to. A digest that was pulled before needs no registry, and a tag means what it meant
    /// last where its registry does not answer.
    pub async fn locate(
        &self,
        source: &ImageSource,
        place: &Place<'_>,
        access: &RegistryAccess,
    ) -> Result<Located, SourceError> {
        let reference = source.reference()?;
        if let Some(digest) = &reference.digest
            && let Some(layer) = self.kept.layer(&reference, place).await
        {
            let digest = digest.clone();
            return Ok(Located { reference, digest, layer, is_known: true, is_by_tag: false });
        }
        let _turn = self.asks.acquire(&place.owner).await;
        let mut registry = self.registry(&reference, place, access, ASK, MAX_ANSWER)?;
        let is_by_tag = reference.digest.is_none();
        let digest = match &reference.digest {
            Some(digest) => digest.clone(),
            None => {
                let resolved = self.resolve(&mut registry, &reference, place).await;
                resolved.map_err(|error| failed(&reference, error, access))?
            }
        };
        let reference = reference.at(digest.clone());
        if let Some(layer) = self.kept.layer(&reference, place).await {
            if is_by_tag {
                self.kept.keep_tag(&reference, &digest, place).await;
            }
            return Ok(Located { reference, digest, layer, is_known: true, is_by_tag });
        }
        let manifest = registry.manifest(&digest).await;
        let layer = manifest.map_err(|error| failed(&reference, error, access))?.layer;
        Ok(Located { reference, digest, layer, is_known: false, is_by_tag })
    }

    async fn resolve(
        &self,
        registry: &mut Registry<RegistryHttp>,
        reference: &Reference,
        place: &Place<'_>,
    ) -> Result<Digest, Error> {
        match registry.resolve(reference.tag.as_deref().unwrap_or_default()).await {
            Err(error) if error.may_pass() => {
                let last = self.kept.tag(reference, place).await.ok_or_else(|| error.clone())?;
                warn!(%reference, %error, "a tag means what it meant last: its registry does not answer");
                Ok(last)
            }
            told => told,
        }
    }

    /// Refuse what none of the policy's keys has signed, where it names any. Whose signature a manifest has is kept: that
    /// does not change, and its registry may be down when it is asked again.
    pub async fn check_signature(
        &self,
        located: &Located,
        place: &Place<'_>,
        access: &RegistryAccess,
    ) -> Result<(), SourceError> {
        let (Located { reference, digest, .. }, keys) = (located, &access.bounds.signed_by);
        if keys.is_empty() {
            return Ok(());
        }
        let known = self.kept.signer(reference, place).await;
        let is_one_of_them = |signer: &Digest| keys.iter().any(|key| key.fingerprint() == signer);
        let signer = match known.filter(is_one_of_them) {
            Some(signer) => signer,
            None => {
                let _turn = self.asks.acquire(&place.owner).await;
                let mut registry = self.registry(reference, place, access, ASK, MAX_ANSWER)?;
                match registry.signer(digest, keys).await {
                    Ok(key) => key.fingerprint().clone(),
                    Err(Unverified::Registry(error)) => return Err(failed(reference, error, access)),
                    Err(Unverified::Unsigned(found)) => {
                        let image = format!("{}/{}@{digest}", reference.registry, reference.repository);
                        let violation = access.bounds.unsigned(place.kind);
                        return Err(SourceError::Unsigned { image, found, violation });
                    }
                }
            }
        };
        self.kept.keep_signer(reference, &signer, place).await;
        Ok(())
    }

    /// The component that was located: as it was kept, or pulled.
    pub async fn component(
        &self,
        located: &Located,
        place: &Place<'_>,
        access: &RegistryAccess,
    ) -> Result<FoundComponent, SourceError> {
        let found =
            |component, room: Arc<FairSlot>| FoundComponent { component, source: located.to_string(), room };
        let Located { reference, digest, layer, is_known, is_by_tag } = located;
        let as_bytes = |bytes: Vec<u8>| {
            self.turns.compute_of(bytes.len(), &place.owner, move || ComponentBytes::new(bytes))
        };
        if *is_known {
            let room = Arc::new(self.reads.acquire(&place.owner).await);
            if let Some(bytes) = self.kept.component(reference, place, room.clone()).await {
                let component = as_bytes(bytes).await;
                if component.sha256() == layer.digest.hex() {
                    return Ok(found(component, room));
                }
            }
        }
        let room = Arc::new(self.pulls.acquire(&place.owner).await);
        let limit = place.account().budget.component_bytes;
        let mut registry = self.registry(reference, place, access, PULL, limit.saturating_add(1))?;
        let pulled = registry.layer(layer, limit, &mut |_| {}).await;
        let bytes = pulled.map_err(|error| failed(reference, error, access))?;
        let component = as_bytes(bytes).await;
        self.kept.keep(reference, layer, &component, place, room.clone()).await;
        if *is_by_tag {
            self.kept.keep_tag(reference, digest, place).await;
        }
        Ok(found(component, room))
    }

    /// A client for one step, which may take so long and be sent so much.
    fn registry(
        &self,
        reference: &Reference,
        place: &Place<'_>,
        access: &RegistryAccess,
        times: HostTimes,
        response_body: usize,
    ) -> Result<Registry<RegistryHttp>, SourceError> {
        let scheme = match access.bounds.registry_scheme(reference) {
            Some(egress::Scheme::Https) => Scheme::Https,
            Some(egress::Scheme::Http) => Scheme::Http,
            None => return Err(SourceError::RegistryForbidden(reference.registry.clone())),
        };
        let grant = HttpGrant {
            roots: access.roots.clone(),
            addresses: access.bounds.addresses(),
            ..HttpGrant::default()
        };
        let limits = HttpLimits { requests: MAX_REQUESTS, response_body, ..HttpLimits::default() };
        let client = HostClient::new(self.egress.clone(), place.owner.clone(), grant, limits, times);
        let credentials = credentials(reference, access)?;
        Ok(Registry::new(RegistryHttp(client), reference, scheme, credentials, Access::Pull))
    }
}

impl Located {
    /// The SHA-256 of the component, as its manifest has it: 64 hexadecimal digits.
    pub fn sha256(&self) -> &str {
        self.layer.digest.hex()
    }
}

impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "image {}", self.reference)
    }
}

fn credentials(reference: &Reference, access: &RegistryAccess) -> Result<Option<Credentials>, SourceError> {
    let Some(config) = access.pull.as_ref().and_then(|kept| kept.used.pull.as_ref()) else { return Ok(None) };
    config.credentials(reference).map(Option::<&Credentials>::cloned).map_err(|error| {
        SourceError::PullSecret { secret: access.pull_secret.clone().unwrap_or_default(), error }
    })
}

/// What went wrong, and what would mend it.
fn failed(reference: &Reference, error: Error, access: &RegistryAccess) -> SourceError {
    let registry = &reference.registry;
    let fix = match (&error, &access.pull_secret) {
        (Error::Denied(_) | Error::Token(_), None) => {
            "; name a Secret of type kubernetes.io/dockerconfigjson with its credentials in \
             spec.plugin.image.pullSecretName"
                .to_owned()
        }
        (Error::Denied(_) | Error::Token(_), Some(secret)) => match credentials(reference, access) {
            Ok(Some(_)) => format!(r#"; mend the credentials for {registry} in Secret "{secret}""#),
            _ => format!(r#"; Secret "{secret}" has no credentials for {registry}"#),
        },
        (Error::NotFound(_), _) => {
            "; push it there (wasm-issuer plugin push), or name what is there".to_owned()
        }
        (Error::NoComponent(_), _) => "; wasm-issuer plugin push makes what belongs there".to_owned(),
        _ => String::new(),
    };
    SourceError::Image { reference: reference.to_string(), error, fix }
}
