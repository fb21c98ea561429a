//! Deciding who referred whom: once for each person, never oneself and never in a circle. What comes after is an operator's correction.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use diesel::{
    prelude::*,
    sql_types::{Bool, Text},
};
use diesel_async::RunQueryDsl;

use super::{
    invite_code::InviteCode,
    past_reward::earliest_report,
    referral::{Referral, ReferralMeans},
};
use crate::{
    db::{
        locks::{self, OfTenant},
        schema::{invoices, referrals, users},
        statement::{Bind, statement},
    },
    ids::{ReferralId, UserId},
    models::{ledger::books::Books, scope::Scope},
};

/// For how long after their first sign-in a person can say who invited them.
pub const ACCEPTABLE: TimeDelta = TimeDelta::days(7);

/// Why a referral was not decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReferralFault {
    /// No code looks like it.
    UnknownCode,
    /// There is no such user.
    UnknownUser,
    /// There is no such referrer.
    UnknownReferrer,
    /// It would be oneself.
    Oneself,
    /// The user who would have referred the person was referred by them, directly or over others.
    Circle,
    /// Somebody has referred the person, or an operator has decided.
    Decided,
    /// The person signed in first so long ago.
    TooLate(DateTime<Utc>),
    /// The person has paid already.
    HasPaid,
}

/// A referral, and whether it was decided now rather than before.
pub type Decided = Result<(ReferralId, bool), ReferralFault>;

impl Books<'_> {
    pub(super) async fn lock_referrals(&self) -> QueryResult<()> {
        locks::lock_of_tenant(self.connection, OfTenant::Referrals, self.tenant).await
    }

    /// Whether a person referred another, directly or over others, at an instant or since.
    async fn is_above(&self, person: UserId, other: UserId, since: DateTime<Utc>) -> QueryResult<bool> {
        statement::<Bool>(
            "WITH RECURSIVE above AS (
                 SELECT ?::uuid AS id
                 UNION SELECT r.referrer_id FROM above a JOIN referrals r ON r.tenant_id = ? AND r.user_id = a.id
                     AND (r.valid_to IS NULL OR r.valid_to > ?))
             SELECT EXISTS (SELECT FROM above WHERE id = ?)",
            vec![Bind::Uuid(other.uuid()), Bind::Uuid(self.tenant.uuid()), Bind::Time(since), Bind::Uuid(person.uuid())],
        )
        .get_result(&mut &*self.connection)
        .await
    }

    /// Lets a user say by whose code they came: within [`ACCEPTABLE`] of their first sign-in, and before their first payment.
    pub async fn accept_invite(&self, user: UserId, code: &str) -> QueryResult<Decided> {
        let Some(referrer) = InviteCode::owner(self.connection, self.tenant, code).await? else {
            return Ok(Err(ReferralFault::UnknownCode));
        };
        if referrer == user {
            return Ok(Err(ReferralFault::Oneself));
        }
        // Before the referrals, as in every report of a customer's. Payments wait for it, or are seen below.
        let own = self.lock_customers_of(user).await?;
        if let Some((code, at)) = earliest_report(&own) {
            self.decide_reported(user, code, at).await?;
        }
        self.lock_referrals().await?;
        let decided = self.referrals_of(user).await?;
        if let [first, corrections @ ..] = &decided[..] {
            let is_same = corrections.is_empty() && first.referrer_id == referrer && first.valid_to.is_none();
            return Ok(if is_same { Ok((first.id, false)) } else { Err(ReferralFault::Decided) });
        }
        let joined = self.joined(user).await?;
        let (Some(joined), at) = (joined, self.after_locks().at) else { return Ok(Err(ReferralFault::UnknownUser)) };
        if at > joined + ACCEPTABLE {
            return Ok(Err(ReferralFault::TooLate(joined + ACCEPTABLE)));
        }
        let own = own.into_iter().map(|(id, ..)| id);
        let paid = invoices::table.filter(invoices::tenant_id.eq(self.tenant)).filter(invoices::customer_id.eq_any(own));
        let has_paid = diesel::select(diesel::dsl::exists(paid.filter(invoices::amount.is_not_null())));
        if has_paid.get_result(&mut &*self.connection).await? {
            return Ok(Err(ReferralFault::HasPaid));
        }
        if self.is_above(user, referrer, at).await? {
            return Ok(Err(ReferralFault::Circle));
        }
        let new = NewReferral { user, referrer, means: ReferralMeans::Accepted, code: Some(code), reason: None, joined, at };
        Ok(Ok((self.refer(&new).await?, true)))
    }

    /// Decides what a report said of a customer who is this user by now: with whose code they signed up. Nothing, where it is decided already, where
    /// it would be oneself, or a circle. The customer's row is locked.
    pub(in crate::models) async fn decide_reported(
        &self,
        user: UserId,
        code: &str,
        signed_up_at: DateTime<Utc>,
    ) -> QueryResult<bool> {
        let Some(referrer) = InviteCode::owner(self.connection, self.tenant, code).await?.filter(|referrer| *referrer != user)
        else {
            return Ok(false);
        };
        self.lock_referrals().await?;
        // Billing systems report whole seconds, also of the first payment.
        let at = signed_up_at.duration_trunc(TimeDelta::seconds(1)).unwrap_or(signed_up_at);
        if !self.referrals_of(user).await?.is_empty() || self.is_above(user, referrer, at).await? {
            return Ok(false);
        }
        let means = ReferralMeans::Reported;
        self.refer(&NewReferral { user, referrer, means, code: Some(code), reason: None, joined: at, at }).await?;
        Ok(true)
    }

    /// Lets an operator say who referred a person, or that nobody did, from now on. What was earned until now stays with the user who earned it. Gives the
    /// referral that holds now, and whether anything was not so already.
    pub async fn correct_referrer(
        &self,
        user: UserId,
        referrer: Option<UserId>,
        reason: &str,
    ) -> QueryResult<Result<(Option<ReferralId>, bool), ReferralFault>> {
        if referrer == Some(user) {
            return Ok(Err(ReferralFault::Oneself));
        }
        // What was reported before is corrected, and does not come after.
        let own = self.lock_customers_of(user).await?;
        if let Some((code, at)) = earliest_report(&own) {
            self.decide_reported(user, code, at).await?;
        }
        self.lock_referrals().await?;
        let Some(joined) = self.joined(user).await? else { return Ok(Err(ReferralFault::UnknownUser)) };
        let current = self.referrals_of(user).await?.into_iter().find(|referral| referral.valid_to.is_none());
        if current.as_ref().map(|referral| referral.referrer_id) == referrer {
            return Ok(Ok((current.map(|referral| referral.id), false)));
        }
        if let Some(referrer) = referrer {
            if self.joined(referrer).await?.is_none() {
                return Ok(Err(ReferralFault::UnknownReferrer));
            }
            if self.is_above(user, referrer, self.at).await? {
                return Ok(Err(ReferralFault::Circle));
            }
        }
        let wallets: Vec<UserId> = current.iter().map(|referral| referral.referrer_id).chain(referrer).collect();
        self.lock_wallets(&wallets).await?;
        let at = current.as_ref().map_or(self.after_locks().at, |current| self.after_locks().at.max(current.valid_from));
        if let Some(current) = &current {
            statement::<Text>(
                "UPDATE referrals SET valid_to = ?, end_reason = ?, ended_by = ?, end_impersonator = nullif(current_setting('app.impersonator', true), '')
                 WHERE tenant_id = ? AND id = ?",
                vec![
                    Bind::Time(at),
                    Bind::text(reason),
                    Bind::OptionalUuid(self.by.map(UserId::uuid)),
                    Bind::Uuid(self.tenant.uuid()),
                    Bind::Uuid(current.id.uuid()),
                ],
            )
            .execute(&mut &*self.connection)
            .await?;
        }
        let Some(referrer) = referrer else { return Ok(Ok((None, true))) };
        let joined = current.map_or(joined, |current| current.signed_up_at);
        let new = NewReferral { user, referrer, means: ReferralMeans::Corrected, code: None, reason: Some(reason), joined, at };
        Ok(Ok((Some(self.refer(&new).await?), true)))
    }

    async fn refer(&self, new: &NewReferral<'_>) -> QueryResult<ReferralId> {
        self.lock_wallets(&[new.referrer]).await?;
        diesel::insert_into(referrals::table)
            .values((
                referrals::tenant_id.eq(self.tenant),
                referrals::id.eq(ReferralId::new()),
                referrals::user_id.eq(new.user),
                referrals::referrer_id.eq(new.referrer),
                referrals::means.eq(new.means),
                referrals::code.eq(new.code),
                referrals::reason.eq(new.reason),
                referrals::signed_up_at.eq(new.joined),
                referrals::valid_from.eq(new.at),
                referrals::decided_by.eq(self.by),
            ))
            .returning(referrals::id)
            .get_result(&mut &*self.connection)
            .await
    }

    pub(super) async fn referrals_of(&self, user: UserId) -> QueryResult<Vec<Referral>> {
        let found = Referral::by_users(self.connection, Scope::tenant(self.tenant), &[user]).await?.remove(&user);
        Ok(found.unwrap_or_default())
    }

    /// When a user signed in first.
    async fn joined(&self, user: UserId) -> QueryResult<Option<DateTime<Utc>>> {
        let row = users::table.filter(users::tenant_id.eq(self.tenant)).filter(users::id.eq(user));
        row.select(users::created_at).first(&mut &*self.connection).await.optional()
    }
}

struct NewReferral<'a> {
    user: UserId,
    referrer: UserId,
    means: ReferralMeans,
    code: Option<&'a str>,
    reason: Option<&'a str>,
    joined: DateTime<Utc>,
    at: DateTime<Utc>,
}
