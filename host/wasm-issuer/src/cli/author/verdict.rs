//! How a command ends that tried a plugin.

use std::process::ExitCode;

/// How a trial of a plugin ended: the exit codes 0, 1 and 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Fine,
    Failed,
    Pending,
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Fine => Self::SUCCESS,
            Verdict::Failed => Self::from(1),
            Verdict::Pending => Self::from(3),
        }
    }
}
