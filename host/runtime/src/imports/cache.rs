//! The `cache` import: a small store per session.

use std::sync::Mutex;

use wasmtime::component::{HasData, Linker};

use crate::bindings::wasm_issuer::plugin::cache::{self as wit, CacheError, Host};
use crate::cache::{Cache, LimitExceeded};
use crate::lock::lock;

/// What the functions need of a call.
pub struct CacheView<'a> {
    pub cache: &'a Mutex<Cache>,
}

struct HasCache;

impl HasData for HasCache {
    type Data<'a> = CacheView<'a>;
}

pub fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> CacheView<'_>,
) -> wasmtime::Result<()> {
    wit::add_to_linker::<_, HasCache>(linker, view)
}

impl Host for CacheView<'_> {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        Ok(lock(self.cache).get(&key).map(<[u8]>::to_vec))
    }

    fn set(
        &mut self,
        key: String,
        value: Vec<u8>,
        ttl_seconds: Option<u32>,
    ) -> wasmtime::Result<Result<(), CacheError>> {
        Ok(lock(self.cache).set(key, value, ttl_seconds).map_err(Into::into))
    }

    fn get_or_set(
        &mut self,
        key: String,
        value: Vec<u8>,
        ttl_seconds: Option<u32>,
    ) -> wasmtime::Result<Result<Vec<u8>, CacheError>> {
        let mut cache = lock(self.cache);
        if let Some(stored) = cache.get(&key) {
            return Ok(Ok(stored.to_vec()));
        }
        Ok(cache.set(key, value.clone(), ttl_seconds).map(|()| value).map_err(Into::into))
    }
}

impl From<LimitExceeded> for CacheError {
    fn from(LimitExceeded(message): LimitExceeded) -> Self {
        Self::LimitExceeded(message)
    }
}
