//! Requests that leave the server: never to its own network, unless a setting allows it. Who can choose an address could else reach what
//! is not meant to be reached from outside (server-side request forgery).

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use reqwest::{
    Client, ClientBuilder,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::Policy,
};
use url::{Host, Url};

/// Whether requests may go to the server's own network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// To public addresses alone.
    Public,
    /// To any.
    Private,
}

impl Reach {
    /// Whether a URL's host can be within reach. A name is looked up only when a request is made.
    pub fn allows(self, url: &Url) -> bool {
        match (self, url.host()) {
            (Self::Private, host) => host.is_some(),
            (Self::Public, Some(Host::Ipv4(address))) => is_public(address.into()),
            (Self::Public, Some(Host::Ipv6(address))) => is_public(address.into()),
            (Self::Public, Some(Host::Domain(name))) => name != "localhost" && !name.ends_with(".localhost"),
            (Self::Public, None) => false,
        }
    }
}

/// A client that follows no redirects, uses no proxy, and connects only to what is within reach: the address that is looked at is the one that
/// it connects to. A URL whose host is an address must have been looked at by [`Reach::allows`]: addresses are not looked up.
pub fn client(reach: Reach, timeout: Duration) -> reqwest::Result<Client> {
    let builder: ClientBuilder = Client::builder().redirect(Policy::none()).no_proxy().timeout(timeout);
    match reach {
        Reach::Public => builder.dns_resolver(Arc::new(PublicAddresses(look_up))),
        Reach::Private => builder,
    }
    .build()
}

async fn look_up(name: Name) -> io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host((name.as_str(), 0)).await?.collect())
}

/// Looks names up by a function, anew for each connection, and gives their public addresses alone.
struct PublicAddresses<L>(L);

impl<L, F> Resolve for PublicAddresses<L>
where
    L: Fn(Name) -> F + Send + Sync,
    F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
{
    fn resolve(&self, name: Name) -> Resolving {
        let found = (self.0)(name);
        Box::pin(async move {
            let public: Vec<SocketAddr> = found.await?.into_iter().filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(io::Error::other("the name has no public address").into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Whether an address can be reached from everywhere: it is none of those that the IANA registries of special-purpose addresses (RFC 6890)
/// keep for something else.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_shared = a == 100 && b & 0b1100_0000 == 64; // RFC 6598
    let is_protocol = a == 192 && b == 0 && c == 0; // RFC 6890, section 2.1
    let is_relay = a == 192 && b == 88 && c == 99; // RFC 7526
    let is_benchmark = a == 198 && b & 0b1111_1110 == 18; // RFC 2544
    let is_reserved = a == 0 || a >= 240; // RFC 1122, section 3.2.1.3; RFC 1112, section 4
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || is_shared
        || is_protocol
        || is_relay
        || is_benchmark
        || is_reserved)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    // Addresses that carry another: mapped (RFC 4291), translated (RFC 6052), 6to4 (RFC 3056).
    let [.., y, z] = address.segments();
    let carried = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    if address.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0] {
        return is_public_v4(carried(y, z));
    }
    if a == 0x2002 {
        return is_public_v4(carried(b, address.segments()[2]));
    }
    // Global unicast is 2000::/3 (RFC 4291, section 2.4) without the protocols' own 2001::/23 and what is for documentation (RFC 3849, RFC 9637).
    let is_global = a & 0xe000 == 0x2000;
    let is_protocol = a == 0x2001 && b < 0x200;
    let is_documentation = a == 0x2001 && b == 0xdb8 || a == 0x3fff && b < 0x1000;
    is_global && !is_protocol && !is_documentation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_networks_of_ones_own_are_not_public() {
        for private in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:c0a8:101::",
            "3fff::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "ff02::1",
            "::7f00:1",
        ] {
            assert!(!is_public(private.parse().expect("valid")), "{private}");
        }
        for public in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "198.17.0.1",
            "198.20.0.1",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2002:808:808::",
        ] {
            assert!(is_public(public.parse().expect("valid")), "{public}");
        }
    }

    #[test]
    fn urls_that_name_such_an_address_are_out_of_reach() {
        for (url, is_allowed) in [
            ("https://rates.example.com/", true),
            ("https://8.8.8.8/", true),
            ("https://127.1/", false),
            ("https://0x7f000001/", false),
            ("https://[::1]/", false),
            ("https://localhost/", false),
            ("https://api.localhost/", false),
            ("https://169.254.169.254/latest/meta-data", false),
        ] {
            let url = Url::parse(url).expect("valid");
            assert_eq!(Reach::Public.allows(&url), is_allowed, "{url}");
            assert!(Reach::Private.allows(&url), "{url}");
        }
    }

    /// A name that has led to a public address and then leads to a private one is not connected to, and of one that leads to both only the public one is.
    #[tokio::test]
    async fn a_name_that_changes_its_mind() {
        let answers = std::sync::Mutex::new(vec![
            vec!["127.0.0.1:0", "8.8.8.8:0", "[::1]:0"],
            vec!["10.0.0.1:0", "169.254.169.254:0"],
            vec!["8.8.8.8:0"],
        ]);
        let resolver = PublicAddresses(move |_| {
            let answer = answers.lock().expect("answers").pop().unwrap_or_default();
            std::future::ready(Ok(answer.into_iter().map(|address| address.parse().expect("an address")).collect()))
        });
        let resolve = async || {
            let found = resolver.resolve("hooks.example.com".parse().expect("a name")).await;
            found.map(|found| found.map(|address| address.to_string()).collect::<Vec<_>>()).map_err(|error| error.to_string())
        };
        assert_eq!(resolve().await, Ok(vec!["8.8.8.8:0".to_owned()]));
        assert_eq!(resolve().await, Err("the name has no public address".to_owned()));
        assert_eq!(resolve().await, Ok(vec!["8.8.8.8:0".to_owned()]));
        assert_eq!(resolve().await, Err("the name has no public address".to_owned()));
    }

    #[tokio::test]
    async fn a_name_that_leads_into_the_own_network_is_not_connected_to() {
        let client = client(Reach::Public, Duration::from_secs(5)).expect("valid");
        // `localhost` passes through the resolver here as any name would that an attacker points there.
        let error = client.get("http://localhost:9/").send().await.expect_err("refused");
        let mut causes = vec![error.to_string()];
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            causes.push(inner.to_string());
            cause = inner.source();
        }
        assert!(causes.iter().any(|cause| cause.contains("the name has no public address")), "{causes:?}");
    }
}
