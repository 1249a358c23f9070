//! X.509 and PKCS#10 as this project needs them: parsing that keeps the exact bytes, and native verification.
//!
//! All input is hostile: a CSR comes from any user that may create a CertificateRequest, a chain from a plugin. So
//! sizes are bounded before anything is parsed, parsing borrows from the input and never recurses, no step takes more
//! than O(n log n), and error texts hold none of the input but short, cleaned-up values. The types of `x509-cert` are
//! not used here: they re-encode, and they sort each `SET OF` by insertion.

pub mod certificate;
pub mod csr;
mod extensions;
pub mod general_name;
pub mod name;
mod name_constraints;
mod parse;
pub mod pem;
pub mod signature;
pub mod usages;
pub mod well_formed;

#[cfg(test)]
pub mod fixtures;

pub use certificate::Certificate;
pub use csr::{Csr, CsrError, MAX_CSR_BYTES};
pub use extensions::{BasicConstraints, Extension, Extensions};
pub use general_name::{GeneralName, GeneralNames};
pub use name::Name;
pub use name_constraints::NameConstraints;
pub(crate) use name_constraints::{BoundName, bound_names, is_host_name};
pub(crate) use parse::{object_identifier, object_identifier_of_any_size, optional_field, sequence};
pub use signature::{PublicKey, SignatureError};
pub use usages::{KeyUsage, UnknownUsage, Usages};
pub use well_formed::NameError;
