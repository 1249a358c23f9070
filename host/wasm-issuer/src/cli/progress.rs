//! One line on a terminal that says what takes long. Where nobody looks there is none.
//!
//! `indicatif` draws more than that (bars, several lines at a time); what takes long here has no known length, but for what is
//! pulled, and happens one after the other.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use super::output;

/// How often the line is written anew at most.
const TICK: Duration = Duration::from_millis(100);
/// How long something takes before it is worth a line, and how often its time is told then.
const PATIENCE: Duration = Duration::from_secs(1);

/// The line. It is gone when this is dropped.
pub struct Progress {
    what: String,
    is_shown: bool,
    last: Option<Instant>,
}

impl Progress {
    /// None yet, about this.
    pub fn new(what: String) -> Self {
        Self { what, is_shown: std::io::stderr().is_terminal(), last: None }
    }

    /// Say how far it is.
    pub fn show(&mut self, how_far: &str) {
        if self.is_shown && self.last.is_none_or(|last| last.elapsed() >= TICK) {
            self.last = Some(Instant::now());
            let _ = output::stderr(&format!("\r\x1b[2K{}{how_far} ...", self.what));
        }
    }

    /// Say for how long some work goes on, while it does.
    pub async fn during<T>(mut self, work: impl Future<Output = T>) -> T {
        let began = Instant::now();
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(PATIENCE) => {
                    self.show(&format!(": {} s", began.elapsed().as_secs()));
                }
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.last.is_some() {
            let _ = output::stderr("\r\x1b[2K");
        }
    }
}
