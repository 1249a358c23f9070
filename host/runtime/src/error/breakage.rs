//! How a call was broken off.

use std::fmt;
use std::time::Duration;

use super::{seconds, size};
use crate::egress::Wait;

/// Part of a call that has a time limit of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Making the instance that the call runs in.
    Start,
    /// The function that was called.
    Call,
}

/// What a plugin did when its time was over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doing {
    /// It computed, or waited for its turn to.
    Computing,
    /// It waited for a clock, or for nothing that is known.
    Waiting,
    /// It waited for a server.
    WaitingFor(Wait),
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Computing => f.write_str("computing"),
            Self::Waiting => f.write_str("waiting"),
            Self::WaitingFor(wait) => wait.fmt(f),
        }
    }
}

/// How a plugin, or the sandbox around it, broke off a call. Displayed in conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Breakage {
    /// A WebAssembly trap, or a host function used in a way that the contract forbids.
    Trapped {
        /// What wasmtime says about it.
        trap: String,
        /// What the plugin wrote last.
        last_lines: Option<String>,
    },
    /// The plugin ended the process that it took itself for.
    Exited {
        /// The code that it exited with.
        code: i32,
        /// What the plugin wrote last.
        last_lines: Option<String>,
    },
    /// The call stack is used up: endless recursion, most likely.
    StackOverflow,
    /// There was no answer in time.
    TimedOut {
        /// In which part of the call.
        phase: Phase,
        /// How long that part may take.
        limit: Duration,
        /// What the plugin did until the end.
        doing: Doing,
        /// What it wrote last.
        last_lines: Option<String>,
    },
    /// The plugin asked for more memory than `spec.limits.memory`.
    MemoryLimit {
        /// What the call may have, in bytes.
        limit: usize,
    },
    /// All plugins together, or those of one namespace, hold as much memory as they may.
    MemoryExhausted {
        /// What they may have together, in bytes.
        limit: usize,
    },
    /// Too many handles at a time.
    HandleLimit,
    /// Too much data in one call of a host function, or in the answer.
    TransferLimit,
    /// A part of the answer over its limit.
    AnswerTooLarge {
        /// Which part of the answer.
        what: &'static str,
        /// How many bytes it has.
        bytes: usize,
        /// How many bytes it may have.
        limit: usize,
    },
    /// An answer that the contract forbids.
    AnswerInvalid(&'static str),
    /// A fault of the operator itself. What it was is in the operator's log and nowhere else: it is no text of the plugin,
    /// and whatever the call worked with may be in it.
    Internal,
}

impl fmt::Display for Breakage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with_last_lines = |f: &mut fmt::Formatter<'_>, last_lines: &Option<String>| match last_lines {
            Some(lines) => write!(f, "; what it wrote last: {lines}"),
            None => Ok(()),
        };
        match self {
            Self::Trapped { trap, last_lines } => {
                write!(f, "the plugin trapped: {trap}")?;
                with_last_lines(f, last_lines)
            }
            Self::Exited { code, last_lines } => {
                write!(f, "the plugin exited with code {code} instead of answering")?;
                with_last_lines(f, last_lines)
            }
            Self::StackOverflow => {
                f.write_str("the plugin trapped: call stack exhausted (endless recursion, most likely)")
            }
            Self::TimedOut { phase: Phase::Start, limit, .. } => {
                write!(f, "the plugin did not start within {}", seconds(*limit))
            }
            Self::TimedOut { phase: Phase::Call, limit, doing, last_lines } => {
                let limit = seconds(*limit);
                write!(
                    f,
                    "the plugin did not answer within {limit} (spec.limits.timeout); it was still {doing}"
                )?;
                with_last_lines(f, last_lines)
            }
            Self::MemoryLimit { limit } => {
                write!(f, "the plugin asked for more than {} of memory (spec.limits.memory)", size(*limit))
            }
            Self::MemoryExhausted { limit } => write!(
                f,
                "of the {} of memory for all plugins no more is free for this namespace, which leaves as much to others \
                 as it has (the operator's --call-memory)",
                size(*limit)
            ),
            Self::HandleLimit => f.write_str("the plugin opened too many handles at a time"),
            Self::TransferLimit => f.write_str("the plugin passed more than 4 MiB to the host at once"),
            Self::AnswerTooLarge { what, bytes, limit } => {
                write!(f, "the plugin answered with a {what} of {bytes} bytes, {limit} are allowed")
            }
            Self::AnswerInvalid(why) => write!(f, "the plugin's answer is not valid: {why}"),
            Self::Internal => f.write_str("internal error while running the plugin; see the operator's log"),
        }
    }
}

impl std::error::Error for Breakage {}

impl Breakage {
    /// All that [`Breakage::label`] says.
    #[rustfmt::skip]
    pub const LABELS: [&str; 11] = [
        "trapped", "exited", "stack_overflow", "timed_out", "memory_limit", "memory_exhausted",
        "handle_limit", "transfer_limit", "answer_too_large", "answer_invalid", "internal",
    ];

    /// Whether the plugin broke off, and not its CA or the operator.
    pub fn is_the_plugins_fault(&self) -> bool {
        match self {
            Self::TimedOut { doing, .. } => *doing == Doing::Computing,
            Self::MemoryExhausted { .. } | Self::Internal => false,
            _ => true,
        }
    }

    /// A stable name, for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Trapped { .. } => "trapped",
            Self::Exited { .. } => "exited",
            Self::StackOverflow => "stack_overflow",
            Self::TimedOut { .. } => "timed_out",
            Self::MemoryLimit { .. } => "memory_limit",
            Self::MemoryExhausted { .. } => "memory_exhausted",
            Self::HandleLimit => "handle_limit",
            Self::TransferLimit => "transfer_limit",
            Self::AnswerTooLarge { .. } => "answer_too_large",
            Self::AnswerInvalid(_) => "answer_invalid",
            Self::Internal => "internal",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_ca_is_no_fault_of_its_plugin_and_is_named() {
        let limit = Duration::from_secs(10);
        let timed_out =
            |doing| Breakage::TimedOut { phase: Phase::Call, limit, doing, last_lines: Some("a / b".into()) };
        let wait = Wait { destination: "http://ca.example:8888".into(), time: Duration::from_millis(9_980) };
        let slow = timed_out(Doing::WaitingFor(wait));
        assert_eq!(
            slow.to_string(),
            "the plugin did not answer within 10 s (spec.limits.timeout); it was still waiting for \
             http://ca.example:8888 for 10 s; what it wrote last: a / b"
        );
        assert!(!slow.is_the_plugins_fault() && !timed_out(Doing::Waiting).is_the_plugins_fault());
        assert!(
            timed_out(Doing::Computing).is_the_plugins_fault()
                && Breakage::StackOverflow.is_the_plugins_fault()
        );
    }
}
