//! What is in an answer: bounded, compared, and told of only where it is the registry's own.

use futures::StreamExt as _;
use http::Response;

use crate::digest::{Digest, Hashing};
use crate::error::Error;
use crate::manifest::Layer;
use crate::transport::Body;

/// The server that the registry has sent us on to; none as long as it answers itself.
#[derive(Default)]
pub struct Elsewhere(pub Option<String>);

impl Elsewhere {
    /// What may be told of an error.
    pub fn told(&self, error: Error) -> Error {
        match &self.0 {
            None => error,
            Some(server) => error.of_another(|| Error::Elsewhere(server.clone())),
        }
    }
}

/// A body of so many bytes at most.
pub async fn read(response: Response<Body>, limit: usize) -> Result<Vec<u8>, Error> {
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while let Some(chunk) = body.next().await.transpose()? {
        if bytes.len() + chunk.len() > limit {
            return Err(Error::LongAnswer(limit));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// A layer's bytes, of which its manifest names so many.
pub async fn read_layer(
    mut body: Body,
    layer: &Layer,
    size: usize,
    progress: &mut (dyn FnMut(usize) + Send),
) -> Result<Vec<u8>, Error> {
    let (mut bytes, mut hashing) = (Vec::with_capacity(size), Hashing::default());
    let other = |found: String| Err(Error::OtherBytes { wanted: layer.digest.clone(), found });
    while let Some(chunk) = body.next().await.transpose()? {
        if bytes.len() + chunk.len() > size {
            return other(format!("more than the {size} bytes that its manifest names"));
        }
        bytes.extend_from_slice(&chunk);
        hashing.add(&chunk);
        progress(bytes.len());
    }
    is(&layer.digest, hashing.end(), bytes.len())?;
    Ok(bytes)
}

/// Whether these are the bytes that were asked for.
pub fn is(wanted: &Digest, found: Digest, bytes: usize) -> Result<(), Error> {
    if found == *wanted {
        return Ok(());
    }
    Err(Error::OtherBytes { wanted: wanted.clone(), found: format!("{found} ({bytes} bytes)") })
}
