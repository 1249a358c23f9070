//! What is measured of the operator, beside an issuer in Go on cert-manager's issuer-lib (the peer) and beside a client
//! that does nothing but write (the limit), on the same real API server.
//!
//! A module uses only modules that stand before it here:
//!
//! | modules | what they are |
//! |---|---|
//! | [`side`] | who is measured |
//! | [`watch`], [`writer`] | requests as they change; the limit |

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark may end at once when it cannot measure"
)]

pub mod side;
pub mod watch;
pub mod writer;

pub use side::Side;
