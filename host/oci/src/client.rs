//! A registry, as far as one repository of it is concerned: who we are there, and what is read.

use std::str::FromStr as _;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HeaderName, HeaderValue, LOCATION};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use wasm_issuer_core::text::clean;
use zeroize::Zeroizing;

use crate::body::{Elsewhere, is, read, read_layer};
use crate::challenge::Challenge;
use crate::digest::Digest;
use crate::docker_config::{Credentials, Wiped};
use crate::error::{Answer, Error};
use crate::manifest::{self, Layer, Manifest};
use crate::reference::Reference;
use crate::transport::{Body, Http};

/// More than the manifest of any component has.
pub(crate) const MAX_MANIFEST: usize = 256 << 10;
/// More than any token, or any error, has.
const MAX_TEXT: usize = 64 << 10;
/// A registry sends on to where it keeps its layers, and that maybe to a mirror.
const MAX_REDIRECTS: usize = 3;
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// How a registry is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// HTTP over TLS.
    Https,
    /// HTTP without TLS: anybody on the way can read credentials, and change what has no digest.
    Http,
}

/// What a token is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To read.
    Pull,
    /// To read and to write.
    Push,
}

/// One repository of a registry.
pub struct Registry<H> {
    http: H,
    /// `https://host[:port]`
    pub(crate) origin: String,
    pub(crate) repository: String,
    access: Access,
    credentials: Option<Credentials>,
    /// What the registry is told of us, since it asked.
    authorization: Option<HeaderValue>,
}

#[derive(Deserialize)]
struct Token {
    token: Option<Wiped>,
    access_token: Option<Wiped>,
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<ErrorOfRegistry>,
}

#[derive(Deserialize)]
struct ErrorOfRegistry {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl<H: Http> Registry<H> {
    /// The repository of a reference. Nothing is sent yet; credentials are only sent when they are asked for.
    pub fn new(
        http: H,
        reference: &Reference,
        scheme: Scheme,
        credentials: Option<Credentials>,
        access: Access,
    ) -> Self {
        let scheme = match scheme {
            Scheme::Https => "https",
            Scheme::Http => "http",
        };
        Self {
            http,
            origin: format!("{scheme}://{}", reference.server()),
            repository: reference.repository.clone(),
            access,
            credentials,
            authorization: None,
        }
    }

    /// Which manifest a tag stands for now.
    pub async fn resolve(&mut self, tag: &str) -> Result<Digest, Error> {
        let url = self.url(&format!("manifests/{tag}"))?;
        let (response, _) = self.get(Method::HEAD, &url, Some(manifest::ACCEPT)).await?;
        let told = response.headers().get(CONTENT_DIGEST).and_then(|it| it.to_str().ok()?.parse().ok());
        match told {
            Some(digest) => Ok(digest),
            // It need not say.
            None => Ok(Digest::of(&self.document(&url).await?)),
        }
    }

    /// The manifest with this digest.
    pub async fn manifest(&mut self, digest: &Digest) -> Result<Manifest, Error> {
        Ok(Manifest::parse(&self.manifest_json(digest).await?)?)
    }

    /// The same as it is written, whatever it is the manifest of.
    pub(crate) async fn manifest_json(&mut self, digest: &Digest) -> Result<Vec<u8>, Error> {
        let url = self.url(&format!("manifests/{digest}"))?;
        let (response, elsewhere) = self.get(Method::GET, &url, Some(manifest::ACCEPT)).await?;
        let json = read(response, MAX_MANIFEST).await.map_err(|error| elsewhere.told(error))?;
        is(digest, Digest::of(&json), json.len()).map_err(|error| elsewhere.told(error))?;
        Ok(json)
    }

    /// The bytes of a layer, if there are no more than `limit`. `progress` is told how many have come.
    pub async fn layer(
        &mut self,
        layer: &Layer,
        limit: usize,
        progress: &mut (dyn FnMut(usize) + Send),
    ) -> Result<Vec<u8>, Error> {
        let size = usize::try_from(layer.size).ok().filter(|size| *size <= limit);
        let too_large = Error::TooLarge { size: layer.size, limit: limit as u64 };
        let size = size.ok_or(too_large)?;
        let url = self.url(&format!("blobs/{}", layer.digest))?;
        let (response, elsewhere) = self.get(Method::GET, &url, None).await?;
        let bytes = read_layer(response.into_body(), layer, size, progress).await;
        bytes.map_err(|error| elsewhere.told(error))
    }

    /// The URL of something in the repository.
    pub(crate) fn url(&self, rest: &str) -> Result<Uri, Error> {
        let url = format!("{}/v2/{}/{rest}", self.origin, self.repository);
        url.parse().map_err(|_| Error::Redirect("the reference makes no URL"))
    }

    /// Ask for something, wherever the registry sends us. Returns who answers.
    pub(crate) async fn get(
        &mut self,
        method: Method,
        url: &Uri,
        accept: Option<&str>,
    ) -> Result<(Response<Body>, Elsewhere), Error> {
        let (mut url, mut elsewhere) = (url.clone(), Elsewhere::default());
        for _ in 0..=MAX_REDIRECTS {
            let mut request = request(&method, &url, Bytes::new());
            if let Some(accept) = accept.and_then(|it| HeaderValue::from_str(it).ok()) {
                request.headers_mut().insert(ACCEPT, accept);
            }
            let origin = origin_of(&url);
            if origin != self.origin {
                // What this one says of others is its own as well.
                elsewhere.0.get_or_insert_with(|| origin.clone());
            }
            let response = self.send(request).await.map_err(|error| match &elsewhere.0 {
                // Nor is it told which one that is, not even where it may not be reached.
                Some(server) if *server != origin => Error::Elsewhere(server.clone()),
                _ => elsewhere.told(error),
            })?;
            match response.status() {
                StatusCode::MOVED_PERMANENTLY
                | StatusCode::FOUND
                | StatusCode::SEE_OTHER
                | StatusCode::TEMPORARY_REDIRECT
                | StatusCode::PERMANENT_REDIRECT => {
                    url = location(&url, response.headers()).map_err(|error| elsewhere.told(error))?;
                }
                StatusCode::OK => return Ok((response, elsewhere)),
                _ => return Err(elsewhere.told(failed(&method, &url, response).await)),
            }
        }
        Err(elsewhere.told(Error::Redirect("more than 3 redirects")))
    }

    /// Send a request, and once more with what the registry asks for. Nobody else gets to see that.
    pub(crate) async fn send(&mut self, mut request: Request<Bytes>) -> Result<Response<Body>, Error> {
        let is_its_own = origin_of(request.uri()) == self.origin;
        if !is_its_own {
            return Ok(self.http.send(request).await?);
        }
        let before = self.authorization.clone();
        request.headers_mut().extend(before.map(|it| (AUTHORIZATION, it)));
        let response = self.http.send(request.clone()).await?;
        // What it was told is not what it wants now: a token may have run out.
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let Some(authorization) = self.authorize(response.headers()).await? else { return Ok(response) };
        self.authorization = Some(authorization.clone());
        request.headers_mut().insert(AUTHORIZATION, authorization);
        Ok(self.http.send(request).await?)
    }

    /// What to tell the registry that asks in this way; none where there is nothing to tell.
    async fn authorize(&mut self, headers: &HeaderMap) -> Result<Option<HeaderValue>, Error> {
        let basic = self.credentials.as_ref().map(|it| secret(&it.basic())).transpose()?;
        match Challenge::of(headers)? {
            Challenge::Basic => Ok(basic),
            Challenge::Bearer { realm, service } => {
                let token = self.token(&realm, service.as_deref(), basic).await?;
                secret(&Zeroizing::new(format!("Bearer {}", *token))).map(Some)
            }
        }
    }

    /// Fetch a token, as whoever the credentials are of, or as anybody.
    async fn token(
        &mut self,
        realm: &str,
        service: Option<&str>,
        basic: Option<HeaderValue>,
    ) -> Result<Zeroizing<String>, Error> {
        let actions = match self.access {
            Access::Pull => "pull",
            Access::Push => "pull,push",
        };
        // Not the scope that the registry names: that one is nobody's to widen.
        let scope = format!("repository:{}:{actions}", self.repository);
        let mut query = format!("scope={}", utf8_percent_encode(&scope, NON_ALPHANUMERIC));
        if let Some(service) = service {
            query.push_str(&format!("&service={}", utf8_percent_encode(service, NON_ALPHANUMERIC)));
        }
        let joint = if realm.contains('?') { '&' } else { '?' };
        let url = absolute(&self.origin, &format!("{realm}{joint}{query}"))?;
        let mut request = request(&Method::GET, &url, Bytes::new());
        request.headers_mut().extend(basic.map(|it| (AUTHORIZATION, it)));
        let (token, origin) = (self.read_token(request, &url).await, origin_of(&url));
        if origin == self.origin {
            token
        } else {
            token.map_err(|error| error.of_another(|| Error::Token(origin)))
        }
    }

    async fn read_token(&mut self, request: Request<Bytes>, url: &Uri) -> Result<Zeroizing<String>, Error> {
        let response = self.http.send(request).await?;
        if response.status() != StatusCode::OK {
            return Err(failed(&Method::GET, url, response).await);
        }
        let json = Zeroizing::new(read(response, MAX_TEXT).await?);
        let token: Option<Token> = serde_json::from_slice(&json).ok();
        let token = token.and_then(|it| it.token.or(it.access_token)).map(|Wiped(token)| token);
        let token = token.filter(|token| !token.is_empty());
        token.ok_or(Error::Challenge("its token server sends no token"))
    }
}

pub(crate) fn request(method: &Method, url: &Uri, body: Bytes) -> Request<Bytes> {
    let mut request = Request::new(body);
    *request.method_mut() = method.clone();
    *request.uri_mut() = url.clone();
    request
}

fn secret(text: &str) -> Result<HeaderValue, Error> {
    let value = HeaderValue::from_str(text);
    let mut value =
        value.map_err(|_| Error::Challenge("what it is to be told has characters that HTTP has not"))?;
    value.set_sensitive(true);
    Ok(value)
}

pub(crate) fn origin_of(url: &Uri) -> String {
    let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
    format!("{}://{}", text(url.scheme_str()), text(url.authority().map(|it| it.as_str())))
}

/// An absolute URL that leads nowhere less secret than `origin` is.
pub(crate) fn absolute(origin: &str, text: &str) -> Result<Uri, Error> {
    let url = Uri::from_str(text).map_err(|_| Error::Redirect("to what is no URL"))?;
    match url.scheme_str() {
        Some("https") if url.authority().is_some() => Ok(url),
        Some("http") if url.authority().is_some() && origin.starts_with("http://") => Ok(url),
        Some("http") => Err(Error::Redirect("from https to http")),
        _ => Err(Error::Redirect("to what is neither https nor http")),
    }
}

/// Where a response to a request for `from` leads.
pub(crate) fn location(from: &Uri, headers: &HeaderMap) -> Result<Uri, Error> {
    let to = headers.get(LOCATION).and_then(|it| it.to_str().ok());
    let to = to.ok_or(Error::Redirect("without saying where to"))?;
    let origin = origin_of(from);
    let is_path = to.starts_with('/') && !to.starts_with("//");
    if is_path { absolute(&origin, &format!("{origin}{to}")) } else { absolute(&origin, to) }
}

/// What an answer that is no success says.
pub(crate) async fn failed(method: &Method, url: &Uri, response: Response<Body>) -> Error {
    let status = response.status();
    let errors = read(response, MAX_TEXT).await.ok();
    let errors: Option<Errors> = errors.and_then(|json| serde_json::from_slice(&json).ok());
    let first = errors.and_then(|it| it.errors.into_iter().next());
    let detail = first.map(|it| clean(&format!(": {} {}", it.code, it.message), 300)).unwrap_or_default();
    // Without the query: it may hold what is as good as a password.
    let what = clean(&format!("{method} {}{}", origin_of(url), url.path()), 300);
    Error::of(Answer { status, what, detail })
}
