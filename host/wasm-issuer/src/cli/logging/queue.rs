//! Log records behind the work. A write to a pipe that nobody reads hangs, and with it the thread that logs, one after the
//! other all of them. Plugins' records wait apart, so they crowd out no others.

use std::io::Write;

use tracing::Metadata;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::fmt::MakeWriter;
use wasm_issuer_runtime::PLUGIN_RECORDS;

/// How many records of each kind may wait: 10 MiB of the longest.
const MAX_WAITING: usize = 4096;

/// Where records wait to be written.
pub struct Queue {
    plugins: NonBlocking,
    others: NonBlocking,
}

/// Counts the records that were dropped.
#[derive(Clone, Default)]
pub struct Dropped(Vec<ErrorCounter>);

/// A queue to where plugins' records go, and the others. Dropping the guards writes what waits.
pub fn to<W: Write + Send + 'static>(
    plugins: impl FnOnce() -> W,
    others: impl FnOnce() -> W,
) -> (Queue, Vec<WorkerGuard>) {
    let queue = |name: &str, writer: W| {
        NonBlockingBuilder::default().buffered_lines_limit(MAX_WAITING).thread_name(name).finish(writer)
    };
    let (plugins, of_plugins) = queue("log-plugins", plugins());
    let (others, of_others) = queue("log", others());
    (Queue { plugins, others }, vec![of_plugins, of_others])
}

impl Queue {
    pub fn dropped(&self) -> Dropped {
        Dropped(vec![self.plugins.error_counter(), self.others.error_counter()])
    }
}

impl Dropped {
    /// How many there were since the start.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|counter| counter.dropped_lines() as u64).sum()
    }
}

impl MakeWriter<'_> for Queue {
    type Writer = NonBlocking;

    fn make_writer(&self) -> NonBlocking {
        self.others.clone()
    }

    fn make_writer_for(&self, record: &Metadata<'_>) -> NonBlocking {
        if record.target() == PLUGIN_RECORDS { self.plugins.clone() } else { self.others.clone() }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::thread;
    use std::time::Duration;

    use tracing::subscriber::with_default;

    use super::*;

    /// Takes a record when somebody reads it.
    struct Pipe {
        records: Sender<String>,
        reads: Receiver<()>,
    }

    impl Write for Pipe {
        fn write(&mut self, record: &[u8]) -> io::Result<usize> {
            // When nobody is there any more, nobody waits for it.
            if self.reads.recv().is_ok() {
                let _ = self.records.send(String::from_utf8_lossy(record).into_owned());
            }
            Ok(record.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_log_that_nobody_reads_stops_nobody_and_plugins_crowd_out_no_other_record() {
        let (records, written) = channel();
        let (read_plugins, plugins) = channel();
        let (read_others, others) = channel();
        let to_others = records.clone();
        let (queue, guards) =
            to(|| Pipe { records, reads: plugins }, || Pipe { records: to_others, reads: others });
        let dropped = queue.dropped();
        let (done, all_logged) = channel();
        thread::spawn(move || {
            with_default(tracing_subscriber::fmt().with_writer(queue).finish(), || {
                (0..MAX_WAITING + 100).for_each(|n| tracing::info!(target: PLUGIN_RECORDS, n, "flood"));
                tracing::info!("the operator's own");
            });
            let _ = done.send(());
        });
        all_logged.recv_timeout(Duration::from_secs(60)).expect("whoever logs waits");
        // One is being written.
        assert!((99..=100).contains(&dropped.count()), "{}", dropped.count());
        read_others.send(()).unwrap();
        let first = written.recv_timeout(Duration::from_secs(60)).unwrap();
        assert!(first.contains("the operator's own"));
        drop((read_plugins, read_others, guards));
    }
}
