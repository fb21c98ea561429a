//! What is due by time rather than by request: commissions and rewards that were held long enough are approved, credits that were not used in
//! time expire. One server does it at a time; it can be run by hand as well.

pub mod data_imports;

use chrono::{DateTime, Months, TimeDelta, Utc};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    clock::Clock,
    db::{
        self, Pool, QueryResult, locks,
        session::{Caller, Session},
    },
    error::{Error, Result},
    ids::{TenantId, UserId},
    models::{
        affiliates::past_reward::tenants_with_due_rewards,
        calendar::month_start,
        commissions::decision::tenants_with_due_commissions,
        credits::unit::tenants_with_due_credits,
        event,
        ledger::books::Books,
        programmes::{
            click,
            programme_rate::{self, Unrated},
        },
        webhooks,
    },
    rates::{CommissionRates, PATIENCE},
};

/// How long webhooks' events are kept, with their deliveries and attempts.
const WEBHOOKS_KEPT: TimeDelta = TimeDelta::days(30);
/// How long receipts of webhooks are kept, the last sixty days of that without what was sent.
const RECEIPTS_KEPT: TimeDelta = TimeDelta::days(90);

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// Commissions approved.
    pub approved: usize,
    /// Credits expired.
    pub expired: usize,
    /// Rewards of affiliates that were held long enough.
    pub released: usize,
}

/// A kind of work for one tenant: does a part of it, and gives how much; none when nothing is left.
#[derive(Debug, Clone, Copy)]
enum Work {
    Approve,
    Expire,
    /// Reward what customers paid before it was known which users they are.
    Reward,
    /// Let rewards be taken out that were held long enough.
    Release,
}

impl Work {
    async fn some(self, books: &Books<'_>) -> QueryResult<usize> {
        Ok(match self {
            Self::Approve => books.approve_due().await?.unwrap_or(0),
            Self::Expire => usize::try_from(books.expire_due().await?).unwrap_or(0),
            Self::Reward => usize::from(books.reward_next_user().await?),
            Self::Release => books.release_rewards().await?.unwrap_or(0),
        })
    }
}

/// Does all that is due now; `None` where another server is at it. What fails for one tenant is tried again at the next turn, and keeps
/// no other from its own.
pub async fn run(pool: &Pool, clock: &Clock) -> Result<Option<Done>> {
    let due_by = clock.now();
    let first = async |connection: &db::Connection| {
        let approving = tenants_with_due_commissions(connection, due_by).await?;
        let expiring = tenants_with_due_credits(connection, due_by).await?;
        Ok((approving, expiring, tenants_with_due_rewards(connection, due_by).await?))
    };
    let (session, (approving, expiring, rewarding)) = Session::open(pool, machine(TenantId::from(Uuid::nil())), first).await?;
    let (mut done, mut failure, mut is_elsewhere) = (Done::default(), None, false);
    let works = approving.into_iter().map(|tenant| (tenant, Work::Approve));
    let works = works.chain(expiring.into_iter().map(|tenant| (tenant, Work::Expire)));
    // What is rewarded late may be due already.
    let works = works.chain(rewarding.into_iter().flat_map(|tenant| [(tenant, Work::Reward), (tenant, Work::Release)]));
    for (tenant, work) in works {
        match finish(&session, tenant, work, due_by).await {
            Ok(Some(count)) => match work {
                Work::Approve => done.approved += count,
                Work::Expire => done.expired += count,
                Work::Reward => {}
                Work::Release => done.released += count,
            },
            Ok(None) => {
                is_elsewhere = true;
                break;
            }
            Err(error) => {
                tracing::warn!(%tenant, ?work, %error, "maintenance failed");
                failure = Some(error);
            }
        }
    }
    if done.approved > 0 {
        tracing::info!(done.approved, "commissions were held long enough and are approved");
    }
    if done.expired > 0 {
        tracing::info!(done.expired, "credits were not used in time and are expired");
    }
    if done.released > 0 {
        tracing::info!(done.released, "rewards were held long enough and can be taken out");
    }
    failure.map_or(Ok(Some(done).filter(|done| *done != Done::default() || !is_elsewhere)), Err)
}

/// Forgets events from before a time, some in each transaction; gives how many. Several servers may do it at once.
pub async fn forget_events(pool: &Pool, before: DateTime<Utc>) -> Result<i64> {
    const MOST: i64 = 10_000;
    let connection = pool.get().await.map_err(Error::unavailable)?;
    let mut count = 0;
    loop {
        let forgotten = event::forget(&connection, before, MOST).await?;
        count += forgotten;
        if forgotten < MOST {
            return Ok(count);
        }
    }
}

/// Forgets what was sent and received by webhooks more than thirty days ago, some in each transaction; gives how many events. Several servers may do
/// it at once.
pub async fn forget_webhooks(pool: &Pool, now: DateTime<Utc>) -> Result<i64> {
    const MOST: i64 = 1_000;
    let (connection, mut count) = (pool.get().await.map_err(Error::unavailable)?, 0);
    loop {
        let sent = webhooks::work::forget(&connection, now - WEBHOOKS_KEPT, MOST).await?;
        let bodies = webhooks::inbox::forget_bodies(&connection, now - WEBHOOKS_KEPT, now, MOST).await?;
        let receipts = webhooks::inbox::forget(&connection, now - RECEIPTS_KEPT, MOST).await?;
        let forgotten = sent.max(bodies).max(receipts);
        count += forgotten;
        if forgotten < MOST {
            return Ok(count);
        }
    }
}

/// Makes ready for the clicks of the months around, and forgets those of months that ended before a time. Several servers may do
/// it at once.
pub async fn keep_clicks(pool: &Pool, clock: &Clock, before: DateTime<Utc>) -> Result<i32> {
    let connection = pool.get().await.map_err(Error::unavailable)?;
    let today = clock.now().date_naive();
    let before = before.date_naive();
    let mut months = vec![today, today + Months::new(1), today + Months::new(2)];
    // A server may have been away when the month before ended.
    if month_start(today) > before {
        months.push(today - Months::new(1));
    }
    click::prepare(&connection, &months).await?;
    Ok(click::forget(&connection, before).await?)
}

/// Asks the commission-rate service about programmes that have no rate of their own, and about those whose rate it stood by until now; gives how
/// many have a rate by it now. Ends where the service fails; several servers may do it at once.
pub async fn ask_for_rates(pool: &Pool, clock: &Clock, rates: &CommissionRates) -> Result<usize> {
    const MOST: i64 = 100;
    if !rates.is_set() || rates.is_failing() {
        return Ok(0);
    }
    let first = async |connection: &db::Connection| programme_rate::unrated(connection, clock.now(), MOST).await;
    let (session, unrated) = Session::open(pool, machine(TenantId::from(Uuid::nil())), first).await?;
    let mut count = 0;
    for Unrated { tenant, id, domain } in unrated {
        session.rest().await?;
        let quote = rates.quote(tenant, &domain, None, Instant::now() + PATIENCE).await;
        if rates.is_failing() {
            break;
        }
        session.proceed(machine(tenant), None).await?;
        let rating = || async {
            let writing = session.write().await?;
            let books = Books { connection: &writing, tenant, by: None, at: clock.instant(), writing: None, clock: None };
            let has_changed = books.rate_programme(id, &quote).await?;
            writing.commit_alone().await?;
            Result::<_>::Ok(has_changed)
        };
        count += usize::from(session.retry(rating).await?);
    }
    if count > 0 {
        tracing::info!(count, "programmes have rates of the commission-rate service");
    }
    Ok(count)
}

fn machine(tenant: TenantId) -> Caller {
    Caller::Service { tenant, user: UserId::from(Uuid::nil()) }
}

/// Does all of a kind that is due of one tenant's, some in each transaction.
async fn finish(session: &Session, tenant: TenantId, work: Work, due_by: DateTime<Utc>) -> Result<Option<usize>> {
    session.proceed(machine(tenant), None).await?;
    let mut count = 0;
    loop {
        let part = || async {
            let writing = session.write().await?;
            if !locks::try_lock(&writing, locks::JOBS).await? {
                return Ok(None);
            }
            let some =
                work.some(&Books { connection: &writing, tenant, by: None, at: due_by, writing: None, clock: None }).await?;
            // Also of nothing: a transaction that is given up may stay open for a moment, and would keep the lock from the next turn.
            writing.commit_alone().await?;
            Result::<_>::Ok(Some(some))
        };
        match session.retry(part).await? {
            None => return Ok(Some(count).filter(|count| *count > 0)),
            Some(0) => return Ok(Some(count)),
            Some(some) => count += some,
        }
    }
}
