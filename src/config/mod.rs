//! Every setting: a flag, an environment variable, a default, a sentence.
#![expect(clippy::doc_markdown, reason = "--help shows these comments as they stand")]

pub mod limits;

use std::{
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use axum::http::HeaderName;
use clap::{Args, ValueEnum};
use url::Url;

use crate::{
    auth::verifier::AzpPolicy,
    config::limits::Limits,
    db::{self, PoolSettings, embedded::Source},
    keyring::Keyring,
};

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Who may ask about the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Introspection {
    /// Operators, and everyone in development.
    #[default]
    Auto,
    /// Everyone.
    On,
    /// Nobody.
    Off,
}

/// Which operations are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum TrustedMode {
    /// Any. There is no manifest.
    #[default]
    Off,
    /// Any, and those of the manifest by their id.
    Allow,
    /// Those of the manifest, and no other.
    Only,
}

/// An issuer's `iss` claim: an `https` URL, or `http` on this machine, kept to the letter because tokens are compared with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer(pub String);

impl FromStr for Issuer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        secure_url(text)?;
        Ok(Self(text.to_owned()))
    }
}

impl Issuer {
    /// Where its keys are published unless a setting says otherwise.
    pub fn jwks_url(&self) -> Result<Url, String> {
        let base = self.0.trim_end_matches('/');
        Url::parse(&format!("{base}/.well-known/jwks.json")).map_err(|error| error.to_string())
    }
}

fn secure_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    let local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    match url.scheme() {
        "https" => Ok(url),
        "http" if local => Ok(url),
        _ => Err("expected an https URL, or http on this machine".to_owned()),
    }
}

fn database_url(text: &str) -> Result<tokio_postgres::Config, String> {
    text.parse().map_err(|error: tokio_postgres::Error| {
        std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string)
    })
}

/// An `azp` claim: the origin of a front end.
fn party(text: &str) -> Result<String, String> {
    Some(text.trim().to_owned())
        .filter(|text| !text.is_empty())
        .ok_or_else(|| "expected origins such as https://portal.example.com".to_owned())
}

/// An origin as browsers send it (RFC 6454, section 6.2): scheme, host, and a port that is not the scheme's own.
fn origin(text: &str) -> Result<String, String> {
    let text = text.trim();
    let parsed = Url::parse(text).map(|url| url.origin().ascii_serialization());
    parsed
        .ok()
        .filter(|origin| origin == text)
        .ok_or_else(|| "expected origins such as https://portal.example.com, without a path".to_owned())
}

fn header_name(text: &str) -> Result<HeaderName, String> {
    text.trim().to_ascii_lowercase().parse().map_err(|_| "expected names of headers such as x-app-version".to_owned())
}

pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
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
pub(crate) fn count(text: &str) -> Result<usize, String> {
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
fn address(text: &str) -> Result<SocketAddr, String> {
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

fn pool_size(text: &str) -> Result<usize, String> {
    digits(text)
        .parse()
        .ok()
        .filter(|size| (1..=1_000).contains(size))
        .ok_or_else(|| "expected a whole number from 1 to 1000".to_owned())
}

/// The settings of all commands.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Settings")]
pub struct Settings {
    /// The PostgreSQL database (a URL, or key=value pairs). Without it the program runs a PostgreSQL of its own.
    #[arg(long, env = "DATABASE_URL", global = true, hide_env_values = true, value_name = "URL", value_parser = database_url)]
    pub database_url: Option<tokio_postgres::Config>,

    /// The same database as the owner of the tables, for migrations and administration; DATABASE_URL where it is not set.
    #[arg(long, env = "PORTAL_OWNER_URL", global = true, hide_env_values = true, value_name = "URL", value_parser = database_url)]
    pub owner_url: Option<tokio_postgres::Config>,

    /// The address to listen on.
    #[arg(long, env = "PORTAL_LISTEN", global = true, value_name = "ADDRESS", default_value = "127.0.0.1:8080", value_parser = address)]
    pub listen: SocketAddr,

    /// The folder of the embedded PostgreSQL and of what is fetched for development.
    #[arg(long, env = "PORTAL_DATA_DIR", global = true, value_name = "FOLDER", default_value = ".portal")]
    pub data_dir: PathBuf,

    /// The folder of the programs postgres and initdb, for the embedded PostgreSQL.
    #[arg(long, env = "PG_BIN_DIR", global = true, value_name = "FOLDER")]
    pub pg_bin_dir: Option<PathBuf>,

    /// Where the embedded PostgreSQL's programs come from: this machine if it has them, or always the pinned download.
    #[arg(long, env = "PORTAL_POSTGRES_SOURCE", global = true, value_enum, default_value_t)]
    pub postgres_source: Source,

    /// What is logged: a level, or levels by module, such as info,partner_portal=debug.
    #[arg(long, env = "PORTAL_LOG", global = true, value_name = "FILTER", default_value = "info")]
    pub log: String,

    /// How the log is written.
    #[arg(long, env = "PORTAL_LOG_FORMAT", global = true, value_enum, default_value_t)]
    pub log_format: LogFormat,

    /// The OpenTelemetry collector that traces are sent to, by OTLP over HTTP.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", global = true, value_name = "URL")]
    pub otlp_endpoint: Option<Url>,

    /// The address to serve Prometheus metrics on, at /metrics. It is for those who run the server, and asks for no token.
    #[arg(long, env = "PORTAL_METRICS_LISTEN", global = true, value_name = "ADDRESS", value_parser = address)]
    pub metrics_listen: Option<SocketAddr>,

    /// The issuers whose session tokens are believed (their iss claims, exactly), separated by commas.
    #[arg(long, env = "CLERK_ISSUER", global = true, value_name = "URL", value_delimiter = ',')]
    pub issuer: Vec<Issuer>,

    /// Where the issuer publishes its keys; ISSUER/.well-known/jwks.json where it is not set. For a single issuer.
    #[arg(long, env = "CLERK_JWKS_URL", global = true, value_name = "URL", value_parser = secure_url)]
    pub jwks_url: Option<Url>,

    /// The issuer's public key in PEM, instead of fetching its keys. For a single issuer.
    #[arg(long, env = "CLERK_JWT_KEY", global = true, hide_env_values = true, value_name = "PEM")]
    pub jwt_key: Option<String>,

    /// The front ends (origins) that tokens may be made for, separated by commas; any where it is not set.
    #[arg(long, env = "CLERK_AUTHORIZED_PARTIES", global = true, value_name = "ORIGINS", value_delimiter = ',', value_parser = party)]
    pub authorized_parties: Vec<String>,

    /// What to do about the claim azp, which names the front end: a wrong one is always refused, a missing one if required.
    #[arg(long, env = "CLERK_AZP_POLICY", global = true, value_enum, default_value_t)]
    pub azp_policy: AzpPolicy,

    /// The keys that seal tax ids and bank accounts: VERSION:KEY pairs separated by commas, each key 32 bytes in base64. New
    /// values are sealed with the highest version. The embedded database has a key made for it.
    #[arg(long, env = "PORTAL_ENCRYPTION_KEYS", global = true, hide_env_values = true, value_name = "KEYS")]
    pub encryption_keys: Option<Keyring>,

    /// How many database connections at most. A few for each core of the database serve more than many do.
    #[arg(long, env = "PORTAL_POOL_SIZE", global = true, value_name = "COUNT", default_value = "8", value_parser = pool_size)]
    pub pool_size: usize,

    /// How many seconds a request may wait for a database connection.
    #[arg(long, env = "PORTAL_POOL_WAIT", global = true, value_name = "SECONDS", default_value = "3", value_parser = seconds)]
    pub pool_wait: Duration,

    /// How many seconds one SQL statement may run.
    #[arg(long, env = "PORTAL_STATEMENT_TIMEOUT", global = true, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub statement_timeout: Duration,

    /// How many seconds one operation may take.
    #[arg(long, env = "PORTAL_OPERATION_TIMEOUT", global = true, value_name = "SECONDS", default_value = "15", value_parser = seconds)]
    pub operation_timeout: Duration,

    /// How many seconds one operation with a file may take.
    #[arg(long, env = "PORTAL_UPLOAD_TIMEOUT", global = true, value_name = "SECONDS", default_value = "300", value_parser = seconds)]
    pub upload_timeout: Duration,

    /// How many seconds lie between two looks at what is due by time: commissions that were held long enough, credits that expire.
    #[arg(long, env = "PORTAL_MAINTENANCE_INTERVAL", global = true, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub maintenance_interval: Duration,

    /// How many days a change is kept for subscribers who were away.
    #[arg(long, env = "PORTAL_EVENT_DAYS", global = true, value_name = "DAYS", default_value = "7", value_parser = clap::value_parser!(u16).range(1..=365))]
    pub event_days: u16,

    /// How many seconds requests in flight have to finish when the server is asked to stop.
    #[arg(long, env = "PORTAL_SHUTDOWN_TIMEOUT", global = true, value_name = "SECONDS", default_value = "20", value_parser = seconds)]
    pub shutdown_timeout: Duration,

    /// Who may ask about the schema and is told of similar names: everyone, nobody, or (auto) operators, and everyone in development.
    #[arg(long, env = "PORTAL_INTROSPECTION", global = true, value_enum, default_value_t)]
    pub introspection: Introspection,

    /// The web origins (scheme and host) of the front ends that may call from a browser, separated by commas.
    #[arg(long, env = "PORTAL_CORS_ORIGINS", global = true, value_name = "ORIGINS", value_delimiter = ',', value_parser = origin)]
    pub cors_origins: Vec<String>,

    /// Request headers that those front ends may send besides the usual ones, separated by commas.
    #[arg(long, env = "PORTAL_CORS_HEADERS", global = true, value_name = "HEADERS", value_delimiter = ',', value_parser = header_name)]
    pub cors_headers: Vec<HeaderName>,

    /// Which operations are taken: any, also those of the manifest by their id, or those of the manifest only.
    #[arg(long, env = "PORTAL_TRUSTED_DOCUMENTS", global = true, value_enum, default_value_t)]
    pub trusted_documents: TrustedMode,

    /// The manifest of known operations: a JSON object of ids and texts, as GraphQL Code Generator, Relay and Apollo write it.
    #[arg(long, env = "PORTAL_TRUSTED_MANIFEST", global = true, value_name = "FILE")]
    pub trusted_manifest: Option<PathBuf>,

    /// What one request, one caller, and all of them together may ask.
    #[command(flatten)]
    pub limits: Limits,
}

impl Settings {
    /// What the pool of connections needs to know.
    pub fn pool(&self) -> PoolSettings {
        PoolSettings { size: self.pool_size, wait: self.pool_wait, statement_timeout: self.statement_timeout, linger: db::LINGER }
    }

    /// Whether this is development: an embedded database, and nobody else's tokens.
    pub fn is_development(&self) -> bool {
        self.database_url.is_none() && self.issuer.is_empty()
    }

    /// What cannot be right together. Each is one line that names the setting.
    pub fn check(&self) -> Result<(), String> {
        if self.database_url.is_some() && self.issuer.is_empty() {
            return Err("CLERK_ISSUER (--issuer) is not set: with DATABASE_URL there is no development issuer, and no token would be believed".to_owned());
        }
        if self.database_url.is_some() && self.encryption_keys.is_none() {
            return Err("PORTAL_ENCRYPTION_KEYS (--encryption-keys) is not set: it seals tax ids and bank accounts; `partner-portal encryption-key` makes one".to_owned());
        }
        if (self.trusted_documents == TrustedMode::Off) != self.trusted_manifest.is_none() {
            return Err("PORTAL_TRUSTED_DOCUMENTS (--trusted-documents) and PORTAL_TRUSTED_MANIFEST (--trusted-manifest) are set together, or neither".to_owned());
        }
        if self.limits.user_burst.min(self.limits.tenant_burst) < self.limits.max_cost + 1_000 {
            return Err("PORTAL_USER_BURST and PORTAL_TENANT_BURST (--user-burst, --tenant-burst) are at least 1000 above PORTAL_MAX_COST (--max-cost): nobody could pay for a large operation otherwise".to_owned());
        }
        if self.database_url.is_none() && self.owner_url.is_some() {
            return Err("PORTAL_OWNER_URL (--owner-url) is set without DATABASE_URL".to_owned());
        }
        if self.issuer.len() != 1 && (self.jwks_url.is_some() || self.jwt_key.is_some()) {
            return Err("CLERK_JWKS_URL and CLERK_JWT_KEY are for a single issuer in CLERK_ISSUER (--issuer)".to_owned());
        }
        Ok(())
    }
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
