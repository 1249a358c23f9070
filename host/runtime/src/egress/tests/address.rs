use std::net::SocketAddr;

use ipnet::IpNet;

use crate::egress::*;

fn socket(ip: &str) -> SocketAddr {
    SocketAddr::new(ip.parse().unwrap(), 443)
}

fn networks(networks: &[&str]) -> Vec<IpNet> {
    networks.iter().map(|network| network.parse().unwrap()).collect()
}

fn vet(policy: &AddressPolicy, ip: &str) -> Result<String, Prohibition> {
    policy.vet(socket(ip), &[]).map(|address| address.ip().to_string())
}

/// As generous as a policy can be.
fn everything() -> AddressPolicy {
    AddressPolicy { private: true, allow: networks(&["0.0.0.0/0", "::/0"]), deny: vec![] }
}

#[test]
fn some_addresses_are_out_of_reach_under_every_policy() {
    for ip in [
        "169.254.169.254",
        "169.254.0.1",
        "169.254.170.2",
        "fe80::1",
        "febf::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        "fd00:a9fe:a9fe::1",
        "fd00:c1::a9fe:a9fe",
        "fd00:42::42",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "224.0.0.1",
        "239.255.255.255",
        "ff02::1",
        "0.0.0.0",
        "0.1.2.3",
        "::",
        "255.255.255.255",
        "240.0.0.1",
        // In disguise: mapped, compatible, translated, NAT64, 6to4, Teredo (server, client), ISATAP.
        "::ffff:169.254.169.254",
        "::169.254.169.254",
        "::ffff:0:169.254.169.254",
        "64:ff9b::169.254.169.254",
        "2002:a9fe:a9fe::1",
        "2001:0:a9fe:a9fe::1",
        "2001:0:5db8:d70e:0:0:5601:5601",
        "2606:4700::5efe:169.254.169.254",
        "::ffff:0.0.0.0",
    ] {
        assert!(
            matches!(vet(&everything(), ip), Err(Prohibition::Never(_))),
            "{ip}: {:?}",
            vet(&everything(), ip)
        );
        assert!(vet(&AddressPolicy::default(), ip).is_err(), "{ip}");
    }
}

#[test]
fn private_addresses_need_the_policy() {
    let private = AddressPolicy { private: true, ..AddressPolicy::default() };
    for ip in [
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "100.127.255.255",
        "fc00::1",
        "fdff::1",
        "fec0::1",
        "::ffff:10.0.0.1",
        "64:ff9b::10.0.0.1",
        "2002:a00:1::1",
    ] {
        assert_eq!(vet(&AddressPolicy::default(), ip), Err(Prohibition::Private), "{ip}");
        assert!(vet(&private, ip).is_ok(), "{ip}");
    }
    let one = AddressPolicy { allow: networks(&["10.96.0.10/32"]), ..AddressPolicy::default() };
    assert!(vet(&one, "10.96.0.10").is_ok() && vet(&one, "::ffff:10.96.0.10").is_ok());
    assert!(vet(&one, "10.96.0.11").is_err());
}

#[test]
fn loopback_and_reserved_addresses_need_to_be_named() {
    let private = AddressPolicy { private: true, ..AddressPolicy::default() };
    for ip in [
        "127.0.0.1",
        "127.255.255.255",
        "::1",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "192.0.2.1",
        "198.51.100.1",
        "203.0.113.1",
        "198.18.0.1",
        "198.19.255.255",
        "192.0.0.8",
        "192.88.99.1",
        "2001:db8::1",
        "3fff::1",
        "2001:2::1",
        "64:ff9b:1::1",
        "100::1",
        "4000::1",
        "5f00::1",
    ] {
        assert!(matches!(vet(&private, ip), Err(Prohibition::Special(_))), "{ip}: {:?}", vet(&private, ip));
        assert!(vet(&everything(), ip).is_ok(), "{ip}");
    }
}

#[test]
fn public_addresses_are_connected_to_in_their_plain_form() {
    for (ip, connected) in [
        ("93.184.215.14", "93.184.215.14"),
        ("::ffff:93.184.215.14", "93.184.215.14"),
        ("2606:4700::1111", "2606:4700::1111"),
        ("64:ff9b::5db8:d70e", "64:ff9b::5db8:d70e"),
        ("172.15.0.1", "172.15.0.1"),
        ("172.32.0.1", "172.32.0.1"),
        ("100.63.0.1", "100.63.0.1"),
        ("100.128.0.1", "100.128.0.1"),
        ("198.20.0.1", "198.20.0.1"),
    ] {
        assert_eq!(vet(&AddressPolicy::default(), ip).as_deref(), Ok(connected), "{ip}");
    }
}

#[test]
fn deny_is_stronger_than_allow() {
    let policy = AddressPolicy {
        private: true,
        allow: networks(&["10.0.0.0/8", "127.0.0.0/8"]),
        deny: networks(&["10.1.0.0/16", "93.184.215.0/24", "2606:4700::/32", "127.0.0.2/32"]),
    };
    for ip in
        ["10.1.2.3", "::ffff:10.1.2.3", "93.184.215.14", "64:ff9b::5db8:d70e", "2606:4700::1", "127.0.0.2"]
    {
        assert_eq!(vet(&policy, ip), Err(Prohibition::Denied), "{ip}");
    }
    assert!(vet(&policy, "10.2.2.3").is_ok() && vet(&policy, "127.0.0.1").is_ok());
}

#[test]
fn an_address_of_the_api_server_is_refused_in_every_form() {
    let server = |address: &str| ApiServer(address.parse().unwrap());
    let servers = [server("10.96.0.1:443"), server("127.0.0.1:6443"), server("[2606:4700::1]:443")];
    let vet = |address: &str| everything().vet(address.parse().unwrap(), &servers);
    for address in [
        "10.96.0.1:443",
        "10.96.0.1:10250",
        "[::ffff:10.96.0.1]:443",
        "[64:ff9b::a60:1]:443",
        "[2606:4700::1]:1",
        "127.0.0.1:6443",
        "[::ffff:127.0.0.1]:6443",
    ] {
        assert_eq!(vet(address), Err(Prohibition::Never("the Kubernetes API server")), "{address}");
    }
    // A development machine has more than an API server on its loopback address.
    assert!(vet("127.0.0.1:8888").is_ok() && vet("10.96.0.2:443").is_ok());
}
