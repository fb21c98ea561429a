//! Users: everyone who has presented a valid session token.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::{db::schema::users, ids::UserId, models::scope::Scope};

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = users)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// The e-mail address that the issuer vouches for.
    pub email: Option<String>,
    /// The name that the issuer gives.
    pub name: Option<String>,
    /// When it first signed in.
    pub created_at: DateTime<Utc>,
    /// When the person was erased.
    pub erased_at: Option<DateTime<Utc>>,
}

impl User {
    /// Those of `ids` that may be seen. A partner sees itself and its colleagues; row-level security draws that line, since it
    /// is drawn by membership and not by a column.
    pub async fn by_ids(mut connection: &AsyncPgConnection, scope: Scope, ids: &[UserId]) -> QueryResult<HashMap<UserId, Self>> {
        let rows =
            Self::query().filter(users::tenant_id.eq(scope.tenant)).filter(users::id.eq_any(ids)).load(&mut connection).await?;
        Ok(rows.into_iter().map(|row: Self| (row.id, row)).collect())
    }
}
