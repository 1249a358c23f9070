//! The operator against a real API server. One binary, so that all tests share one operator.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "these are tests: what does not work shall fail, with its place"
)]

mod api_trouble;
mod audit;
mod bad_answers;
mod bad_plugins;
mod bad_requests;
mod broken;
mod cert_manager;
mod cfssl;
mod conditions;
mod crash;
mod doctor;
mod images;
mod issuing;
mod meanwhile;
mod rbac;
mod replicas;
mod shards;
mod signatures;
mod signing_requests;
mod team;
