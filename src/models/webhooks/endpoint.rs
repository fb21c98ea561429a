//! Endpoints: addresses of the tenant's other systems, which events each gets, and the secrets that their messages are signed with.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::event::WebhookEventType;
use crate::{
    db::{
        locks::{self, Named},
        schema::{webhook_endpoints, webhook_secrets},
    },
    ids::{UserId, WebhookEndpointId, WebhookSecretId},
    models::{
        idempotency::{Claim, Difference, Key as IdempotencyKey, Operation},
        ledger::books::Books,
        list::{Conditions, list},
        page::{Cursor, Key, KeyKind, Page, SortKey},
        scope::Scope,
    },
};

/// How many endpoints a tenant may have.
pub const MAX_ENDPOINTS: i64 = 20;
/// How many secrets of an endpoint may be valid at once.
pub const MAX_SECRETS: usize = 3;
/// Why an endpoint is disabled that somebody has switched off.
pub const SWITCHED_OFF: &str = "Somebody has switched it off.";

/// An endpoint.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = webhook_endpoints)]
pub struct WebhookEndpoint {
    /// Its id.
    pub id: WebhookEndpointId,
    /// Where it is.
    pub url: String,
    /// What it is for.
    pub description: Option<String>,
    /// The types of events that are sent to it: [`WebhookEventType`]s.
    pub types: Vec<Option<String>>,
    /// Since when nothing is sent to it.
    pub disabled_at: Option<DateTime<Utc>>,
    /// Why.
    pub disabled_reason: Option<String>,
    /// Since when all attempts have failed.
    pub failing_since: Option<DateTime<Utc>>,
    /// When an attempt has succeeded last.
    pub last_success_at: Option<DateTime<Utc>>,
    /// Who made it.
    pub created_by: UserId,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When somebody has changed it last.
    pub updated_at: DateTime<Utc>,
}

/// A secret of an endpoint, without what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = webhook_secrets)]
pub struct WebhookSecret {
    /// The endpoint.
    pub endpoint_id: WebhookEndpointId,
    /// Its id.
    pub id: WebhookSecretId,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Until when messages are signed with it; `None`: until another replaces it.
    pub expires_at: Option<DateTime<Utc>>,
}

/// All endpoints of a tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct WebhookEndpointFilter;

/// By when they were made.
pub const BY_CREATED: SortKey =
    SortKey { name: "created", column: "webhook_endpoints.created_at", id: "webhook_endpoints.id", kind: KeyKind::Time };

impl WebhookEndpointFilter {
    /// What holds for each of them.
    #[expect(clippy::unused_self, reason = "as all filters have it")]
    fn conditions(&self, scope: Scope) -> Conditions<'_, webhook_endpoints::table> {
        Conditions::of(webhook_endpoints::tenant_id.eq(scope.tenant).and(webhook_endpoints::removed_at.is_null()))
    }
}

list!(WebhookEndpointFilter => WebhookEndpoint; webhook_endpoints);

impl WebhookEndpoint {
    /// Those of `ids` that are in scope and were not removed.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[WebhookEndpointId],
    ) -> QueryResult<HashMap<WebhookEndpointId, Self>> {
        let query = Self::query()
            .filter(webhook_endpoints::tenant_id.eq(scope.tenant))
            .filter(webhook_endpoints::id.eq_any(ids))
            .filter(webhook_endpoints::removed_at.is_null());
        let rows: Vec<Self> = query.load(&mut connection).await?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }

    /// The secrets of endpoints, the latest first. Which of them are valid depends on the time.
    pub async fn secrets_of(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[WebhookEndpointId],
    ) -> QueryResult<HashMap<WebhookEndpointId, Vec<WebhookSecret>>> {
        let rows: Vec<WebhookSecret> = webhook_secrets::table
            .filter(webhook_secrets::tenant_id.eq(scope.tenant))
            .filter(webhook_secrets::endpoint_id.eq_any(ids))
            .order((webhook_secrets::created_at.desc(), webhook_secrets::id.desc()))
            .select(WebhookSecret::as_select())
            .load(&mut connection)
            .await?;
        let mut found: HashMap<WebhookEndpointId, Vec<WebhookSecret>> = HashMap::new();
        for secret in rows {
            found.entry(secret.endpoint_id).or_default().push(secret);
        }
        Ok(found)
    }

    /// Where this row stands in a list.
    pub fn cursor(&self, page: &Page) -> Cursor {
        page.cursor(Key::Time(self.created_at), Uuid::from(self.id))
    }

    /// The types of events that are sent to it.
    pub fn event_types(&self) -> Vec<WebhookEventType> {
        self.types.iter().flatten().filter_map(|name| name.parse().ok()).collect()
    }
}

/// An endpoint that is to be made.
#[derive(Debug, Clone)]
pub struct NewEndpoint {
    /// Its id.
    pub id: WebhookEndpointId,
    /// Where it is.
    pub url: String,
    /// What it is for.
    pub description: Option<String>,
    /// The types of events that are sent to it.
    pub types: Vec<WebhookEventType>,
}

/// What to change of an endpoint; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct EndpointChanges {
    /// Where it is.
    pub url: Option<String>,
    /// What it is for.
    pub description: Option<Option<String>>,
    /// The types of events that are sent to it.
    pub types: Option<Vec<WebhookEventType>>,
    /// Whether anything is sent to it.
    pub is_enabled: Option<bool>,
}

/// Why an endpoint was not made or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointFault {
    /// There is no such endpoint.
    NotFound,
    /// The tenant has [`MAX_ENDPOINTS`].
    TooMany,
    /// It has [`MAX_SECRETS`] valid secrets.
    TooManySecrets,
    /// The key was used for another request.
    KeyReused {
        /// What that made.
        first: Uuid,
        /// Where they differ.
        difference: Difference,
    },
}

/// The words of types, each once, in the order of their definition.
fn words(types: &[WebhookEventType]) -> Vec<Option<&'static str>> {
    WebhookEventType::ALL.iter().filter(|event| types.contains(event)).map(|event| Some(event.as_str())).collect()
}

impl Books<'_> {
    /// Makes an endpoint with its first secret, once for each key. Gives its id and whether it is new.
    pub async fn add_endpoint(
        &self,
        key: &IdempotencyKey,
        new: &NewEndpoint,
        secret: (WebhookSecretId, &[u8]),
    ) -> QueryResult<Result<(WebhookEndpointId, bool), EndpointFault>> {
        match key.claim(self.connection, Operation::CreateWebhookEndpoint, self.tenant, None, new.id.uuid()).await? {
            Claim::First => {}
            Claim::Replay(first) => return Ok(Ok((first.into(), false))),
            Claim::Reused { first, difference } => return Ok(Err(EndpointFault::KeyReused { first, difference })),
        }
        // The last to be counted is the last to have begun: two at once are one after the other.
        locks::lock_names(self.connection, Named::WebhookEndpoints, vec![self.tenant.to_string()]).await?;
        let count: i64 = webhook_endpoints::table
            .filter(webhook_endpoints::tenant_id.eq(self.tenant))
            .filter(webhook_endpoints::removed_at.is_null())
            .count()
            .get_result(&mut &*self.connection)
            .await?;
        if count >= MAX_ENDPOINTS {
            return Ok(Err(EndpointFault::TooMany));
        }
        diesel::insert_into(webhook_endpoints::table)
            .values((
                webhook_endpoints::tenant_id.eq(self.tenant),
                webhook_endpoints::id.eq(new.id),
                webhook_endpoints::url.eq(&new.url),
                webhook_endpoints::description.eq(&new.description),
                webhook_endpoints::types.eq(words(&new.types)),
                webhook_endpoints::created_by.eq(self.by.unwrap_or_else(|| Uuid::nil().into())),
                webhook_endpoints::created_at.eq(self.at),
                webhook_endpoints::updated_at.eq(self.at),
            ))
            .execute(&mut &*self.connection)
            .await?;
        self.insert_secret(new.id, secret).await?;
        Ok(Ok((new.id, true)))
    }

    async fn insert_secret(&self, endpoint: WebhookEndpointId, (id, sealed): (WebhookSecretId, &[u8])) -> QueryResult<()> {
        diesel::insert_into(webhook_secrets::table)
            .values((
                webhook_secrets::tenant_id.eq(self.tenant),
                webhook_secrets::id.eq(id),
                webhook_secrets::endpoint_id.eq(endpoint),
                webhook_secrets::sealed.eq(sealed),
                webhook_secrets::created_at.eq(self.at),
            ))
            .execute(&mut &*self.connection)
            .await
            .map(drop)
    }

    async fn locked_endpoint(&self, id: WebhookEndpointId) -> QueryResult<Option<WebhookEndpoint>> {
        WebhookEndpoint::query()
            .filter(webhook_endpoints::tenant_id.eq(self.tenant))
            .filter(webhook_endpoints::id.eq(id))
            .filter(webhook_endpoints::removed_at.is_null())
            .for_no_key_update()
            .first(&mut &*self.connection)
            .await
            .optional()
    }

    /// Changes an endpoint; gives whether anything was not so already. What waits for one that is disabled is given up by the sender, and can be
    /// recovered.
    pub async fn change_endpoint(
        &self,
        id: WebhookEndpointId,
        changes: &EndpointChanges,
    ) -> QueryResult<Result<bool, EndpointFault>> {
        let Some(before) = self.locked_endpoint(id).await? else { return Ok(Err(EndpointFault::NotFound)) };
        let types = changes.types.as_ref().map_or_else(|| words(&before.event_types()), |types| words(types));
        let is_enabled = changes.is_enabled.unwrap_or(before.disabled_at.is_none());
        let url = changes.url.as_ref().unwrap_or(&before.url);
        let description = changes.description.as_ref().unwrap_or(&before.description);
        let is_same = *url == before.url
            && *description == before.description
            && types == words(&before.event_types())
            && is_enabled == before.disabled_at.is_none();
        if is_same {
            return Ok(Ok(false));
        }
        let disabled_at = if is_enabled { None } else { before.disabled_at.or(Some(self.at)) };
        let reason = disabled_at.map(|_| before.disabled_reason.clone().unwrap_or_else(|| SWITCHED_OFF.to_owned()));
        // At another address, or switched on again, it begins anew.
        let begins_anew = *url != before.url || (is_enabled && before.disabled_at.is_some());
        diesel::update(webhook_endpoints::table)
            .filter(webhook_endpoints::tenant_id.eq(self.tenant))
            .filter(webhook_endpoints::id.eq(id))
            .set((
                webhook_endpoints::url.eq(url),
                webhook_endpoints::description.eq(description),
                webhook_endpoints::types.eq(types),
                webhook_endpoints::disabled_at.eq(disabled_at),
                webhook_endpoints::disabled_reason.eq(reason),
                webhook_endpoints::failing_since.eq(before.failing_since.filter(|_| !begins_anew)),
                begins_anew.then(|| {
                    (
                        webhook_endpoints::paused_until.eq(None::<DateTime<Utc>>),
                        webhook_endpoints::failures.eq(0),
                        webhook_endpoints::is_slow.eq(false),
                    )
                }),
                webhook_endpoints::updated_at.eq(self.at),
            ))
            .execute(&mut &*self.connection)
            .await?;
        Ok(Ok(true))
    }

    /// Removes an endpoint; gives whether it was there. The sender gives up what waits for it.
    pub async fn remove_endpoint(&self, id: WebhookEndpointId) -> QueryResult<bool> {
        let count = diesel::update(webhook_endpoints::table)
            .filter(webhook_endpoints::tenant_id.eq(self.tenant))
            .filter(webhook_endpoints::id.eq(id))
            .filter(webhook_endpoints::removed_at.is_null())
            .set(webhook_endpoints::removed_at.eq(Some(self.at)))
            .execute(&mut &*self.connection)
            .await?;
        diesel::delete(webhook_secrets::table)
            .filter(webhook_secrets::tenant_id.eq(self.tenant))
            .filter(webhook_secrets::endpoint_id.eq(id))
            .execute(&mut &*self.connection)
            .await?;
        Ok(count > 0)
    }

    /// Gives an endpoint another secret, once for each key; the others stay valid for a while. Gives whether it is new.
    pub async fn rotate_secret(
        &self,
        key: &IdempotencyKey,
        endpoint: WebhookEndpointId,
        secret: (WebhookSecretId, &[u8]),
        expire_others_in: TimeDelta,
    ) -> QueryResult<Result<bool, EndpointFault>> {
        if self.locked_endpoint(endpoint).await?.is_none() {
            return Ok(Err(EndpointFault::NotFound));
        }
        match key.claim(self.connection, Operation::RotateWebhookSecret, self.tenant, None, secret.0.uuid()).await? {
            Claim::First => {}
            Claim::Replay(_) => return Ok(Ok(false)),
            Claim::Reused { first, difference } => return Ok(Err(EndpointFault::KeyReused { first, difference })),
        }
        let until = self.at + expire_others_in;
        diesel::update(webhook_secrets::table)
            .filter(webhook_secrets::tenant_id.eq(self.tenant))
            .filter(webhook_secrets::endpoint_id.eq(endpoint))
            .filter(webhook_secrets::expires_at.is_null().or(webhook_secrets::expires_at.gt(until)))
            .set(webhook_secrets::expires_at.eq(Some(until)))
            .execute(&mut &*self.connection)
            .await?;
        let valid: i64 = webhook_secrets::table
            .filter(webhook_secrets::tenant_id.eq(self.tenant))
            .filter(webhook_secrets::endpoint_id.eq(endpoint))
            .filter(webhook_secrets::expires_at.gt(self.at))
            .count()
            .get_result(&mut &*self.connection)
            .await?;
        if usize::try_from(valid).unwrap_or(usize::MAX) >= MAX_SECRETS {
            return Ok(Err(EndpointFault::TooManySecrets));
        }
        self.insert_secret(endpoint, secret).await?;
        Ok(Ok(true))
    }
}
