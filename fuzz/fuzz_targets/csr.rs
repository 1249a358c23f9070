//! A CSR of any user: as it is, and with the subject and the attributes of the input under a signature that holds.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wasm_issuer_core::x509::{Csr, Name, Usages};

fuzz_target!(|data: &[u8]| {
    look_at(data);
    if let Some((at, rest)) = data.split_first() {
        let (subject, attributes) = rest.split_at(usize::from(*at).min(rest.len()));
        look_at(&wasm_issuer_fuzz::csr(subject, attributes));
    }
});

fn look_at(bytes: &[u8]) {
    let Ok(csr) = Csr::from_pem_or_der(bytes) else { return };
    let again = Csr::from_pem_or_der(csr.der()).expect("its DER is a CSR");
    assert_eq!(again.names().keys(), csr.names().keys());
    assert!(Name::parse(csr.subject_der()).is_ok_and(|subject| !subject.is_empty()) || csr.names().iter().len() > 0);
    let _contradiction = csr.contradiction(false, &Usages::default());
    assert!(format!("{csr:?}").len() < 4096, "it is shown in few words");
}
