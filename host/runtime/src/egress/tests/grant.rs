use crate::egress::*;
use crate::testing::net::raw;

fn origin(scheme: &str, authority: &str) -> Result<Origin, InvalidOrigin> {
    Origin::of(raw(scheme, authority, "/").unwrap().uri())
}

#[test]
fn what_is_granted_is_allowed_and_nothing_else() {
    for (entry, scheme, authority, allowed) in [
        ("https://ca.example.com", "https", "ca.example.com", true),
        ("https://ca.example.com", "https", "ca.example.com:443", true),
        ("https://ca.example.com", "https", "CA.Example.COM", true),
        ("https://ca.example.com", "https", "ca.example.com.", true),
        ("https://CA.example.com.:443", "https", "ca.example.com", true),
        ("https://ca.example.com", "http", "ca.example.com", false),
        ("https://ca.example.com", "http", "ca.example.com:443", false),
        ("https://ca.example.com", "https", "ca.example.com:8443", false),
        ("https://ca.example.com", "https", "example.com", false),
        ("https://ca.example.com", "https", "x.ca.example.com", false),
        ("https://ca.example.com", "https", "ca.example.com.evil.net", false),
        ("https://ca.example.com:8443", "https", "ca.example.com", false),
        ("https://ca.example.com:8443", "https", "ca.example.com:8443", true),
        ("http://ca.example.com", "http", "ca.example.com", true),
        ("http://ca.example.com", "https", "ca.example.com", false),
        ("https://*.example.com", "https", "a.example.com", true),
        ("https://*.example.com", "https", "A.b.EXAMPLE.com", true),
        ("https://*.example.com", "https", "example.com", false),
        ("https://*.example.com", "https", "notexample.com", false),
        ("https://*.example.com", "https", "example.com.evil.net", false),
        ("https://*.1", "https", "127.0.0.1", false),
        ("https://10.0.0.5", "https", "10.0.0.5", true),
        ("https://10.0.0.5", "https", "10.0.0.5.", true),
        ("https://10.0.0.5", "https", "[::ffff:10.0.0.5]", false),
        ("https://[2001:DB8::1]:8443", "https", "[2001:db8:0:0::1]:8443", true),
        ("https://[2001:db8::1]:8443", "https", "[2001:db8::1]", false),
    ] {
        let Ok(grant) = Grant::parse([entry]) else {
            assert_eq!(entry, "https://*.1");
            continue;
        };
        assert_eq!(
            grant.allows(&origin(scheme, authority).unwrap()),
            allowed,
            "{entry} {scheme}://{authority}"
        );
    }
    let nothing = Grant::default();
    assert!(nothing.is_empty() && !nothing.allows(&origin("https", "ca.example.com").unwrap()));
}

#[test]
fn what_could_be_read_in_two_ways_is_no_destination() {
    use InvalidAuthority::*;
    for (authority, why) in [
        ("user@ca.example.com", UserInfo),
        ("user:password@ca.example.com", UserInfo),
        ("ca.example.com@evil.net", UserInfo),
        ("ca.example.com:443@evil.net", UserInfo),
        ("2130706433", Ipv4Form),
        ("0x7f.1", Ipv4Form),
        ("0x7f000001", Ipv4Form),
        ("0177.0.0.1", Ipv4Form),
        ("127.1", Ipv4Form),
        ("127.0.0.1.1", Ipv4Form),
        ("010.0.0.5", Ipv4Form),
        ("0", Ipv4Form),
        ("999.999.999.999", Ipv4Form),
        ("[fe80::1%25eth0]", Ipv6Form),
        ("[::1", Ipv6Form),
        ("[127.0.0.1]", Ipv6Form),
        ("[::1]x", Ipv6Form),
        ("ca.example.com:0", Port),
        ("ca.example.com:65536", Port),
        ("ca.example.com:99999", Port),
        ("ca.example.com:", Port),
        ("a..b", Name),
        ("-a.b", Name),
        ("a_b.c", Name),
        ("a%2e.b", Name),
        ("a!b", Name),
    ] {
        // What `wasi:http` itself refuses does not come this far.
        let Some(request) = raw("https", authority, "/") else { continue };
        assert_eq!(Origin::of(request.uri()), Err(InvalidOrigin::Authority(why)), "{authority}");
    }
    assert_eq!(origin("ftp", "a.b"), Err(InvalidOrigin::Scheme));
    let long = format!("{}.b", "a".repeat(64));
    assert!(origin("https", &long).is_err());
    assert!(origin("https", &"a.".repeat(128)).is_err());
}

#[test]
fn an_entry_that_grants_nothing_says_how_to_write_it() {
    for (entry, expected) in [
        ("ca.example.com", "the scheme is missing: write `https://ca.example.com`"),
        ("", "the scheme is missing"),
        ("ftp://ca.example.com", "must be https or http, in front of `://`: write `https://ca.example.com`"),
        ("*://ca.example.com", "must be https or http"),
        ("https://ca.example.com/api", "write `https://ca.example.com`"),
        ("https://ca.example.com/", "write `https://ca.example.com`"),
        ("https://ca.example.com?x", "write `https://ca.example.com`"),
        ("https://ca.example.com#x", "write `https://ca.example.com`"),
        ("https://*", "would grant the whole network"),
        ("https://*:443", "would grant the whole network"),
        ("https://a.*.com", "whole labels in front"),
        ("https://*a.com", "whole labels in front"),
        ("https://*.*.com", "whole labels in front"),
        ("https://*.10.0.0.1", "addresses have no wildcards"),
        ("https://*.[::1]", "addresses have no wildcards"),
        ("https://user@ca.example.com", "credentials belong into a Secret"),
        ("https://ca.example.com:0", "the port is not a number from 1 to 65535"),
        ("https://0x7f.1", "four decimal numbers"),
        ("https://ca example.com", "not a DNS name"),
        ("https://", "the host is missing"),
    ] {
        let error = Grant::parse(["https://good.example.com", entry]).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with(&format!("spec.http.allowedHosts: `{entry}`: ")), "{text}");
        assert!(text.contains(expected), "{entry:?}: {text}");
    }
    let text = Grant::parse(["a\u{1b}[31m\n"]).unwrap_err().to_string();
    assert!(!text.chars().any(char::is_control), "{text:?}");
}

#[test]
fn the_uri_that_is_sent_is_made_anew() {
    let uri = |authority, path| {
        let request = raw("https", authority, path).unwrap();
        let origin = Origin::of(request.uri()).unwrap();
        origin.uri(request.uri().path_and_query()).map(|uri| uri.to_string())
    };
    assert_eq!(uri("CA.Example.com.:443", "/a/../b?c=d").unwrap(), "https://ca.example.com/a/../b?c=d");
    assert_eq!(uri("ca.example.com:8443", "?q").unwrap(), "https://ca.example.com:8443/?q");
    assert_eq!(uri("[2001:DB8::1]", "//evil.net/x").unwrap(), "https://[2001:db8::1]//evil.net/x");
    // An absolute URI as the path would address the request to another host, in proxies and some servers.
    for path in ["*", "http://evil.net/", "https://evil.net", "evil"] {
        if let Some(request) = raw("https", "ca.example.com", path) {
            let origin = Origin::of(request.uri()).unwrap();
            assert_eq!(origin.uri(request.uri().path_and_query()), None, "{path}");
        }
    }
}
