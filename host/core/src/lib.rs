//! What wasm-issuer decides, and the bytes that it decides about.
//!
//! [`issuance`] takes what was observed and the time, and returns what to do: a value that others carry out. [`x509`] reads
//! CSRs and certificates and keeps their exact bytes, [`keys`] holds private keys that sign natively, [`lease`] says who leads
//! of several processes, [`text`] makes text from outside fit to be shown. Nothing here knows a client, a runtime or
//! WebAssembly, waits, or reads a clock.

pub mod issuance;
pub mod keys;
pub mod lease;
pub mod text;
pub mod x509;
