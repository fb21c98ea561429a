//! The switch of each affiliate: when users have been active, one period after the other.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{prelude::*, sql_types::Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::{
    db::{
        schema::affiliate_periods,
        statement::{Bind, statement},
    },
    ids::{AffiliatePeriodId, UserId},
    models::{ledger::books::Books, page::group, scope::Scope},
};

/// A period in which a user is active as an affiliate.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = affiliate_periods)]
pub struct AffiliatePeriod {
    /// Whose.
    pub user_id: UserId,
    /// Its first instant.
    pub active_from: DateTime<Utc>,
    /// Its end, exclusive; `None` while it lasts.
    pub active_to: Option<DateTime<Utc>>,
    /// Who switched on in the user's name.
    pub started_by: Option<String>,
    /// Who switched off in the user's name.
    pub ended_by: Option<String>,
}

impl AffiliatePeriod {
    /// Each user's periods, the first one first.
    pub async fn by_users(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        users: &[UserId],
    ) -> QueryResult<HashMap<UserId, Vec<Self>>> {
        let rows: Vec<Self> = Self::query()
            .filter(affiliate_periods::tenant_id.eq(scope.tenant))
            .filter(affiliate_periods::user_id.eq_any(users))
            .order((affiliate_periods::user_id, affiliate_periods::active_from))
            .load(&mut connection)
            .await?;
        Ok(group(rows.into_iter().filter(|row| scope.includes_user(row.user_id)).map(|row| (row.user_id, row)).collect()))
    }
}

impl Books<'_> {
    /// Switches a user on or off as an affiliate; whether that was not so already. What was earned stays.
    pub async fn set_affiliate_active(&self, user: UserId, is_active: bool) -> QueryResult<bool> {
        self.lock_wallets(&[user]).await?;
        let at = self.after_locks().at;
        let open: Option<AffiliatePeriodId> = affiliate_periods::table
            .filter(affiliate_periods::tenant_id.eq(self.tenant))
            .filter(affiliate_periods::user_id.eq(user))
            .filter(affiliate_periods::active_to.is_null())
            .select(affiliate_periods::id)
            .first(&mut &*self.connection)
            .await
            .optional()?;
        match (open, is_active) {
            (Some(_), true) | (None, false) => return Ok(false),
            (None, true) => {
                diesel::insert_into(affiliate_periods::table)
                    .values((
                        affiliate_periods::tenant_id.eq(self.tenant),
                        affiliate_periods::id.eq(AffiliatePeriodId::new()),
                        affiliate_periods::user_id.eq(user),
                        affiliate_periods::active_from.eq(at),
                    ))
                    .execute(&mut &*self.connection)
                    .await?;
            }
            (Some(open), false) => {
                statement::<Text>(
                    "UPDATE affiliate_periods SET active_to = greatest(?, active_from), ended_by = nullif(current_setting('app.impersonator', true), '')
                     WHERE tenant_id = ? AND id = ?",
                    vec![Bind::Time(at), Bind::Uuid(self.tenant.uuid()), Bind::Uuid(open.uuid())],
                )
                .execute(&mut &*self.connection)
                .await?;
            }
        }
        Ok(true)
    }
}
