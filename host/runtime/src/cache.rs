//! What the calls of one session keep for each other: a few small values, some for a limited time.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

const MAX_KEY: usize = 256;
const MAX_VALUE: usize = 64 << 10;
const MAX_VALUES: usize = 64;
const MAX_BYTES: usize = 256 << 10;

#[derive(Default)]
pub struct Cache {
    values: HashMap<String, CachedValue>,
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
        self.values.retain(|_, value| value.is_fresh());
        let others = || self.values.iter().filter(|(name, _)| **name != key);
        if others().count() >= MAX_VALUES {
            return exceeded(format!("{MAX_VALUES} entries are stored already"));
        }
        let stored: usize = others().map(|(name, value)| name.len() + value.bytes.len()).sum();
        if stored + key.len() + bytes.len() > MAX_BYTES {
            return exceeded(format!("{stored} bytes are stored already, {MAX_BYTES} are allowed in all"));
        }
        let expires = ttl_seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds.into()));
        self.values.insert(key, CachedValue { bytes, expires });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_holds() {
        let mut cache = Cache::default();
        assert!(cache.set("k".repeat(MAX_KEY), vec![0; MAX_VALUE], None).is_ok());
        assert!(cache.set("k".repeat(MAX_KEY + 1), vec![], None).is_err());
        assert!(cache.set("k".into(), vec![0; MAX_VALUE + 1], None).is_err());

        let mut cache = Cache::default();
        for n in 0..MAX_VALUES {
            assert!(cache.set(n.to_string(), vec![], None).is_ok());
        }
        assert!(cache.set("one more".into(), vec![], None).is_err());
        assert!(cache.set("7".into(), vec![1], None).is_ok(), "replacing needs no new entry");

        let mut cache = Cache::default();
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
