//! How many Events an object may have: some at once, then a few each minute (client-go has a filter like it).

use tokio::time::Instant;
use wasm_issuer_runtime::Owner;

use crate::operator::shared::SharedMap;

const AT_ONCE: f64 = 25.0;
const PER_SECOND: f64 = 0.1;
/// How many objects are remembered that had some lately.
const MAX: usize = 16_384;

/// What each object may still have.
pub struct Allowances(SharedMap<Owner, Allowance>);

struct Allowance {
    left: f64,
    at: Instant,
}

impl Allowance {
    fn refilled(&self, now: Instant) -> f64 {
        let more = now.saturating_duration_since(self.at).as_secs_f64() * PER_SECOND;
        (self.left + more).min(AT_ONCE)
    }
}

impl Default for Allowances {
    fn default() -> Self {
        Self(SharedMap::new(MAX))
    }
}

impl Allowances {
    /// Take one of what an object (its namespace and uid) may have. False if there is none left, or if its namespace had
    /// Events about too many objects lately. Warnings leave one for the Event that says that the trouble has passed.
    pub fn take(&mut self, object: &Owner, is_warning: bool, now: Instant) -> bool {
        let Some(old) = self.0.get_mut(object) else {
            let new = Allowance { left: AT_ONCE - 1.0, at: now };
            return self.0.insert(object.clone(), new, object, |old| old.refilled(now) >= AT_ONCE);
        };
        let left = old.refilled(now);
        if left < if is_warning { 2.0 } else { 1.0 } {
            return false;
        }
        *old = Allowance { left: left - 1.0, at: now };
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_object_has_some_events_at_once_and_then_few() {
        let mut allowances = Allowances::default();
        let mut take = |uid: &str, now| allowances.take(&Owner::new("team-a", uid), false, now);
        let now = Instant::now();
        assert_eq!((0..100).filter(|_| take("a", now)).count(), 25);
        assert!(take("b", now), "each object has its own");
        assert!(!take("a", now + Duration::from_secs(9)));
        assert!(take("a", now + Duration::from_secs(20)));
    }

    #[test]
    fn the_end_of_trouble_is_told_however_many_warnings_there_were() {
        let mut allowances = Allowances::default();
        let (object, now) = (Owner::new("team-a", "a"), Instant::now());
        assert_eq!((0..100).filter(|_| allowances.take(&object, true, now)).count(), 24);
        assert!(allowances.take(&object, false, now));
        assert!(!allowances.take(&object, false, now));
    }

    #[test]
    fn many_objects_of_one_namespace_leave_room_for_those_of_others() {
        let mut allowances = Allowances::default();
        let now = Instant::now();
        let loud = |n: usize| Owner::new("loud", &n.to_string());
        let allowed = (0..2 * MAX).filter(|n| allowances.take(&loud(*n), true, now)).count();
        assert_eq!(allowed, MAX / 2);
        assert!(allowances.take(&Owner::new("quiet", "x"), true, now));
    }
}
