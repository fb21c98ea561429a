//! Sources: services that report what happens there, each to an address of its own, and the secrets that they sign with.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use crate::{
    db::{
        locks::{self, Named},
        schema::{webhook_source_secrets, webhook_sources},
    },
    ids::{UserId, WebhookSourceId, WebhookSourceSecretId},
    models::{
        idempotency::{Claim, Difference, Key as IdempotencyKey, Operation},
        ledger::books::Books,
        scope::Scope,
    },
};

/// How many sources a tenant may have.
pub const MAX_SOURCES: i64 = 20;
/// How many secrets of a source may be valid at once.
pub const MAX_SOURCE_SECRETS: usize = 3;

crate::pg_enum! {
    /// Which service reports.
    pub enum WebhookSourceKind {
        /// Clerk, the sign-in service; its webhooks are sent by Svix.
        Clerk = "clerk",
        /// Stripe, the payment service.
        Stripe = "stripe",
    }
}

/// A source.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = webhook_sources)]
pub struct WebhookSource {
    /// Its id.
    pub id: WebhookSourceId,
    /// Which service it is.
    pub kind: WebhookSourceKind,
    /// What it is for.
    pub description: Option<String>,
    /// Who made it.
    pub created_by: UserId,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// A secret of a source, without what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = webhook_source_secrets)]
pub struct WebhookSourceSecret {
    /// The source.
    pub source_id: WebhookSourceId,
    /// Its id.
    pub id: WebhookSourceSecretId,
    /// When it was given.
    pub created_at: DateTime<Utc>,
    /// Until when what is signed with it is accepted; `None`: until another replaces it.
    pub expires_at: Option<DateTime<Utc>>,
}

impl WebhookSource {
    /// All of the tenant's, in the order in which they were made: [`MAX_SOURCES`] at most.
    pub async fn all(mut connection: &AsyncPgConnection, scope: Scope) -> QueryResult<Vec<Self>> {
        let of_tenant =
            Self::query().filter(webhook_sources::tenant_id.eq(scope.tenant)).filter(webhook_sources::removed_at.is_null());
        of_tenant.order((webhook_sources::created_at, webhook_sources::id)).load(&mut connection).await
    }

    /// Those of `ids` that are in scope and were not removed.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[WebhookSourceId],
    ) -> QueryResult<HashMap<WebhookSourceId, Self>> {
        let query = Self::query()
            .filter(webhook_sources::tenant_id.eq(scope.tenant))
            .filter(webhook_sources::id.eq_any(ids))
            .filter(webhook_sources::removed_at.is_null());
        let rows: Vec<Self> = query.load(&mut connection).await?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }

    /// The secrets of sources, the latest first. Which of them are valid depends on the time.
    pub async fn secrets_of(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[WebhookSourceId],
    ) -> QueryResult<HashMap<WebhookSourceId, Vec<WebhookSourceSecret>>> {
        let rows: Vec<WebhookSourceSecret> = webhook_source_secrets::table
            .filter(webhook_source_secrets::tenant_id.eq(scope.tenant))
            .filter(webhook_source_secrets::source_id.eq_any(ids))
            .order((webhook_source_secrets::created_at.desc(), webhook_source_secrets::id.desc()))
            .select(WebhookSourceSecret::as_select())
            .load(&mut connection)
            .await?;
        let mut found: HashMap<WebhookSourceId, Vec<WebhookSourceSecret>> = HashMap::new();
        for secret in rows {
            found.entry(secret.source_id).or_default().push(secret);
        }
        Ok(found)
    }
}

/// A source that is to be made.
#[derive(Debug, Clone)]
pub struct NewSource {
    /// Its id.
    pub id: WebhookSourceId,
    /// Which service it is.
    pub kind: WebhookSourceKind,
    /// What it is for.
    pub description: Option<String>,
}

/// Why a source was not made or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceFault {
    /// There is no such source.
    NotFound,
    /// The tenant has [`MAX_SOURCES`].
    TooMany,
    /// It has [`MAX_SOURCE_SECRETS`] valid secrets.
    TooManySecrets,
    /// The idempotency key was used for something else.
    KeyReused {
        /// What was made with it.
        first: Uuid,
        /// Where that differs.
        difference: Difference,
    },
}

impl Books<'_> {
    /// Makes a source, once for each key, with its first secret where that is known already. Gives its id and whether it is new.
    pub async fn add_source(
        &self,
        key: &IdempotencyKey,
        new: &NewSource,
        secret: Option<(WebhookSourceSecretId, &[u8])>,
    ) -> QueryResult<Result<(WebhookSourceId, bool), SourceFault>> {
        match key.claim(self.connection, Operation::CreateWebhookSource, self.tenant, None, new.id.uuid()).await? {
            Claim::First => {}
            Claim::Replay(first) => return Ok(Ok((first.into(), false))),
            Claim::Reused { first, difference } => return Ok(Err(SourceFault::KeyReused { first, difference })),
        }
        // The last to be counted is the last to have begun: two at once are one after the other.
        locks::lock_names(self.connection, Named::WebhookSources, vec![self.tenant.to_string()]).await?;
        let of_tenant = webhook_sources::table
            .filter(webhook_sources::tenant_id.eq(self.tenant))
            .filter(webhook_sources::removed_at.is_null());
        let count: i64 = of_tenant.count().get_result(&mut &*self.connection).await?;
        if count >= MAX_SOURCES {
            return Ok(Err(SourceFault::TooMany));
        }
        diesel::insert_into(webhook_sources::table)
            .values((
                webhook_sources::tenant_id.eq(self.tenant),
                webhook_sources::id.eq(new.id),
                webhook_sources::kind.eq(new.kind),
                webhook_sources::description.eq(&new.description),
                webhook_sources::created_by.eq(self.by.unwrap_or_else(|| Uuid::nil().into())),
                webhook_sources::created_at.eq(self.at),
            ))
            .execute(&mut &*self.connection)
            .await?;
        if let Some(secret) = secret {
            self.insert_source_secret(new.id, secret).await?;
        }
        Ok(Ok((new.id, true)))
    }

    async fn insert_source_secret(
        &self,
        source: WebhookSourceId,
        (id, sealed): (WebhookSourceSecretId, &[u8]),
    ) -> QueryResult<()> {
        diesel::insert_into(webhook_source_secrets::table)
            .values((
                webhook_source_secrets::tenant_id.eq(self.tenant),
                webhook_source_secrets::id.eq(id),
                webhook_source_secrets::source_id.eq(source),
                webhook_source_secrets::sealed.eq(sealed),
                webhook_source_secrets::created_at.eq(self.at),
            ))
            .execute(&mut &*self.connection)
            .await
            .map(drop)
    }

    /// The source, locked until the transaction ends.
    pub async fn locked_source(&self, id: WebhookSourceId) -> QueryResult<Option<WebhookSource>> {
        WebhookSource::query()
            .filter(webhook_sources::tenant_id.eq(self.tenant))
            .filter(webhook_sources::id.eq(id))
            .filter(webhook_sources::removed_at.is_null())
            .for_no_key_update()
            .first(&mut &*self.connection)
            .await
            .optional()
    }

    /// Removes a source; gives whether it was there. What it has reported stays, and what waits is applied.
    pub async fn remove_source(&self, id: WebhookSourceId) -> QueryResult<bool> {
        let count = diesel::update(webhook_sources::table)
            .filter(webhook_sources::tenant_id.eq(self.tenant))
            .filter(webhook_sources::id.eq(id))
            .filter(webhook_sources::removed_at.is_null())
            .set(webhook_sources::removed_at.eq(Some(self.at)))
            .execute(&mut &*self.connection)
            .await?;
        diesel::delete(webhook_source_secrets::table)
            .filter(webhook_source_secrets::tenant_id.eq(self.tenant))
            .filter(webhook_source_secrets::source_id.eq(id))
            .execute(&mut &*self.connection)
            .await?;
        Ok(count > 0)
    }

    /// Gives a source, which is locked, another secret, once for each key; the others are accepted for a while. Gives whether it is new.
    pub async fn rotate_source_secret(
        &self,
        key: &IdempotencyKey,
        source: WebhookSourceId,
        secret: (WebhookSourceSecretId, &[u8]),
        expire_others_in: TimeDelta,
    ) -> QueryResult<Result<bool, SourceFault>> {
        let claimed =
            key.claim(self.connection, Operation::RotateWebhookSourceSecret, self.tenant, None, secret.0.uuid()).await?;
        match claimed {
            Claim::First => {}
            Claim::Replay(_) => return Ok(Ok(false)),
            Claim::Reused { first, difference } => return Ok(Err(SourceFault::KeyReused { first, difference })),
        }
        let until = self.at + expire_others_in;
        let of_source = webhook_source_secrets::table
            .filter(webhook_source_secrets::tenant_id.eq(self.tenant))
            .filter(webhook_source_secrets::source_id.eq(source));
        diesel::update(of_source)
            .filter(webhook_source_secrets::expires_at.is_null().or(webhook_source_secrets::expires_at.gt(until)))
            .set(webhook_source_secrets::expires_at.eq(Some(until)))
            .execute(&mut &*self.connection)
            .await?;
        let valid = of_source.filter(webhook_source_secrets::expires_at.gt(self.at)).count();
        let valid: i64 = valid.get_result(&mut &*self.connection).await?;
        if usize::try_from(valid).unwrap_or(usize::MAX) >= MAX_SOURCE_SECRETS {
            return Ok(Err(SourceFault::TooManySecrets));
        }
        self.insert_source_secret(source, secret).await?;
        Ok(Ok(true))
    }
}
