//! Addresses of products: which may have a link, which shop each belongs to, and the key that a shop's programme gets.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use url::{Host, Url};

use crate::ids::TenantId;

/// The longest address, in characters.
pub const MAX_ADDRESS: usize = 2_000;
/// The longest label in a programme's key.
const MAX_LABEL: usize = 40;
/// Crockford's base 32 in lower case.
const ALPHABET: [u8; 32] = *b"0123456789abcdefghjkmnpqrstvwxyz";

/// The address of a product, as a link leads there: `http` or `https`, at a host of a known public suffix, without credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductAddress {
    url: Url,
    host: String,
    domain: String,
}

/// Why a text is not the address of a product. Displays as a sentence for the person who sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressFault {
    /// No address at all.
    #[error("Must be a web address such as https://example.com/product.")]
    Malformed,
    /// It has no scheme.
    #[error("Must begin with https:// or http://. Do you mean https://{0}?")]
    NoScheme(String),
    /// Another scheme than those of the web.
    #[error("Must begin with https:// or http://; it begins with {0}:.")]
    Scheme(String),
    /// Longer than addresses may be.
    #[error("Must be at most {MAX_ADDRESS} characters long; it has {0}.")]
    TooLong(usize),
    /// The host is an IP address.
    #[error("Must name a shop by its domain; {0} is an IP address.")]
    IpAddress(String),
    /// The host's name is one that the DNS cannot have.
    #[error("{0} is not a host name: its parts have 1 to 63 letters, digits, hyphens and underscores, and at most 253 in all.")]
    NoHostName(String),
    /// The host's name has an empty part.
    #[error("{0} is not a host name: it has an empty part between dots.")]
    EmptyLabel(String),
    /// The host is a public suffix, which belongs to nobody.
    #[error("{0} is a public suffix below which many have their shops; name the shop's own domain.")]
    PublicSuffix(String),
    /// The host's name ends in nothing that the public internet knows.
    #[error("{0} is no domain of the public internet.")]
    UnknownSuffix(String),
}

impl ProductAddress {
    /// Reads an address as browsers do (the URL standard), and finds the registrable domain of its host by the public suffix list, in which
    /// shops on a shared platform have domains of their own.
    pub fn parse(text: &str) -> Result<Self, AddressFault> {
        let text = text.trim();
        let length = text.chars().count();
        if length > MAX_ADDRESS {
            return Err(AddressFault::TooLong(length));
        }
        let mut url = Url::parse(text).map_err(|error| without_scheme(text, error))?;
        if !matches!(url.scheme(), "http" | "https") {
            // `example.com:8080/x` parses, with the host as its scheme.
            let is_host = url.scheme().contains('.');
            return Err(if is_host {
                AddressFault::NoScheme(shortened(text))
            } else {
                AddressFault::Scheme(shortened(url.scheme()))
            });
        }
        let host = match url.host() {
            Some(Host::Domain(name)) => name.strip_suffix('.').unwrap_or(name).to_owned(),
            Some(Host::Ipv4(address)) => return Err(AddressFault::IpAddress(address.to_string())),
            Some(Host::Ipv6(address)) => return Err(AddressFault::IpAddress(address.to_string())),
            None => return Err(AddressFault::Malformed),
        };
        if host.split('.').any(str::is_empty) {
            return Err(AddressFault::EmptyLabel(shortened(&host)));
        }
        let is_label = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
        if host.len() > 253 || host.split('.').any(|label| label.len() > 63 || !label.bytes().all(is_label)) {
            return Err(AddressFault::NoHostName(shortened(&host)));
        }
        let domain = registrable_domain(&host)?;
        // What anybody may see must not have a password in it, and one shop's name is written in one way.
        let cleaned = url.set_username("").and_then(|()| url.set_password(None)).is_ok() && url.set_host(Some(&host)).is_ok();
        match url.as_str().len() {
            _ if !cleaned => Err(AddressFault::Malformed),
            // As it is written everywhere, where other letters than those of ASCII take several.
            length if length > MAX_ADDRESS => Err(AddressFault::TooLong(length)),
            _ => Ok(Self { url, host, domain }),
        }
    }

    /// The address, in the form that the URL standard gives it.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Its host, in ASCII.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The registrable domain of its host, in ASCII.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Its host and the domains above it, the host first. A programme of one of them is the shop's, even where the public suffix list says
    /// otherwise by now.
    pub fn domains(&self) -> Vec<String> {
        let mut rest = Some(self.host.as_str());
        let above = std::iter::from_fn(|| {
            let name = rest?;
            rest = name.split_once('.').map(|(_, above)| above);
            name.contains('.').then(|| name.to_owned())
        });
        above.collect()
    }

    /// SHA-256 of the address: two texts of one address have the same.
    pub fn hash(&self) -> Vec<u8> {
        digest(&SHA256, self.url().as_bytes()).as_ref().to_vec()
    }
}

impl fmt::Display for ProductAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url())
    }
}

/// What is wrong with a text that does not parse: most often the scheme has been left out.
fn without_scheme(text: &str, error: url::ParseError) -> AddressFault {
    let rest = text.trim_start_matches('/');
    let with_scheme = (error == url::ParseError::RelativeUrlWithoutBase && !rest.is_empty()).then(|| format!("https://{rest}"));
    match with_scheme.filter(|text| ProductAddress::parse(text).is_ok()) {
        Some(_) => AddressFault::NoScheme(shortened(rest)),
        None => AddressFault::Malformed,
    }
}

fn registrable_domain(host: &str) -> Result<String, AddressFault> {
    let suffix = psl::suffix(host.as_bytes());
    if suffix.is_none_or(|suffix| !suffix.is_known()) {
        return Err(AddressFault::UnknownSuffix(shortened(host)));
    }
    psl::domain_str(host).map(str::to_owned).ok_or_else(|| AddressFault::PublicSuffix(shortened(host)))
}

fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}

/// The key of a tenant's programme for a domain: the domain's first label and ten letters that follow from tenant and domain. `attempt` is
/// above 0 where another programme of the tenant has the key of the attempt before.
pub fn programme_key(tenant: TenantId, domain: &str, attempt: u32) -> String {
    let again = if attempt > 0 { format!("\0{attempt}") } else { String::new() };
    let text = format!("programme/v1\0{}\0{domain}{again}", tenant.uuid());
    let hash = digest(&SHA256, text.as_bytes());
    let label = domain.split('.').next().unwrap_or_default().chars().filter(char::is_ascii_alphanumeric).take(MAX_LABEL);
    let label: String = label.collect();
    // A label of nothing but hyphens and underscores has no letter for a key.
    let label = if label.is_empty() { "shop".to_owned() } else { label };
    format!("{label}_{}", letters(hash.as_ref(), 10))
}

/// The first bits of some bytes as letters of Crockford's base 32, in lower case, five bits each; at most 12 letters.
pub(super) fn letters(bytes: &[u8], count: u32) -> String {
    let padded = bytes.iter().copied().chain(std::iter::repeat(0)).take(8);
    let bits = padded.fold(0_u64, |bits, byte| bits << 8 | u64::from(byte));
    (1..=count).map(|letter| char::from(ALPHABET[(bits >> (64 - 5 * letter) & 31) as usize])).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    /// Which shop an address belongs to, with all that addresses can have beside it.
    #[test]
    fn registrable_domains() {
        for (address, domain) in [
            ("https://WWW.CultGaia.COM./x?utm_source=a", "cultgaia.com"),
            ("https://shop.cultgaia.com:8443/", "cultgaia.com"),
            ("https://user:pw@cultgaia.com", "cultgaia.com"),
            ("http://www.cultgaia.co.uk", "cultgaia.co.uk"),
            ("https://WWW.CULTGAIA.CO.UK", "cultgaia.co.uk"),
            ("https://www.co.uk", "www.co.uk"),
            ("https://mystore.myshopify.com/p", "mystore.myshopify.com"),
            ("https://foo.github.io", "foo.github.io"),
            ("https://foo.vercel.app", "foo.vercel.app"),
            ("https://x.blogspot.com", "x.blogspot.com"),
            ("https://bücher.de", "xn--bcher-kva.de"),
            ("https://straße.de", "xn--strae-oqa.de"),
            ("https://ａpple.com", "apple.com"),
            ("https://a_b.example.com", "example.com"),
            ("  https://example.com/%20  ", "example.com"),
        ] {
            let parsed = ProductAddress::parse(address).unwrap_or_else(|fault| panic!("{address}: {fault}"));
            assert_eq!(parsed.domain(), domain, "{address}");
        }
    }

    /// Addresses of no shop are refused, each for its reason.
    #[test]
    fn refused() {
        let fault = |text: &str| ProductAddress::parse(text).expect_err(text);
        for suffix in ["co.uk", "github.io", "myshopify.com", "s3.amazonaws.com", "foo.ck"] {
            assert_eq!(fault(&format!("https://{suffix}/x")), AddressFault::PublicSuffix(suffix.to_owned()));
        }
        for address in ["127.0.0.1", "2130706433", "0x7f.1"] {
            assert_eq!(fault(&format!("http://{address}")), AddressFault::IpAddress("127.0.0.1".to_owned()));
        }
        assert_eq!(fault("https://[::1]/"), AddressFault::IpAddress("::1".to_owned()));
        for host in ["localhost", "foo.internal", "foo.local"] {
            assert_eq!(fault(&format!("https://{host}")), AddressFault::UnknownSuffix(host.to_owned()));
        }
        for scheme in ["javascript", "mailto", "data", "ftp"] {
            assert_eq!(fault(&format!("{scheme}:example.com")), AddressFault::Scheme(scheme.to_owned()));
        }
        for host in ["example.com..", ".example.com"] {
            assert!(matches!(fault(&format!("https://{host}/")), AddressFault::EmptyLabel(_)), "{host}");
        }
        for (given, meant) in [("cultgaia.com/path", "cultgaia.com/path"), ("//x.com", "x.com"), ("x.com:80/y", "x.com:80/y")] {
            assert_eq!(fault(given), AddressFault::NoScheme(meant.to_owned()));
        }
        for host in ["a!b.com", "a$b.com", &format!("{}.com", "x".repeat(64)), &format!("{}com", "abcdefg.".repeat(40))] {
            assert!(matches!(fault(&format!("https://{host}/")), AddressFault::NoHostName(_)), "{host}");
        }
        let umlauts = format!("https://example.com/{}", "ü".repeat(1_000));
        assert_eq!(fault(&umlauts), AddressFault::TooLong(6_020));
        for text in ["", "//x", "https://", "a b", "https://exa mple.com"] {
            assert_eq!(fault(text), AddressFault::Malformed, "{text}");
        }
        let long = format!("https://example.com/{}", "x".repeat(MAX_ADDRESS));
        assert_eq!(fault(&long), AddressFault::TooLong(MAX_ADDRESS + 20));
    }

    /// An address is kept as the URL standard writes it, without credentials and the dot at the host's end.
    #[test]
    fn kept_form() {
        let url = |text: &str| ProductAddress::parse(text).expect(text).url().to_owned();
        assert_eq!(url("https://WWW.CultGaia.COM./x?utm_source=a#top"), "https://www.cultgaia.com/x?utm_source=a#top");
        assert_eq!(url("https://user:pw@cultgaia.com:8443"), "https://cultgaia.com:8443/");
        assert_eq!(
            ProductAddress::parse("https://a.shop.cultgaia.co.uk").expect("an address").domains(),
            ["a.shop.cultgaia.co.uk", "shop.cultgaia.co.uk", "cultgaia.co.uk", "co.uk"]
        );
    }

    /// A programme's key follows from tenant and domain alone.
    #[test]
    fn keys() {
        let key = |tenant: u128, domain: &str, attempt| programme_key(Uuid::from_u128(tenant).into(), domain, attempt);
        assert_eq!(key(1, "cultgaia.com", 0), "cultgaia_4vy8dfezm5");
        assert_eq!(key(2, "cultgaia.com", 0), "cultgaia_b342x8te56");
        assert_eq!(key(1, "cultgaia.co.uk", 0), "cultgaia_8fe650mfqk");
        assert_ne!(key(1, "cultgaia.com", 1), key(1, "cultgaia.com", 0));
        assert!(key(1, "xn--bcher-kva.de", 0).starts_with("xnbcherkva_"));
    }

    proptest! {
        /// No text makes the parser panic, and what it accepts is read again as the same.
        #[test]
        fn stable(text in "(https?://)?[a-zA-Z0-9.@:/?#_\\PC-]{0,40}") {
            if let Ok(parsed) = ProductAddress::parse(&text) {
                prop_assert!(parsed.url().len() <= MAX_ADDRESS && parsed.domain().len() <= 253);
                prop_assert_eq!(ProductAddress::parse(parsed.url()), Ok(parsed));
            }
        }
    }
}
