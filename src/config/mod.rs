//! Every setting: a flag, an environment variable, a default, a sentence.
#![expect(clippy::doc_markdown, reason = "--help shows these comments as they stand")]

pub mod clusters;
pub mod limits;
mod parse;

use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use axum::http::HeaderName;
use clap::{Args, ValueEnum};
use url::Url;

use self::{
    clusters::{ClusterFile, cluster_file},
    limits::Limits,
    parse::{
        address, base_url, database_url, header_name, origin, parameter, party, pool_size, seconds, secure_url, service_url,
        standby_url,
    },
};
use crate::{
    auth::verifier::AzpPolicy,
    clicks::ClickSettings,
    clock::Clock,
    db::{self, DatabaseKind, PoolSettings, embedded::PostgresSource, standbys::display_address},
    keyring::Keyring,
    outbound::Reach,
    rates::{CommissionRates, service::HttpRateService},
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

    /// Standbys of that database that answer queries beside it (their URLs, separated by commas). Each names one host. Nobody is answered without what they have changed.
    #[arg(long, env = "PORTAL_READ_URL", global = true, hide_env_values = true, value_name = "URLS", value_delimiter = ',', value_parser = standby_url)]
    pub read_url: Vec<tokio_postgres::Config>,

    /// How many seconds such a standby may be behind; one that is further behind is left out.
    #[arg(long, env = "PORTAL_READ_LAG", global = true, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    pub read_lag: Duration,

    /// A file of further database clusters, each with tenants of its own: a JSON object of their names, and for each `url`, `owner_url` and `read_url` as above.
    #[arg(long, env = "PORTAL_CLUSTERS", global = true, value_name = "FILE", value_parser = cluster_file)]
    pub clusters: Option<ClusterFile>,

    /// The cluster that a command is for, of those in that file; that of DATABASE_URL is called main.
    #[arg(long, global = true, value_name = "NAME")]
    pub cluster: Option<String>,

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
    pub postgres_source: PostgresSource,

    /// What is logged: a level, or levels by module, such as info,partner_portal=debug.
    #[arg(long, env = "PORTAL_LOG", global = true, value_name = "FILTER", default_value = "info")]
    pub log: String,

    /// How the log is written.
    #[arg(long, env = "PORTAL_LOG_FORMAT", global = true, value_enum, default_value_t)]
    pub log_format: LogFormat,

    /// The OpenTelemetry collector that traces are sent to, by OTLP over HTTP.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", global = true, value_name = "URL")]
    pub otlp_endpoint: Option<Url>,

    /// The address to serve Prometheus metrics on, at /metrics. It needs no token, and must be reachable by operators of the server alone.
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

    /// How many seconds one operation may take that has a file, or erases a person.
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

    /// Who may introspect the schema, and sees suggestions of similar names in errors: everyone, nobody, or (auto) operators, and everyone in development.
    #[arg(long, env = "PORTAL_INTROSPECTION", global = true, value_enum, default_value_t)]
    pub introspection: Introspection,

    /// Where the server is reached from outside: links begin with it. http://LISTEN where it is not set.
    #[arg(long, env = "PORTAL_PUBLIC_URL", global = true, value_name = "URL", value_parser = base_url)]
    pub public_url: Option<Url>,

    /// The folder of clicks that were answered and are not in the database yet; the folder clicks of PORTAL_DATA_DIR where it is not set. It must outlast the process.
    #[arg(long, env = "PORTAL_CLICK_DIR", global = true, value_name = "FOLDER")]
    pub click_dir: Option<PathBuf>,

    /// The parameter in which a shop gets the id of the click that a visitor came by.
    #[arg(long, env = "PORTAL_CLICK_PARAMETER", global = true, value_name = "NAME", default_value = "click_id", value_parser = parameter)]
    pub click_parameter: String,

    /// How many days clicks are kept, in whole months; their totals are kept for ever.
    #[arg(long, env = "PORTAL_CLICK_DAYS", global = true, value_name = "DAYS", default_value = "400", value_parser = clap::value_parser!(u16).range(1..=3650))]
    pub click_days: u16,

    /// The header in which the proxy in front says from which address a visitor comes, such as X-Forwarded-For, of which the last address counts; the address of the connection where it is not set.
    #[arg(long, env = "PORTAL_ADDRESS_HEADER", global = true, value_name = "HEADER", value_parser = header_name)]
    pub address_header: Option<HeaderName>,

    /// The header in which the proxy in front says in which country a visitor is (ISO 3166-1), such as CF-IPCountry; unknown where it is not set.
    #[arg(long, env = "PORTAL_COUNTRY_HEADER", global = true, value_name = "HEADER", value_parser = header_name)]
    pub country_header: Option<HeaderName>,

    /// The commission-rate service that is asked for the rate of a shop whose first link is made. Without it the rules of the tenant hold.
    #[arg(long, env = "PORTAL_RATE_URL", global = true, value_name = "URL", value_parser = service_url)]
    pub rate_url: Option<Url>,

    /// The bearer token for the commission-rate service.
    #[arg(long, env = "PORTAL_RATE_TOKEN", global = true, hide_env_values = true, value_name = "TOKEN")]
    pub rate_token: Option<String>,

    /// Lets the commission-rate service be in the server's own network, and be asked without TLS.
    #[arg(long, env = "PORTAL_RATE_ALLOW_PRIVATE", global = true)]
    pub rate_allow_private: bool,

    /// Lets webhooks be sent into the server's own network, and without TLS. In development they are.
    #[arg(long, env = "PORTAL_WEBHOOK_ALLOW_PRIVATE", global = true)]
    pub webhook_allow_private: bool,

    /// The web origins (scheme and host) of the front ends that may call from a browser, separated by commas.
    #[arg(long, env = "PORTAL_CORS_ORIGINS", global = true, value_name = "ORIGINS", value_delimiter = ',', value_parser = origin)]
    pub cors_origins: Vec<String>,

    /// The folder of a built dashboard, which is shown at every address that is not another's. In development `dashboard/dist`, where it is there.
    #[arg(long, env = "PORTAL_DASHBOARD_DIR", global = true, value_name = "FOLDER")]
    pub dashboard_dir: Option<PathBuf>,

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
        PoolSettings {
            size: self.pool_size,
            wait: self.pool_wait,
            statement_timeout: self.statement_timeout,
            linger: db::LINGER,
            kind: if self.standbys().is_empty() { DatabaseKind::Single } else { DatabaseKind::Primary },
        }
    }

    /// The standbys that answer queries.
    pub fn standbys(&self) -> &[tokio_postgres::Config] {
        &self.read_url
    }

    /// Where webhooks may be sent.
    pub fn webhook_reach(&self) -> Reach {
        if self.webhook_allow_private || self.is_development() { Reach::Private } else { Reach::Public }
    }

    /// What redirects need to know.
    pub fn clicks(&self) -> ClickSettings {
        ClickSettings {
            folder: self.click_dir.clone().unwrap_or_else(|| self.data_dir.join("clicks")),
            parameter: self.click_parameter.clone(),
            address_header: self.address_header.clone(),
            country_header: self.country_header.clone(),
        }
    }

    /// Where the server is reached from outside, without a slash at the end.
    pub fn public_url(&self) -> String {
        let url = self.public_url.as_ref().map_or_else(
            || {
                let is_everywhere = self.listen.ip().is_unspecified();
                if is_everywhere { format!("http://localhost:{}", self.listen.port()) } else { format!("http://{}", self.listen) }
            },
            ToString::to_string,
        );
        url.trim_end_matches('/').to_owned()
    }

    /// The commission-rate service.
    pub fn rates(&self, clock: &Clock) -> Result<CommissionRates, String> {
        let Some(url) = self.rate_url.clone() else { return Ok(CommissionRates::default()) };
        let reach = if self.rate_allow_private { Reach::Private } else { Reach::Public };
        let service = HttpRateService::new(url, self.rate_token.clone(), reach);
        let service = service.map_err(|error| format!("PORTAL_RATE_URL (--rate-url): {error}"))?;
        Ok(CommissionRates::of(service, clock.clone()))
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
        let mut addresses: Vec<String> = self.standbys().iter().map(display_address).collect();
        addresses.sort_unstable();
        if let Some([twice, _]) = addresses.array_windows::<2>().find(|[one, other]| one == other) {
            return Err(format!("PORTAL_READ_URL (--read-url) names {twice} twice"));
        }
        if self.database_url.is_none() && self.clusters.is_some() {
            return Err("PORTAL_CLUSTERS (--clusters) is set without DATABASE_URL".to_owned());
        }
        if self.database_url.is_none() && !self.standbys().is_empty() {
            return Err("PORTAL_READ_URL (--read-url) is set without DATABASE_URL".to_owned());
        }
        if self.database_url.is_none() && self.owner_url.is_some() {
            return Err("PORTAL_OWNER_URL (--owner-url) is set without DATABASE_URL".to_owned());
        }
        if let Some(url) = self
            .rate_url
            .as_ref()
            .filter(|url| !self.rate_allow_private && (url.scheme() != "https" || !Reach::Public.allows(url)))
        {
            return Err(format!(
                "PORTAL_RATE_URL (--rate-url): {url} is in the server's own network, or without TLS: set PORTAL_RATE_ALLOW_PRIVATE (--rate-allow-private) where that is meant"
            ));
        }
        if self.rate_url.is_none() && self.rate_token.is_some() {
            return Err("PORTAL_RATE_TOKEN (--rate-token) is set without PORTAL_RATE_URL".to_owned());
        }
        if self.issuer.len() != 1 && (self.jwks_url.is_some() || self.jwt_key.is_some()) {
            return Err("CLERK_JWKS_URL and CLERK_JWT_KEY are for a single issuer in CLERK_ISSUER (--issuer)".to_owned());
        }
        Ok(())
    }
}
