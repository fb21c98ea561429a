//! Grants: credits that the tenant gives to a partner, or takes back while they are unassigned.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{prelude::*, sql_types::Numeric};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::ledger::{Moved, Movement, whole};
use crate::{
    db::{
        schema::credit_grants,
        statement::{Bind, statement},
    },
    ids::{GrantId, PartnerId, UserId},
    models::{
        idempotency::{Difference, Key},
        ledger::books::Books,
        partners::{partner::Partner, status::PartnerStatus},
        scope::Scope,
    },
};

/// The most credits that a partner can hold unassigned: a GraphQL `Int` ends a little above.
pub const MAX_BALANCE: i64 = 2_000_000_000;

/// Credits that were given, or taken back.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = credit_grants)]
pub struct Grant {
    /// Its id.
    pub id: GrantId,
    /// To whom.
    pub partner_id: PartnerId,
    /// How many; below zero where they were taken back.
    pub credits: i32,
    /// Why.
    pub reason: String,
    /// Who did it.
    pub granted_by: Option<UserId>,
    /// When.
    pub created_at: DateTime<Utc>,
}

impl Grant {
    /// Those of `ids` that are in scope.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[GrantId],
    ) -> QueryResult<HashMap<GrantId, Self>> {
        let query = Self::query().filter(credit_grants::tenant_id.eq(scope.tenant)).filter(credit_grants::id.eq_any(ids));
        let rows: Vec<Self> = query.load(&mut connection).await?;
        Ok(rows.into_iter().filter(|row| scope.includes(row.partner_id)).map(|row| (row.id, row)).collect())
    }
}

/// Credits to be given.
#[derive(Debug, Clone)]
pub struct NewGrant {
    /// To whom.
    pub partner: PartnerId,
    /// How many; below zero takes back.
    pub credits: i32,
    /// Why.
    pub reason: String,
    /// Its idempotency key.
    pub key: String,
}

impl NewGrant {
    fn key(&self) -> Key {
        let fields =
            [("partnerId", json!(self.partner.to_string())), ("credits", json!(self.credits)), ("reason", json!(self.reason))];
        Key::new(self.key.clone(), fields)
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Granted {
    /// The grant: the first one where the key was used before.
    pub id: GrantId,
    /// Whether it was there before.
    pub is_replay: bool,
}

/// Why nothing was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantFault {
    /// There is no such partner.
    UnknownPartner,
    /// The partner is closed.
    Closed,
    /// Fewer are unassigned than are to be taken back.
    Insufficient {
        /// How many are.
        balance: i64,
    },
    /// The partner would hold more than it can.
    TooMany {
        /// How many it holds.
        balance: i64,
    },
    /// The key was used for something else.
    KeyReused {
        /// The grant that it was used for.
        first: GrantId,
        /// Where the requests differ.
        difference: Difference,
    },
}

impl Books<'_> {
    /// How many credits a partner has not assigned, locked until the transaction ends: see `lock_partner_credits()`.
    pub async fn lock_credits(&self, partner: PartnerId) -> QueryResult<i64> {
        let binds = vec![Bind::Uuid(self.tenant.uuid()), Bind::Uuid(partner.uuid())];
        let balance: Decimal =
            statement::<Numeric>("SELECT lock_partner_credits(?, ?)", binds).get_result(&mut &*self.connection).await?;
        Ok(whole(balance))
    }

    /// Gives credits to a partner, or takes back unassigned ones. To a closed partner none are given.
    pub async fn grant_credits(&self, new: &NewGrant) -> QueryResult<Result<Granted, GrantFault>> {
        // The first grant makes the accounts, and two at once must not both do so. Closing a partner takes the same lock, so its status is
        // read under it.
        self.lock(&[new.partner]).await?;
        let partners = Partner::by_ids(self.connection, Scope::tenant(self.tenant), &[new.partner]).await?;
        let Some(partner) = partners.get(&new.partner) else { return Ok(Err(GrantFault::UnknownPartner)) };
        let id = GrantId::new();
        if let Err(replay) = self.insert_grant(id, new).await? {
            return Ok(replay);
        }
        let balance = self.lock_credits(new.partner).await?;
        let credits = i64::from(new.credits);
        if credits > 0 && partner.status == PartnerStatus::Closed {
            return Ok(Err(GrantFault::Closed));
        }
        if balance + credits < 0 {
            return Ok(Err(GrantFault::Insufficient { balance }));
        }
        if balance + credits > MAX_BALANCE {
            return Ok(Err(GrantFault::TooMany { balance }));
        }
        let movement = if credits > 0 { Movement::Grant(id) } else { Movement::Withdraw(id) };
        self.move_credits(&[Moved { partner: new.partner, credits: credits.abs(), movement }]).await?;
        Ok(Ok(Granted { id, is_replay: false }))
    }

    /// Writes the row, or gives what its key was used for before.
    async fn insert_grant(&self, id: GrantId, new: &NewGrant) -> QueryResult<Result<(), Result<Granted, GrantFault>>> {
        let key = new.key();
        let inserted = diesel::insert_into(credit_grants::table)
            .values((
                credit_grants::tenant_id.eq(self.tenant),
                credit_grants::id.eq(id),
                credit_grants::partner_id.eq(new.partner),
                credit_grants::credits.eq(new.credits),
                credit_grants::reason.eq(&new.reason),
                credit_grants::idempotency_key.eq(&new.key),
                credit_grants::request.eq(key.request()),
                credit_grants::granted_by.eq(self.by),
                credit_grants::created_at.eq(self.at),
            ))
            .on_conflict((credit_grants::tenant_id, credit_grants::idempotency_key))
            .do_nothing()
            .execute(&mut &*self.connection)
            .await?;
        if inserted > 0 {
            return Ok(Ok(()));
        }
        let (first, request): (Grant, Option<Value>) = credit_grants::table
            .filter(credit_grants::tenant_id.eq(self.tenant))
            .filter(credit_grants::idempotency_key.eq(key.text()))
            .select((Grant::as_select(), credit_grants::request))
            .first(&mut &*self.connection)
            .await?;
        let kept = [
            ("partnerId", json!(first.partner_id.to_string())),
            ("credits", json!(first.credits)),
            ("reason", json!(first.reason)),
        ];
        Ok(Err(match key.difference(request.as_ref(), kept) {
            None => Ok(Granted { id: first.id, is_replay: true }),
            Some(difference) => Err(GrantFault::KeyReused { first: first.id, difference }),
        }))
    }
}
