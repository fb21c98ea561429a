//! What is due by time rather than by request: commissions that were held long enough are approved. One server does it at a time;
//! it can be run by hand as well.

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

/// Does all that is due now; gives how many commissions were approved. Where another server is at it, that one goes on alone.
pub async fn run(pool: &Pool, clock: &Clock) -> Result<usize> {
    let machine = |tenant| Caller::Service { tenant, user: UserId::from(Uuid::nil()) };
    let due_by = clock.now();
    let (session, tenants) = Session::open(pool, machine(TenantId::from(Uuid::nil())), async |connection| {
        tenants_with_due_commissions(connection, due_by).await
    })
    .await?;
    let mut approved = 0;
    for tenant in tenants {
        session.switch(machine(tenant)).await?;
        loop {
            let writing = session.write().await?;
            if !db::try_lock_for_transaction(&writing, LOCK).await? {
                return Ok(approved);
            }
            let some = Books { connection: &writing, tenant, by: None, at: due_by }.approve_due().await?;
            if some == 0 {
                break;
            }
            writing.commit().await?;
            approved += some;
        }
    }
    if approved > 0 {
        tracing::info!(approved, "commissions were held long enough and are approved");
    }
    Ok(approved)
}
