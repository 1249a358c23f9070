//! A bounded map that namespaces share: one that makes many objects takes no place from the others.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use wasm_issuer_runtime::{FairSlot, FairSlots, Owner};

/// How often a full map is searched for what is no longer needed.
const SEARCH: Duration = Duration::from_secs(1);

/// Values by key, each of which takes a place of its owner.
pub struct SharedMap<K, V> {
    places: Arc<FairSlots>,
    entries: HashMap<K, Entry<V>>,
    searched: Option<Instant>,
}

struct Entry<V> {
    value: V,
    _place: FairSlot,
}

impl<K: Hash + Eq, V> SharedMap<K, V> {
    /// An empty one for so many values at most.
    pub fn new(max: usize) -> Self {
        Self { places: FairSlots::new(max), entries: HashMap::new(), searched: None }
    }

    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|entry| &mut entry.value)
    }

    /// Put a value that is new, if its owner has a place for it. Where there is none, everything goes that `is_over` says
    /// is no longer needed.
    pub fn insert(&mut self, key: K, value: V, owner: &Owner, is_over: impl Fn(&V) -> bool) -> bool {
        let mut place = self.places.try_acquire(owner);
        let now = Instant::now();
        if place.is_none() && self.searched.is_none_or(|at| now.duration_since(at) >= SEARCH) {
            self.searched = Some(now);
            self.entries.retain(|_, entry| !is_over(&entry.value));
            place = self.places.try_acquire(owner);
        }
        let Some(place) = place else { return false };
        self.entries.insert(key, Entry { value, _place: place });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nobody_takes_the_last_places_and_what_is_over_makes_room() {
        let mut map = SharedMap::new(100);
        let loud = |n: i32| Owner::new("loud", &n.to_string());
        let taken = (0..1000).filter(|n| map.insert(*n, *n, &loud(*n), |_| false)).count();
        assert_eq!(taken, 50);
        assert!(map.insert(1000, 1000, &Owner::new("quiet", "x"), |_| false));
        tokio::time::advance(SEARCH).await;
        assert!(map.insert(1001, 1001, &loud(1001), |value| *value < 10));
        assert!(map.get_mut(&9).is_none() && map.get_mut(&10).is_some() && map.get_mut(&1000).is_some());
    }
}
