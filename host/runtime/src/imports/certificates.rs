//! The `certificates` import: what the host's own verification makes of an answer, before there is a request.

use std::time::SystemTime;

use wasm_issuer_core::issuance::verify;
use wasm_issuer_core::text::clean;
use wasmtime::component::{HasData, Linker};

use crate::bindings::wasm_issuer::plugin::certificates::{self as wit, Host};
use crate::bindings::wasm_issuer::plugin::types::Certificate;
use crate::convert;

/// How much of a reason a plugin gets: what it shows of it is cut to as much.
const REASON: usize = 4096;

/// It needs nothing of a call.
struct HasCertificates;

impl HasData for HasCertificates {
    type Data<'a> = Judge;
}

/// What the functions need of a call: nothing.
pub struct Judge;

pub fn add_to_linker<T: Send + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    wit::add_to_linker::<_, HasCertificates>(linker, |_| Judge)
}

impl Host for Judge {
    fn judge(&mut self, certificate: Certificate) -> wasmtime::Result<Result<(), String>> {
        let signed = match convert::signed(certificate) {
            Ok(signed) => signed,
            Err(breakage) => return Ok(Err(breakage.to_string())),
        };
        let judged = verify::judge(&signed, SystemTime::now());
        Ok(judged.map_err(|mismatch| clean(&mismatch.to_string(), REASON)))
    }
}
