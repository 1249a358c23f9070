//! Room for what could not be written yet: in bytes, because plugins decide how large a certificate is.

use std::sync::Arc;

use wasm_issuer_runtime::{FairBytes, Share};

/// What all namespaces may park, in bytes.
const ROOM: usize = 32 << 20;

/// The room, which namespaces share.
pub struct Parking(Arc<FairBytes>);

/// Something that knows how much memory it takes.
pub trait Size {
    /// In bytes, about.
    fn size(&self) -> usize;
}

/// Something in the parking, until it leaves or is dropped.
pub struct InParking<T> {
    parked: T,
    _place: Share,
}

impl Default for Parking {
    fn default() -> Self {
        Self(FairBytes::new(ROOM))
    }
}

impl Parking {
    /// Park something of a namespace; none if there is no room for it.
    pub fn park<T: Size>(&self, namespace: &str, parked: T) -> Option<InParking<T>> {
        let mut place = self.0.share(namespace);
        place.grow(parked.size()).ok()?;
        Some(InParking { parked, _place: place })
    }
}

impl<T> InParking<T> {
    /// Look at it.
    pub fn parked(&self) -> &T {
        &self.parked
    }

    /// Take it out.
    pub fn leave(self) -> T {
        self.parked
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
    fn no_namespace_parks_more_than_half_and_what_leaves_makes_room() {
        let parking = Parking::default();
        let mut parked: Vec<_> = (0..100).map_while(|_| parking.park("hostile", 1_usize << 20)).collect();
        assert_eq!(parked.len() << 20, ROOM / 2);
        assert!(parking.park("neighbour", ROOM / 4).is_some());
        assert_eq!(parked.pop().map(InParking::leave), Some(1 << 20));
        assert!(parking.park("hostile", 1_usize << 20).is_some());
    }
}
