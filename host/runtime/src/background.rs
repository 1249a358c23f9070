//! Threads of low priority, for what computes long. Whoever else wants a processor gets it first: the other threads of this
//! process, and whatever else runs on the machine.

use std::future::{pending, poll_fn};
use std::io;
use std::panic::resume_unwind;
use std::pin::pin;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;

/// Of a processor that such a thread and a usual one both want it gets a tenth: enough to end some day, also on a machine
/// that is always busy.
const NICE: i32 = 10;

/// The threads. They end with this, as soon as what they compute lets go of them.
pub struct Background(Option<Runtime>);

impl Background {
    /// So many threads for tasks. Jobs get one each.
    pub fn new(threads: usize) -> io::Result<Self> {
        let lower = || {
            // Without it, all is as on usual threads. Elsewhere it is the process that is nice, not the thread.
            if cfg!(target_os = "linux") {
                let _ = rustix::process::nice(NICE);
            }
        };
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(threads).thread_name("background").on_thread_start(lower);
        Ok(Self(Some(builder.build()?)))
    }

    /// Run a task to its end. It ends with its caller.
    ///
    /// # Panics
    ///
    /// If the task does.
    pub async fn run<F>(&self, task: F) -> F::Output
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let Some(runtime) = &self.0 else { return pending().await };
        ended(AbortOnDropHandle::new(runtime.spawn(task)).await).await
    }

    /// Do a job that gives no thread back until it is done. It is done to its end, whatever becomes of its caller.
    ///
    /// # Panics
    ///
    /// If the job does.
    pub async fn compute<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let Some(runtime) = &self.0 else { return pending().await };
        ended(runtime.spawn_blocking(job).await).await
    }
}

#[cfg(test)]
impl Background {
    /// Whether all threads for tasks wait for some.
    pub fn is_idle(&self) -> bool {
        let metrics = self.0.as_ref().unwrap().metrics();
        // It goes up when the thread parks and again when it is woken.
        (0..metrics.num_workers()).all(|worker| metrics.worker_park_unpark_count(worker) % 2 == 1)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // To wait for them is not for the one who drops it, which may be one of them.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

async fn ended<T>(result: Result<T, JoinError>) -> T {
    match result.map_err(JoinError::try_into_panic) {
        Ok(result) => result,
        Err(Ok(panic)) => resume_unwind(panic),
        // The process ends.
        Err(Err(_cancelled)) => pending().await,
    }
}

tokio::task_local! {
    /// What runs this task, whose timers, sockets and tasks are those of another runtime.
    static RUNS_ON: Handle;
}

/// A task whose timers, sockets and tasks are those of another runtime, whichever runs it.
pub async fn at_home<F: Future>(home: Handle, task: F) -> F::Output {
    let mut task = pin!(task);
    poll_fn(|context| {
        let here = Handle::current();
        let _home = home.enter();
        RUNS_ON.sync_scope(here, || task.as_mut().poll(context))
    })
    .await
}

/// Spawn a task that works for the one that spawns it: in the background, if that one is there by now.
pub fn spawn_along<F>(task: F)
where
    F: Future<Output: Send> + Send + 'static,
{
    match RUNS_ON.try_with(Handle::clone) {
        Ok(here) => drop(here.spawn(at_home(Handle::current(), task))),
        Err(_) => drop(tokio::spawn(task)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;
    use tokio::time::{Instant, sleep};

    use super::*;

    fn priority() -> i32 {
        rustix::process::getpriority_process(None).unwrap()
    }

    #[tokio::test]
    async fn its_threads_are_nice_and_no_others() {
        let background = Background::new(1).unwrap();
        let usual = priority();
        let nice = (usual + NICE).min(19);
        assert_eq!(background.run(async { priority() }).await, nice);
        assert_eq!(background.compute(priority).await, nice);
        assert_eq!(priority(), usual);
        assert_eq!(tokio::task::spawn_blocking(priority).await.unwrap(), usual);
    }

    #[tokio::test]
    async fn a_task_ends_with_its_caller_and_a_job_does_not() {
        let background = Background::new(1).unwrap();
        let (running, ended) = oneshot::channel::<()>();
        let task = async move {
            let _running = running;
            pending::<()>().await
        };
        assert!(futures::FutureExt::now_or_never(background.run(task)).is_none());
        assert!(ended.await.is_err());
        let (go_on, told) = oneshot::channel::<()>();
        let (done, is_done) = oneshot::channel::<()>();
        let job = move || {
            told.blocking_recv().unwrap();
            done.send(()).unwrap();
        };
        assert!(futures::FutureExt::now_or_never(background.compute(job)).is_none());
        go_on.send(()).unwrap();
        is_done.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn timers_and_tasks_are_those_of_the_home() {
        let background = Background::new(1).unwrap();
        let began = Instant::now();
        let task = async {
            sleep(Duration::from_secs(3600)).await;
            tokio::spawn(async { priority() }).await.unwrap()
        };
        assert_eq!(background.run(at_home(Handle::current(), task)).await, priority());
        assert!(began.elapsed() >= Duration::from_secs(3600));
    }

    #[tokio::test]
    async fn what_works_for_a_task_runs_where_it_runs() {
        let background = Background::new(1).unwrap();
        let usual = priority();
        let spawned = || {
            let (done, told) = oneshot::channel();
            spawn_along(async {
                // On the home's clock, which this runtime has and the background has not.
                sleep(Duration::from_millis(1)).await;
                done.send(priority()).unwrap();
            });
            told
        };
        assert_eq!(spawned().await.unwrap(), usual);
        let home = Handle::current();
        assert_eq!(at_home(home.clone(), async { spawned().await.unwrap() }).await, usual);
        let there = background.run(at_home(home, async move { spawned().await.unwrap() })).await;
        assert_eq!(there, (usual + NICE).min(19));
    }

    #[tokio::test]
    #[should_panic(expected = "as it is")]
    async fn a_panic_is_passed_on() {
        Background::new(1).unwrap().run(async { panic!("as it is") }).await
    }

    #[tokio::test]
    async fn it_can_be_dropped_anywhere() {
        let background = Background::new(1).unwrap();
        let other = std::sync::Arc::new(Background::new(1).unwrap());
        let last = other.clone();
        other.run(async move { drop(last) }).await;
        drop(other);
        background.run(async {}).await;
    }
}
