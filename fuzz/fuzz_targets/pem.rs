//! PEM: what is written is read again, and what is read comes in an order.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wasm_issuer_core::x509::pem;

fuzz_target!(|data: &[u8]| {
    let text = pem::encode("ANY", data);
    let (block, der) = pem::first_block(text.as_bytes()).expect("it was written");
    assert_eq!((block.label, der.as_slice()), ("ANY", data));

    let first = pem::first_block(data);
    match pem::blocks(data, 8) {
        Ok((blocks, _)) if blocks[0].decode().is_ok() => {
            let (block, der) = first.expect("the first of them");
            assert_eq!((block.label, block.decode()), (blocks[0].label, Ok(der)));
        }
        Err(pem::PemError::NoBlock | pem::PemError::NotText) => assert!(first.is_err()),
        _ => {}
    }
});
