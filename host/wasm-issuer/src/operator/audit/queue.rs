//! Lines behind the work: a disk that is full, or a pipe that nobody reads, stops nobody who decides.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tracing::{error, info};
use wasm_issuer_runtime::{FairBytes, Share};

use super::output::Output;
use crate::operator::metrics::Metrics;

/// When to try again to write what could not be written.
const AGAIN: Duration = Duration::from_secs(1);
/// How often it is said that lines are dropped; each one is counted.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// Where lines wait to be written, in their order.
pub struct Queue {
    lines: Sender<Message>,
    shared: Arc<Shared>,
    room: Arc<FairBytes>,
    metrics: Arc<Metrics>,
    writer: Thread,
    /// When it was said last that lines are dropped.
    told: Mutex<Option<Instant>>,
}

enum Message {
    /// A line and its room.
    Line(String, Share),
    /// Somebody may have moved the file away.
    Reopen,
    /// All before this is written or given up.
    Flush(SyncSender<()>),
}

#[derive(Default)]
struct Shared {
    /// The file is to be opened again, also by a writer that is stuck.
    reopen: AtomicBool,
    /// What cannot be written at once is given up.
    stopping: AtomicBool,
}

impl Queue {
    /// One that writes on a thread of its own. What waits takes of `room`.
    pub fn start(
        output: Box<dyn Output>,
        room: Arc<FairBytes>,
        metrics: Arc<Metrics>,
    ) -> std::io::Result<Self> {
        let (lines, messages) = channel();
        let shared = Arc::new(Shared::default());
        let writer = Writer { output, shared: shared.clone(), metrics: metrics.clone() };
        let thread = thread::Builder::new().name("audit".to_owned()).spawn(move || writer.run(&messages))?;
        let writer = thread.thread().clone();
        Ok(Self { lines, shared, room, metrics, writer, told: Mutex::default() })
    }

    /// Put a line of a namespace at the end, or drop it where there is no room for it.
    pub fn push(&self, namespace: &str, line: String) {
        let mut share = self.room.share(namespace);
        if share.grow(line.len()).is_err() || self.lines.send(Message::Line(line, share)).is_err() {
            self.drop_line(namespace);
        }
    }

    fn drop_line(&self, namespace: &str) {
        self.metrics.audited("dropped");
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|at| at.elapsed() >= TELL_AGAIN) {
            *told = Some(Instant::now());
            error!(namespace, "--audit: records are dropped, because what is written to takes no more");
        }
    }

    /// Let the file be opened again.
    pub fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Relaxed);
        let _ = self.lines.send(Message::Reopen);
        self.writer.unpark();
    }

    /// Try at once to write all that waits, and wait for that, for so long at most.
    pub fn flush(&self, patience: Duration) -> bool {
        let (done, flushed) = sync_channel(1);
        let is_sent = self.lines.send(Message::Flush(done)).is_ok();
        self.writer.unpark();
        is_sent && flushed.recv_timeout(patience).is_ok()
    }

    /// Give up from now on what cannot be written at once.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
    }
}

struct Writer {
    output: Box<dyn Output>,
    shared: Arc<Shared>,
    metrics: Arc<Metrics>,
}

impl Writer {
    fn run(mut self, messages: &Receiver<Message>) {
        while let Ok(message) = messages.recv() {
            match message {
                Message::Line(line, _share) => self.write(&line),
                Message::Reopen => self.reopen_if_told(),
                Message::Flush(done) => drop(done.try_send(())),
            }
        }
    }

    /// Write a line, however long it takes.
    fn write(&mut self, line: &str) {
        let mut is_told = false;
        loop {
            self.reopen_if_told();
            let Err(error) = self.output.write_line(line.as_bytes()) else { break };
            if self.shared.stopping.load(Ordering::Relaxed) {
                error!(%error, "--audit: a record is lost: it cannot be written, and the operator stops");
                return self.metrics.audited("dropped");
            }
            if !std::mem::replace(&mut is_told, true) {
                error!(%error, "--audit: a record cannot be written; it is tried again every second");
            }
            thread::park_timeout(AGAIN);
        }
        self.metrics.audited("written");
        if is_told {
            info!("--audit: records are written again");
        }
    }

    fn reopen_if_told(&mut self) {
        if self.shared.reopen.swap(false, Ordering::Relaxed) {
            self.output.reopen();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::mpsc;

    use super::*;
    use crate::operator::metrics::Format;
    use crate::operator::testing::Paper;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn queue(output: impl Output + 'static, bytes: usize) -> (Queue, Arc<FairBytes>, Arc<Metrics>) {
        let (room, metrics) = (FairBytes::new(bytes), Arc::new(Metrics::new()));
        (Queue::start(Box::new(output), room.clone(), metrics.clone()).unwrap(), room, metrics)
    }

    #[test]
    fn a_namespace_that_floods_drops_its_own_records_and_each_is_counted() {
        let paper = Paper::default();
        paper.is_full(true);
        let (queue, room, metrics) = queue(paper.clone(), 1000);
        (0..100).for_each(|n| queue.push("loud", format!("loud {n:04}\n")));
        queue.push("quiet", "quiet\n".to_owned());
        assert!(room.held() <= 506, "{}", room.held());
        paper.is_full(false);
        assert!(queue.flush(PATIENCE));
        let text = paper.text();
        assert_eq!(text.lines().filter(|line| line.starts_with("loud")).count(), 50);
        assert!(text.starts_with("loud 0000\nloud 0001\n") && text.ends_with("quiet\n"), "{text}");
        let counted = |line: &str| {
            assert!(metrics.text(Format::Classic).contains(line), "{}", metrics.text(Format::Classic))
        };
        counted(r#"wasm_issuer_audit_records_total{outcome="dropped"} 50"#);
        counted(r#"wasm_issuer_audit_records_total{outcome="written"} 51"#);
        assert_eq!(room.held(), 0);
    }

    #[test]
    fn a_pipe_that_nobody_reads_holds_up_neither_work_nor_stop() {
        /// Hangs until the sender is gone.
        struct Pipe(mpsc::Receiver<()>);
        impl Output for Pipe {
            fn write_line(&mut self, _: &[u8]) -> io::Result<()> {
                let _ = self.0.recv();
                Ok(())
            }
        }
        let (read, reads) = mpsc::channel();
        let (queue, ..) = queue(Pipe(reads), 1 << 20);
        queue.push("team-a", "a line\n".to_owned());
        queue.stop();
        assert!(!queue.flush(Duration::from_millis(10)));
        drop(read);
        assert!(queue.flush(PATIENCE));
    }

    #[test]
    fn a_stop_gives_up_what_cannot_be_written() {
        let paper = Paper::default();
        paper.is_full(true);
        let (queue, room, metrics) = queue(paper, 1 << 20);
        (0..3).for_each(|_| queue.push("team-a", "a line\n".to_owned()));
        queue.stop();
        assert!(queue.flush(PATIENCE));
        assert!(
            metrics.text(Format::Classic).contains(r#"audit_records_total{outcome="dropped"} 3"#),
            "{}",
            metrics.text(Format::Classic)
        );
        assert_eq!(room.held(), 0);
    }

    #[test]
    fn a_writer_that_is_stuck_opens_the_file_again() {
        /// Full until it is opened again.
        struct Moved(Paper);
        impl Output for Moved {
            fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
                self.0.write_line(line)
            }
            fn reopen(&mut self) {
                self.0.is_full(false);
            }
        }
        let paper = Paper::default();
        paper.is_full(true);
        let (queue, ..) = queue(Moved(paper.clone()), 1 << 20);
        queue.push("team-a", "a line\n".to_owned());
        queue.reopen();
        assert!(queue.flush(PATIENCE));
        assert_eq!(paper.text(), "a line\n");
    }
}
