//! What is due by time rather than by request: commissions that were held long enough are approved. One server does it at a time;
//! it can be run by hand as well.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    clock::Clock,
    db::{
        self, Pool,
        session::{Caller, Session},
    },
    error::Result,
    ids::{TenantId, UserId},
    models::{books::Books, decision::tenants_with_due_commissions},
};

/// The number of the lock that whoever does maintenance holds: any that nothing else uses.
const LOCK: i64 = 0x706f_7274_616c_0003;

/// Does all that is due now; gives how many commissions were approved, or `None` where another server is at it. What fails for one
/// tenant is tried again at the next turn, and keeps no other from its own.
pub async fn run(pool: &Pool, clock: &Clock) -> Result<Option<usize>> {
    let due_by = clock.now();
    let first = async |connection: &db::Connection| tenants_with_due_commissions(connection, due_by).await;
    let (session, tenants) = Session::open(pool, machine(TenantId::from(Uuid::nil())), first).await?;
    let (mut approved, mut failure, mut is_elsewhere) = (0, None, false);
    for tenant in tenants {
        match approve(&session, tenant, due_by).await {
            Ok(Some(some)) => approved += some,
            Ok(None) => {
                is_elsewhere = true;
                break;
            }
            Err(error) => {
                tracing::warn!(%tenant, %error, "maintenance failed");
                failure = Some(error);
            }
        }
    }
    if approved > 0 {
        tracing::info!(approved, "commissions were held long enough and are approved");
    }
    failure.map_or(Ok(Some(approved).filter(|approved| *approved > 0 || !is_elsewhere)), Err)
}

fn machine(tenant: TenantId) -> Caller {
    Caller::Service { tenant, user: UserId::from(Uuid::nil()) }
}

/// Approves what is due of one tenant's.
async fn approve(session: &Session, tenant: TenantId, due_by: DateTime<Utc>) -> Result<Option<usize>> {
    session.switch(machine(tenant)).await?;
    let mut approved = 0;
    loop {
        let writing = session.write().await?;
        if !db::try_lock_for_transaction(&writing, LOCK).await? {
            return Ok(Some(approved).filter(|approved| *approved > 0));
        }
        let Some(some) = (Books { connection: &writing, tenant, by: None, at: due_by }).approve_due().await? else {
            return Ok(Some(approved));
        };
        writing.commit().await?;
        approved += some;
    }
}
