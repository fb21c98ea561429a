//! Attempts: each request that was made for a delivery, and what came of it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::{
    db::schema::{webhook_attempts, webhook_deliveries, webhook_endpoints},
    ids::{WebhookAttemptId, WebhookDeliveryId},
    models::{
        list::{Conditions, Filter, list_below},
        page::{Cursor, Key, KeyKind, Page, SortKey},
        scope::Scope,
    },
};

/// An attempt.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = webhook_attempts)]
pub struct WebhookAttempt {
    /// Its id.
    pub id: WebhookAttemptId,
    /// Its number within the delivery, from 1.
    pub number: i32,
    /// When it was made.
    pub at: DateTime<Utc>,
    /// How long it took.
    pub milliseconds: i32,
    /// Where to.
    pub url: String,
    /// The HTTP status of the answer; `None` where none came.
    pub status: Option<i32>,
    /// The beginning of the answer's body.
    pub response: Option<String>,
    /// Why no answer came.
    pub fault: Option<String>,
}

/// All attempts of a delivery.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct WebhookAttemptFilter;

/// In their order.
pub const BY_NUMBER: SortKey =
    SortKey { name: "number", column: "webhook_attempts.number", id: "webhook_attempts.id", kind: KeyKind::Number };

impl WebhookAttemptFilter {
    /// What holds for each of them.
    #[expect(clippy::unused_self, reason = "as all filters have it")]
    fn conditions(&self, scope: Scope) -> Conditions<'_, webhook_attempts::table> {
        Conditions::of(webhook_attempts::tenant_id.eq(scope.tenant))
    }
}

impl Filter for WebhookAttemptFilter {
    type Row = WebhookAttempt;

    fn cursor(row: &Self::Row, page: &Page) -> Cursor {
        page.cursor(Key::Number(i64::from(row.number)), row.id.uuid())
    }
}

list_below!(WebhookAttemptFilter => WebhookAttempt; webhook_attempts; WebhookDeliveryId, "webhook_attempts.delivery_id");

impl WebhookAttempt {
    /// Those of `ids` that are in scope, and whose endpoints were not removed.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[WebhookAttemptId],
    ) -> QueryResult<HashMap<WebhookAttemptId, Self>> {
        let query = Self::query()
            .filter(webhook_attempts::tenant_id.eq(scope.tenant))
            .filter(webhook_attempts::id.eq_any(ids))
            .filter(diesel::dsl::exists(
                webhook_deliveries::table
                    .inner_join(
                        webhook_endpoints::table.on(webhook_endpoints::tenant_id
                            .eq(webhook_deliveries::tenant_id)
                            .and(webhook_endpoints::id.eq(webhook_deliveries::endpoint_id))),
                    )
                    .filter(webhook_deliveries::tenant_id.eq(webhook_attempts::tenant_id))
                    .filter(webhook_deliveries::id.eq(webhook_attempts::delivery_id))
                    .filter(webhook_endpoints::removed_at.is_null()),
            ));
        let rows: Vec<Self> = query.load(&mut connection).await?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }
}
