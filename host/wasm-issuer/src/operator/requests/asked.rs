//! What a request asks for: the larger part of it, which is kept while there is room and read again where there was none.

use std::borrow::Cow;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use wasm_issuer_core::issuance::outcome::Unsignable;
use wasm_issuer_core::issuance::request_spec::RequestSpec;
use wasm_issuer_core::issuance::signer::Requester;
use wasm_issuer_core::x509::{Csr, CsrError, MAX_CSR_BYTES};
use wasm_issuer_runtime::{FairBytes, Share};

/// How many bytes of text a request may have. A CSR has 64 KiB at most, which are 88 in base64; annotations have 256 KiB
/// at most, which is the API server's limit.
const MAX_TEXT: usize = 384 << 10;
/// The longest name that an object of Kubernetes can have.
pub const MAX_NAME: usize = 253;
/// What a piece of text costs beside its bytes.
const PIECE: usize = 48;

/// `spec` of a request of either kind, as it was written: what the kinds have in common.
pub trait Spec: Send + Sync {
    /// Tells it apart from other specs.
    fn fingerprint(&self) -> u64;

    /// How long each piece of text is, in bytes.
    fn pieces(&self) -> Box<dyn Iterator<Item = usize> + '_>;

    /// How long the CSR is, PEM or whatever else it is, in bytes.
    fn csr_len(&self) -> usize;

    /// The CSR, PEM if the requester did it right.
    fn csr(&self) -> Result<Cow<'_, [u8]>, Unsignable>;

    /// What else is asked for, as it was given.
    fn given(&self, annotations: &[(String, String)]) -> Given<'_>;

    /// The same with the kind's defaults and bounds applied; annotations may be a part of it.
    fn decide(&self, annotations: &[(String, String)]) -> Result<RequestSpec, Unsignable>;

    /// Who asks.
    fn requester(&self) -> Requester;

    /// Why no Issuer can be called as it says, if so.
    fn misnamed(&self) -> Option<String>;

    /// Why no approver can read it, if so.
    fn unreadable(&self) -> Option<String> {
        None
    }
}

/// What a spec says, before the kind's defaults and bounds.
pub struct Given<'a> {
    pub usages: &'a [String],
    pub is_ca: bool,
    /// None where nothing is said; else what is said cannot be read, or is no lifetime for this kind.
    pub duration: Result<Option<Duration>, Unsignable>,
}

/// `spec` and `metadata.annotations` of a request.
pub struct Asked {
    pub spec: Box<dyn Spec>,
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

/// Tells values apart, within this process.
pub fn fingerprint(value: impl Hash) -> u64 {
    static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    HASHER.hash_one(value)
}

impl Asked {
    pub fn new(spec: impl Spec + 'static, annotations: Vec<(String, String)>) -> Self {
        Self { spec: Box::new(spec), annotations, room: OnceLock::new() }
    }

    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint { spec: self.spec.fingerprint(), annotations: fingerprint(&self.annotations) }
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

    /// The CSR, and what is asked for beside it with the kind's defaults. Fails where no plugin can be asked: the CSR or the
    /// spec is at fault, which names the field.
    pub fn decide(&self) -> Result<(Csr, RequestSpec), Unsignable> {
        let csr = Csr::from_pem_or_der(&self.spec.csr()?).map_err(|e| format!("spec.request: {e}"))?;
        let decided = self.spec.decide(&self.annotations)?;
        decided.check(&csr).map_err(|e| e.to_string())?;
        Ok((csr, decided))
    }

    /// Why nobody should look at it any further, if so: it is refused whatever comes of it.
    pub fn excess(&self) -> Option<String> {
        let (_, text) = self.size();
        let csr = self.spec.csr_len();
        if text > MAX_TEXT && csr > MAX_CSR_BYTES {
            return Some(format!("spec.request: {}", CsrError::TooLarge(csr)));
        }
        if text > MAX_TEXT {
            return Some(format!("the request has {text} bytes of text; at most {MAX_TEXT} are accepted"));
        }
        self.spec.misnamed()
    }

    /// How many pieces of text there are, and their bytes.
    fn size(&self) -> (usize, usize) {
        let annotations = self.annotations.iter().flat_map(|(key, value)| [key.len(), value.len()]);
        let text = self.spec.pieces().chain(annotations);
        text.fold((0, 0), |(pieces, bytes), piece| (pieces + 1, bytes + piece))
    }
}
