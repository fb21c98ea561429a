//! Leads: people and companies that a partner has sent. Lists of them are in [`super::list`].

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{
    prelude::*,
    result::DatabaseErrorKind,
    sql_types::{Text, Timestamptz},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::try_join;
use iso_currency::Currency;
use rust_decimal::Decimal;
use serde_json::json;

use super::status::{LeadStatus, LeadStatusChange, NewLeadStatusChange};
use crate::{
    db::{
        QueryError,
        schema::partner_leads,
        statement::{Bind, Statement, statement},
    },
    ids::{LeadId, LeadStatusChangeId, PartnerId, TenantId, UserId},
    models::{
        idempotency::{Claim, Difference, Key, Operation},
        partners::partner::Partner,
        scope::Scope,
    },
    money::Money,
};

/// A lead.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = partner_leads)]
pub struct Lead {
    /// Its tenant.
    pub tenant_id: TenantId,
    /// Its id.
    pub id: LeadId,
    /// The partner that sent it.
    pub partner_id: PartnerId,
    /// The client's name.
    pub client_name: String,
    /// The name as lists are ordered by it.
    pub client_name_sort: String,
    /// The client's e-mail address.
    pub client_email: String,
    /// The client's phone number.
    pub client_phone: Option<String>,
    /// What the client is interested in.
    pub service: String,
    /// How far it has come.
    pub status: LeadStatus,
    /// What the deal is worth.
    pub deal_value: Option<Decimal>,
    /// The value as lists are ordered by it.
    pub deal_value_sort: i64,
    /// The partner's rate when it was sent, as a fraction.
    pub commission_rate: Decimal,
    /// What the partner earns if it converts.
    pub commission: Decimal,
    /// Whether an operator set the commission by hand.
    pub commission_fixed: bool,
    /// Whether the commission has been paid.
    pub commission_paid: bool,
    /// The currency of both amounts (ISO 4217).
    pub currency: String,
    /// The partner's notes.
    pub notes: Option<String>,
    /// When it was sent.
    pub created_at: DateTime<Utc>,
    /// When it converted.
    pub converted_at: Option<DateTime<Utc>>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// When the client was erased.
    pub erased_at: Option<DateTime<Utc>>,
}

/// A lead to be added. Its commission follows from the deal's value and the partner's rate.
#[derive(Debug, Clone)]
pub struct NewLead {
    /// Its partner.
    pub partner_id: PartnerId,
    /// The client's name.
    pub client_name: String,
    /// The client's e-mail address.
    pub client_email: String,
    /// The client's phone number.
    pub client_phone: Option<String>,
    /// What the client is interested in.
    pub service: String,
    /// What the deal is worth.
    pub deal_value: Option<Decimal>,
    /// The currency.
    pub currency: Currency,
    /// The partner's notes.
    pub notes: Option<String>,
    /// Its idempotency key, one of the partner's.
    pub key: String,
}

impl NewLead {
    fn key(&self) -> Key {
        let fields = [
            ("partnerId", json!(self.partner_id.to_string())),
            ("clientName", json!(self.client_name)),
            ("clientEmail", json!(self.client_email)),
            ("clientPhone", json!(self.client_phone)),
            ("service", json!(self.service)),
            ("dealValue", json!(self.deal_value.map(|value| Money::rounded(value, self.currency).amount.to_string()))),
            ("notes", json!(self.notes)),
        ];
        Key::new(self.key.clone(), fields)
    }
}

/// What became of a lead that was to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inserted {
    /// It was added.
    New(LeadId),
    /// It was added before, with the same key.
    Before(LeadId),
    /// The key was used for another.
    KeyReused {
        /// The lead that it was used for.
        first: LeadId,
        /// Where the requests differ.
        difference: Difference,
    },
    /// There is no such partner in scope.
    UnknownPartner,
    /// The partner's rate has changed since it was read: the transaction is to be begun anew.
    OtherRate,
}

/// What to change of a lead; `None` stays as it is, `Some(None)` is cleared.
#[derive(Debug, Clone, Default, AsChangeset)]
#[diesel(table_name = partner_leads)]
pub struct LeadChanges {
    /// The client's name.
    pub client_name: Option<String>,
    /// The client's e-mail address.
    pub client_email: Option<String>,
    /// The client's phone number.
    pub client_phone: Option<Option<String>>,
    /// What the client is interested in.
    pub service: Option<String>,
    /// What the deal is worth.
    pub deal_value: Option<Option<Decimal>>,
    /// What the partner earns.
    pub commission: Option<Decimal>,
    /// Whether the commission was set by hand; only an operator's database role may write it.
    pub commission_fixed: Option<bool>,
    /// The partner's notes.
    pub notes: Option<Option<String>>,
}

impl LeadChanges {
    /// Whether anything of a lead is not so already.
    pub fn differ_from(&self, lead: &Lead) -> bool {
        differ!(self, lead; client_name, client_email, client_phone, service, deal_value, commission, commission_fixed, notes)
    }

    /// Whether they say something else of who the client is.
    pub fn name_client(&self, lead: &Lead) -> bool {
        differ!(self, lead; client_name, client_email, client_phone, notes)
    }
}

/// The time of the statement, not of its transaction's start: a step that waited for another's lock comes after it.
fn wall_clock() -> Statement<Timestamptz> {
    statement("clock_timestamp()", vec![])
}

/// Whether a lead was refused because its commission does not follow from the rate that it pins.
fn is_other_rate(error: &QueryError) -> bool {
    let QueryError::DatabaseError(DatabaseErrorKind::CheckViolation, info) = error else { return false };
    info.constraint_name() == Some("partner_leads_commission_follows")
}

/// What a lead's commission is: the partner's share of the deal, nothing while the deal has no value.
pub fn commission(deal_value: Option<Decimal>, rate: Decimal, currency: Currency) -> Decimal {
    let deal = Money::rounded(deal_value.unwrap_or_default(), currency);
    // A share of an amount below 10^14 cannot exceed what a decimal holds.
    deal.share(rate).map_or(Decimal::ZERO, |share| share.amount)
}

impl Lead {
    /// Those of `ids` that are in scope.
    pub async fn by_ids(mut connection: &AsyncPgConnection, scope: Scope, ids: &[LeadId]) -> QueryResult<HashMap<LeadId, Self>> {
        let rows = Self::query()
            .filter(partner_leads::tenant_id.eq(scope.tenant))
            .filter(partner_leads::id.eq_any(ids))
            .load(&mut connection)
            .await?;
        Ok(rows.into_iter().filter(|row: &Self| scope.includes(row.partner_id)).map(|row| (row.id, row)).collect())
    }

    /// Adds a lead and the first entry of its history, once for each key.
    pub async fn insert(mut connection: &AsyncPgConnection, scope: Scope, new: &NewLead, by: UserId) -> QueryResult<Inserted> {
        let partner = [new.partner_id];
        if !Partner::by_ids(connection, scope, &partner).await?.contains_key(&new.partner_id) {
            return Ok(Inserted::UnknownPartner);
        }
        let (id, key, of) = (LeadId::new(), new.key(), Some(new.partner_id));
        // The rate is read as late as can be, for it may be changing: once the key is this request's, which it may have waited for.
        let (claim, mut partners) = try_join!(
            key.claim(connection, Operation::CreateLead, scope.tenant, of, id.uuid()),
            Partner::by_ids(connection, scope, &partner)
        )?;
        match claim {
            Claim::First => {}
            Claim::Replay(first) => return Ok(Inserted::Before(first.into())),
            Claim::Reused { first, difference } => return Ok(Inserted::KeyReused { first: first.into(), difference }),
        }
        let Some(Partner { commission_rate: rate, .. }) = partners.remove(&new.partner_id) else {
            return Ok(Inserted::UnknownPartner);
        };
        let inserted = diesel::insert_into(partner_leads::table)
            .values((
                partner_leads::tenant_id.eq(scope.tenant),
                partner_leads::id.eq(id),
                partner_leads::partner_id.eq(new.partner_id),
                partner_leads::client_name.eq(&new.client_name),
                partner_leads::client_email.eq(&new.client_email),
                partner_leads::client_phone.eq(&new.client_phone),
                partner_leads::service.eq(&new.service),
                partner_leads::deal_value.eq(new.deal_value),
                partner_leads::commission.eq(commission(new.deal_value, rate, new.currency)),
                partner_leads::currency.eq(new.currency.code()),
                partner_leads::notes.eq(&new.notes),
            ))
            .returning(partner_leads::commission_rate)
            .get_result(&mut connection)
            .await;
        match inserted {
            Ok(pinned) if pinned == rate => {}
            Ok::<Decimal, _>(_) => return Ok(Inserted::OtherRate),
            Err(error) if is_other_rate(&error) => return Ok(Inserted::OtherRate),
            Err(error) => return Err(error),
        }
        let step = NewLeadStatusChange {
            tenant_id: scope.tenant,
            id: LeadStatusChangeId::new(),
            partner_id: new.partner_id,
            lead_id: id,
            from_status: None,
            to_status: LeadStatus::Pending,
            changed_by: Some(by),
            note: None,
        };
        LeadStatusChange::insert(connection, &step).await.map(|()| Inserted::New(id))
    }

    /// The lead, locked until the transaction ends.
    pub async fn lock(mut connection: &AsyncPgConnection, scope: Scope, id: LeadId) -> QueryResult<Option<Self>> {
        let query =
            Self::query().filter(partner_leads::tenant_id.eq(scope.tenant)).filter(partner_leads::id.eq(id)).for_no_key_update();
        Ok(query.first(&mut connection).await.optional()?.filter(|row: &Self| scope.includes(row.partner_id)))
    }

    /// The same for moving it to another partner, which is a column of a unique key: that needs the stronger lock from the beginning.
    pub async fn lock_key(mut connection: &AsyncPgConnection, scope: Scope, id: LeadId) -> QueryResult<Option<Self>> {
        let query = Self::query().filter(partner_leads::tenant_id.eq(scope.tenant)).filter(partner_leads::id.eq(id)).for_update();
        Ok(query.first(&mut connection).await.optional()?.filter(|row: &Self| scope.includes(row.partner_id)))
    }

    /// Changes the lead, which the caller has locked.
    pub async fn update(&self, mut connection: &AsyncPgConnection, changes: &LeadChanges) -> QueryResult<()> {
        diesel::update(self.row())
            .set((changes, partner_leads::updated_at.eq(wall_clock())))
            .execute(&mut connection)
            .await
            .map(drop)
    }

    /// Takes a lead one step and records it, if that is one of its [`LeadStatus::next`]; otherwise it stays as it is. It is locked until
    /// the transaction ends, whichever it is. Gives the status before; `None` where there is no such lead in scope.
    pub async fn step(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        id: LeadId,
        to: LeadStatus,
        by: Option<UserId>,
        note: Option<&str>,
    ) -> QueryResult<Option<LeadStatus>> {
        statement::<Text>(
            "WITH lead AS (
                 SELECT tenant_id, partner_id, id, status FROM partner_leads
                 WHERE tenant_id = ? AND id = ? AND partner_id = coalesce(?, partner_id) FOR NO KEY UPDATE),
             step AS (SELECT * FROM lead WHERE status = ANY(?)),
             moved AS (
                 UPDATE partner_leads AS l SET status = ?, updated_at = clock_timestamp(),
                     converted_at = CASE WHEN ? = 'converted' THEN clock_timestamp() ELSE l.converted_at END
                 FROM step WHERE l.tenant_id = step.tenant_id AND l.id = step.id),
             recorded AS (
                 INSERT INTO lead_status_changes (tenant_id, id, partner_id, lead_id, from_status, to_status, changed_by, note)
                 SELECT tenant_id, ?, partner_id, id, status, ?, ?, ? FROM step)
             SELECT status FROM lead",
            vec![
                Bind::Uuid(scope.tenant.uuid()),
                Bind::Uuid(id.uuid()),
                Bind::OptionalUuid(scope.partner.map(PartnerId::uuid)),
                Bind::Texts(to.previous().map(|status| status.as_str().to_owned()).collect()),
                Bind::text(to.as_str()),
                Bind::text(to.as_str()),
                Bind::Uuid(LeadStatusChangeId::new().uuid()),
                Bind::text(to.as_str()),
                Bind::OptionalUuid(by.map(UserId::uuid)),
                Bind::Text(note.map(str::to_owned)),
            ],
        )
        .get_result(&mut connection)
        .await
        .optional()
    }

    #[diesel::dsl::auto_type(no_type_alias)]
    fn row(&self) -> _ {
        let tenant: TenantId = self.tenant_id;
        let id: LeadId = self.id;
        partner_leads::table.filter(partner_leads::tenant_id.eq(tenant)).filter(partner_leads::id.eq(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The commission is the partner's share, rounded half to even at the currency's minor unit.
    #[test]
    fn commissions() {
        let of = |value: &str, rate: &str, currency| {
            commission(Some(value.parse().expect("a decimal")), rate.parse().expect("a decimal"), currency).to_string()
        };
        assert_eq!(of("1000", "0.125", Currency::USD), "125.00");
        assert_eq!(of("0.05", "0.5", Currency::USD), "0.02");
        assert_eq!(of("105", "0.1", Currency::JPY), "10");
        assert_eq!(commission(None, Decimal::ONE, Currency::USD).to_string(), "0.00");
    }
}
