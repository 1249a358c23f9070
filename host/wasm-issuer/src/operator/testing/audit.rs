//! An audit that tests read.

use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::operator::audit::{Audit, AuditOutput, Output};
use crate::operator::metrics::Metrics;

/// What is written to. Clones are the same one.
#[derive(Clone, Default)]
pub struct Paper(Arc<Inner>);

#[derive(Default)]
struct Inner {
    written: Mutex<String>,
    is_full: AtomicBool,
}

impl Output for Paper {
    fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        if self.0.is_full.load(Ordering::SeqCst) {
            return Err(ErrorKind::StorageFull.into());
        }
        self.0.written.lock().unwrap().push_str(std::str::from_utf8(line).unwrap());
        Ok(())
    }
}

impl Paper {
    /// Whether it takes no more from now on.
    pub fn is_full(&self, is_full: bool) {
        self.0.is_full.store(is_full, Ordering::SeqCst);
    }

    /// All that was written.
    pub fn text(&self) -> String {
        self.0.written.lock().unwrap().clone()
    }

    /// An audit that is written here.
    pub fn audit(&self) -> Audit {
        Audit::start(AuditOutput::new(self.clone()), Arc::new(Metrics::new())).unwrap()
    }

    /// The records that were written, each a line.
    pub fn records(&self, audit: &Audit) -> Vec<Value> {
        assert!(audit.flush(), "the audit hangs");
        let text = self.text();
        assert!(text.is_empty() || text.ends_with('\n'));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
