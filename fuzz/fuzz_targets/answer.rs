//! The answer of a plugin: the chain and, behind a NUL, `ca`.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use wasm_issuer_core::issuance::request_spec::DEFAULT_DURATION;
use wasm_issuer_core::issuance::signer::{Requester, SignRequest, Signed};
use wasm_issuer_core::issuance::verify::{Mode, TrustedCas, Verification, verify};
use wasm_issuer_core::x509::Csr;

static REQUEST: LazyLock<SignRequest> = LazyLock::new(|| SignRequest {
    namespace: Some("team-a".to_owned()),
    name: "web-1".to_owned(),
    uid: "u".to_owned(),
    csr: Csr::from_pem_or_der(include_bytes!("../../host/core/src/x509/testdata/cases/eku-unknown.pem"))
        .expect("a CSR"),
    duration: DEFAULT_DURATION,
    is_ca: false,
    usages: ["digital signature", "key encipherment", "server auth"].map(str::to_owned).to_vec(),
    annotations: Vec::new(),
    requester: Requester::default(),
    resume: None,
});

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (chain, ca) = text.split_once('\0').map_or((text, None), |(chain, ca)| (chain, Some(ca.to_owned())));
    let signed = Signed { chain: chain.to_owned(), ca };
    let now = "2027-01-01T00:00:00Z".parse().expect("a time");
    let judged = |mode| {
        let verification = Verification { mode, ..Verification::default() };
        verify(&REQUEST, &signed, &TrustedCas::default(), now, &verification)
    };
    let (strict, reported) = (judged(Mode::Strict), judged(Mode::Reported));
    assert!(strict.is_err() || reported.is_ok(), "what Strict takes is taken otherwise");
});
