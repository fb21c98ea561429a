//! Redirects: from a link's key to the shop, with a click on the way that is not lost.
//!
//! A redirect asks the database only for a link that it has not cached (`targets`), and writes its click to a file before it answers
//! (`journal`). So it is fast, goes on while the database is away, and what was answered outlives the process. From the file clicks come
//! into the database many at a time (`writer`), each once. Of a visitor a keyed hash is kept (`visitor`).

mod journal;
mod limits;
mod targets;
mod visitor;
mod watcher;
mod writer;

use std::{
    net::IpAddr,
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::http::HeaderName;
use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_postgres::Config;
use tracing::Instrument;
use uuid::{NoContext, Timestamp, Uuid};

pub use targets::{Found, INVITATIONS};

use self::{
    journal::Journal,
    limits::{Limits, Origin, network},
    targets::Targets,
    visitor::Visitors,
};
use crate::{
    clock::Clock,
    db::{self, Pool, PoolSettings},
    error::{Error, Result},
    ids::{ClickId, TenantId},
    models::programmes::click::{Click, LinkTarget},
};

/// The parameter in which the sign-up page gets the code of an invitation.
pub const INVITE_PARAMETER: &str = "invite_code";
/// The longest query of a visitor's that is passed on, in bytes.
const MAX_QUERY: usize = 2_000;

/// Connections for looking links up: each look-up is one row by its key.
const LOOKUPS: PoolSettings = PoolSettings {
    size: 2,
    wait: Duration::from_secs(1),
    statement_timeout: Duration::from_secs(1),
    linger: db::LINGER,
    kind: db::DatabaseKind::Single,
};
/// How long the last clicks may take into the database when the server stops.
const LAST: Duration = Duration::from_secs(3);

/// What redirects need to know.
#[derive(Debug, Clone)]
pub struct ClickSettings {
    /// The folder of the clicks that are not in the database yet.
    pub folder: PathBuf,
    /// The parameter in which the shop gets the click's id.
    pub parameter: String,
    /// The header in which the proxy says from which address a visitor comes; without one it is the connection's.
    pub address_header: Option<HeaderName>,
    /// The header in which the proxy says in which country that is.
    pub country_header: Option<HeaderName>,
}

/// Someone who follows a link.
#[derive(Debug, Clone, Copy)]
pub struct Visit<'a> {
    /// The host that is asked, in lower case; empty for the server's own.
    pub host: &'a str,
    /// The link's key.
    pub key: &'a str,
    /// The parameters of the address, as they stand there.
    pub query: &'a str,
    /// From which address.
    pub address: Option<IpAddr>,
    /// The browser, as it names itself.
    pub user_agent: &'a str,
    /// The page that the link was on.
    pub referrer: Option<&'a str>,
    /// In which country, as the proxy says.
    pub country: Option<&'a str>,
    /// Whether only the headers are wanted.
    pub is_head: bool,
    /// Whether it is fetched ahead.
    pub is_prefetch: bool,
    /// Whether a key that is none here may be one of another cluster's: the visitor is not charged for it.
    pub may_be_elsewhere: bool,
}

/// Where a visit leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// To this address.
    To(String),
    /// Nowhere any more: the link has expired.
    Expired,
    /// Nowhere any more: the link is archived.
    Archived,
    /// There is no such link.
    Unknown,
    /// This visitor has asked for too many links that are not there.
    TooMany,
}

/// What follows the links of a tenant.
pub enum Owner {
    /// That which asks.
    Here,
    /// That of another cluster.
    Other(Arc<Clicks>),
    /// That is not known at the moment.
    Unknown,
}

/// What follows the links of other clusters.
pub trait OtherClusters: Send + Sync + 'static {
    /// What follows the links of a tenant.
    fn owner(&self, tenant: TenantId) -> Owner;

    /// What follows those of all other clusters.
    fn all(&self) -> Vec<Arc<Clicks>>;
}

/// What a server needs for redirects, to the links of one cluster.
pub struct Clicks {
    settings: ClickSettings,
    clock: Clock,
    targets: Targets,
    limits: Limits,
    visitors: Visitors,
    journal: Journal,
    /// How many clicks could not be kept.
    lost: AtomicU64,
    /// The other clusters, where there are several.
    others: OnceLock<Box<dyn OtherClusters>>,
}

impl Clicks {
    /// Opens the journal in the settings' folder. Links are looked up in the database of `config`.
    pub fn new(settings: ClickSettings, config: &Config, clock: Clock) -> Result<Self> {
        let pool = Pool::new(config.clone(), LOOKUPS)?;
        let journal = Journal::open(&settings.folder)
            .map_err(|error| Error::internal(format!("clicks cannot be kept in {}: {error}", settings.folder.display())))?;
        Ok(Self {
            settings,
            clock,
            targets: Targets::new(pool),
            limits: Limits::default(),
            visitors: Visitors::default(),
            journal,
            lost: AtomicU64::new(0),
            others: OnceLock::new(),
        })
    }

    /// Has clicks written on the clusters that their tenants are on.
    pub fn connect(&self, others: impl OtherClusters) {
        // Once.
        let _ = self.others.set(Box::new(others));
    }

    /// Has every link looked up again before it is followed.
    pub fn forget_links(&self) {
        self.targets.invalidate_all();
    }

    /// Whether a link is cached, and has not changed since.
    pub fn is_cached(&self, host: &str, key: &str) -> bool {
        self.targets.is_cached(host, key)
    }

    /// Whether a visitor may ask for one more link that may not be there.
    pub fn may_guess(&self, address: Option<IpAddr>) -> bool {
        address.and_then(Origin::of).is_none_or(|origin| self.limits.may_guess(origin))
    }

    /// Learns what redirects need, and goes on until the tasks are ended: which links have changed, and the clicks that are to be written.
    pub async fn run(self: &Arc<Self>, config: &Config) -> Result<[JoinHandle<()>; 2]> {
        let connection = watcher::connect(self, config).await?;
        Ok([
            tokio::spawn(watcher::run(Arc::clone(self), config.clone(), connection).in_current_span()),
            tokio::spawn(writer::run(Arc::clone(self), config.clone()).in_current_span()),
        ])
    }

    /// Ends the tasks, once what is answered is in the database; if that takes long, it stays in the journal for the next start.
    pub async fn close(&self, tasks: [JoinHandle<()>; 2]) {
        let deadline = Instant::now() + LAST;
        while self.backlog() > 0 && Instant::now() < deadline {
            sleep(Duration::from_millis(20)).await;
        }
        tasks.iter().for_each(JoinHandle::abort);
        self.targets.close();
    }

    /// What redirects need to know.
    pub fn settings(&self) -> &ClickSettings {
        &self.settings
    }

    /// Whether a host is one of a tenant's own.
    pub fn is_host(&self, host: &str) -> bool {
        self.targets.is_host(host)
    }

    /// How many bytes of clicks are not in the database yet.
    pub fn backlog(&self) -> u64 {
        self.journal.backlog()
    }

    /// How many clicks could not be kept.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// What a key on a host leads to, without following it. `address` is the visitor's, who is charged for a key that is none.
    pub async fn find(&self, host: &str, key: &str, address: Option<IpAddr>) -> Result<Found> {
        self.targets.find(host, key, address.and_then(Origin::of), &self.limits).await
    }

    /// Whether there are other clusters.
    pub fn has_others(&self) -> bool {
        self.others.get().is_some()
    }

    /// Whether a key on a host leads to something of another cluster; one that does not answer is not waited for.
    pub async fn is_taken_elsewhere(&self, host: &str, key: &str) -> bool {
        let others: Vec<Arc<Self>> = self.others.get().into_iter().flat_map(|others| others.all()).collect();
        let found = join_all(others.iter().map(|other| other.find(host, key, None))).await;
        found.iter().any(|found| matches!(found, Ok(Found::Target(_))))
    }

    /// Charges a visitor for a key that is none on any cluster.
    pub fn charge(&self, address: Option<IpAddr>) {
        if let Some(origin) = address.and_then(Origin::of) {
            self.limits.guessed(origin);
        }
    }

    /// Where a visit leads. Its click is safe by then.
    pub async fn follow(&self, visit: Visit<'_>) -> Result<Way> {
        let origin = visit.address.and_then(Origin::of);
        let guesser = origin.filter(|_| !visit.may_be_elsewhere);
        let target = match self.targets.find(visit.host, visit.key, guesser, &self.limits).await? {
            Found::Target(target) => target,
            Found::Nothing => return Ok(Way::Unknown),
            Found::TooMany => return Ok(Way::TooMany),
        };
        if target.is_archived {
            return Ok(Way::Archived);
        }
        let now = self.clock.now();
        if target.expires_at.is_some_and(|end| end <= now) {
            return Ok(target.expired_url.clone().map_or(Way::Expired, Way::To));
        }
        let query = if visit.query.len() > MAX_QUERY { "" } else { visit.query };
        // With an invitation goes its code; with another link its click, where there is one.
        let to = |click: Option<String>| {
            Way::To(match &target.invite_code {
                Some(code) => target.destination.address(query, INVITE_PARAMETER, Some(code)),
                None => target.destination.address(query, &self.settings.parameter, click.as_deref()),
            })
        };
        // A visitor beyond the limit is on the way to the shop as well, and leaves no click.
        if !target.is_counted || origin.is_some_and(|origin| !self.limits.may_click(origin)) {
            return Ok(to(None));
        }
        let click = self.click(&target, &visit, now);
        match self.journal.append(&click) {
            Ok(()) => Ok(to(Some(click.id.to_string()))),
            // The visitor is on the way to the shop; there is just no click of it, and none is promised.
            Err(error) => {
                let lost = 1 + self.lost.fetch_add(1, Ordering::Relaxed);
                // A full disk is not to be filled with lines about it.
                if lost.is_power_of_two() {
                    tracing::error!(%error, lost, folder = %self.settings.folder.display(), "clicks could not be kept");
                }
                Ok(to(None))
            }
        }
    }

    fn click(&self, target: &LinkTarget, visit: &Visit<'_>, now: DateTime<Utc>) -> Click {
        let client = self.visitors.client(visit.user_agent);
        let instant = Timestamp::from_unix(NoContext, now.timestamp().unsigned_abs(), now.timestamp_subsec_nanos());
        Click {
            id: ClickId::from(Uuid::new_v7(instant)),
            tenant: target.tenant,
            link: target.link,
            visitor: self.visitors.hash(now.date_naive(), visit.address.map(network), visit.user_agent),
            is_bot: client.is_bot || visit.is_head,
            is_prefetch: visit.is_prefetch,
            device: client.device,
            browser: client.browser.clone(),
            country: visit.country.and_then(visitor::country),
            referrer: visit.referrer.and_then(visitor::referring_host),
        }
    }
}
