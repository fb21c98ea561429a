//! A year of an affiliate: people who were invited, what they paid, and what was taken out. Rewards are booked by the code that the API uses, in the
//! order of time.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use fastrand::Rng;
use iso_currency::Currency;
use rust_decimal::Decimal;

use super::{
    Progress, demo,
    names::{FIRST_NAMES, LAST_NAMES},
};
use crate::{
    db::{
        QueryError,
        schema::{affiliate_periods, affiliate_terms, customers, invite_codes, partners, referrals, tenants, users},
    },
    error::{Error, Result},
    ids::{AffiliatePeriodId, AffiliateTermsId, PartnerId, ReferralId, TenantId, UserId},
    models::{
        affiliates::{referral::ReferralMeans, take_out::TakeOut},
        billing::customer::{Customer, CustomerReport},
        commissions::{booking::InvoicePayment, refund::InvoiceRefund},
        ledger::books::Books,
        partners::status::PartnerStatus,
    },
    money::{Money, minor_units},
};

/// How many people were invited.
const FRIENDS: i64 = 12;

/// Whose year, in which currency, until when, and what is drawn by lot.
pub struct AffiliateYear<'a> {
    pub tenant: TenantId,
    pub slug: &'a str,
    pub currency: Currency,
    pub seed: u64,
    pub now: DateTime<Utc>,
}

impl AffiliateYear<'_> {
    /// Lets the owner of the first partner be an affiliate, unless the tenant has terms already. Gives how many payments there were.
    pub async fn book(&self, connection: &mut AsyncPgConnection, progress: impl Fn(Progress)) -> Result<usize> {
        let terms = affiliate_terms::table.filter(affiliate_terms::tenant_id.eq(self.tenant));
        let has_terms: bool = diesel::select(diesel::dsl::exists(terms)).get_result(connection).await?;
        let owner = users::table
            .inner_join(
                invite_codes::table.on(invite_codes::tenant_id
                    .eq(users::tenant_id)
                    .and(invite_codes::user_id.eq(users::id))
                    .and(invite_codes::is_current)),
            )
            .filter(users::tenant_id.eq(self.tenant))
            .filter(users::clerk_user_id.eq(demo::owner(self.slug, 1)))
            .select((users::id, users::default_partner_id, invite_codes::code));
        let owner: Option<(UserId, Option<PartnerId>, String)> = owner.first(connection).await.optional()?;
        let (Some((owner, partner, code)), false) = (owner, has_terms) else { return Ok(0) };
        let mut random = Rng::with_seed(self.seed ^ 0x0061_6666);
        self.begin(connection, owner).await?;
        let mut payments = Vec::new();
        for number in 1..=FRIENDS {
            let joined = self.now - TimeDelta::days(20 + 26 * (number - 1)) - TimeDelta::seconds(random.i64(0..86_400));
            let (first, last) = (FIRST_NAMES[random.usize(..FIRST_NAMES.len())], LAST_NAMES[random.usize(..LAST_NAMES.len())]);
            self.invite(connection, (owner, &code), number, &format!("{first} {last}"), joined).await?;
            if number % 3 != 0 {
                self.pay(&mut random, number, joined, &mut payments);
            }
        }
        payments.sort_by_key(|(at, ..)| *at);
        progress(Progress::Planned(payments.len()));
        for (at, payment, refund) in &payments {
            let booked = connection.transaction(async |connection| {
                let books = Books { connection, tenant: self.tenant, by: None, at: *at, writing: None, clock: None };
                let booked = match (payment, refund) {
                    (Some(payment), _) => books.record_payment(payment).await?.map(drop),
                    (None, Some(refund)) => books.record_refund(refund).await?.map(drop),
                    (None, None) => Ok(()),
                };
                Result::<_, QueryError>::Ok(booked.map_err(|fault| format!("{fault:?}")))
            });
            booked.await?.map_err(|fault| Error::internal(format!("a payment could not be recorded: {fault}")))?;
            progress(Progress::Done(1));
        }
        self.take_out(connection, owner, partner).await?;
        Ok(payments.len())
    }

    /// Terms in two versions, and the switch.
    async fn begin(&self, connection: &mut AsyncPgConnection, owner: UserId) -> Result<()> {
        for (number, share, days) in [(1, Decimal::new(10, 2), 360), (2, Decimal::new(15, 2), 120)] {
            diesel::insert_into(affiliate_terms::table)
                .values((
                    affiliate_terms::tenant_id.eq(self.tenant),
                    affiliate_terms::id.eq(AffiliateTermsId::new()),
                    affiliate_terms::number.eq(number),
                    affiliate_terms::share.eq(share),
                    affiliate_terms::validity_days.eq(365),
                    affiliate_terms::is_active.eq(true),
                    affiliate_terms::valid_from.eq(self.now - TimeDelta::days(days)),
                ))
                .execute(connection)
                .await?;
        }
        diesel::insert_into(affiliate_periods::table)
            .values((
                affiliate_periods::tenant_id.eq(self.tenant),
                affiliate_periods::id.eq(AffiliatePeriodId::new()),
                affiliate_periods::user_id.eq(owner),
                affiliate_periods::active_from.eq(self.now - TimeDelta::days(355)),
            ))
            .execute(connection)
            .await?;
        diesel::update(tenants::table.filter(tenants::id.eq(self.tenant)).filter(tenants::sign_up_url.is_null()))
            .set(tenants::sign_up_url.eq("https://www.example.com/sign-up"))
            .execute(connection)
            .await?;
        Ok(())
    }

    /// A person who signed up with the owner's code, and is a customer.
    async fn invite(
        &self,
        connection: &mut AsyncPgConnection,
        (owner, code): (UserId, &str),
        number: i64,
        name: &str,
        joined: DateTime<Utc>,
    ) -> Result<()> {
        let friend = UserId::new();
        diesel::insert_into(users::table)
            .values((
                users::tenant_id.eq(self.tenant),
                users::id.eq(friend),
                users::clerk_user_id.eq(format!("user_{}_friend_{number}", self.slug)),
                users::name.eq(name),
                users::created_at.eq(joined),
            ))
            .execute(connection)
            .await?;
        diesel::insert_into(referrals::table)
            .values((
                referrals::tenant_id.eq(self.tenant),
                referrals::id.eq(ReferralId::new()),
                referrals::user_id.eq(friend),
                referrals::referrer_id.eq(owner),
                referrals::means.eq(ReferralMeans::Claimed),
                referrals::code.eq(code),
                referrals::signed_up_at.eq(joined),
                referrals::valid_from.eq(joined),
            ))
            .execute(connection)
            .await?;
        let report = CustomerReport { external_id: format!("friend-{number}"), name: name.to_owned(), email: None };
        let customer = Customer::add(connection, self.tenant, &report).await?;
        diesel::update(customers::table.filter(customers::tenant_id.eq(self.tenant)).filter(customers::id.eq(customer)))
            .set(customers::user_id.eq(friend))
            .execute(connection)
            .await?;
        Ok(())
    }

    /// Some months of payments, one in ten of which is refunded.
    fn pay(
        &self,
        random: &mut Rng,
        number: i64,
        joined: DateTime<Utc>,
        payments: &mut Vec<(DateTime<Utc>, Option<InvoicePayment>, Option<InvoiceRefund>)>,
    ) {
        let scale = Decimal::from(if minor_units(self.currency) == 0 { 100 } else { 1 });
        let amount = Money::rounded(Decimal::from(random.u32(2..20) * 10 - 1) * scale, self.currency);
        for month in 0..random.i64(2..=6) {
            let (invoice, paid_at) = (format!("friend-{number}-{month}"), joined + TimeDelta::days(2 + 30 * month));
            let refunded_at = paid_at + TimeDelta::days(4);
            if refunded_at >= self.now {
                break;
            }
            let customer = format!("friend-{number}");
            payments.push((
                paid_at,
                Some(InvoicePayment { invoice: invoice.clone(), customer, amount, paid_at, came: None }),
                None,
            ));
            if random.u8(..10) == 0 {
                payments.push((refunded_at, None, Some(InvoiceRefund { invoice, refunded: amount, refunded_at })));
            }
        }
    }

    /// A part is taken out, where the owner's partner may be paid.
    async fn take_out(&self, connection: &mut AsyncPgConnection, owner: UserId, partner: Option<PartnerId>) -> Result<()> {
        let active =
            partners::table.filter(partners::tenant_id.eq(self.tenant)).filter(partners::status.eq(PartnerStatus::Active));
        let partner: Option<PartnerId> =
            active.filter(partners::id.nullable().eq(partner)).select(partners::id).first(connection).await.optional()?;
        let Some(partner) = partner else { return Ok(()) };
        let scale = Decimal::from(if minor_units(self.currency) == 0 { 100 } else { 1 });
        let amount = Money::rounded(Decimal::from(25) * scale, self.currency);
        let taken = connection.transaction(async |connection| {
            let books = Books { connection, tenant: self.tenant, by: Some(owner), at: self.now, writing: None, clock: None };
            books.take_out(&TakeOut { user: owner, partner: Some(partner), amount, key: "seed".to_owned() }).await
        });
        let taken: QueryResult<_> = taken.await;
        // What is held back by then may be all that there is.
        drop(taken?);
        Ok(())
    }
}
