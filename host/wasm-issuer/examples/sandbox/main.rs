//! What a call of a plugin takes, beside the same work done natively. `make bench` runs it; its documents, one JSON a line,
//! are samples: each the median of many calls.
//!
//!     sandbox WASM-ISSUER [--quick]
//!
//! `WASM_ISSUER_PLUGINS` is the folder of the plugins.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark may end at once when it cannot measure"
)]

#[path = "../support/cfssl.rs"]
mod cfssl;
mod loading;
mod signing;
// The sessions and requests of the runtime's own tests.
#[path = "../../../runtime/tests/support/mod.rs"]
mod support;

use std::path::PathBuf;
use std::time::Instant;

use serde_json::json;

/// How much is done.
#[derive(Clone, Copy)]
struct Effort {
    /// Samples of each row.
    samples: usize,
    /// Calls whose median a sample is.
    calls: usize,
    /// The same of what takes long.
    loads: usize,
}

/// What a row is called, in which unit it is, and whether it is the same without a sandbox.
#[derive(Clone, Copy)]
struct Row<'a> {
    what: &'a str,
    unit: Unit,
    is_native: bool,
}

#[derive(Clone, Copy)]
enum Unit {
    Microseconds,
    Milliseconds,
}

impl Row<'_> {
    /// Print a sample: the median of these seconds.
    fn print(self, mut took: Vec<f64>) {
        took.sort_by(f64::total_cmp);
        let (unit, scale) = match self.unit {
            Unit::Microseconds => ("µs", 1e6),
            Unit::Milliseconds => ("ms", 1e3),
        };
        let value = took[took.len() / 2] * scale;
        println!("{}", json!({"what": self.what, "unit": unit, "native": self.is_native, "value": value}));
    }

    /// Measure something that is done natively.
    fn measure(self, effort: Effort, work: impl Fn()) {
        for _ in 0..effort.samples {
            let once = |_| {
                let began = Instant::now();
                work();
                began.elapsed().as_secs_f64()
            };
            self.print((0..effort.calls).map(once).collect());
        }
    }

    /// Measure calls.
    async fn measure_calls(self, effort: Effort, call: impl AsyncFn()) {
        for _ in 0..effort.samples {
            let mut took = Vec::new();
            for _ in 0..effort.calls {
                let began = Instant::now();
                call().await;
                took.push(began.elapsed().as_secs_f64());
            }
            self.print(took);
        }
    }
}

// On one thread: with several each call would wake one of them, and be waited for. The operator makes its calls from threads
// that are awake.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut args = std::env::args_os().skip(1);
    let program = PathBuf::from(args.next().expect("the operator's binary, which compiles"));
    let effort = match args.next() {
        Some(_) => Effort { samples: 1, calls: 20, loads: 1 },
        None => Effort { samples: 5, calls: 400, loads: 3 },
    };
    signing::rows(effort).await;
    loading::rows(effort, &program).await;
}
