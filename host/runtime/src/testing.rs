//! For tests: a network of their own, servers on loopback, and what is logged.
//!
//! Nothing here can send a packet to anything but loopback: names and connections go through [`net::Net`], which maps the
//! addresses that it knows to servers of the test and refuses all others.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what does not work in a test shall fail, with its place"
)]

use std::time::Duration;

pub mod net;
pub mod records;
pub mod server;

/// Longer than anything takes on a machine that has other things to do.
pub const AGES: Duration = Duration::from_secs(60);

/// Waits until something is so, and gives up after [`AGES`].
pub async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(AGES, waiting).await.unwrap_or_else(|_| panic!("it never came about: {what}"));
}
