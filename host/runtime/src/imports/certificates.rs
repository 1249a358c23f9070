//! The `certificates` import: what the host's own verification makes of an answer, before there is a request.

use std::time::SystemTime;

use wasm_issuer_core::issuance::signer::Signed;
use wasm_issuer_core::issuance::verify::{self, TrustedCas};
use wasm_issuer_core::text::clean;
use wasmtime::component::{HasData, Linker};

use crate::bindings::wasm_issuer::plugin::certificates::{self as wit, Host};
use crate::bindings::wasm_issuer::plugin::types::Certificate;
use crate::convert;
use crate::turns::CallTurns;

/// How much of a reason a plugin gets: what it shows of it is cut to as much.
const REASON: usize = 4096;

/// What the functions need of a call.
pub struct JudgeView<'a> {
    pub turns: &'a CallTurns,
    pub now: SystemTime,
}

struct HasCertificates;

impl HasData for HasCertificates {
    type Data<'a> = JudgeView<'a>;
}

pub fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> JudgeView<'_>,
) -> wasmtime::Result<()> {
    wit::add_to_linker::<_, HasCertificates>(linker, view)
}

impl Host for JudgeView<'_> {
    async fn judge(&mut self, certificate: Certificate) -> wasmtime::Result<Result<(), String>> {
        let signed = match convert::signed(certificate) {
            Ok(signed) => signed,
            Err(breakage) => return Ok(Err(breakage.to_string())),
        };
        let now = self.now;
        if verify::is_quick(&signed, &TrustedCas::default()) {
            return Ok(judge(&signed, now));
        }
        Ok(self.turns.compute(move || judge(&signed, now)).await)
    }
}

fn judge(signed: &Signed, now: SystemTime) -> Result<(), String> {
    verify::judge(signed, now).map_err(|mismatch| clean(&mismatch.to_string(), REASON))
}
