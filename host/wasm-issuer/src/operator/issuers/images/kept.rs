//! What was pulled from registries, by whom and from where.
//!
//! Who has pulled a component has shown that it may have it. A digest shows nothing: it may be known to who may not. So what
//! is kept is kept for one owner, a namespace or the administrators, and for one repository.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasm_issuer_oci::{Digest, Layer, Reference};
use wasm_issuer_runtime::{ComponentBytes, Folder};

use crate::operator::issuers::place::Place;
use crate::operator::shared::SharedMap;

/// How many tags and how many components are remembered, apart from the folder.
const REMEMBERED: usize = 4096;

/// In memory what leads to a component; the component itself in a folder, if there is one.
pub struct KeptImages {
    folder: Option<Arc<Folder>>,
    /// What a tag stood for last.
    tags: Mutex<SharedMap<String, Digest>>,
    /// What a manifest leads to, where it was followed to its end.
    layers: Mutex<SharedMap<String, Layer>>,
}

impl KeptImages {
    /// With what is in the folder.
    pub fn new(folder: Option<Folder>) -> Self {
        Self {
            folder: folder.map(Arc::new),
            tags: Mutex::new(SharedMap::new(REMEMBERED)),
            layers: Mutex::new(SharedMap::new(REMEMBERED)),
        }
    }

    /// What the digest of a reference leads to, if its owner has pulled that.
    pub async fn layer(&self, reference: &Reference, place: &Place<'_>) -> Option<Layer> {
        let name = name(place, reference, &reference.digest.as_ref()?.to_string());
        if let Some(layer) = get(&self.layers, &name) {
            return Some(layer);
        }
        let file = name.clone();
        let (sha256, size) = self.in_folder(move |folder| folder.digest(&file)).await?;
        let layer = Layer { digest: format!("sha256:{sha256}").parse().ok()?, size };
        put(&self.layers, name, layer.clone(), place);
        Some(layer)
    }

    /// The component that the digest of a reference leads to, if it is in the folder.
    pub async fn component(&self, reference: &Reference, place: &Place<'_>) -> Option<Vec<u8>> {
        let name = name(place, reference, &reference.digest.as_ref()?.to_string());
        self.in_folder(move |folder| folder.get(&name)).await
    }

    /// Keep what its owner has pulled.
    pub async fn keep(
        &self,
        reference: &Reference,
        layer: &Layer,
        component: &ComponentBytes,
        place: &Place<'_>,
    ) {
        let Some(digest) = &reference.digest else { return };
        let name = name(place, reference, &digest.to_string());
        put(&self.layers, name.clone(), layer.clone(), place);
        let component = component.clone();
        self.write(name, move || component.as_slice().to_vec()).await;
    }

    /// What the tag of a reference stood for last.
    pub async fn tag(&self, reference: &Reference, place: &Place<'_>) -> Option<Digest> {
        let name = name(place, reference, &format!(":{}", reference.tag.as_deref()?));
        if let Some(digest) = get(&self.tags, &name) {
            return Some(digest);
        }
        let text = self.in_folder(move |folder| folder.get(&name)).await?;
        std::str::from_utf8(&text).ok()?.parse().ok()
    }

    /// Keep what the tag of a reference stands for now.
    pub async fn keep_tag(&self, reference: &Reference, digest: &Digest, place: &Place<'_>) {
        let Some(tag) = &reference.tag else { return };
        let name = name(place, reference, &format!(":{tag}"));
        if get(&self.tags, &name).as_ref() == Some(digest) {
            return;
        }
        put(&self.tags, name.clone(), digest.clone(), place);
        let text = digest.to_string();
        self.write(name, || text.into_bytes()).await;
    }

    /// That it cannot be kept is no reason not to use it.
    async fn write(&self, name: String, content: impl FnOnce() -> Vec<u8> + Send + 'static) {
        self.in_folder(move |folder| {
            if let Err(error) = folder.put(&name, &content()) {
                tracing::warn!(folder = %folder.dir().display(), %error, "what was pulled from a registry could not be kept");
            }
            Some(())
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

/// The name of what is kept for an owner of a `:tag` or a `sha256:digest` in a repository: no part has a line break in it.
fn name(place: &Place<'_>, reference: &Reference, what: &str) -> String {
    let Reference { registry, repository, .. } = reference;
    let owner = place.account().owner;
    Digest::of(format!("{owner}\n{registry}\n{repository}\n{what}").as_bytes()).hex().to_owned()
}

fn get<T: Clone>(map: &Mutex<SharedMap<String, T>>, name: &String) -> Option<T> {
    lock(map).get_mut(name).cloned()
}

fn put<T>(map: &Mutex<SharedMap<String, T>>, name: String, value: T, place: &Place<'_>) {
    let mut map = lock(map);
    match map.get_mut(&name) {
        Some(old) => *old = value,
        None => {
            map.insert(name, value, &place.owner, |_| false);
        }
    }
}

fn lock<T>(map: &Mutex<T>) -> MutexGuard<'_, T> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}
