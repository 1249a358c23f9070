//! The `cache` import: a small store per session.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::bindings::wasm_issuer::plugin::cache::{CacheError, Host};
use crate::lock;
use crate::state::CallState;

const MAX_KEY: usize = 256;
const MAX_VALUE: usize = 64 << 10;
const MAX_ENTRIES: usize = 64;
const MAX_BYTES: usize = 256 << 10;

/// What the plugins of one session keep between calls.
#[derive(Default)]
pub struct Cache {
    entries: HashMap<String, Entry>,
}

struct Entry {
    value: Vec<u8>,
    expires: Option<Instant>,
}

impl Entry {
    fn is_fresh(&self) -> bool {
        self.expires.is_none_or(|expires| Instant::now() < expires)
    }
}

impl Cache {
    fn get(&self, key: &str) -> Option<&[u8]> {
        self.entries.get(key).filter(|entry| entry.is_fresh()).map(|entry| entry.value.as_slice())
    }

    fn set(&mut self, key: String, value: Vec<u8>, ttl_seconds: Option<u32>) -> Result<(), CacheError> {
        let exceeded = |message: String| Err(CacheError::LimitExceeded(message));
        if key.len() > MAX_KEY {
            return exceeded(format!("the key has {} bytes, {MAX_KEY} are allowed", key.len()));
        }
        if value.len() > MAX_VALUE {
            return exceeded(format!("the value has {} bytes, {MAX_VALUE} are allowed", value.len()));
        }
        self.entries.retain(|_, entry| entry.is_fresh());
        let others = || self.entries.iter().filter(|(name, _)| **name != key);
        if others().count() >= MAX_ENTRIES {
            return exceeded(format!("{MAX_ENTRIES} entries are stored already"));
        }
        let bytes: usize = others().map(|(name, entry)| name.len() + entry.value.len()).sum();
        if bytes + key.len() + value.len() > MAX_BYTES {
            return exceeded(format!("{bytes} bytes are stored already, {MAX_BYTES} are allowed in all"));
        }
        let expires = ttl_seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds.into()));
        self.entries.insert(key, Entry { value, expires });
        Ok(())
    }
}

impl Host for CallState {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        Ok(lock(&self.session.cache).get(&key).map(<[u8]>::to_vec))
    }

    fn set(
        &mut self,
        key: String,
        value: Vec<u8>,
        ttl_seconds: Option<u32>,
    ) -> wasmtime::Result<Result<(), CacheError>> {
        Ok(lock(&self.session.cache).set(key, value, ttl_seconds))
    }

    fn get_or_set(
        &mut self,
        key: String,
        value: Vec<u8>,
        ttl_seconds: Option<u32>,
    ) -> wasmtime::Result<Result<Vec<u8>, CacheError>> {
        let mut cache = lock(&self.session.cache);
        if let Some(stored) = cache.get(&key) {
            return Ok(Ok(stored.to_vec()));
        }
        Ok(cache.set(key, value.clone(), ttl_seconds).map(|()| value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_limit(result: Result<(), CacheError>) -> bool {
        matches!(result, Err(CacheError::LimitExceeded(_)))
    }

    #[test]
    fn every_limit_holds() {
        let mut cache = Cache::default();
        assert!(cache.set("k".repeat(MAX_KEY), vec![0; MAX_VALUE], None).is_ok());
        assert!(is_limit(cache.set("k".repeat(MAX_KEY + 1), vec![], None)));
        assert!(is_limit(cache.set("k".into(), vec![0; MAX_VALUE + 1], None)));

        let mut cache = Cache::default();
        for n in 0..MAX_ENTRIES {
            assert!(cache.set(n.to_string(), vec![], None).is_ok());
        }
        assert!(is_limit(cache.set("one more".into(), vec![], None)));
        assert!(cache.set("7".into(), vec![1], None).is_ok(), "replacing needs no new entry");

        let mut cache = Cache::default();
        for n in 0..3 {
            assert!(cache.set(n.to_string(), vec![0; MAX_VALUE], None).is_ok());
        }
        assert!(is_limit(cache.set("3".into(), vec![0; MAX_VALUE], None)), "keys count too");
        assert!(cache.set("3".into(), vec![0; MAX_VALUE - 4], None).is_ok());
        assert!(
            cache.set("3".into(), vec![0; MAX_VALUE - 4], None).is_ok(),
            "the replaced value does not count"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn values_expire() {
        let mut cache = Cache::default();
        cache.set("token".into(), vec![1], Some(60)).unwrap();
        cache.set("root".into(), vec![2], None).unwrap();
        cache.set("never".into(), vec![3], Some(0)).unwrap();
        assert_eq!(cache.get("never"), None);
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!(cache.get("token"), Some(&[1][..]));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!((cache.get("token"), cache.get("root")), (None, Some(&[2][..])));
    }
}
