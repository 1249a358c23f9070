//! Both sides of the operator against an API server that misbehaves.

mod bench;
mod causes;
mod crowds;
mod events;
mod health;
mod images;
mod issuers;
mod memory;
mod metrics;
mod outages;
mod publishing;
mod refusals;
mod replicas;
mod requests;
mod resting;
mod rights;
mod signatures;
mod spans;
mod team;
mod turns;
mod waking;
mod watches;
