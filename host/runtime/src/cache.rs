//! What the calls of one session keep for each other: a few small values, some for a limited time.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::issuer_memory::IssuerShare;

const MAX_KEY: usize = 256;
const MAX_VALUE: usize = 64 << 10;
const MAX_VALUES: usize = 64;
const MAX_BYTES: usize = 256 << 10;
/// What an entry takes besides its bytes: its place in the table, and what the allocator adds.
const ENTRY: usize = 128;

/// Its bytes are on the Issuer's account.
pub struct Cache {
    values: HashMap<String, CachedValue>,
    memory: IssuerShare,
}

/// Why a value was not stored: which limit, and how much there is already.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LimitExceeded(pub String);

struct CachedValue {
    bytes: Vec<u8>,
    expires: Option<Instant>,
}

impl CachedValue {
    fn is_fresh(&self) -> bool {
        self.expires.is_none_or(|expires| Instant::now() < expires)
    }
}

impl Cache {
    /// An empty one. What it takes it takes of `memory`, beyond what is in there.
    pub fn new(memory: IssuerShare) -> Self {
        Self { values: HashMap::new(), memory }
    }

    /// The value of a key, unless its time has run out.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.values.get(key).filter(|value| value.is_fresh()).map(|value| value.bytes.as_slice())
    }

    /// Store a value in place of an earlier one. Without a time to live it stays as long as the cache.
    pub fn set(
        &mut self,
        key: String,
        bytes: Vec<u8>,
        ttl_seconds: Option<u32>,
    ) -> Result<(), LimitExceeded> {
        let exceeded = |message: String| Err(LimitExceeded(message));
        if key.len() > MAX_KEY {
            return exceeded(format!("the key has {} bytes, {MAX_KEY} are allowed", key.len()));
        }
        if bytes.len() > MAX_VALUE {
            return exceeded(format!("the value has {} bytes, {MAX_VALUE} are allowed", bytes.len()));
        }
        self.forget_old();
        let others = || self.values.iter().filter(|(name, _)| **name != key);
        if others().count() >= MAX_VALUES {
            return exceeded(format!("{MAX_VALUES} entries are stored already"));
        }
        let stored: usize = others().map(|(name, value)| name.len() + value.bytes.len()).sum();
        if stored + key.len() + bytes.len() > MAX_BYTES {
            return exceeded(format!("{stored} bytes are stored already, {MAX_BYTES} are allowed in all"));
        }
        let (before, after) =
            (self.values.get(&key).map_or(0, |old| size(&key, &old.bytes)), size(&key, &bytes));
        if let Err(error) = self.memory.grow(after.saturating_sub(before)) {
            return exceeded(error.to_string());
        }
        self.memory.shrink(before.saturating_sub(after));
        let expires = ttl_seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds.into()));
        self.values.insert(key, CachedValue { bytes, expires });
        Ok(())
    }

    fn forget_old(&mut self) {
        let old = self.values.extract_if(|_, value| !value.is_fresh());
        self.memory.shrink(old.map(|(key, value)| size(&key, &value.bytes)).sum());
    }
}

/// The memory that a value takes.
fn size(key: &str, bytes: &[u8]) -> usize {
    key.len() + bytes.len() + ENTRY
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuer_memory::IssuerMemory;

    fn unlimited() -> Cache {
        Cache::new(IssuerMemory::unlimited().share("team-a"))
    }

    #[test]
    fn every_limit_holds() {
        let mut cache = unlimited();
        assert!(cache.set("k".repeat(MAX_KEY), vec![0; MAX_VALUE], None).is_ok());
        assert!(cache.set("k".repeat(MAX_KEY + 1), vec![], None).is_err());
        assert!(cache.set("k".into(), vec![0; MAX_VALUE + 1], None).is_err());

        let mut cache = unlimited();
        for n in 0..MAX_VALUES {
            assert!(cache.set(n.to_string(), vec![], None).is_ok());
        }
        assert!(cache.set("one more".into(), vec![], None).is_err());
        assert!(cache.set("7".into(), vec![1], None).is_ok(), "replacing needs no new entry");

        let mut cache = unlimited();
        for n in 0..3 {
            assert!(cache.set(n.to_string(), vec![0; MAX_VALUE], None).is_ok());
        }
        assert!(cache.set("3".into(), vec![0; MAX_VALUE], None).is_err(), "keys count too");
        assert!(cache.set("3".into(), vec![0; MAX_VALUE - 4], None).is_ok());
        assert!(
            cache.set("3".into(), vec![0; MAX_VALUE - 4], None).is_ok(),
            "the replaced value does not count"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn values_expire() {
        let mut cache = unlimited();
        cache.set("token".into(), vec![1], Some(60)).unwrap();
        cache.set("root".into(), vec![2], None).unwrap();
        cache.set("never".into(), vec![3], Some(0)).unwrap();
        assert_eq!(cache.get("never"), None);
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!(cache.get("token"), Some(&[1][..]));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!((cache.get("token"), cache.get("root")), (None, Some(&[2][..])));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_cached_is_on_the_issuers_account() {
        let memory = IssuerMemory::new(4 * (1000 + ENTRY));
        let cache = || Cache::new(memory.share("team-a"));
        let value = || vec![0; 999];
        let (mut first, mut second) = (cache(), cache());
        first.set("a".into(), value(), Some(60)).unwrap();
        second.set("a".into(), value(), None).unwrap();
        let refusal = "of the 4512 bytes of memory for what Issuers keep no more is free for this namespace";
        assert!(second.set("b".into(), vec![], None).unwrap_err().0.starts_with(refusal));
        assert_eq!(second.get("b"), None);
        // In place of what is there already.
        second.set("a".into(), value(), None).unwrap();
        assert!(second.set("a".into(), vec![0; 1000], None).unwrap_err().0.starts_with(refusal));
        assert_eq!(second.get("a"), Some(&*value()));
        second.set("a".into(), vec![], None).unwrap();
        second.set("b".into(), vec![0; 800], None).unwrap();
        // What has expired is given back when there is something new to keep.
        tokio::time::advance(Duration::from_secs(60)).await;
        first.set("a".into(), value(), None).unwrap();
        drop(second);
        assert_eq!(memory.held(), 1000 + ENTRY);
        drop(first);
        assert_eq!(memory.held(), 0);
    }
}
