//! The protocol, against a registry that does what a test says.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::{Request, Response};

use crate::docker_config::{Credentials, DockerConfig};
use crate::{
    Access, Body, COMPONENT_TYPE, Component, Digest, Error, Http, HttpError, Layer, Registry, Scheme,
};

/// Answers by method and URL, and remembers what it was asked, with whatever it was told about who asks.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<Scripted>>);

/// A status, header fields and a body.
type Answer = (u16, Vec<(String, String)>, Bytes);

#[derive(Default)]
struct Scripted {
    answers: HashMap<String, Vec<Answer>>,
    asked: Vec<String>,
}

impl Script {
    /// One answer after the other, the last one for good.
    fn on(&self, what: &str, status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> &Self {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut script = self.0.lock().unwrap();
        script.answers.entry(what.to_owned()).or_default().push((status, headers, body.into()));
        drop(script);
        self
    }

    fn asked(&self) -> Vec<String> {
        self.0.lock().unwrap().asked.clone()
    }

    fn registry(&self, credentials: Option<Credentials>) -> Registry<Self> {
        let reference = "r.example/team/ca:1".parse().unwrap();
        Registry::new(self.clone(), &reference, Scheme::Https, credentials, Access::Pull)
    }
}

#[async_trait]
impl Http for Script {
    async fn send(&mut self, request: Request<Bytes>) -> Result<Response<Body>, HttpError> {
        let what = format!("{} {}", request.method(), request.uri());
        let told = request.headers().get("authorization").map(|it| format!(" [{}]", it.to_str().unwrap()));
        let mut script = self.0.lock().unwrap();
        script.asked.push(format!("{what}{}", told.unwrap_or_default()));
        let Some(answers) = script.answers.get_mut(&what) else {
            let is_prohibited = request.uri().host() == Some("forbidden.example");
            return Err(HttpError { message: format!("nobody answers to {what}"), is_prohibited });
        };
        let (status, headers, body) = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(name, value);
        }
        // In small pieces, as a network has it.
        let chunks: Vec<_> = body.chunks(3).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        Ok(response.body(stream::iter(chunks).boxed()).unwrap())
    }
}

const MANIFESTS: &str = "https://r.example/v2/team/ca/manifests";
const BLOBS: &str = "https://r.example/v2/team/ca/blobs";
const BEARER: &str = r#"Bearer realm="https://auth.example/token",service="r e""#;
const TOKEN: &str = "https://auth.example/token?scope=repository%3Ateam%2Fca%3Apull&service=r%20e";

fn layer(bytes: &[u8]) -> Layer {
    Layer { digest: Digest::of(bytes), size: bytes.len() as u64 }
}

fn credentials() -> Option<Credentials> {
    let config = DockerConfig::parse(br#"{"auths": {"r.example": {"auth": "dTpw"}}}"#).unwrap();
    config.credentials(&"r.example/a".parse().unwrap()).unwrap().cloned()
}

async fn pull(script: &Script, layer: &Layer, limit: usize) -> Result<Vec<u8>, Error> {
    script.registry(credentials()).layer(layer, limit, &mut |_| {}).await
}

#[tokio::test]
async fn a_tag_is_resolved_and_its_component_is_read() {
    let component = Component::new(Bytes::from_static(b"\0asm...."), &[], &[]);
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "layers": [{"mediaType": COMPONENT_TYPE, "digest": Digest::of(b"\0asm....").to_string(), "size": 8}],
    });
    let manifest = manifest.to_string();
    let digest = Digest::of(manifest.as_bytes());
    let (script, told) = (Script::default(), digest.to_string());
    script
        .on(&format!("HEAD {MANIFESTS}/1"), 200, &[("docker-content-digest", &told)], "")
        .on(&format!("GET {MANIFESTS}/{digest}"), 200, &[], manifest.clone())
        .on(&format!("GET {BLOBS}/{}", Digest::of(b"\0asm....")), 200, &[], "\0asm....")
        // One that does not say which digest it is.
        .on(&format!("HEAD {MANIFESTS}/2"), 200, &[], "")
        .on(&format!("GET {MANIFESTS}/2"), 200, &[], manifest);
    let mut registry = script.registry(None);
    assert_eq!(registry.resolve("1").await.as_ref(), Ok(&digest));
    assert_eq!(registry.resolve("2").await.as_ref(), Ok(&digest));
    let found = registry.manifest(&digest).await.unwrap();
    assert_eq!(found.layer, layer(b"\0asm...."));
    let mut seen = vec![];
    assert_eq!(registry.layer(&found.layer, 8, &mut |n| seen.push(n)).await.unwrap(), b"\0asm....");
    assert_eq!(seen, [3, 6, 8]);
    assert_eq!(component.digest(), Component::new(Bytes::from_static(b"\0asm...."), &[], &[]).digest());
}

#[tokio::test]
async fn a_token_is_fetched_once_and_told_to_the_registry_alone() {
    let script = Script::default();
    let (a, b) = (layer(b"a"), layer(b"b"));
    script
        .on(&format!("GET {BLOBS}/{}", a.digest), 401, &[("www-authenticate", BEARER)], "")
        .on(&format!("GET {BLOBS}/{}", a.digest), 307, &[("location", "https://cdn.example/a?sig=s")], "")
        .on("GET https://cdn.example/a?sig=s", 200, &[], "a")
        .on(&format!("GET {BLOBS}/{}", b.digest), 200, &[], "b")
        .on(&format!("GET {TOKEN}"), 200, &[], r#"{"access_token": "t"}"#);
    let mut registry = script.registry(credentials());
    assert_eq!(registry.layer(&a, 1, &mut |_| {}).await.unwrap(), b"a");
    assert_eq!(registry.layer(&b, 1, &mut |_| {}).await.unwrap(), b"b");
    assert_eq!(
        script.asked(),
        [
            format!("GET {BLOBS}/{}", a.digest),
            format!("GET {TOKEN} [Basic dTpw]"),
            format!("GET {BLOBS}/{} [Bearer t]", a.digest),
            "GET https://cdn.example/a?sig=s".to_owned(),
            format!("GET {BLOBS}/{} [Bearer t]", b.digest),
        ]
    );
}

#[tokio::test]
async fn credentials_are_sent_when_they_are_asked_for_and_refused_once() {
    let script = Script::default();
    let a = layer(b"a");
    let body = r#"{"errors": [{"code": "UNAUTHORIZED", "message": "who\u001b[31m?"}]}"#;
    script.on(&format!("GET {BLOBS}/{}", a.digest), 401, &[("www-authenticate", r#"Basic realm="a""#)], body);
    let error = pull(&script, &a, 1).await.unwrap_err();
    let text = format!(
        "the registry does not let us in: 401 Unauthorized to GET {BLOBS}/{}: UNAUTHORIZED who [31m?",
        a.digest
    );
    assert_eq!((error.to_string(), error.may_pass()), (text, false));
    assert_eq!(script.asked().len(), 2);
    assert!(script.asked()[1].ends_with("[Basic dTpw]"));
    // Without any there is nothing to try again with.
    let script = Script::default();
    script.on(&format!("HEAD {MANIFESTS}/1"), 401, &[("www-authenticate", "Basic realm=a")], "");
    assert!(matches!(script.registry(None).resolve("1").await, Err(Error::Denied(_))));
    assert_eq!(script.asked().len(), 1);
}

#[tokio::test]
async fn redirects_are_few_and_lead_to_nothing_less_secret() {
    for (location, error) in [
        ("http://r.example/a", "from https to http"),
        ("ftp://r.example/a", "to what is neither https nor http"),
        ("//other.example/a", "to what is neither https nor http"),
        ("", "to what is no URL"),
        ("/around", "more than 3 redirects"),
    ] {
        let script = Script::default();
        let a = layer(b"a");
        script.on(&format!("GET {BLOBS}/{}", a.digest), 302, &[("location", location)], "");
        script.on("GET https://r.example/around", 308, &[("location", "https://r.example/around")], "");
        let found = pull(&script, &a, 1).await.unwrap_err();
        assert_eq!(found, Error::Redirect(error), "{location}");
        assert!(script.asked().len() <= 4);
    }
    // Nor is a token fetched in clear text.
    let script = Script::default();
    let challenge = r#"Bearer realm="http://auth.example/token""#;
    script.on(&format!("HEAD {MANIFESTS}/1"), 401, &[("www-authenticate", challenge)], "");
    let error = script.registry(credentials()).resolve("1").await.unwrap_err();
    assert_eq!((error, script.asked().len()), (Error::Redirect("from https to http"), 1));
}

#[tokio::test]
async fn other_bytes_and_too_many_are_refused() {
    let script = Script::default();
    let a = layer(b"abcd");
    let url = format!("GET {BLOBS}/{}", a.digest);
    // What is too large is not even asked for.
    assert_eq!(pull(&script, &a, 3).await, Err(Error::TooLarge { size: 4, limit: 3 }));
    assert!(script.asked().is_empty());
    script.on(&url, 200, &[], "abce").on(&url, 200, &[], "abc").on(&url, 200, &[], "abcdabcdabcd");
    let errors = [
        pull(&script, &a, 9).await.unwrap_err().to_string(),
        pull(&script, &a, 9).await.unwrap_err().to_string(),
        pull(&script, &a, 9).await.unwrap_err().to_string(),
    ];
    assert!(errors[0].ends_with("(4 bytes)") && errors[1].ends_with("(3 bytes)"), "{errors:?}");
    assert!(errors[2].ends_with("more than the 4 bytes that its manifest names"), "{errors:?}");
    let digest = Digest::of(b"{}");
    let url = format!("GET {MANIFESTS}/{digest}");
    script.on(&url, 200, &[], "[]").on(&url, 200, &[], vec![b' '; (256 << 10) + 1]);
    let mut registry = script.registry(None);
    assert!(matches!(registry.manifest(&digest).await, Err(Error::OtherBytes { .. })));
    assert_eq!(registry.manifest(&digest).await, Err(Error::LongAnswer(256 << 10)));
}

#[tokio::test]
async fn nothing_is_told_of_what_another_server_answers() {
    // Whatever is there, also after it sends on itself: a registry may name any server.
    let a = layer(b"abcd");
    let inside = "https://inside.example:8443";
    for answer in [
        (404, "{}"),
        (500, r#"{"errors": [{"code": "SECRET"}]}"#),
        (401, ""),
        (302, ""),
        (200, "abce"),
        (200, "abc"),
        (200, "abcdabcd"),
    ] {
        let script = Script::default();
        for url in [format!("{BLOBS}/{}", a.digest), format!("{MANIFESTS}/{}", a.digest)] {
            script.on(&format!("GET {url}"), 307, &[("location", "https://inside.example:8443/x")], "");
        }
        script.on(&format!("HEAD {MANIFESTS}/1"), 200, &[], "");
        script.on(&format!("GET {MANIFESTS}/1"), 307, &[("location", "https://inside.example:8443/x")], "");
        script.on(
            &format!("GET {inside}/x"),
            answer.0,
            &[("location", "https://secret.example/x")],
            answer.1,
        );
        let mut errors = vec![
            pull(&script, &a, 4).await.unwrap_err(),
            script.registry(None).manifest(&a.digest).await.unwrap_err(),
            script.registry(None).resolve("1").await.unwrap_err(),
        ];
        errors.dedup();
        assert_eq!(errors, [Error::Elsewhere(inside.to_owned())], "{answer:?}");
    }
    for (status, body) in [(401, ""), (200, "{}"), (200, "secret"), (302, "")] {
        let script = Script::default();
        script.on(&format!("HEAD {MANIFESTS}/1"), 401, &[("www-authenticate", BEARER)], "");
        script.on(&format!("GET {TOKEN}"), status, &[], body);
        let error = script.registry(credentials()).resolve("1").await.unwrap_err();
        assert_eq!(error, Error::Token("https://auth.example".to_owned()), "{status} {body}");
    }
    // That a server may not be reached is told where the registry names it, and not where another one does.
    let script = Script::default();
    let (url, forbidden) = (format!("GET {BLOBS}/{}", a.digest), ("location", "https://forbidden.example/x"));
    script.on(&url, 307, &[forbidden], "");
    let error = pull(&script, &a, 4).await.unwrap_err();
    assert!(error.to_string().contains("forbidden.example") && !error.may_pass(), "{error}");
    let script = Script::default();
    script.on(&url, 307, &[("location", "https://inside.example:8443/x")], "");
    script.on(&format!("GET {inside}/x"), 307, &[forbidden], "");
    assert_eq!(pull(&script, &a, 4).await.unwrap_err(), Error::Elsewhere(inside.to_owned()));
    // Nor whether anybody is there at all.
    let script = Script::default();
    script.on(&format!("HEAD {MANIFESTS}/1"), 401, &[("www-authenticate", BEARER)], "");
    let error = script.registry(credentials()).resolve("1").await.unwrap_err();
    assert_eq!(error, Error::Token("https://auth.example".to_owned()));
}

#[tokio::test]
async fn what_time_may_mend_is_told_from_what_it_may_not() {
    let script = Script::default();
    for (status, may_pass) in [(404, false), (403, false), (400, false), (429, true), (502, true)] {
        script.on(&format!("HEAD {MANIFESTS}/{status}"), status, &[], "");
        let error = script.registry(None).resolve(&status.to_string()).await.unwrap_err();
        assert_eq!(error.may_pass(), may_pass, "{error}");
    }
    let nobody = script.registry(None).resolve("none").await.unwrap_err();
    assert!(nobody.may_pass());
}

#[tokio::test]
async fn a_push_sends_what_is_missing_and_then_the_manifest() {
    let script = Script::default();
    let component = Component::new(Bytes::from_static(b"\0asm"), &["a:b/c".to_owned()], &[]);
    let (wasm, uploads) = (Digest::of(b"\0asm"), format!("{BLOBS}/uploads/"));
    script
        .on(&format!("HEAD {BLOBS}/{wasm}"), 200, &[], "")
        .on(&format!("POST {uploads}"), 202, &[("location", "/v2/up?state=x")], "")
        .on(&format!("PUT {MANIFESTS}/1"), 201, &[], "");
    let config = Digest::of(&Bytes::from(
        serde_json::json!({
            "created": "1970-01-01T00:00:00Z", "architecture": "wasm", "os": "wasip2",
            "layerDigests": [wasm.to_string()],
            "component": {"imports": ["a:b/c"], "exports": [], "target": null},
        })
        .to_string(),
    ));
    script.on(&format!("HEAD {BLOBS}/{config}"), 404, &[], "").on(
        &format!("PUT https://r.example/v2/up?state=x&digest={config}"),
        201,
        &[],
        "",
    );
    let digest = script.registry(None).push(&component, "1").await.unwrap();
    assert_eq!(digest, component.digest());
    let methods: Vec<String> =
        script.asked().iter().map(|it| it.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(methods, ["HEAD", "HEAD", "POST", "PUT", "PUT"]);
}
