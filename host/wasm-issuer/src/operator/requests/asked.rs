//! What a request asks for: the larger part of it, which is kept while there is room and read again where there was none.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock, OnceLock};

use wasm_issuer_core::text::clean;
use wasm_issuer_core::x509::{CsrError, MAX_CSR_BYTES};
use wasm_issuer_runtime::{FairBytes, Share};

use crate::api::cert_manager::CertificateRequestSpec;
use crate::api::duration::DurationError;

/// How many bytes of text a request may have. A CSR has 64 KiB at most, which are 88 in base64; annotations have 256 KiB
/// at most, which is the API server's limit.
const MAX_TEXT: usize = 384 << 10;
/// The longest name that an object of Kubernetes can have.
pub const MAX_NAME: usize = 253;
/// What a piece of text costs beside its bytes.
const PIECE: usize = 48;

/// `spec` and `metadata.annotations` of a request, as they were written.
pub struct Asked {
    pub spec: CertificateRequestSpec,
    pub annotations: Vec<(String, String)>,
    /// Its room; without any it is of no use for longer than one look.
    room: OnceLock<Share>,
}

/// Tells whether something else is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    pub spec: u64,
    pub annotations: u64,
}

impl Asked {
    pub fn new(spec: CertificateRequestSpec, annotations: Vec<(String, String)>) -> Self {
        Self { spec, annotations, room: OnceLock::new() }
    }

    pub fn fingerprint(&self) -> Fingerprint {
        static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Fingerprint { spec: HASHER.hash_one(&self.spec), annotations: HASHER.hash_one(&self.annotations) }
    }

    /// Whether there is room to keep it, on this namespace's account.
    pub fn is_kept(&self, memory: &Arc<FairBytes>, namespace: &str) -> bool {
        if self.room.get().is_some() {
            return true;
        }
        let mut room = memory.share(namespace);
        let (pieces, text) = self.size();
        room.grow(text + pieces * PIECE).is_ok() && self.room.set(room).is_ok()
    }

    /// Why nobody should look at it any further, if so: it is refused whatever comes of it.
    pub fn excess(&self) -> Option<String> {
        let (_, text) = self.size();
        let issuer = &self.spec.issuer_ref;
        let csr = decoded_len(&self.spec.request);
        if text > MAX_TEXT && csr > MAX_CSR_BYTES {
            return Some(format!("spec.request: {}", CsrError::TooLarge(csr)));
        }
        if text > MAX_TEXT {
            return Some(format!("the request has {text} bytes of text; at most {MAX_TEXT} are accepted"));
        }
        let names = [("spec.issuerRef.name", &issuer.name), ("spec.issuerRef.kind", &issuer.kind)];
        let (field, long) = names.into_iter().find(|(_, name)| name.len() > MAX_NAME)?;
        Some(format!("{field} has {} bytes; a name has {MAX_NAME} at most", long.len()))
    }

    /// Why no approver can read it, if so. Approvers are written in Go, and a duration that Go cannot read, such as `90d`,
    /// makes the whole object unreadable for them.
    pub fn unreadable(&self) -> Option<String> {
        match self.spec.duration() {
            Err(error) if error != DurationError::Negative => {
                Some(clean(&format!("spec.duration: {error}"), 1024))
            }
            _ => None,
        }
    }

    /// How many pieces of text there are, and their bytes.
    fn size(&self) -> (usize, usize) {
        let spec = &self.spec;
        let issuer = &spec.issuer_ref;
        let fields = [&spec.request, &spec.username, &spec.uid, &issuer.name, &issuer.kind, &issuer.group];
        let lists = spec.usages.iter().flatten().chain(&spec.groups);
        let extra = spec.extra.iter().flat_map(|(key, values)| values.iter().chain([key]));
        let annotations = self.annotations.iter().flat_map(|(key, value)| [key, value]);
        let text = fields.into_iter().chain(&spec.duration).chain(lists).chain(extra).chain(annotations);
        text.fold((0, 0), |(pieces, bytes), piece| (pieces + 1, bytes + piece.len()))
    }
}

/// How many bytes a text in base64 stands for, if it is one.
fn decoded_len(base64: &str) -> usize {
    let padding = base64.bytes().rev().take_while(|byte| *byte == b'=').count();
    (base64.len() / 4 * 3).saturating_sub(padding)
}
