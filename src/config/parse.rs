//! The forms of settings: how each kind of value is written on the command line and in the environment.

use std::{
    net::{SocketAddr, ToSocketAddrs},
    time::Duration,
};

use axum::http::HeaderName;
use url::Url;

/// An `https` URL, or `http` on this machine.
pub fn secure_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    let local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    match url.scheme() {
        "https" => Ok(url),
        "http" if local => Ok(url),
        _ => Err("expected an https URL, or http on this machine".to_owned()),
    }
}

/// The URL of a service that the server asks; whether it may be without TLS is for [`super::Settings::check`].
pub fn service_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    let is_web = matches!(url.scheme(), "http" | "https") && url.fragment().is_none();
    let has_credentials = !url.username().is_empty() || url.password().is_some();
    (is_web && !has_credentials).then_some(url).ok_or_else(|| "expected an https URL without credentials".to_owned())
}

/// A URL that paths are added to.
pub fn base_url(text: &str) -> Result<Url, String> {
    let url = secure_url(text)?;
    let is_plain = url.query().is_none() && url.fragment().is_none();
    is_plain.then_some(url).ok_or_else(|| "expected a URL without a query".to_owned())
}

/// The name of a parameter: letters, digits, hyphens and underscores.
pub fn parameter(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_name = (1..=40).contains(&text.len()) && text.bytes().all(is_plain);
    is_name.then(|| text.to_owned()).ok_or_else(|| "expected letters, digits, hyphens and underscores, at most 40".to_owned())
}

/// A connection to PostgreSQL: a URL, or key=value pairs.
pub fn database_url(text: &str) -> Result<tokio_postgres::Config, String> {
    text.parse().map_err(|error: tokio_postgres::Error| {
        std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string)
    })
}

/// The URL of one standby.
pub fn standby_url(text: &str) -> Result<tokio_postgres::Config, String> {
    let text = text.trim();
    let is_url = ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme));
    let config = if is_url { Some(database_url(text)?) } else { None };
    // A part of a URL with several hosts is none.
    config.filter(|config| config.get_hosts().len().max(config.get_hostaddrs().len()) == 1).ok_or_else(|| {
        "expected URLs of one host each, such as postgres://portal@standby.example.com/portal, separated by commas; a comma in a password is written %2C".to_owned()
    })
}

/// An `azp` claim: the origin of a front end.
pub fn party(text: &str) -> Result<String, String> {
    Some(text.trim().to_owned())
        .filter(|text| !text.is_empty())
        .ok_or_else(|| "expected origins such as https://portal.example.com".to_owned())
}

/// An origin as browsers send it (RFC 6454, section 6.2): scheme, host, and a port that is not the scheme's own.
pub fn origin(text: &str) -> Result<String, String> {
    let text = text.trim();
    let parsed = Url::parse(text).map(|url| url.origin().ascii_serialization());
    parsed
        .ok()
        .filter(|origin| origin == text)
        .ok_or_else(|| "expected origins such as https://portal.example.com, without a path".to_owned())
}

/// A request header's name.
pub fn header_name(text: &str) -> Result<HeaderName, String> {
    text.trim().to_ascii_lowercase().parse().map_err(|_| "expected names of headers such as x-app-version".to_owned())
}

/// A time: a number of seconds, or with a unit as in 500ms, 3s, 2m and 1h.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).len());
    let unit = match unit {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        _ => f64::NAN,
    };
    match number.trim().parse::<f64>().map(|number| number * unit) {
        Ok(seconds) if (0.001..=86_400.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("expected a number of seconds from 0.001 to 86400, such as 3, 3s, 500ms or 2m".to_owned()),
    }
}

/// A number of things, at least one; its digits may be set apart as in 50_000 and 50,000.
pub fn count(text: &str) -> Result<usize, String> {
    match digits(text).parse() {
        Ok(count @ 1..=1_000_000_000) => Ok(count),
        _ => Err("expected a whole number from 1 to 1000000000".to_owned()),
    }
}

/// A whole number without what sets its thousands apart.
fn digits(text: &str) -> String {
    let mut groups = text.trim().split(['_', ',']);
    let first = groups.next().unwrap_or_default().to_owned();
    groups.fold(first, |number, group| if group.len() == 3 { number + group } else { format!("{number}?") })
}

/// An address to listen on: with a host that is looked up, or a port alone for all of this machine's.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    let text = text.trim();
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let wrong = |why: String| format!("expected an address such as 127.0.0.1:8080, localhost:8080 or :8080; {why}");
    let (host, port) = text.rsplit_once(':').ok_or_else(|| wrong("it has no port".to_owned()))?;
    let port: u16 = port.parse().map_err(|_| wrong(format!("{port:?} is no port")))?;
    if host.is_empty() {
        return Ok(SocketAddr::from(([0, 0, 0, 0], port)));
    }
    let mut found: Vec<SocketAddr> = (host, port).to_socket_addrs().map_err(|error| wrong(error.to_string()))?.collect();
    // Of localhost the address that everybody tries first.
    found.sort_by_key(SocketAddr::is_ipv6);
    found.into_iter().next().ok_or_else(|| wrong(format!("{host:?} has no address")))
}

/// How many connections a pool has.
pub fn pool_size(text: &str) -> Result<usize, String> {
    digits(text)
        .parse()
        .ok()
        .filter(|size| (1..=1_000).contains(size))
        .ok_or_else(|| "expected a whole number from 1 to 1000".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settings take what people write, and nothing that could be meant otherwise.
    #[test]
    fn forms() {
        assert_eq!(seconds("3"), Ok(Duration::from_secs(3)));
        assert_eq!(seconds("3s"), Ok(Duration::from_secs(3)));
        assert_eq!(seconds("3 s"), Ok(Duration::from_secs(3)));
        assert_eq!(seconds("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(seconds("2m"), Ok(Duration::from_mins(2)));
        for bad in ["", "soon", "3x", "0", "-1", "25h", "s", "3 s s"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
        assert_eq!((count("50_000"), count("50,000"), count("1,000,000")), (Ok(50_000), Ok(50_000), Ok(1_000_000)));
        for bad in ["0", "5_0", "50,00", "1.5", ",000", "_", "-3"] {
            assert!(count(bad).is_err(), "{bad}");
        }
        assert_eq!(address("127.0.0.1:8080"), Ok(SocketAddr::from(([127, 0, 0, 1], 8_080))));
        assert_eq!(address("localhost:8080"), Ok(SocketAddr::from(([127, 0, 0, 1], 8_080))));
        assert_eq!(address(":8080"), Ok(SocketAddr::from(([0, 0, 0, 0], 8_080))));
        for bad in ["nowhere", "localhost", "localhost:port", "127.0.0.1:99999"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
