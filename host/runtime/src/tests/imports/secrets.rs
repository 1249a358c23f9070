//! What the functions of `secrets` answer.

use super::*;

#[test]
fn secrets_are_listed_sorted_and_found_by_name() {
    let mut store = state(&[("token", b"t"), ("ca.crt", b"c")], &[]);
    let mut secrets = store.data_mut().secrets_view();
    assert_eq!(secrets.names().unwrap(), ["ca.crt", "token"]);
    assert_eq!(not_found(secrets.get("tokn".into()).unwrap()), "the Secret pki/auth has no key `tokn`");
}

fn keyed(encoding: Encoding) -> HmacKey {
    HmacKey { encoding, prefix: Vec::new(), pbm: None }
}

#[test]
fn hmac_takes_the_key_in_each_encoding() {
    // RFC 4231, test case 2.
    let message = b"what do ya want for nothing?";
    let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    let cases: [(&str, &[u8], Encoding); 5] = [
        ("raw", b"Jefe", Encoding::Raw),
        ("hex", b"4a656665\n", Encoding::Hex),
        ("base64", b" SmVmZQ==\n", Encoding::Base64),
        ("padded", b"SmVmZQ==", Encoding::Base64url),
        ("unpadded", b"SmVmZQ\n", Encoding::Base64url),
    ];
    let mut store = state(&cases.map(|(name, value, _)| (name, value)), &[]);
    let mut secrets = store.data_mut().secrets_view();
    for (name, _, encoding) in cases {
        let secret = secrets.secret(name);
        let mac =
            secrets.hmac(secret, Hash::Sha256, keyed(encoding), vec![message.to_vec()]).unwrap().unwrap();
        assert_eq!(hex::encode(mac), expected, "{name}");
    }
    let secret = secrets.secret("raw");
    let error = invalid(secrets.hmac(secret, Hash::Sha256, keyed(Encoding::Hex), vec![vec![]]).unwrap());
    assert_eq!(error, "`raw` of the Secret: the value is not hexadecimal digits");
    let secret = secrets.secret("raw");
    let none = secrets.hmac(secret, Hash::Sha256, keyed(Encoding::Raw), vec![]).unwrap();
    assert!(matches!(none, Err(SecretError::Other(message)) if message.contains("1 to 16 messages")));
}

#[test]
fn fields_of_a_value_are_lent_and_stay_out_of_texts() {
    let pair = rcgen::KeyPair::generate().unwrap();
    let document =
        serde_json::json!({ "private_key": pair.serialize_pem(), "client_secret": "s3cr3t \"quoted\"" });
    let mut store = state(&[("sa.json", document.to_string().as_bytes())], &[]);
    let mut secrets = store.data_mut().secrets_view();
    let secret = secrets.secret("sa.json");
    let secret = || Resource::new_borrow(secret.rep());
    let key = secrets.field(secret(), "/private_key".into()).unwrap().unwrap();
    assert!(secrets.signing_key(key).unwrap().is_ok());
    let field = secrets.field(secret(), "/client_secret".into()).unwrap().unwrap();
    assert!(secrets.placeholder(field, PlaceholderForm::JsonString).unwrap().is_ok());
    let shown = secrets.log.presentable("it was s3cr3t \"quoted\", or s3cr3t \\\"quoted\\\"", 500);
    assert_eq!(shown, "it was [redacted], or [redacted]");
    invalid(secrets.field(secret(), "/private_kei".into()).unwrap());
    let more = (0..100).take_while(|_| secrets.field(secret(), "/client_secret".into()).unwrap().is_ok());
    assert_eq!(more.count(), 5, "8 in a call");
}

#[test]
fn a_value_is_read_only_where_the_spec_says_so() {
    let mut store = state(&[("user", b"admin"), ("password", b"hunter2hunter2")], &["user"]);
    let mut secrets = store.data_mut().secrets_view();
    let secret = secrets.secret("user");
    assert_eq!(secrets.reveal(secret).unwrap().unwrap(), b"admin");
    let secret = secrets.secret("password");
    match secrets.reveal(secret).unwrap() {
        Err(SecretError::NotGranted(message)) => {
            assert!(message.ends_with("secrets:\n  reveal: [\"password\"]"), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

/// The JWE of the core's tests.
#[tokio::test]
async fn a_password_decrypts_a_key_once() {
    const JWE: &str = include_str!("../../../../core/src/keys/testdata/jwe/p256");
    let mut store = state(&[("password", "s3cr3t p\u{e4}ssword\n".as_bytes()), ("wrong", b"x")], &[]);
    let mut secrets = store.data_mut().secrets_view();
    let (secret, wrong) = (secrets.secret("password"), secrets.secret("wrong"));
    let secret = || Resource::new_borrow(secret.rep());
    let key = secrets.encrypted_signing_key(secret(), JWE.into()).await.unwrap().unwrap();
    let again = secrets.encrypted_signing_key(secret(), JWE.into()).await.unwrap().unwrap();
    let parsed = |key: &Resource<KeyHandle>| secrets.table.get(key).unwrap().clone();
    assert!(Arc::ptr_eq(&parsed(&key), &parsed(&again)));
    let refused = secrets.encrypted_signing_key(wrong, JWE.into()).await.unwrap().map(drop);
    assert_eq!(invalid(refused), "`wrong` of the Secret: the password does not decrypt the JWE");
}

#[test]
fn certificates_and_nothing_else_is_handed_out() {
    let pair = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec![]).unwrap().self_signed(&pair).unwrap();
    let chain = format!("# the root\n{}{}", certificate.pem(), certificate.pem());
    let both = format!("{}{}", certificate.pem(), pair.serialize_pem());
    let values: [(&str, &[u8]); 4] =
        [("ca.crt", chain.as_bytes()), ("both", both.as_bytes()), ("text", b"none"), ("empty", b" \n")];
    let mut store = state(&values, &[]);
    let mut secrets = store.data_mut().secrets_view();
    let secret = secrets.secret("ca.crt");
    let found = secrets.certificates(secret).unwrap().unwrap();
    assert_eq!(found, [certificate.der().to_vec(), certificate.der().to_vec()]);
    let secret = secrets.secret("both");
    assert!(invalid(secrets.certificates(secret).unwrap()).contains("`PRIVATE KEY`"));
    let secret = secrets.secret("text");
    invalid(secrets.certificates(secret).unwrap());
    let secret = secrets.secret("empty");
    assert!(secrets.certificates(secret).unwrap().unwrap().is_empty());
}

#[test]
fn placeholders_stand_for_header_values_and_stay_out_of_texts() {
    let mut store = state(&[("token", b"s3cr3t-token\n"), ("binary", b"a\nb")], &[]);
    let mut secrets = store.data_mut().secrets_view();
    let secret = secrets.secret("token");
    let secret = || Resource::new_borrow(secret.rep());
    let plain = secrets.placeholder(secret(), PlaceholderForm::Plain).unwrap().unwrap();
    let basic = secrets.placeholder(secret(), PlaceholderForm::BasicAuth("me".into())).unwrap().unwrap();
    assert_ne!(plain, basic);
    assert!(!plain.contains("s3cr3t"));
    let shown = secrets.log.presentable(&format!("{plain} {basic} s3cr3t-token bWU6czNjcjN0LXRva2Vu"), 500);
    assert_eq!(shown, "[redacted] [redacted] [redacted] [redacted]");
    invalid(secrets.placeholder(secret(), PlaceholderForm::BasicAuth("me:you".into())).unwrap());
    let binary = secrets.secret("binary");
    invalid(secrets.placeholder(binary, PlaceholderForm::Plain).unwrap());
    let more =
        (0..1000).take_while(|_| secrets.placeholder(secret(), PlaceholderForm::Plain).unwrap().is_ok());
    assert_eq!(more.count(), 62);
}
