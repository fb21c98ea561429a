//! How much, how many, how long: what one request, one caller, and all of them together may ask. Settings, each with a sentence.
#![expect(clippy::doc_markdown, reason = "--help shows these comments as they stand")]

use std::time::Duration;

use clap::Args;

use super::parse::{count, seconds};

/// Bounds on what one request, one caller, and all of them together may ask.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
pub struct Limits {
    /// How many bytes a document may have.
    #[arg(long, env = "PORTAL_MAX_DOCUMENT", global = true, value_name = "BYTES", default_value = "50000", value_parser = count)]
    pub max_document: usize,

    /// How many tokens (names, values, signs) a document may have.
    #[arg(long, env = "PORTAL_MAX_TOKENS", global = true, value_name = "COUNT", default_value = "6000", value_parser = count)]
    pub max_tokens: usize,

    /// How deep fields may nest in a document. GraphiQL's introspection needs 15.
    #[arg(long, env = "PORTAL_MAX_DEPTH", global = true, value_name = "COUNT", default_value = "20", value_parser = count)]
    pub max_depth: usize,

    /// How many fields a document may select, each fragment counted wherever it is used.
    #[arg(long, env = "PORTAL_MAX_FIELDS", global = true, value_name = "COUNT", default_value = "2000", value_parser = count)]
    pub max_fields: usize,

    /// How many aliases a document may have.
    #[arg(long, env = "PORTAL_MAX_ALIASES", global = true, value_name = "COUNT", default_value = "200", value_parser = count)]
    pub max_aliases: usize,

    /// How many fields an operation may have at its root.
    #[arg(long, env = "PORTAL_MAX_ROOT_FIELDS", global = true, value_name = "COUNT", default_value = "50", value_parser = count)]
    pub max_root_fields: usize,

    /// How many directives a document may have.
    #[arg(long, env = "PORTAL_MAX_DIRECTIVES", global = true, value_name = "COUNT", default_value = "100", value_parser = count)]
    pub max_directives: usize,

    /// How much an operation may cost: about the number of objects that its answer can have.
    #[arg(long, env = "PORTAL_MAX_COST", global = true, value_name = "COST", default_value = "50000", value_parser = count)]
    pub max_cost: usize,

    /// How much one event of a subscription may cost.
    #[arg(long, env = "PORTAL_MAX_EVENT_COST", global = true, value_name = "COST", default_value = "2000", value_parser = count)]
    pub max_event_cost: usize,

    /// How many operations may come in one request, as a JSON array. 1 means none may.
    #[arg(long, env = "PORTAL_MAX_BATCH", global = true, value_name = "COUNT", default_value = "1", value_parser = count)]
    pub max_batch: usize,

    /// How much cost a user earns back each second.
    #[arg(long, env = "PORTAL_USER_RATE", global = true, value_name = "COST", default_value = "5000", value_parser = count)]
    pub user_rate: usize,

    /// How much cost a user may spend at once; at least 1000 above PORTAL_MAX_COST.
    #[arg(long, env = "PORTAL_USER_BURST", global = true, value_name = "COST", default_value = "100000", value_parser = count)]
    pub user_burst: usize,

    /// How much cost all of a tenant's callers together earn back each second.
    #[arg(long, env = "PORTAL_TENANT_RATE", global = true, value_name = "COST", default_value = "100000", value_parser = count)]
    pub tenant_rate: usize,

    /// How much cost all of a tenant's callers together may spend at once; at least 1000 above PORTAL_MAX_COST.
    #[arg(long, env = "PORTAL_TENANT_BURST", global = true, value_name = "COST", default_value = "1000000", value_parser = count)]
    pub tenant_burst: usize,

    /// How many operations may be under way at once. One more gets 503 and Retry-After.
    #[arg(long, env = "PORTAL_MAX_IN_FLIGHT", global = true, value_name = "COUNT", default_value = "256", value_parser = count)]
    pub max_in_flight: usize,

    /// How many sockets may be open at once. More wait to be accepted.
    #[arg(long, env = "PORTAL_MAX_SOCKETS", global = true, value_name = "COUNT", default_value = "4096", value_parser = count)]
    pub max_sockets: usize,

    /// How many seconds a request's headers may take to arrive, and how long a connection may stay idle between requests.
    #[arg(long, env = "PORTAL_HEADER_TIMEOUT", global = true, value_name = "SECONDS", default_value = "15", value_parser = seconds)]
    pub header_timeout: Duration,

    /// How many seconds a request's body may take to arrive.
    #[arg(long, env = "PORTAL_BODY_TIMEOUT", global = true, value_name = "SECONDS", default_value = "15", value_parser = seconds)]
    pub body_timeout: Duration,

    /// How many seconds a file may take to arrive.
    #[arg(long, env = "PORTAL_FILE_TIMEOUT", global = true, value_name = "SECONDS", default_value = "120", value_parser = seconds)]
    pub file_timeout: Duration,

    /// How many subscriptions may be open at once.
    #[arg(long, env = "PORTAL_MAX_SUBSCRIPTIONS", global = true, value_name = "COUNT", default_value = "10000", value_parser = count)]
    pub max_subscriptions: usize,

    /// How many subscriptions one user may have open at once.
    #[arg(long, env = "PORTAL_USER_SUBSCRIPTIONS", global = true, value_name = "COUNT", default_value = "50", value_parser = count)]
    pub user_subscriptions: usize,

    /// How many WebSocket connections one user may have open at once.
    #[arg(long, env = "PORTAL_USER_CONNECTIONS", global = true, value_name = "COUNT", default_value = "20", value_parser = count)]
    pub user_connections: usize,

    /// How many seconds a new WebSocket connection may take to send its token.
    #[arg(long, env = "PORTAL_INIT_TIMEOUT", global = true, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub init_timeout: Duration,

    /// How many seconds a client of a subscription may take to read what it is sent, before it is dropped.
    #[arg(long, env = "PORTAL_SEND_TIMEOUT", global = true, value_name = "SECONDS", default_value = "20", value_parser = seconds)]
    pub send_timeout: Duration,
}

impl Default for Limits {
    /// The defaults of the settings.
    fn default() -> Self {
        #[derive(clap::Parser)]
        struct Alone {
            #[command(flatten)]
            limits: Limits,
        }
        <Alone as clap::Parser>::parse_from(["limits"]).limits
    }
}
