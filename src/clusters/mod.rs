//! Several database clusters behind one server, each with tenants of its own.
//!
//! A tenant is on the cluster whose table of tenants has it; the directory is what these tables say together, looked up every few seconds and whenever a tenant is not
//! where it was. So no cluster needs another to serve its tenants, and a tenant that is moved ([`moving`]) is on one of them at each moment, or held for one.

pub mod moving;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, Weak},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tokio::{sync::Mutex, time::timeout};

use crate::{
    db::Pool,
    error::{Error, Result},
    ids::TenantId,
    models::people::tenant_directory::{self, DirectoryEntry},
};

/// How often the directory is looked up.
const LOOK_UP_INTERVAL: Duration = Duration::from_secs(2);
/// How long a cluster may take to list its tenants.
const PATIENCE: Duration = Duration::from_secs(2);
/// How old the directory may be where it says that there is no such tenant.
const MAX_AGE: Duration = Duration::from_secs(1);

/// How long after a tenant has gone over an answer may still be on its way that was made before.
const SETTLING: Duration = Duration::from_secs(5);

/// The server as the tenants of one cluster see it.
pub trait Site: Send + Sync + 'static {
    /// Connections to the cluster.
    fn pool(&self) -> &Pool;

    /// A tenant has left the cluster: what is open for it ends.
    fn tenant_left(&self, tenant: TenantId);
}

/// The clusters of one server, the first of them the one of `DATABASE_URL`.
pub struct Clusters<S> {
    sites: Vec<(String, OnceLock<Weak<S>>)>,
    directory: RwLock<Directory>,
    /// When the directory was looked up last.
    looked_up: Mutex<Option<Instant>>,
}

/// Which tenants are on which cluster.
#[derive(Debug, Default)]
struct Directory {
    /// What each cluster has listed last, and in which round; `None` of one that has not answered yet.
    lists: Vec<Option<List>>,
    round: u64,
    by_id: HashMap<TenantId, Location>,
    /// By issuer and slug.
    by_name: HashMap<String, HashMap<String, TenantId>>,
    /// When a tenant was last seen to be elsewhere than before.
    changed_at: Option<Instant>,
    /// Those that are on two clusters, and whether they were in the round before.
    twice: HashMap<TenantId, bool>,
}

#[derive(Debug)]
struct List {
    round: u64,
    entries: Vec<DirectoryEntry>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Location {
    /// On the cluster of that number.
    At(usize),
    /// It has left one, and has not arrived on another.
    Between,
}

/// Where what follows a tenant's links is.
pub enum Owner<S> {
    /// On the cluster that asks.
    Here,
    /// On this one.
    Other(Arc<S>),
    /// Not known at the moment.
    Unknown,
}

impl<S: Site> Clusters<S> {
    /// Clusters of these names, of which none has been started.
    pub fn new(names: Vec<String>) -> Arc<Self> {
        let lists = names.iter().map(|_| None).collect();
        Arc::new(Self {
            sites: names.into_iter().map(|name| (name, OnceLock::new())).collect(),
            directory: RwLock::new(Directory { lists, ..Directory::default() }),
            looked_up: Mutex::default(),
        })
    }

    /// Whether there are several.
    pub fn are_several(&self) -> bool {
        self.sites.len() > 1
    }

    /// Begins to serve the tenants of the cluster of that number, for as long as its site is there.
    pub fn start(&self, number: usize, site: &Arc<S>) {
        // A cluster is started once.
        let _ = self.sites[number].1.set(Arc::downgrade(site));
    }

    /// Whether all have been started.
    pub fn are_all_started(&self) -> bool {
        !self.are_several() || self.sites.iter().all(|(_, site)| site.get().is_some())
    }

    /// Those that have been started, with their names.
    pub fn started(&self) -> impl Iterator<Item = (&str, Arc<S>)> {
        self.sites.iter().filter_map(|(name, site)| Some((name.as_str(), site.get()?.upgrade()?)))
    }

    /// How many tenants are on each, where there are several; `None` of one that has not been started.
    pub fn status(&self) -> Vec<(String, Option<usize>)> {
        let directory = self.read();
        let on = |number: usize| directory.by_id.values().filter(|at| **at == Location::At(number)).count();
        let named = (0..).zip(&self.sites).filter(|_| self.are_several());
        named.map(|(number, (name, site))| (name.clone(), site.get().map(|_| on(number)))).collect()
    }

    /// The cluster of a tenant, as tokens name it; `None` where no cluster has it. It is looked up anew where the directory does not say.
    pub async fn find(&self, issuer: &str, slug: Option<&str>) -> Result<Option<Arc<S>>> {
        let known = self.read().find(issuer, slug);
        let (location, is_complete) = match known {
            Some(Location::At(_)) => (known, true),
            Some(Location::Between) => self.look_up(Instant::now()).await.find_with(issuer, slug),
            None => {
                let since = Instant::now().checked_sub(MAX_AGE);
                self.look_up(since.unwrap_or_else(Instant::now)).await.find_with(issuer, slug)
            }
        };
        match location {
            Some(Location::At(number)) => self.site(number).ok_or_else(|| self.not_started()).map(Some),
            Some(Location::Between) => Err(Error::Held),
            // It may be on one that has not answered since the server was started.
            None if !is_complete => Err(self.not_started()),
            None => Ok(None),
        }
    }

    /// Fails where something that was found on no cluster may still exist: not every cluster has been reached, or a tenant is moving between two or has
    /// just moved. Looks at the directory of a second ago or later.
    pub async fn are_settled(&self) -> Result<()> {
        self.are_settled_since(Instant::now().checked_sub(MAX_AGE).unwrap_or_else(Instant::now)).await
    }

    /// The same, with the directory of that time or later.
    pub async fn are_settled_since(&self, since: Instant) -> Result<()> {
        if !self.are_several() {
            return Ok(());
        }
        if !self.are_all_started() {
            return Err(self.not_started());
        }
        let directory = self.look_up(since).await;
        let is_between = directory.by_id.values().any(|location| *location == Location::Between);
        if is_between || directory.changed_at.is_some_and(|at| at.elapsed() < SETTLING) {
            return Err(Error::Held);
        }
        Ok(())
    }

    /// The cluster of a tenant that was not on this one at that time; `None` where no other has it.
    pub async fn find_other(&self, site: &Arc<S>, issuer: &str, slug: Option<&str>, since: Instant) -> Result<Option<Arc<S>>> {
        drop(self.look_up(since).await);
        Ok(self.find(issuer, slug).await?.filter(|found| !Arc::ptr_eq(found, site)))
    }

    /// Where a tenant is, as the directory says. One that no cluster has is nobody else's.
    pub fn owner(&self, site: &S, tenant: TenantId) -> Owner<S> {
        let directory = self.read();
        match directory.by_id.get(&tenant) {
            Some(Location::At(number)) => match self.site(*number) {
                Some(found) if std::ptr::eq(&raw const *found, &raw const *site) => Owner::Here,
                Some(found) => Owner::Other(found),
                None => Owner::Unknown,
            },
            None if directory.is_complete() => Owner::Here,
            Some(Location::Between) | None => Owner::Unknown,
        }
    }

    /// Looks the directory up again and again, until it is dropped.
    pub async fn watch(&self) {
        loop {
            drop(self.look_up(Instant::now()).await);
            tokio::time::sleep(LOOK_UP_INTERVAL).await;
        }
    }

    fn site(&self, number: usize) -> Option<Arc<S>> {
        self.sites[number].1.get()?.upgrade()
    }

    fn not_started(&self) -> Error {
        let missing = self.sites.iter().filter(|(_, site)| site.get().is_none()).map(|(name, _)| name.as_str());
        Error::unavailable(format!("not every cluster has answered yet: {}", missing.collect::<Vec<_>>().join(", ")))
    }

    fn read(&self) -> RwLockReadGuard<'_, Directory> {
        self.directory.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The directory as it is at that time, or later.
    async fn look_up(&self, since: Instant) -> RwLockReadGuard<'_, Directory> {
        let mut looked_up = self.looked_up.lock().await;
        if looked_up.is_none_or(|at| at < since) {
            let at = Instant::now();
            let lists = join_all((0..self.sites.len()).map(|number| self.ask(number))).await;
            self.update(lists);
            *looked_up = Some(at);
        }
        drop(looked_up);
        self.read()
    }

    /// Which tenants a cluster has; `None` where it does not answer.
    async fn ask(&self, number: usize) -> Option<Vec<DirectoryEntry>> {
        let site = self.site(number)?;
        let asked = async {
            let connection = site.pool().get().await.map_err(Error::unavailable)?;
            Result::<_>::Ok(tenant_directory::all(&connection).await?)
        };
        let listed = timeout(PATIENCE, asked).await.map_err(Error::unavailable).flatten();
        listed
            .inspect_err(|error| tracing::debug!(cluster = self.sites[number].0, %error, "a cluster does not list its tenants"))
            .ok()
    }

    /// Takes what the clusters have listed. What one that did not answer has listed before stays.
    fn update(&self, lists: Vec<Option<Vec<DirectoryEntry>>>) {
        let mut directory = self.directory.write().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *directory);
        let round = before.round + 1;
        let newest = |(new, old): (Option<Vec<DirectoryEntry>>, _)| new.map(|entries| List { round, entries }).or(old);
        *directory = Directory::of(lists.into_iter().zip(std::mem::take(&mut before.lists)).map(newest).collect(), round);
        let has_left = |(tenant, location): &(TenantId, Location)| directory.by_id.get(tenant) != Some(location);
        let left: Vec<(TenantId, Location)> = before.by_id.drain().filter(has_left).collect();
        directory.changed_at = if left.is_empty() { before.changed_at } else { Some(Instant::now()) };
        // A tenant that goes over between two answers is in both of one round, and not in those of the next.
        directory.twice = directory.on_two().map(|tenant| (tenant, before.twice.contains_key(&tenant))).collect();
        let is_news = |(tenant, is_lasting): &(&TenantId, &bool)| **is_lasting && before.twice.get(tenant) == Some(&false);
        let twice: Vec<String> = directory.twice.iter().filter(is_news).map(|(tenant, _)| tenant.to_string()).collect();
        drop(directory);
        if !twice.is_empty() {
            tracing::error!(
                tenants = twice.join(", "),
                "tenants are on two clusters, as after a restore: the first one's are served"
            );
        }
        for (tenant, location) in left {
            let Location::At(number) = location else { continue };
            if let Some(site) = self.site(number) {
                tracing::info!(%tenant, cluster = self.sites[number].0, "a tenant has left");
                site.tenant_left(tenant);
            }
        }
    }
}

impl Directory {
    fn of(lists: Vec<Option<List>>, round: u64) -> Self {
        let mut by_id: HashMap<TenantId, Location> = HashMap::new();
        let mut by_name: HashMap<String, HashMap<String, TenantId>> = HashMap::new();
        let mut entries: Vec<(u64, usize, &DirectoryEntry)> = Vec::new();
        for (number, list) in lists.iter().enumerate() {
            entries.extend(list.iter().flat_map(|list| list.entries.iter().map(move |entry| (list.round, number, entry))));
        }
        // What a cluster has listed before it went away does not count against what another lists now.
        entries.sort_by_key(|(round, number, entry)| (entry.has_left, std::cmp::Reverse(*round), *number));
        for (_, number, entry) in entries {
            let location = if entry.has_left { Location::Between } else { Location::At(number) };
            by_id.entry(entry.tenant).or_insert(location);
            // Two clusters with tenants of one name: the first one's is served.
            by_name.entry(entry.issuer.clone()).or_default().entry(entry.slug.clone()).or_insert(entry.tenant);
        }
        Self { lists, round, by_id, by_name, ..Self::default() }
    }

    /// Where a tenant is. A token that names none is for the only one of its issuer, once every cluster has answered.
    fn find(&self, issuer: &str, slug: Option<&str>) -> Option<Location> {
        let of_issuer = self.by_name.get(issuer)?;
        let tenant = match slug {
            Some(slug) => of_issuer.get(slug)?,
            None => of_issuer.values().next().filter(|_| of_issuer.len() == 1 && self.is_complete())?,
        };
        self.by_id.get(tenant).copied()
    }

    /// The same, and whether every cluster has answered.
    fn find_with(&self, issuer: &str, slug: Option<&str>) -> (Option<Location>, bool) {
        (self.find(issuer, slug), self.is_complete())
    }

    /// Tenants that more than one cluster serves, as each has listed last.
    fn on_two(&self) -> impl Iterator<Item = TenantId> {
        let mut seen = HashSet::new();
        let newest = self.lists.iter().flatten().filter(|list| list.round == self.round);
        let served = newest.flat_map(|list| &list.entries).filter(|entry| !entry.has_left).map(|entry| entry.tenant);
        served.filter(move |tenant| !seen.insert(*tenant))
    }

    fn is_complete(&self) -> bool {
        self.lists.iter().all(Option::is_some)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn entry(tenant: u128, slug: &str, has_left: bool) -> DirectoryEntry {
        let tenant = TenantId::from(Uuid::from_u128(tenant));
        DirectoryEntry { tenant, slug: slug.to_owned(), issuer: "https://i".to_owned(), has_left }
    }

    fn list(round: u64, entries: Vec<DirectoryEntry>) -> List {
        List { round, entries }
    }

    /// A tenant is where it is listed; one that has left and is listed nowhere else is between two clusters. What was listed last counts.
    #[test]
    fn locations() {
        let first = || vec![entry(1, "a", false), entry(2, "b", true)];
        let of = |other: Vec<DirectoryEntry>| Directory::of(vec![Some(list(7, first())), Some(list(7, other))], 7);
        let directory = of(vec![]);
        assert_eq!(directory.find("https://i", Some("a")), Some(Location::At(0)));
        assert_eq!(directory.find("https://i", Some("b")), Some(Location::Between));
        assert_eq!((directory.find("https://i", Some("c")), directory.find("https://j", Some("a"))), (None, None));
        let directory = of(vec![entry(2, "b", false)]);
        assert_eq!(directory.find("https://i", Some("b")), Some(Location::At(1)));
        assert_eq!(directory.find("https://i", None), None, "a token that names none of several");
        let is_away =
            Directory::of(vec![Some(list(6, vec![entry(2, "b", false)])), Some(list(7, vec![entry(2, "b", false)]))], 7);
        assert_eq!(is_away.find("https://i", None), Some(Location::At(1)), "what the source has listed before it went away");
        let incomplete = Directory::of(vec![Some(list(7, vec![entry(1, "a", false)])), None], 7);
        assert_eq!((incomplete.find("https://i", Some("a")), incomplete.find("https://i", None)), (Some(Location::At(0)), None));
    }
}
