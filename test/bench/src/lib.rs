//! What is measured of the operator, beside an issuer in Go on cert-manager's issuer-lib (the peer) and beside a client
//! that does nothing but write (the limit), on the same real API server.
//!
//! `make bench` runs the program, `make test-speed` the part of it that holds on any machine. A module uses only modules
//! that stand before it here:
//!
//! | modules | what they are |
//! |---|---|
//! | [`side`], [`report`], [`scale`] | who is measured; what was measured; where a value is in a plot |
//! | [`table`], [`plot`] | a report in Markdown and as SVG |
//! | [`watch`], [`writer`] | requests as they change; the limit |
//! | [`api_server`], [`contestants`], [`load`] | what the API server counts; the three as processes; requests for them |
//! | [`stage`] | all that together |
//! | [`languages`] | what `make bench-languages` measures |
//! | [`backlog`], [`latency`], [`restart`], [`growth`], [`sandbox`] | what is measured |

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark may end at once when it cannot measure"
)]

pub mod api_server;
pub mod backlog;
pub mod contestants;
pub mod growth;
pub mod languages;
pub mod latency;
pub mod load;
pub mod plot;
pub mod report;
pub mod restart;
pub mod sandbox;
pub mod scale;
pub mod side;
pub mod stage;
pub mod table;
pub mod watch;
pub mod writer;

pub use report::Report;
pub use side::Side;
pub use stage::Stage;
