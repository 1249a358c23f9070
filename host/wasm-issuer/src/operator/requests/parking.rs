//! Room for what could not be written yet: in bytes, because plugins decide how large a certificate is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What all namespaces may park, in bytes. A namespace parks only while it has less than is free.
const ROOM: usize = 32 << 20;

/// The room, shared fairly between namespaces.
#[derive(Clone, Default)]
pub struct Parking(Arc<Mutex<HashMap<String, usize>>>);

/// Something that knows how much memory it takes.
pub trait Size {
    /// In bytes, about.
    fn size(&self) -> usize;
}

/// Something in the parking, until it leaves or is dropped.
pub struct InParking<T> {
    parked: T,
    _place: Place,
}

struct Place {
    parking: Parking,
    namespace: String,
    bytes: usize,
}

impl Parking {
    /// Park something of a namespace; none if there is no room for it.
    pub fn park<T: Size>(&self, namespace: &str, parked: T) -> Option<InParking<T>> {
        let bytes = parked.size();
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_namespace = used.get(namespace).copied().unwrap_or_default();
        let free = ROOM.saturating_sub(used.values().sum());
        if of_namespace + bytes > free {
            return None;
        }
        used.insert(namespace.to_owned(), of_namespace + bytes);
        let place = Place { parking: self.clone(), namespace: namespace.to_owned(), bytes };
        Some(InParking { parked, _place: place })
    }
}

impl<T> InParking<T> {
    /// Take it out.
    pub fn leave(self) -> T {
        self.parked
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut used = self.parking.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = used.get_mut(&self.namespace) {
            *bytes = bytes.saturating_sub(self.bytes);
            if *bytes == 0 {
                used.remove(&self.namespace);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Size for usize {
        fn size(&self) -> usize {
            *self
        }
    }

    #[test]
    fn no_namespace_takes_more_than_half_and_what_leaves_makes_room() {
        let parking = Parking::default();
        let mut parked: Vec<_> = std::iter::from_fn(|| parking.park("hostile", 1_usize << 20)).collect();
        assert_eq!(parked.len() << 20, ROOM / 2);
        assert!(parking.park("neighbour", ROOM / 4).is_some());
        assert_eq!(parked.pop().map(InParking::leave), Some(1 << 20));
        assert!(parking.park("hostile", 1_usize << 20).is_some());
        drop(parked);
        assert!(parking.park("neighbour", ROOM).is_some(), "nothing is left behind");
    }
}
