//! A certificate that a plugin returned.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wasm_issuer_core::x509::Certificate;

fuzz_target!(|data: &[u8]| {
    let Ok(certificate) = Certificate::parse(data) else { return };
    assert_eq!(certificate.der(), data);
    assert!(certificate.describe().len() < 4096, "it is shown in few words");
    let _ = (certificate.is_self_signed(), certificate.may_sign_certificates());
});
