//! A year of a tenant's business: customers, rules, invoices, refunds, conversions, payouts in every status. Everything is booked by
//! the code that the API books with, in the order of time.

use std::collections::HashSet;

use chrono::{DateTime, Datelike, Months, TimeDelta, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use fastrand::Rng;
use iso_currency::Currency;
use rust_decimal::Decimal;

use super::{
    Progress,
    names::{COMPANY_HEADS, COMPANY_TAILS},
};
use crate::{
    db::schema::{partner_commission_events, partner_commissions, partner_leads, users},
    error::{Error, Result},
    ids::{CommissionId, CustomerAccountId, LeadId, PartnerId, PayoutId, RuleId, TenantId, UserId},
    models::{
        billing::{
            account::{CustomerAccount, NewCustomerAccount, Origin},
            customer::{Customer, CustomerReport},
        },
        calendar::{TimeZone, month_start},
        commissions::{
            booking::{BookingFault, InvoicePayment},
            calculation::{Formula, Terms, Tier},
            commission::{CommissionEventType, CommissionStatus},
            decision::Decision,
            refund::InvoiceRefund,
            rule::NewRule,
        },
        leads::{lead::Lead, status::LeadStatus},
        ledger::books::Books,
        partners::status::PartnerStatus,
        payouts::{batch::PayoutRequest, for_all_partners::due_partners, step::PayoutStep},
        scope::Scope,
    },
    money::{Money, minor_units},
};

/// Steps of the year in one transaction.
const CHUNK: usize = 100;
/// How many customers each partner manages.
const CUSTOMERS: usize = 4;

/// One thing that happens.
enum Happening {
    Payment(InvoicePayment),
    Refund(InvoiceRefund),
    Conversion(Box<Lead>),
    Decisions,
    Payouts(DateTime<Utc>),
}

/// What was booked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Booked {
    /// Commissions.
    pub commissions: usize,
    /// Payouts.
    pub payouts: usize,
}

/// Whose books, until when, and what is drawn by lot.
pub struct Year<'p> {
    pub tenant: TenantId,
    pub currency: Currency,
    /// The partners.
    pub partners: &'p [PartnerId],
    pub invoices: u32,
    pub pays_monthly: bool,
    pub seed: u64,
    pub now: DateTime<Utc>,
}

impl Year<'_> {
    /// The other currency that some of the customers pay in.
    fn second_currency(&self) -> Currency {
        if self.currency == Currency::USD { Currency::EUR } else { Currency::USD }
    }

    /// Books the year. A second run with the same seed finds everything booked; only a month that has ended since has payouts to make.
    pub async fn book(&self, connection: &mut AsyncPgConnection, progress: impl Fn(Progress)) -> Result<Booked> {
        if self.partners.is_empty() {
            return Ok(Booked::default());
        }
        let mut random = Rng::with_seed(self.seed ^ 0x626f_6f6b_7300);
        let by = self.anybody(connection).await?;
        self.customers(connection, &mut random).await?;
        if let Some(by) = by {
            self.rules(connection, by).await?;
        }
        let mut happenings = self.payments(&mut random);
        happenings.extend(self.conversions(connection).await?);
        let first = self.now - Months::new(12);
        // By the quarter at first, of late every month.
        let ends = (1..=12).filter(|months| self.pays_monthly || *months > 9 || months % 3 == 0);
        happenings.extend(ends.filter_map(|months| {
            let end = TimeZone::UTC.start_of(month_start((first + Months::new(months)).date_naive()));
            let at = end + TimeDelta::days(2);
            (at < self.now).then_some((at, Happening::Payouts(end)))
        }));
        happenings.extend((1..26).map(|fortnight| (self.now - TimeDelta::days(14 * fortnight), Happening::Decisions)));
        happenings.sort_by_key(|(at, _)| *at);
        progress(Progress::Planned(happenings.len()));
        let mut booked = Booked::default();
        let mut happenings = happenings.into_iter().peekable();
        while happenings.peek().is_some() {
            let chunk: Vec<_> = happenings.by_ref().take(CHUNK).collect();
            let some = connection
                .transaction(async |connection| {
                    let mut booked = Booked::default();
                    for (at, happening) in &chunk {
                        self.happen(connection, by, *at, happening, &mut booked).await?;
                    }
                    Ok::<_, Error>(booked)
                })
                .await?;
            booked.commissions += some.commissions;
            booked.payouts += some.payouts;
            progress(Progress::Done(chunk.len()));
        }
        Ok(booked)
    }

    /// Somebody of the tenant's, in whose name the rules are set.
    async fn anybody(&self, mut connection: &AsyncPgConnection) -> QueryResult<Option<UserId>> {
        let query = users::table.filter(users::tenant_id.eq(self.tenant)).order(users::id).select(users::id);
        query.first(&mut connection).await.optional()
    }

    fn customer(&self, partner: usize, index: usize) -> String {
        format!("cus_{}_{}_{}", self.seed, partner + 1, index + 1)
    }

    async fn customers(&self, connection: &AsyncPgConnection, random: &mut Rng) -> Result<()> {
        for (number, partner) in self.partners.iter().enumerate() {
            for index in 0..CUSTOMERS {
                let head = COMPANY_HEADS[random.usize(..COMPANY_HEADS.len())];
                let tail = COMPANY_TAILS[random.usize(..COMPANY_TAILS.len())];
                let name = format!("{head} {tail} {}", number * CUSTOMERS + index + 1);
                let email = Some(format!("accounts@{}-{}.example", head.to_lowercase(), tail.to_lowercase()));
                let report = CustomerReport { external_id: self.customer(number, index), name, email };
                let (id, _) = Customer::upsert(connection, self.tenant, &report).await?;
                if CustomerAccount::latest(connection, self.tenant, id).await?.is_some() {
                    continue;
                }
                let account = NewCustomerAccount {
                    tenant_id: self.tenant,
                    id: CustomerAccountId::new(),
                    partner_id: *partner,
                    customer_id: id,
                    origin: Origin::default(),
                    // Every partner's last customer has a rate of its own.
                    commission_rate: (index + 1 == CUSTOMERS).then_some(Decimal::new(5, 2)),
                    managed_from: self.now - TimeDelta::days(400),
                    managed_to: None,
                };
                CustomerAccount::insert(connection, &account).await?;
            }
        }
        Ok(())
    }

    /// A rule of each kind, for the second, third and fifth partner; the others have their default rate.
    async fn rules(&self, mut connection: &AsyncPgConnection, by: UserId) -> Result<()> {
        let known = partner_commissions::table.filter(partner_commissions::tenant_id.eq(self.tenant)).count();
        if known.get_result::<i64>(&mut connection).await? > 0 {
            return Ok(());
        }
        let scale = if minor_units(self.currency) == 0 { Decimal::ONE_HUNDRED } else { Decimal::ONE };
        let tier = |above: i64, rate: i64| Tier { above: Decimal::from(above) * scale, rate: Decimal::new(rate, 2) };
        let rules = [
            (1, Terms::Tiered(vec![tier(0, 10), tier(1_000, 15), tier(5_000, 20)]), None, None),
            (2, Terms::Flat(Decimal::from(25) * scale), None, None),
            (4, Terms::Percentage(Decimal::new(20, 2)), Some(Decimal::from(150) * scale), Some(6)),
        ];
        let books = Books { connection, tenant: self.tenant, by: Some(by), at: self.now, writing: None, clock: None };
        for (partner, terms, cap, duration_months) in rules {
            let Some(partner) = self.partners.get(partner) else { continue };
            let new = NewRule {
                partner_id: Some(*partner),
                programme_id: None,
                currency: Some(self.currency),
                formula: Formula { terms, cap },
                duration_months,
                valid_from: self.now - TimeDelta::days(400),
                valid_to: None,
            };
            books
                .add_rule_version(RuleId::new(), &new)
                .await?
                .map_err(|fault| Error::internal(format!("a seeded rule could not be set: {fault:?}")))?;
        }
        Ok(())
    }

    /// Invoices over the year, a few of them refunded.
    fn payments(&self, random: &mut Rng) -> Vec<(DateTime<Utc>, Happening)> {
        let mut happenings = Vec::new();
        for number in 0..self.invoices {
            let partner = random.usize(..self.partners.len()).min(random.usize(..self.partners.len()));
            let index = random.usize(..CUSTOMERS);
            let currency = if index == 2 { self.second_currency() } else { self.currency };
            let scale = if minor_units(currency) == 0 { Decimal::ONE_HUNDRED } else { Decimal::ONE };
            let amount = Money::rounded(Decimal::from(random.i64(20..1_200)) * scale, currency);
            let paid_at = self.now - TimeDelta::seconds(random.i64(3_600..364 * 86_400));
            let invoice = format!("inv_{}_{}", self.seed, number + 1);
            if random.u8(..100) < 6 {
                let refunded_at = paid_at + TimeDelta::seconds(random.i64(3_600..40 * 86_400));
                let part = Money::rounded(amount.amount / Decimal::from(random.i64(1..=3)), currency);
                if refunded_at < self.now {
                    let report = InvoiceRefund { invoice: invoice.clone(), refunded: part, refunded_at };
                    happenings.push((refunded_at, Happening::Refund(report)));
                }
            }
            let report = InvoicePayment { invoice, customer: self.customer(partner, index), amount, paid_at, came: None };
            happenings.push((paid_at, Happening::Payment(report)));
        }
        happenings
    }

    /// What is owed for the leads that have converted.
    async fn conversions(&self, mut connection: &AsyncPgConnection) -> Result<Vec<(DateTime<Utc>, Happening)>> {
        let booked: HashSet<Option<LeadId>> = partner_commission_events::table
            .filter(partner_commission_events::tenant_id.eq(self.tenant))
            .filter(partner_commission_events::event_type.eq(CommissionEventType::LeadConversion))
            .select(partner_commission_events::lead_id)
            .load(&mut connection)
            .await?
            .into_iter()
            .collect();
        let leads: Vec<Lead> = Lead::query()
            .filter(partner_leads::tenant_id.eq(self.tenant))
            .filter(partner_leads::partner_id.eq_any(self.partners))
            .filter(partner_leads::status.eq(LeadStatus::Converted))
            .order(partner_leads::id)
            .load(&mut connection)
            .await?;
        let mut happenings = Vec::new();
        for lead in leads.into_iter().filter(|lead| !booked.contains(&Some(lead.id))) {
            let converted_at = lead.converted_at.unwrap_or(lead.created_at);
            happenings.push((converted_at, Happening::Conversion(Box::new(lead))));
        }
        Ok(happenings)
    }

    async fn happen(
        &self,
        connection: &AsyncPgConnection,
        by: Option<UserId>,
        at: DateTime<Utc>,
        happening: &Happening,
        booked: &mut Booked,
    ) -> Result<()> {
        let books = Books { connection, tenant: self.tenant, by, at, writing: None, clock: None };
        let failed = |fault: &dyn std::fmt::Debug| Error::internal(format!("seeded data was refused: {fault:?}"));
        match happening {
            Happening::Payment(report) => {
                match books.record_payment(report).await? {
                    Ok(outcome) => booked.commissions += usize::from(!outcome.is_replay && outcome.commission.is_some()),
                    // An earlier run has booked it, at a time that was counted back from its own present.
                    Err(BookingFault::Differs { .. }) => {}
                    Err(fault) => return Err(failed(&fault)),
                }
            }
            Happening::Refund(report) => match books.record_refund(report).await? {
                Ok(outcome) => booked.commissions += usize::from(!outcome.is_replay && outcome.commission.is_some()),
                Err(BookingFault::Differs { .. } | BookingFault::RefundsExceed { .. }) => {}
                Err(fault) => return Err(failed(&fault)),
            },
            Happening::Conversion(lead) => {
                booked.commissions += usize::from(books.record_conversion(lead, at).await?.is_some());
            }
            Happening::Decisions => self.decide(books).await?,
            Happening::Payouts(end) => self.payouts(books, *end, booked).await?,
        }
        Ok(())
    }

    /// What an operator decides every other week: approves what leads have earned until some days ago, and rejects one here and there.
    async fn decide(&self, books: Books<'_>) -> Result<()> {
        let pending: Vec<CommissionId> = partner_commission_events::table
            .filter(partner_commission_events::tenant_id.eq(self.tenant))
            .filter(partner_commission_events::partner_id.eq_any(self.partners))
            .filter(partner_commission_events::status.eq(CommissionStatus::Pending))
            .filter(partner_commission_events::event_type.eq(CommissionEventType::LeadConversion))
            .filter(partner_commission_events::event_date.lt(books.at - TimeDelta::days(3)))
            .order(partner_commission_events::event_date)
            .select(partner_commission_events::id)
            .load(&mut &*books.connection)
            .await?;
        let (approved, rejected): (Vec<_>, Vec<_>) = pending.into_iter().zip(1..).partition(|(_, index)| index % 7 > 0);
        let ids = |chosen: Vec<(CommissionId, i32)>| chosen.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
        books.decide(&ids(approved), &Decision::Approve, false).await?;
        let reason = "The contract was not signed.".to_owned();
        books.decide(&ids(rejected), &Decision::Reject(reason), false).await?;
        Ok(())
    }

    /// A period's payouts. Those of long ago have been paid; the last month's are at all the steps that there are.
    async fn payouts(&self, books: Books<'_>, end: DateTime<Utc>, booked: &mut Booked) -> Result<()> {
        let is_last = end + Months::new(1) + TimeDelta::days(2) > self.now;
        for (index, currency) in [self.currency, self.second_currency()].into_iter().enumerate() {
            let due = due_partners(books.connection, self.tenant, currency, end).await?;
            let is_due = |partner: &PartnerId| due.contains(&(*partner, PartnerStatus::Active));
            for (number, partner) in self.partners.iter().enumerate().filter(|(_, partner)| is_due(partner)) {
                let request = PayoutRequest {
                    partner: *partner,
                    currency,
                    period_start: end - Months::new(1),
                    period_end: end,
                    payout_date: Some(end + TimeDelta::days(5)),
                    notes: None,
                    expected: None,
                    previewed_at: None,
                    key: format!("seed_{}_{}_{}_{}", self.seed, number + 1, currency.code(), end.date_naive()),
                };
                // Nothing to pay is carried forward.
                let Ok(made) = books.create_payout(Scope::tenant(self.tenant), &request).await? else { continue };
                if made.is_replay {
                    continue;
                }
                booked.payouts += 1;
                let way = if is_last {
                    (2 * number + index) % 6
                } else if end.month().is_multiple_of(5) && number == 0 {
                    6
                } else {
                    3
                };
                self.steps(books, made.payout, way).await?;
            }
        }
        Ok(())
    }

    /// Takes a payout along one of the ways there are.
    async fn steps(&self, books: Books<'_>, payout: PayoutId, way: usize) -> Result<()> {
        let complete = || PayoutStep::Complete(format!("WIRE-{}", books.at.timestamp()));
        let fail = || PayoutStep::Fail("The bank does not know the account.".to_owned());
        let steps = match way {
            0 => vec![PayoutStep::Release],
            1 => vec![PayoutStep::Release, PayoutStep::Start],
            2 => vec![],
            3 => vec![PayoutStep::Release, PayoutStep::Start, complete()],
            4 => vec![PayoutStep::Release, PayoutStep::Start, fail()],
            5 => vec![PayoutStep::Cancel(Some("The partner asked to wait.".to_owned()))],
            _ => vec![PayoutStep::Release, PayoutStep::Start, fail(), PayoutStep::Retry, PayoutStep::Start, complete()],
        };
        for (day, step) in (1..).zip(steps) {
            let books = Books { at: (books.at + TimeDelta::hours(day * 3)).min(self.now), ..books };
            books
                .step_payout(payout, &step)
                .await?
                .map_err(|fault| Error::internal(format!("a seeded payout refused {step:?}: {fault:?}")))?;
        }
        Ok(())
    }
}
