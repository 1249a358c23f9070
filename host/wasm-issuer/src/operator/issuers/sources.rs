//! Reads what an Issuer names: its plugin's bytes and its Secret.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use futures::AsyncReadExt;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Resource;
use kube::api::GetParams;
use kube::core::Request;
use serde::de::DeserializeOwned;
use wasm_issuer_core::text;
use wasm_issuer_runtime::{ComponentBytes, FairSlot, FairSlots, SecretData, Turns};
use zeroize::Zeroizing;

use super::api_server::ApiServer;
use super::builtins::Builtins;
use super::dependency::{Dependency, Versions};
use super::place::Place;
use super::source_error::{MAX_KEYS, SourceError};
use super::watches::Version;
use crate::api::ConfigMapSource;
use crate::operator::api_turns::ApiTurn;
use crate::operator::read::{ReadError, in_time};

/// How many components are in memory at a time before they are compiled or found: what is gzip may be large.
const ROOMS: usize = 4;
/// More than any object that etcd takes has as JSON, in bytes.
const MAX_OBJECT: u64 = 8 << 20;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The bytes of a plugin and where they are from.
pub struct FoundComponent {
    /// The wasm bytes, uncompressed.
    pub component: ComponentBytes,
    /// For people: `ConfigMap team-a/cfssl-plugin plugin.wasm`.
    pub source: String,
    /// The room that the bytes take, among those of all Issuers.
    pub room: Arc<FairSlot>,
}

/// Reads from the cluster and from the folder of builtin plugins.
#[derive(Clone)]
pub struct Sources {
    /// Has the ConfigMaps and Secrets.
    pub api: ApiServer,
    pub builtins: Builtins,
    /// For what takes long to parse and to unpack.
    turns: Turns,
    rooms: Arc<FairSlots>,
}

impl Sources {
    /// Nothing is read yet.
    pub fn new(api: ApiServer, builtins: PathBuf, turns: Turns) -> Self {
        Self { api, builtins: Builtins::new(builtins), turns, rooms: FairSlots::new(ROOMS) }
    }

    /// Read a plugin in a ConfigMap, when there is room for its bytes. Notes in `versions` which version it read, also of one
    /// that turns out to be of no use.
    pub async fn config_map(
        &self,
        source: &ConfigMapSource,
        place: &Place<'_>,
        versions: &mut Versions,
    ) -> Result<FoundComponent, SourceError> {
        let (name, key) = (source.name.to_string(), source.key.clone());
        let found = self.read_config_map(&name, place).await?;
        let namespace = place.namespace.to_owned();
        let Some((json, room)) = found else {
            let field = "spec.plugin.configMap.name";
            return Err(SourceError::NotFound { kind: "ConfigMap", namespace, name, field });
        };
        let source = format!("ConfigMap {namespace}/{name} {key}");
        let limit = place.account().budget.component_bytes;
        let (what, bytes) = (source.clone(), json.len());
        let read = move || {
            let map: ConfigMap = parse(&json, || what_is("ConfigMap", &namespace, &name))?;
            Ok::<_, SourceError>((Version::of(Some(&map)), plugin_bytes(map, namespace, name, key)))
        };
        let (version, packed) = self.turns.compute_of(bytes, &place.owner, read).await?;
        versions.insert(Dependency::Plugin, version);
        let packed = packed?;
        // As many as it may become: a few packed ones are megabytes.
        let bytes = if packed.starts_with(&GZIP_MAGIC) { limit } else { packed.len() };
        let unpack = move || gunzip(packed, &what, limit).map(ComponentBytes::new);
        let component = self.turns.compute_of(bytes, &place.owner, unpack).await?;
        Ok(FoundComponent { component, source, room: Arc::new(room) })
    }

    /// Read a ConfigMap as JSON, if it is there. Room is taken when the API server has begun to answer: one that hangs takes
    /// none.
    async fn read_config_map(
        &self,
        name: &str,
        place: &Place<'_>,
    ) -> Result<Option<(Vec<u8>, FairSlot)>, SourceError> {
        let what = || what_is("ConfigMap", place.namespace, name);
        let request = get::<ConfigMap>(name, place, what)?;
        let turn = self.api.turn(&place.owner).await;
        let begun = self.api.client.request_stream(request);
        let Some(answer) = read(if_there(begun), what()).await? else { return Ok(None) };
        let room = self.rooms.acquire(&place.owner).await;
        let mut bytes = Vec::new();
        let mut answer = std::pin::pin!(answer.take(MAX_OBJECT));
        in_time(answer.read_to_end(&mut bytes)).await.map_err(unanswered(what))?;
        drop(turn);
        Ok(Some((bytes, room)))
    }

    /// Read a builtin plugin, when there is room for its bytes.
    pub async fn builtin(&self, name: &str, place: &Place<'_>) -> Result<FoundComponent, SourceError> {
        let room = Arc::new(self.rooms.acquire(&place.owner).await);
        let component = self.builtins.read(name).await?;
        Ok(FoundComponent { component, source: builtin_source(name), room })
    }

    /// Read a Secret that a field of the Issuer names, with its version, in this turn.
    pub async fn secret(
        &self,
        field: &'static str,
        name: &str,
        place: &Place<'_>,
        turn: ApiTurn,
    ) -> Result<(SecretData, Version), SourceError> {
        let found = self.read_secret(name, place, turn).await?;
        let (name, namespace) = (name.to_owned(), place.namespace.to_owned());
        let Some(secret) = found else {
            return Err(SourceError::NotFound { kind: "Secret", namespace, name, field });
        };
        let version = Version::of(Some(&secret));
        let data = secret.data.unwrap_or_default();
        // To a plugin no keys look like no Secret, and without one it may make a CA of its own.
        if data.is_empty() {
            return Err(SourceError::EmptySecret { namespace, name, field });
        }
        if data.len() > MAX_KEYS {
            return Err(SourceError::ManyKeys { namespace, name, keys: data.len(), field });
        }
        let data = data.into_iter().map(|(key, value)| (key, Zeroizing::new(value.0))).collect();
        Ok((SecretData { namespace, name, values: data }, version))
    }

    /// Read a Secret, if it is there, in this turn.
    async fn read_secret(
        &self,
        name: &str,
        place: &Place<'_>,
        turn: ApiTurn,
    ) -> Result<Option<Secret>, SourceError> {
        let what = what_is("Secret", place.namespace, name);
        let request = get::<Secret>(name, place, || what.clone())?;
        let found = read(if_there(self.api.client.request_text(request)), what.clone()).await?;
        let Some(json) = found.map(Zeroizing::new) else { return Ok(None) };
        let bytes = json.len();
        self.api.has_read(&place.owner, bytes);
        drop(turn);
        self.turns.compute_of(bytes, &place.owner, move || parse(json.as_bytes(), || what).map(Some)).await
    }
}

/// A builtin plugin, for people.
pub fn builtin_source(name: &str) -> String {
    format!("builtin {name}")
}

fn what_is(kind: &str, namespace: &str, name: &str) -> String {
    format!(r#"{kind} "{namespace}/{name}""#)
}

fn unanswered<E: Display>(what: impl FnOnce() -> String) -> impl FnOnce(E) -> SourceError {
    |error| SourceError::Unanswered { what: what(), error: error.to_string() }
}

fn get<K: Resource<DynamicType = ()>>(
    name: &str,
    place: &Place<'_>,
    what: impl FnOnce() -> String,
) -> Result<http::Request<Vec<u8>>, SourceError> {
    Request::new(K::url_path(&(), Some(place.namespace)))
        .get(name, &GetParams::default())
        .map_err(unanswered(what))
}

async fn if_there<T>(answer: impl Future<Output = kube::Result<T>>) -> kube::Result<Option<T>> {
    match answer.await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(None),
        answer => answer.map(Some),
    }
}

fn parse<T: DeserializeOwned>(json: &[u8], what: impl FnOnce() -> String) -> Result<T, SourceError> {
    serde_json::from_slice(json).map_err(unanswered(what))
}

/// What a ConfigMap has under a key.
pub fn plugin_bytes(
    mut map: ConfigMap,
    namespace: String,
    name: String,
    key: String,
) -> Result<Vec<u8>, SourceError> {
    if let Some(value) = map.binary_data.as_mut().and_then(|data| data.remove(&key)) {
        return Ok(value.0);
    }
    if map.data.as_ref().is_some_and(|data| data.contains_key(&key)) {
        return Err(SourceError::TextKey { namespace, name, key });
    }
    let keys: Vec<&String> = map.binary_data.iter().flat_map(BTreeMap::keys).collect();
    let found = text::list(keys.iter().map(|key| format!("\"{key}\"")), 500);
    Err(SourceError::NoKey { namespace, name, key, found })
}

pub async fn read<T>(reading: impl Future<Output = kube::Result<T>>, what: String) -> Result<T, SourceError> {
    in_time(reading).await.map_err(|error| match error {
        ReadError::Failed(kube::Error::Api(status))
            if (400..500).contains(&status.code) && status.code != 429 =>
        {
            let mend = if status.is_forbidden() { "; docs/rbac.md says how to grant it" } else { "" };
            SourceError::Unreadable { what, error: format!("{}{mend}", status.message) }
        }
        error => SourceError::Unanswered { what, error: error.words() },
    })
}

/// The bytes of a component, unpacked if they are gzip, up to `limit` of them: as many as a component may have. `source`
/// names them in the error.
pub fn gunzip(bytes: Vec<u8>, source: &str, limit: usize) -> Result<Vec<u8>, SourceError> {
    if !bytes.starts_with(&GZIP_MAGIC) {
        return Ok(bytes);
    }
    let fail = |problem: String| SourceError::Gzip { source_name: source.to_owned(), problem };
    let mut plain = Vec::new();
    let reader = flate2::read::MultiGzDecoder::new(bytes.as_slice());
    reader.take(limit as u64 + 1).read_to_end(&mut plain).map_err(|e| fail(format!("broken: {e}")))?;
    if plain.len() > limit {
        return Err(fail(format!("more than {} MiB when unpacked", limit >> 20)));
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn plain_bytes_stay_and_gzip_is_unpacked() {
        assert_eq!(gunzip(b"\0asm".to_vec(), "x", 4).unwrap(), b"\0asm");
        assert_eq!(gunzip(gzip(b"\0asm"), "x", 4).unwrap(), b"\0asm");
    }

    #[test]
    fn a_gzip_bomb_is_cut_off() {
        let error = gunzip(gzip(&vec![0; 64 << 20]), "ConfigMap a/b c", 16 << 20).unwrap_err();
        assert_eq!(error.to_string(), "ConfigMap a/b c: the gzip data is more than 16 MiB when unpacked");
    }

    #[test]
    fn broken_gzip_says_so() {
        let mut bytes = gzip(&[7; 1000]);
        bytes.truncate(20);
        assert!(gunzip(bytes, "x", 4).unwrap_err().to_string().starts_with("x: the gzip data is broken"));
    }
}
