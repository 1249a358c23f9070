//! What is logged, by one subscriber for all tests of the process: with subscribers that come and go, whether anybody wants
//! a record of some place may be remembered wrongly.

use std::io::{self, Write};
use std::sync::Mutex;

use serde_json::Value;

/// Only lines that hold this are kept.
pub const MARK: &str = "logged-and-kept";

static LINES: Mutex<Vec<Value>> = Mutex::new(Vec::new());

struct Lines;

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if line.windows(MARK.len()).any(|part| part == MARK.as_bytes()) {
            LINES.lock().unwrap().push(serde_json::from_slice(line).unwrap());
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keep what is logged from now on, from this level.
pub fn start() {
    let _ = tracing_subscriber::fmt().json().flatten_event(true).with_writer(|| Lines).try_init();
}

/// The lines with this message that were kept.
pub fn lines(message: &str) -> Vec<Value> {
    LINES.lock().unwrap().iter().filter(|line| line["message"] == message).cloned().collect()
}
