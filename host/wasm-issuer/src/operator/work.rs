//! Long computations outside of the sandbox: on threads of their own, in turns, on all processors but one. On the
//! threads of the tasks they would delay whoever comes next.

use std::future::pending;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread::available_parallelism;

use tokio::task::spawn_blocking;
use wasm_issuer_runtime::{FairSlots, Owner};

/// The turns of all that compute long.
#[derive(Clone)]
pub struct Work(Arc<FairSlots>);

impl Work {
    /// As many at a time as this machine has processors, less one.
    pub fn new() -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        Self(FairSlots::new(processors.saturating_sub(1)))
    }

    /// So many at a time, at least one.
    #[cfg(test)]
    pub fn at_a_time(jobs: usize) -> Self {
        Self(FairSlots::new(jobs))
    }

    /// A turn that ends when it is dropped.
    #[cfg(test)]
    pub async fn turn(&self, owner: &Owner) -> wasm_issuer_runtime::FairSlot {
        self.0.acquire(owner).await
    }

    /// Compute something in this owner's turn. It is done to its end, in its turn, also if nobody waits for it any more.
    ///
    /// # Panics
    ///
    /// If the job does.
    pub async fn run<T: Send + 'static>(&self, owner: &Owner, job: impl FnOnce() -> T + Send + 'static) -> T {
        let turn = self.0.acquire(owner).await;
        let job = move || {
            let _turn = turn;
            job()
        };
        match spawn_blocking(job).await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The process ends.
                Err(_cancelled) => pending().await,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn owner(namespace: &str) -> Owner {
        Owner::new(namespace, "ca")
    }

    #[tokio::test]
    async fn long_computations_take_turns_also_those_that_nobody_waits_for() {
        let work = Work::at_a_time(1);
        let (done, until) = mpsc::channel::<()>();
        let greedy = {
            let work = work.clone();
            tokio::spawn(async move { work.run(&owner("greedy"), move || until.recv()).await })
        };
        // It has its turn by then.
        while work.0.try_acquire(&owner("nobody")).is_some() {
            tokio::task::yield_now().await;
        }
        greedy.abort();
        assert!(greedy.await.unwrap_err().is_cancelled());
        let modest = owner("modest");
        let mut modest = Box::pin(work.run(&modest, || 42));
        // Nothing but the other's end brings its turn.
        assert!(timeout(Duration::from_millis(100), &mut modest).await.is_err());
        done.send(()).unwrap();
        assert_eq!(modest.await, 42);
    }

    #[tokio::test]
    #[should_panic(expected = "as it is")]
    async fn a_panic_is_passed_on() {
        Work::new().run(&owner("any"), || panic!("as it is")).await
    }
}
