//! Which user a customer is, and what follows: who referred them, as a report said before, and rewards for payments of before that was known. What
//! follows is maintenance's, one user at a time: it takes its locks in their order.

use chrono::{DateTime, Utc};
use diesel::{
    prelude::*,
    sql_types::{Text, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;

use super::{invite_code::InviteCode, reward::in_force};
use crate::{
    clock,
    db::{
        self,
        schema::{customers, invoices, users},
        statement::{Bind, condition, statement},
    },
    ids::{CustomerId, TenantId, UserId},
    models::{
        billing::{
            customer::{Customer, CustomerReport},
            invoice::Invoice,
        },
        ledger::books::Books,
    },
};

/// The most payments that are rewarded in one transaction.
const AT_ONCE: i64 = 500;

/// Why a customer did not become a user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CustomerUserFault {
    /// There is no such user.
    UnknownUser,
    /// The customer is another user's.
    OtherUser(UserId),
}

/// What a report of a sign-up says of an invitation.
#[derive(Debug, Clone)]
pub struct Invited {
    /// The user that the customer is.
    pub user: Option<UserId>,
    /// With whose code they signed up.
    pub code: Option<String>,
    /// When; now where it is left out.
    pub at: Option<DateTime<Utc>>,
}

/// Why nothing was noted of an invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvitedFault {
    /// No code looks like it.
    UnknownCode,
    /// The customer is not the user's.
    User(CustomerUserFault),
    /// Another person's code was reported first.
    OtherCode(String),
    /// It was reported first as of another instant.
    OtherTime(String),
}

/// A customer of a user's, and what was reported of it: with whose code it signed up, and when.
pub(super) type Reported = (CustomerId, Option<String>, Option<DateTime<Utc>>);

/// The earliest report of a user's customers.
pub(super) fn earliest_report(customers: &[Reported]) -> Option<(&str, DateTime<Utc>)> {
    let reports = customers.iter().filter_map(|(_, code, at)| Some((code.as_deref()?, (*at)?)));
    reports.min_by_key(|(_, at)| *at)
}

impl Books<'_> {
    /// Makes a customer a user's, and locks its row; whether it was not so already. What was reported of the customer decides who referred the user;
    /// what the user has paid by then is rewarded by maintenance.
    pub async fn link_customer(&self, customer: CustomerId, user: UserId) -> QueryResult<Result<bool, CustomerUserFault>> {
        Customer::lock(self.connection, self.tenant, customer).await?;
        let set = self.set_user(customer, user).await?;
        if set == Ok(true) {
            self.decide_noted(customer).await?;
        }
        Ok(set)
    }

    /// Decides what was reported of a customer, whose row is locked, where it is known which user it is.
    async fn decide_noted(&self, customer: CustomerId) -> QueryResult<()> {
        let row: (Option<UserId>, Option<String>, Option<DateTime<Utc>>) = customers::table
            .filter(customers::tenant_id.eq(self.tenant))
            .filter(customers::id.eq(customer))
            .select((customers::user_id, customers::invite_code, customers::invited_at))
            .first(&mut &*self.connection)
            .await?;
        if let (Some(user), Some(code), Some(at)) = row {
            self.decide_reported(user, &code, at).await?;
        }
        Ok(())
    }

    /// Makes a customer, whose row is locked, a user's; whether it was not so already.
    async fn set_user(&self, customer: CustomerId, user: UserId) -> QueryResult<Result<bool, CustomerUserFault>> {
        let known = users::table.filter(users::tenant_id.eq(self.tenant)).filter(users::id.eq(user));
        if !diesel::select(diesel::dsl::exists(known)).get_result(&mut &*self.connection).await? {
            return Ok(Err(CustomerUserFault::UnknownUser));
        }
        let row = || customers::table.filter(customers::tenant_id.eq(self.tenant)).filter(customers::id.eq(customer));
        match row().select(customers::user_id).first::<Option<UserId>>(&mut &*self.connection).await? {
            Some(own) if own == user => return Ok(Ok(false)),
            Some(other) => return Ok(Err(CustomerUserFault::OtherUser(other))),
            None => {}
        }
        diesel::update(row())
            .set((customers::user_id.eq(user), customers::are_rewards_due.eq(true)))
            .execute(&mut &*self.connection)
            .await?;
        Ok(Ok(true))
    }

    /// Notes what a report of a sign-up says of an invitation, which decides who referred the user where that is known; the customer is added where it is
    /// not known, and its row is locked. To be committed before anything is booked, which takes other locks first. Gives the customer, and whether anything
    /// was not so already.
    pub async fn note_invited(
        &self,
        customer: &CustomerReport,
        invited: &Invited,
    ) -> QueryResult<Result<(CustomerId, bool), InvitedFault>> {
        let customer = Customer::add(self.connection, self.tenant, customer).await?;
        let mut is_noted = false;
        if let Some(user) = invited.user {
            match self.set_user(customer, user).await? {
                Ok(is_new) => is_noted |= is_new,
                Err(fault) => return Ok(Err(InvitedFault::User(fault))),
            }
        }
        if let Some(code) = &invited.code {
            match self.note_code(customer, code, invited.at).await? {
                Ok(is_new) => is_noted |= is_new,
                Err(fault) => return Ok(Err(fault)),
            }
        }
        if is_noted {
            self.decide_noted(customer).await?;
        }
        Ok(Ok((customer, is_noted)))
    }

    /// Notes with whose code a customer, whose row is locked, has signed up; whether it was not so already.
    async fn note_code(
        &self,
        customer: CustomerId,
        code: &str,
        at: Option<DateTime<Utc>>,
    ) -> QueryResult<Result<bool, InvitedFault>> {
        let Some(owner) = InviteCode::owner(self.connection, self.tenant, code).await? else {
            return Ok(Err(InvitedFault::UnknownCode));
        };
        let row = || customers::table.filter(customers::tenant_id.eq(self.tenant)).filter(customers::id.eq(customer));
        let first = row().select((customers::invite_code, customers::invited_at));
        if let (Some(first), Some(known_at)) =
            first.first::<(Option<String>, Option<DateTime<Utc>>)>(&mut &*self.connection).await?
        {
            if InviteCode::owner(self.connection, self.tenant, &first).await? != Some(owner) {
                return Ok(Err(InvitedFault::OtherCode(first)));
            }
            let is_same = at.is_none_or(|at| at == known_at);
            return Ok(if is_same { Ok(false) } else { Err(InvitedFault::OtherTime(clock::shown(known_at))) });
        }
        diesel::update(row())
            .set((
                customers::invite_code.eq(code),
                customers::invited_at.eq(at.unwrap_or(self.at)),
                customers::are_rewards_due.eq(customers::user_id.is_not_null()),
            ))
            .execute(&mut &*self.connection)
            .await?;
        Ok(Ok(true))
    }

    /// For a user of whose customers something has become known: decides what was reported, and then rewards payments that have earned nothing, some in
    /// each transaction. Gives whether there was such a user.
    pub async fn reward_next_user(&self) -> QueryResult<bool> {
        let due = customers::table.filter(customers::tenant_id.eq(self.tenant)).filter(customers::are_rewards_due);
        let next = due.filter(customers::user_id.is_not_null()).order(customers::id).select(customers::user_id.assume_not_null());
        let Some(user) = next.first::<UserId>(&mut &*self.connection).await.optional()? else { return Ok(false) };
        let own = || customers::table.filter(customers::tenant_id.eq(self.tenant)).filter(customers::user_id.eq(user));
        let rows = self.lock_customers_of(user).await?;
        if let Some((code, at)) = earliest_report(&rows)
            && self.decide_reported(user, code, at).await?
        {
            return Ok(true);
        }
        let ids: Vec<CustomerId> = rows.into_iter().map(|(id, ..)| id).collect();
        let unrewarded = self.lock_unrewarded(user, &ids).await?;
        let referrers: Vec<UserId> = self.referrals_of(user).await?.iter().map(|referral| referral.referrer_id).collect();
        self.lock_wallets(&referrers).await?;
        self.note_first_payments(user).await?;
        for invoice in &unrewarded {
            self.reward(Some(user), invoice).await?;
        }
        if i64::try_from(unrewarded.len()).is_ok_and(|count| count < AT_ONCE) {
            diesel::update(own()).set(customers::are_rewards_due.eq(false)).execute(&mut &*self.connection).await?;
        }
        Ok(true)
    }

    /// A user's customers, locked until the transaction ends: their payments wait.
    pub(super) async fn lock_customers_of(&self, user: UserId) -> QueryResult<Vec<Reported>> {
        customers::table
            .filter(customers::tenant_id.eq(self.tenant))
            .filter(customers::user_id.eq(user))
            .order(customers::id)
            .select((customers::id, customers::invite_code, customers::invited_at))
            .for_no_key_update()
            .load(&mut &*self.connection)
            .await
    }

    /// Some payments of a user's that should have earned a reward and have none, the first one first; locked until the transaction ends.
    async fn lock_unrewarded(&self, user: UserId, customers: &[CustomerId]) -> QueryResult<Vec<Invoice>> {
        Invoice::query()
            .filter(invoices::tenant_id.eq(self.tenant))
            .filter(invoices::customer_id.eq_any(customers))
            .filter(invoices::paid_at.is_not_null())
            .filter(condition(
                format!(
                    "NOT EXISTS (SELECT FROM affiliate_rewards r WHERE r.tenant_id = invoices.tenant_id AND r.invoice_id = invoices.external_id)
                     AND EXISTS (SELECT FROM ({}) AS found WHERE found.terms_id IS NOT NULL)",
                    in_force("least(invoices.paid_at, now())", "invoices.tenant_id", "?")
                ),
                vec![Bind::Uuid(user.uuid())],
            ))
            .order((invoices::paid_at, invoices::external_id))
            .limit(AT_ONCE)
            .for_no_key_update()
            .load(&mut &*self.connection)
            .await
    }

    /// Notes when a user paid first while each referral held, also by what earned nothing. The referrers' wallets are locked.
    async fn note_first_payments(&self, user: UserId) -> QueryResult<()> {
        statement::<Text>(
            "UPDATE referrals r SET first_paid_at = f.at FROM (
                 SELECT o.id, min(i.paid_at) AS at FROM referrals o
                 JOIN customers c ON c.tenant_id = o.tenant_id AND c.user_id = o.user_id
                 JOIN invoices i ON i.tenant_id = c.tenant_id AND i.customer_id = c.id AND i.paid_at >= date_trunc('second', o.valid_from)
                     AND (o.valid_to IS NULL OR i.paid_at < o.valid_to)
                 WHERE o.tenant_id = ? AND o.user_id = ? GROUP BY o.id) AS f
             WHERE r.tenant_id = ? AND r.id = f.id AND (r.first_paid_at IS NULL OR r.first_paid_at > f.at)",
            vec![Bind::Uuid(self.tenant.uuid()), Bind::Uuid(user.uuid()), Bind::Uuid(self.tenant.uuid())],
        )
        .execute(&mut &*self.connection)
        .await
        .map(drop)
    }
}

/// The tenants that have rewards to book or to release; asked as a machine, which sees no more of other tenants than this.
pub async fn tenants_with_due_rewards(mut connection: &db::Connection, due_by: DateTime<Utc>) -> QueryResult<Vec<TenantId>> {
    statement::<SqlUuid>("SELECT tenants_with_due_rewards(?)", vec![Bind::Time(due_by)]).load(&mut connection).await
}
