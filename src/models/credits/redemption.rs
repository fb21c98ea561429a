//! The use of credits, as services report it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{
    prelude::*,
    sql_types::{Text, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::{Value, json};

use super::ledger::Movement;
use crate::{
    db::{
        schema::credit_redemptions,
        statement::{Bind, statement},
    },
    ids::{MemberId, RedemptionId},
    models::{
        idempotency::{Difference, Key},
        ledger::books::Books,
        members::member::{MemberStatus, email_key},
        partners::status::PartnerStatus,
        scope::Scope,
    },
};

/// Who uses credits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redeemer {
    /// A member.
    Member(MemberId),
    /// The members with this address: of one partner, or of several.
    Address(String),
}

/// Credits to be used.
#[derive(Debug, Clone)]
pub struct NewRedemption {
    /// Whose.
    pub redeemer: Redeemer,
    /// How many.
    pub credits: i32,
    /// Its idempotency key.
    pub key: String,
}

impl NewRedemption {
    fn key(&self) -> Key {
        let (member, address) = match &self.redeemer {
            Redeemer::Member(id) => (Some(id.to_string()), None),
            Redeemer::Address(address) => (None, Some(email_key(address))),
        };
        Key::new(self.key.clone(), [("memberId", json!(member)), ("email", json!(address)), ("count", json!(self.credits))])
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redeemed {
    /// The redemption: the first one where the key was used before.
    pub id: RedemptionId,
    /// Whether it was there before.
    pub is_replay: bool,
}

/// Why nothing was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedemptionFault {
    /// Nobody is meant.
    UnknownMember,
    /// The member is inactive.
    Inactive,
    /// The member's partners are not active.
    Partner,
    /// There are too few, or without waiting too few that nobody else holds at this moment.
    Insufficient {
        /// How many there are.
        available: i64,
    },
    /// The key was used for something else.
    KeyReused {
        /// The redemption that it was used for.
        first: RedemptionId,
        /// Where the requests differ.
        difference: Difference,
    },
}

/// The use of credits.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = credit_redemptions)]
pub struct Redemption {
    /// Its id.
    pub id: RedemptionId,
    /// The address of the member who used them, as addresses are compared.
    pub employee_email: String,
    /// The member that was named; `None` where an address was.
    pub member_id: Option<MemberId>,
    /// How many.
    pub credits: i32,
    /// When.
    pub created_at: DateTime<Utc>,
    /// When it was reversed; `None` while it stands.
    pub reversed_at: Option<DateTime<Utc>>,
    /// Why.
    pub reversal_reason: Option<String>,
}

impl Redemption {
    /// Those of `ids` that are in scope: staff and machines see all of the tenant's, partners none.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[RedemptionId],
    ) -> QueryResult<HashMap<RedemptionId, Self>> {
        if scope.partner.is_some() {
            return Ok(HashMap::new());
        }
        let query =
            Self::query().filter(credit_redemptions::tenant_id.eq(scope.tenant)).filter(credit_redemptions::id.eq_any(ids));
        let rows: Vec<Self> = query.load(&mut connection).await?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }
}

impl Books<'_> {
    /// Uses credits, the soonest to expire first, never an expired one, each once. After a fault the transaction is to be given up. Without
    /// `waits`, units that others hold are passed over; where too few are left so, it is to be tried again with it. Runs as a machine.
    pub async fn redeem_credits(&self, new: &NewRedemption, waits: bool) -> QueryResult<Result<Redeemed, RedemptionFault>> {
        let key = new.key();
        if let Some(first) = self.redemption_of_key(&key).await? {
            return Ok(first);
        }
        let (address, members) = match self.redeemers(&new.redeemer).await? {
            Ok(found) => found,
            Err(fault) => return Ok(Err(fault)),
        };
        let id = RedemptionId::new();
        let member = match new.redeemer {
            Redeemer::Member(id) => Some(id),
            Redeemer::Address(_) => None,
        };
        let inserted = diesel::insert_into(credit_redemptions::table)
            .values((
                credit_redemptions::tenant_id.eq(self.tenant),
                credit_redemptions::id.eq(id),
                credit_redemptions::employee_email.eq(&address),
                credit_redemptions::member_id.eq(member),
                credit_redemptions::credits.eq(new.credits),
                credit_redemptions::idempotency_key.eq(&new.key),
                credit_redemptions::request.eq(key.request()),
                credit_redemptions::redeemed_by.eq(self.by),
                credit_redemptions::created_at.eq(self.at),
            ))
            .on_conflict((credit_redemptions::tenant_id, credit_redemptions::idempotency_key))
            .do_nothing()
            .execute(&mut &*self.connection)
            .await?;
        if inserted == 0 {
            // Another has just come before with the same key.
            return self.redemption_of_key(&key).await?.ok_or(diesel::result::Error::NotFound);
        }
        let ended = self.use_units(&address, &members, new.credits, waits, id).await?;
        let available = ended.iter().map(|ended| ended.credits).sum();
        if available < i64::from(new.credits) {
            return Ok(Err(RedemptionFault::Insufficient { available }));
        }
        self.post_ended(&ended, |ended| Movement::Redeem(ended.member, ended.allocation, id)).await?;
        Ok(Ok(Redeemed { id, is_replay: false }))
    }

    /// What came of the first request with the key, for one that may be the same.
    async fn redemption_of_key(&self, key: &Key) -> QueryResult<Option<Result<Redeemed, RedemptionFault>>> {
        let first: Option<(Redemption, Option<Value>)> = credit_redemptions::table
            .filter(credit_redemptions::tenant_id.eq(self.tenant))
            .filter(credit_redemptions::idempotency_key.eq(key.text()))
            .select((Redemption::as_select(), credit_redemptions::request))
            .first(&mut &*self.connection)
            .await
            .optional()?;
        Ok(first.map(|(first, request)| {
            let named = first.member_id.map(|id| id.to_string());
            let address = named.is_none().then_some(&first.employee_email);
            let kept = [("memberId", json!(named)), ("email", json!(address)), ("count", json!(first.credits))];
            match key.difference(request.as_ref(), kept) {
                None => Ok(Redeemed { id: first.id, is_replay: true }),
                Some(difference) => Err(RedemptionFault::KeyReused { first: first.id, difference }),
            }
        }))
    }

    /// The address and the members that are meant and may use credits. Until the transaction ends none of them is made inactive.
    async fn redeemers(&self, redeemer: &Redeemer) -> QueryResult<Result<(String, Vec<MemberId>), RedemptionFault>> {
        let (condition, bind) = match redeemer {
            Redeemer::Member(id) => ("m.id = ?", Bind::Uuid(id.uuid())),
            Redeemer::Address(address) => ("m.email_key = email_key(?)", Bind::text(address)),
        };
        let rows: Vec<(MemberId, String, MemberStatus, PartnerStatus)> = statement::<(SqlUuid, Text, Text, Text)>(
            format!(
                "SELECT m.id, m.email_key, m.status::text, p.status::text FROM partner_members m
                 JOIN partners p ON p.tenant_id = m.tenant_id AND p.id = m.partner_id
                 WHERE m.tenant_id = ? AND {condition} ORDER BY m.id FOR SHARE OF m"
            ),
            vec![Bind::Uuid(self.tenant.uuid()), bind],
        )
        .load(&mut &*self.connection)
        .await?;
        let Some(address) = rows.as_slice().first().map(|(_, address, ..)| address.clone()) else {
            return Ok(Err(RedemptionFault::UnknownMember));
        };
        let working: Vec<_> = rows.into_iter().filter(|(_, _, status, _)| *status != MemberStatus::Inactive).collect();
        if working.is_empty() {
            return Ok(Err(RedemptionFault::Inactive));
        }
        let members: Vec<MemberId> =
            working.into_iter().filter(|(.., partner)| *partner == PartnerStatus::Active).map(|(id, ..)| id).collect();
        Ok(if members.is_empty() { Err(RedemptionFault::Partner) } else { Ok((address, members)) })
    }
}
