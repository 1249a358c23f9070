//! What was pulled from registries, by whom and from where.
//!
//! Who has pulled a component has shown that it may have it. A digest shows nothing: it may be known to who may not. So what
//! is kept is kept for one owner, a namespace or the administrators, and for one repository.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use wasm_issuer_oci::{Digest, Layer, Reference};
use wasm_issuer_runtime::{ComponentBytes, FairSlot, Folder};

use crate::operator::issuers::place::Place;
use crate::operator::shared::SharedMap;

/// How many tags, signers and components each are remembered, apart from the folder.
const REMEMBERED: usize = 4096;
/// How long what nobody uses is remembered, where there is no place for what is new.
const LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// In memory what leads to a component; the component itself in a folder, if there is one.
pub struct KeptImages {
    folder: Option<Arc<Folder>>,
    /// What a tag stood for last.
    tags: Remembered<Digest>,
    /// By which key a manifest is signed.
    signers: Remembered<Digest>,
    /// What a manifest leads to, where it was followed to its end.
    layers: Remembered<Layer>,
}

/// By name, with the time when it was used last.
type Remembered<T> = Mutex<SharedMap<String, (Instant, T)>>;

impl KeptImages {
    /// With what is in the folder.
    pub fn new(folder: Option<Folder>) -> Self {
        Self {
            folder: folder.map(Arc::new),
            tags: Mutex::new(SharedMap::new(REMEMBERED)),
            signers: Mutex::new(SharedMap::new(REMEMBERED)),
            layers: Mutex::new(SharedMap::new(REMEMBERED)),
        }
    }

    /// What the digest of a reference leads to, if its owner has pulled that.
    pub async fn layer(&self, reference: &Reference, place: &Place<'_>) -> Option<Layer> {
        let name = name(place, reference, &reference.digest.as_ref()?.to_string());
        let file = name.clone();
        if let Some(layer) = get(&self.layers, &name) {
            self.in_folder(move |folder| folder.touch(&file).then_some(())).await;
            return Some(layer);
        }
        let (sha256, size) = self.in_folder(move |folder| folder.digest(&file)).await?;
        let layer = Layer { digest: format!("sha256:{sha256}").parse().ok()?, size };
        put(&self.layers, name, layer.clone(), place);
        Some(layer)
    }

    /// The component that the digest of a reference leads to, if it is in the folder. It takes this room.
    pub async fn component(
        &self,
        reference: &Reference,
        place: &Place<'_>,
        room: Arc<FairSlot>,
    ) -> Option<Vec<u8>> {
        let name = name(place, reference, &reference.digest.as_ref()?.to_string());
        self.in_folder(move |folder| {
            let _room = room; // until it is really over: a blocking thread cannot be stopped
            folder.get(&name)
        })
        .await
    }

    /// Keep what its owner has pulled, which takes this room.
    pub async fn keep(
        &self,
        reference: &Reference,
        layer: &Layer,
        component: &ComponentBytes,
        place: &Place<'_>,
        room: Arc<FairSlot>,
    ) {
        let Some(digest) = &reference.digest else { return };
        let name = name(place, reference, &digest.to_string());
        put(&self.layers, name.clone(), layer.clone(), place);
        let component = component.clone();
        self.in_folder(move |folder| {
            let _room = room;
            write(folder, &name, component.as_slice())
        })
        .await;
    }

    /// What the tag of a reference stood for last.
    pub async fn tag(&self, reference: &Reference, place: &Place<'_>) -> Option<Digest> {
        self.fact(&self.tags, tag_name(reference, place)?).await
    }

    /// Keep what the tag of a reference stands for now.
    pub async fn keep_tag(&self, reference: &Reference, digest: &Digest, place: &Place<'_>) {
        if let Some(name) = tag_name(reference, place) {
            self.keep_fact(&self.tags, name, digest, place).await;
        }
    }

    /// The fingerprint of the key whose signature the digest of a reference was found to have.
    pub async fn signer(&self, reference: &Reference, place: &Place<'_>) -> Option<Digest> {
        self.fact(&self.signers, signer_name(reference, place)?).await
    }

    /// Keep whose signature the digest of a reference has.
    pub async fn keep_signer(&self, reference: &Reference, signer: &Digest, place: &Place<'_>) {
        if let Some(name) = signer_name(reference, place) {
            self.keep_fact(&self.signers, name, signer, place).await;
        }
    }

    async fn fact(&self, facts: &Remembered<Digest>, name: String) -> Option<Digest> {
        if let Some(fact) = get(facts, &name) {
            return Some(fact);
        }
        let text = self.in_folder(move |folder| folder.get(&name)).await?;
        std::str::from_utf8(&text).ok()?.parse().ok()
    }

    async fn keep_fact(&self, facts: &Remembered<Digest>, name: String, fact: &Digest, place: &Place<'_>) {
        let is_known = get(facts, &name).as_ref() == Some(fact);
        if !is_known {
            put(facts, name.clone(), fact.clone(), place);
        }
        let text = fact.to_string();
        self.in_folder(move |folder| {
            if is_known && folder.touch(&name) { Some(()) } else { write(folder, &name, text.as_bytes()) }
        })
        .await;
    }

    async fn in_folder<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Folder) -> Option<T> + Send + 'static,
    ) -> Option<T> {
        let folder = self.folder.clone()?;
        tokio::task::spawn_blocking(move || job(&folder)).await.ok().flatten()
    }
}

/// That it cannot be kept is no reason not to use it.
fn write(folder: &Folder, name: &str, content: &[u8]) -> Option<()> {
    let written = folder.put(name, content);
    if let Err(error) = &written {
        tracing::warn!(folder = %folder.dir().display(), %error, "what was pulled from a registry could not be kept");
    }
    written.ok()
}

fn tag_name(reference: &Reference, place: &Place<'_>) -> Option<String> {
    Some(name(place, reference, &format!(":{}", reference.tag.as_deref()?)))
}

fn signer_name(reference: &Reference, place: &Place<'_>) -> Option<String> {
    Some(name(place, reference, &format!("signer of {}", reference.digest.as_ref()?)))
}

/// The name of what is kept for an owner of a `:tag`, a `sha256:digest` or the signer of that in a repository: the owner's
/// digest is in front, as the folder shares its room. No part has a line break in it.
fn name(place: &Place<'_>, reference: &Reference, what: &str) -> String {
    let Reference { registry, repository, .. } = reference;
    let owner = Digest::of(place.account().owner.as_bytes());
    let what = Digest::of(format!("{registry}\n{repository}\n{what}").as_bytes());
    format!("{}-{}", owner.hex(), what.hex())
}

fn get<T: Clone>(map: &Remembered<T>, name: &String) -> Option<T> {
    let mut map = lock(map);
    let (used, value) = map.get_mut(name)?;
    *used = Instant::now();
    Some(value.clone())
}

fn put<T>(map: &Remembered<T>, name: String, value: T, place: &Place<'_>) {
    let (mut map, new) = (lock(map), (Instant::now(), value));
    match map.get_mut(&name) {
        Some(old) => *old = new,
        None => {
            map.insert(name, new, &place.owner, |(used, _)| used.elapsed() >= LIFE);
        }
    }
}

fn lock<T>(map: &Mutex<T>) -> MutexGuard<'_, T> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs::File;
    use std::time::SystemTime;

    use wasm_issuer_runtime::FairSlots;

    use super::*;
    use crate::api::{IssuerKey, IssuerKind, Quantity};

    fn key(namespace: &str, n: usize) -> IssuerKey {
        let (kind, namespace) = (IssuerKind::Namespaced, Some(namespace.to_owned()));
        IssuerKey { kind, namespace, name: format!("ca-{n}") }
    }

    #[tokio::test]
    async fn a_file_is_its_owners_and_is_used_when_its_plugin_is_found_in_memory() {
        let dir = tempfile::tempdir().unwrap();
        let images = KeptImages::new(Some(Folder::shared(dir.path().join("a"), 1 << 20).unwrap()));
        let layer = Layer { digest: Digest::of(b"x"), size: 1 };
        for (namespace, n) in [("team-a", 1), ("team-a", 2), ("team-b", 1)] {
            let key = key(namespace, n);
            let place = Place::of(&key, namespace, Quantity::default());
            let reference: Reference = format!("r.example/a-{n}").parse().unwrap();
            let reference = reference.at(Digest::of(b"manifest"));
            let room = Arc::new(FairSlots::new(1).acquire(&place.owner).await);
            images.keep(&reference, &layer, &ComponentBytes::new(b"x".to_vec()), &place, room).await;
            let file =
                dir.path().join("a").join(name(&place, &reference, &Digest::of(b"manifest").to_string()));
            File::open(&file).and_then(|file| file.set_modified(SystemTime::UNIX_EPOCH)).unwrap();
            assert_eq!(images.layer(&reference, &place).await, Some(layer.clone()));
            assert!(file.metadata().unwrap().modified().unwrap() > SystemTime::UNIX_EPOCH);
        }
        let names = std::fs::read_dir(dir.path().join("a")).unwrap();
        let names: Vec<String> = names.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        let owners: BTreeSet<&str> = names.iter().map(|name| name.split('-').next().unwrap()).collect();
        assert_eq!((names.len(), owners.len()), (3, 2), "{names:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_uses_any_more_makes_room_for_what_is_new() {
        let images = KeptImages::new(None);
        let digest = Digest::of(b"x");
        let known = async |n: usize| {
            let (key, reference) = (key("team-a", n), format!("r.example/a:{n}").parse().unwrap());
            let place = Place::of(&key, "team-a", Quantity::default());
            let before = images.tag(&reference, &place).await.is_some();
            images.keep_tag(&reference, &digest, &place).await;
            (before, images.tag(&reference, &place).await.is_some())
        };
        for n in 0..REMEMBERED {
            known(n).await;
        }
        assert_eq!(known(REMEMBERED).await, (false, false), "it has its share");
        tokio::time::advance(LIFE / 2).await;
        assert_eq!(known(0).await, (true, true));
        tokio::time::advance(LIFE / 2).await;
        assert_eq!(known(REMEMBERED).await, (false, true));
        assert!(known(0).await.0 && !known(1).await.0);
    }
}
