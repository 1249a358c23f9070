//! Which servers a call waits for, so that it can say so when its time is over.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::origin::Origin;
use crate::lock::lock;

/// The waits of one call. Clones are the same.
#[derive(Clone, Default)]
pub struct Waits(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    begun: u64,
    /// By their order.
    open: BTreeMap<u64, (String, Instant)>,
    /// What lasted until the call had to end.
    late: Option<Wait>,
}

/// A server that did not answer for so long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// `scheme://host[:port]`, as the plugin asked for it.
    pub destination: String,
    /// Since the request, or since the last byte of its response.
    pub time: Duration,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.time.as_secs_f64();
        let digits = if time < 1.0 { 1 } else { 0 };
        write!(f, "waiting for {} for {time:.digits$} s", self.destination)
    }
}

impl Waits {
    /// A server is waited for as long as this lives.
    pub fn begin(&self, origin: &Origin) -> Waiting {
        let mut inner = lock(&self.0);
        inner.begun += 1;
        let number = inner.begun;
        inner.open.insert(number, (origin.to_string(), Instant::now()));
        Waiting { waits: self.clone(), number }
    }

    /// What the call waits for at the moment, the longest wait of several.
    pub fn now(&self) -> Option<Wait> {
        let inner = lock(&self.0);
        let (destination, since) = inner.open.values().next()?;
        Some(Wait { destination: destination.clone(), time: since.elapsed() })
    }

    /// What it waited for until its time was over, if it waited for anything then.
    pub fn late(&self) -> Option<Wait> {
        lock(&self.0).late.clone()
    }
}

/// One wait, which ends when this is dropped.
pub struct Waiting {
    waits: Waits,
    number: u64,
}

impl Waiting {
    /// It ends because the call has to.
    pub fn is_late(&self) -> Option<Wait> {
        let mut inner = lock(&self.waits.0);
        let (destination, since) = inner.open.get(&self.number)?.clone();
        let wait = Wait { destination, time: since.elapsed() };
        inner.late.get_or_insert_with(|| wait.clone());
        Some(wait)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        lock(&self.waits.0).open.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_longest_wait_is_told_and_the_one_that_lasted_to_the_end() {
        let waits = Waits::default();
        let origin = |text: &str| Origin::of(&text.parse().unwrap()).unwrap();
        let first = waits.begin(&origin("https://one.example/"));
        tokio::time::advance(Duration::from_secs(2)).await;
        let second = waits.begin(&origin("https://two.example/"));
        tokio::time::advance(Duration::from_secs(3)).await;
        let wait = |name: &str, seconds| Wait {
            destination: format!("https://{name}.example"),
            time: Duration::from_secs(seconds),
        };
        assert_eq!(waits.now(), Some(wait("one", 5)));
        assert_eq!(wait("one", 5).to_string(), "waiting for https://one.example for 5 s");
        drop(first);
        assert_eq!((waits.now(), waits.late()), (Some(wait("two", 3)), None));
        assert_eq!(second.is_late(), Some(wait("two", 3)));
        drop(second);
        assert_eq!((waits.now(), waits.late()), (None, Some(wait("two", 3))));
    }
}
