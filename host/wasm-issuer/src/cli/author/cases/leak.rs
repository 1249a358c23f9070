//! Looks for secrets in what is about to be written, in every form in which a plugin or a server may have put them there.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use percent_encoding::percent_decode;
use serde_json::Value;

use super::recording::{Exchange, Header};

/// How many forms around each other are taken off: base64 within JSON within base64, as in a JWS of a JWS.
const DEPTH: usize = 3;
/// Shorter values stand everywhere by chance.
pub const MIN_SECRET: usize = 4;
/// A line of a value of several lines by itself: shorter ones say nothing.
const MIN_LINE: usize = 16;
/// As short as encoded values are that have [`MIN_SECRET`] bytes, or shorter.
const MIN_RUN: usize = 6;
/// What every private key in PEM says.
const PRIVATE_KEY: &[u8] = b"PRIVATE KEY-----";

/// Any padding or none, and what is cut off at any place.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A value that may stand nowhere.
pub struct Secret {
    /// What messages call it: ``the value of `token` ``.
    pub name: String,
    pub value: Vec<u8>,
}

/// Where a secret stands that should not, in words; none where there is none. A private key is one wherever it comes from.
pub fn find(exchanges: &[Exchange], expectation: &str, secrets: &[Secret]) -> Option<String> {
    let places = texts(exchanges).chain([("the expectation".to_owned(), expectation.as_bytes().to_vec())]);
    places.into_iter().find_map(|(place, text)| {
        let views = views(text);
        let found = |value: &[u8]| views.iter().find(|view| contains(&view.bytes, value));
        let leaked = secrets.iter().find_map(|secret| {
            let view = parts(&secret.value).find_map(found)?;
            Some((secret.name.as_str(), view))
        });
        let (name, view) = leaked.or_else(|| Some(("a private key", found(PRIVATE_KEY)?)))?;
        Some(format!(
            "{name} stands in {place}{}",
            view.form.map(|form| format!(", {form}")).unwrap_or_default()
        ))
    })
}

/// A value, and the lines of one that has several.
fn parts(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let whole = value.trim_ascii();
    let lines = whole.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let lines = lines.filter(|line| line.len() >= MIN_LINE && !line.starts_with(b"-----"));
    std::iter::once(whole).chain(lines).filter(|part| part.len() >= MIN_SECRET)
}

/// All texts of a recording, with what each is called.
fn texts(exchanges: &[Exchange]) -> impl Iterator<Item = (String, Vec<u8>)> {
    exchanges.iter().enumerate().flat_map(|(at, Exchange { request, answer })| {
        let of = format!("request {}", at + 1);
        let mut texts = vec![
            (format!("the URL of {of}"), request.url.as_bytes().to_vec()),
            (format!("the body of {of}"), request.body.0.to_vec()),
        ];
        texts.extend(fields(&request.headers, &of));
        let answer_of = format!("the answer to {of}");
        match answer {
            Ok(response) => {
                texts.push((format!("the body of {answer_of}"), response.body.0.to_vec()));
                texts.extend(fields(&response.headers, &answer_of));
            }
            Err(failure) => texts.push((answer_of, failure.hint.clone().unwrap_or_default().into_bytes())),
        }
        texts
    })
}

fn fields(headers: &[Header], of: &str) -> impl Iterator<Item = (String, Vec<u8>)> {
    headers
        .iter()
        .map(move |Header { name, value }| (format!("the header {name} of {of}"), value.as_bytes().to_vec()))
}

/// A text as it is, or a part of it without a form that it was in.
struct View {
    form: Option<&'static str>,
    bytes: Vec<u8>,
}

/// A form, and what takes it off of all parts of a text that are in it.
type Form = (&'static str, fn(&[u8]) -> Vec<Vec<u8>>);

const FORMS: [Form; 4] = [
    ("percent-encoded", percent),
    ("within JSON", json),
    ("in base64", base64),
    ("in hexadecimal", hexadecimal),
];

/// The text, and its parts without the forms that they are in.
fn views(text: Vec<u8>) -> Vec<View> {
    let mut views = vec![View { form: None, bytes: text }];
    let mut begin = 0;
    for _ in 0..DEPTH {
        let last: Vec<_> = views.iter().skip(begin).collect();
        let deeper = last.into_iter().flat_map(|view| {
            FORMS.into_iter().flat_map(|(form, take_off)| {
                let parts = take_off(&view.bytes).into_iter().filter(|part| part.len() >= MIN_SECRET);
                parts.map(move |bytes| View { form: Some(form), bytes })
            })
        });
        let mut deeper: Vec<_> = deeper.collect();
        begin = views.len();
        views.append(&mut deeper);
    }
    views
}

fn percent(text: &[u8]) -> Vec<Vec<u8>> {
    if !text.contains(&b'%') && !text.contains(&b'+') {
        return Vec::new();
    }
    // As forms have it.
    let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    vec![percent_decode(&spaced).collect()]
}

/// The names and strings of JSON, of several values too.
fn json(text: &[u8]) -> Vec<Vec<u8>> {
    let mut strings = Vec::new();
    let values = serde_json::Deserializer::from_slice(text).into_iter::<Value>();
    values.map_while(Result::ok).for_each(|value| collect(value, &mut strings));
    strings
}

fn collect(value: Value, strings: &mut Vec<Vec<u8>>) {
    match value {
        Value::String(text) => strings.push(text.into_bytes()),
        Value::Array(items) => items.into_iter().for_each(|item| collect(item, strings)),
        Value::Object(fields) => {
            for (name, value) in fields {
                strings.push(name.into_bytes());
                collect(value, strings);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What the runs of base64 stand for, in both alphabets, wherever the encoded bytes begin.
fn base64(text: &[u8]) -> Vec<Vec<u8>> {
    let standard = |byte: &u8| match byte {
        b'-' => b'+',
        b'_' => b'/',
        byte => *byte,
    };
    // Lines of it are one text.
    let text: Vec<u8> = text.iter().filter(|byte| !byte.is_ascii_whitespace()).map(standard).collect();
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let decode = |run: &[u8]| {
        // A last character by itself stands for no byte.
        let length = if run.len() % 4 == 1 { run.len() - 1 } else { run.len() };
        LENIENT.decode(run.get(..length)?).ok()
    };
    decoded(&text, is_base64, 4, decode)
}

fn hexadecimal(text: &[u8]) -> Vec<Vec<u8>> {
    let decode = |run: &[u8]| hex::decode(run.get(..run.len() / 2 * 2)?).ok();
    decoded(text, u8::is_ascii_hexdigit, 2, decode)
}

/// What each run stands for that consists of such bytes, if it begins with its first byte, its second, and so on.
fn decoded(
    text: &[u8],
    is_part: impl Fn(&u8) -> bool,
    beginnings: usize,
    decode: impl Fn(&[u8]) -> Option<Vec<u8>>,
) -> Vec<Vec<u8>> {
    let runs = text.split(|byte| !is_part(byte)).filter(|run| run.len() >= MIN_RUN);
    let decode = &decode;
    runs.flat_map(|run| (0..beginnings).filter_map(move |skipped| decode(run.get(skipped..)?))).collect()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD};
    use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

    use super::super::recording::{Body, Received, Sent, Status};
    use super::*;

    const SECRET: &str = "s3cr3t/\"té";

    fn exchange(url: &str, header: &str, sent: &str, received: &str) -> Exchange {
        let headers = vec![Header::try_from(format!("x-a: {header}")).unwrap()];
        let body = |text: &str| Body(text.to_owned().into());
        Exchange {
            request: Sent {
                method: "POST".into(),
                url: url.into(),
                headers: headers.clone(),
                body: body(sent),
            },
            answer: Ok(Received {
                status: Status(http::StatusCode::OK),
                headers: Vec::new(),
                body: body(received),
            }),
        }
    }

    fn found(exchange: Exchange) -> Option<String> {
        let secrets = [("the value of `other`", "0000"), ("the value of `token`", SECRET)];
        let secrets = secrets.map(|(name, value)| Secret { name: name.into(), value: value.into() });
        find(&[exchange], "", &secrets)
    }

    #[test]
    fn a_secret_is_found_in_every_form() {
        let json = serde_json::json!({"a": [{SECRET: 1}]}).to_string();
        let signed = format!("{{\"payload\":\"{}\"}}", URL_SAFE_NO_PAD.encode(&json));
        let escaped: String = SECRET.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        let forms = [
            (SECRET.to_owned(), ""),
            (format!("a=1&b=x{}", percent_encode(SECRET.as_bytes(), NON_ALPHANUMERIC)), ", percent-encoded"),
            (json, ", within JSON"),
            (format!("[\"{escaped}\"]"), ", within JSON"),
            (format!("Basic {}", BASE64.encode(format!("user:{SECRET}"))), ", in base64"),
            (format!("Basic {}", BASE64.encode(format!("users:{SECRET}"))), ", in base64"),
            (format!("Basic {}", BASE64.encode(format!("user-a:{SECRET}"))), ", in base64"),
            (format!("x{}", URL_SAFE_NO_PAD.encode(format!("{SECRET}???"))), ", in base64"),
            (hex::encode(format!("a{SECRET}")), ", in hexadecimal"),
            (hex::encode_upper(SECRET), ", in hexadecimal"),
            (signed, ", within JSON"),
        ];
        for (text, form) in forms {
            let wanted = |place: &str| Some(format!("the value of `token` stands in {place}{form}"));
            assert_eq!(found(exchange("/", "", &text, "")), wanted("the body of request 1"), "{text}");
            assert_eq!(
                found(exchange("/", "", "", &text)),
                wanted("the body of the answer to request 1"),
                "{text}"
            );
            assert_eq!(found(exchange("/", &text, "", "")), wanted("the header x-a of request 1"), "{text}");
            assert_eq!(found(exchange(&text, "", "", "")), wanted("the URL of request 1"), "{text}");
        }
        let lines = BASE64.encode(format!("{}{SECRET}", "x".repeat(60)));
        let (first, second) = lines.split_at(64);
        assert!(found(exchange("/", "", &format!("{first}\n{second}"), "")).is_some());
        assert_eq!(found(exchange("/", "{secret:token}", "s3cr3t", "c2VjcmV0")), None);
    }

    #[test]
    fn the_lines_of_a_key_are_secrets_too_and_so_is_every_private_key() {
        let pem =
            "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIBsomewhere\nc2hvcnQ=\n-----END EC PRIVATE KEY-----\n";
        let key = [Secret { name: "the value of `tls.key`".into(), value: pem.into() }];
        let in_body = |text: &str| find(&[exchange("/", "", text, "")], "", &key);
        assert!(in_body("MHcCAQEEIBsomewhere").is_some());
        assert_eq!(in_body("c2hvcnQ="), None);
        let other = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let answer = serde_json::json!({ "key": other }).to_string();
        let found = found(exchange("/", "", "", &answer)).unwrap();
        assert_eq!(found, "a private key stands in the body of the answer to request 1");
    }

    #[test]
    fn what_is_expected_holds_no_secret_either() {
        let secret = [Secret { name: "the value of `token`".into(), value: "t0k3n".into() }];
        let found = find(&[], "{\"message\": \"no t0k3n\"}", &secret).unwrap();
        assert_eq!(found, "the value of `token` stands in the expectation");
        assert_eq!(find(&[], "", &secret), None);
    }
}
