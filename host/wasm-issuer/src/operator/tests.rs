//! Both sides of the operator against an API server that misbehaves.

mod issuers;
mod requests;
