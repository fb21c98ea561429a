//! How commissions come to be: an invoice is paid or refunded, a lead converts. Each source makes one commission, however often it is
//! reported and in whatever order. Corrections by operators are in [`super::adjustment`].

use chrono::{DateTime, TimeDelta, Utc};
use diesel::{QueryResult, prelude::*};
use diesel_async::RunQueryDsl;
use iso_currency::Currency;
use rust_decimal::Decimal;

use super::{
    commission::{Commission, CommissionEventType, CommissionStatus, NewCommission},
    rate::Assessment,
    rule::{Payment, RateSource},
    split::Earner,
};
use crate::{
    clock,
    db::schema::{partner_commission_events, tenants},
    ids::{CommissionId, CustomerId, PartnerId},
    models::{
        billing::{
            account::CustomerAccount,
            customer::Customer,
            invoice::{Invoice, NewInvoice},
        },
        idempotency::Difference,
        leads::lead::Lead,
        ledger::{AccountKind, Posting, Source, TransferKind, books::Books},
        partners::status::PartnerStatus,
        programmes::attribution::{AttributionOutcome, CameBy},
        scope::Scope,
    },
    money::{Money, stored_currency},
};

/// A payment as the billing system reports it.
#[derive(Debug, Clone)]
pub struct InvoicePayment {
    /// The invoice's id.
    pub invoice: String,
    /// The customer's id.
    pub customer: String,
    /// How much was paid.
    pub amount: Money,
    /// When.
    pub paid_at: DateTime<Utc>,
    /// How the customer came to this purchase, where the shop says so.
    pub came: Option<CameBy>,
}

/// What was booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Booked {
    /// The commission; `None` where nothing is earned or taken back.
    pub commission: Option<CommissionId>,
    /// What was made of how the customer came, where that was said.
    pub outcome: Option<AttributionOutcome>,
    /// Whether it had been booked before.
    pub is_replay: bool,
}

/// What a source says of itself, and must say again when it is reported again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Who paid.
    Customer,
    /// How much.
    Amount,
    /// In which currency.
    Currency,
    /// When it was paid.
    PaidAt,
}

/// Why nothing was booked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BookingFault {
    /// No customer has this id in the billing system.
    UnknownCustomer,
    /// There is no such partner.
    UnknownPartner,
    /// The key is being used, at the same time, for another partner.
    KeyTaken,
    /// The same source was reported before with other content.
    Differs {
        /// What differs.
        content: Content,
        /// What was reported first.
        first: String,
    },
    /// The idempotency key was used for something else.
    KeyReused {
        /// What was booked with it.
        first: CommissionId,
        /// Where that differs.
        difference: Difference,
    },
    /// The partner is closed, and this does not settle what is open.
    Closed {
        /// What is payable; below zero for a debt.
        payable: Decimal,
    },
    /// More payments of the customer since then earned nothing than are booked at once.
    TooManyPayments,
    /// More was refunded than was paid.
    RefundsExceed {
        /// What was paid.
        paid: Decimal,
        /// What was refunded.
        refunded: Decimal,
    },
}

/// What was booked, or why nothing was.
pub type Booking = Result<Booked, BookingFault>;

impl Booked {
    /// Booked now.
    pub const fn new(commission: Option<CommissionId>) -> Self {
        Self { commission, outcome: None, is_replay: false }
    }

    /// Booked before.
    pub const fn replay(commission: Option<CommissionId>) -> Self {
        Self { commission, outcome: None, is_replay: true }
    }
}

pub(super) fn differs(content: Content, first: impl ToString) -> Booking {
    Err(BookingFault::Differs { content, first: first.to_string() })
}

impl Books<'_> {
    /// Books what a partner earns by a payment of a customer whom it manages, or who came by its link to this very purchase; and what the payment earns
    /// the user who referred the customer's user.
    pub async fn record_payment(&self, report: &InvoicePayment) -> QueryResult<Booking> {
        let customer = match report.came {
            Some(_) => Customer::lock_by_external_id(self.connection, self.tenant, &report.customer).await?,
            None => Customer::hold(self.connection, self.tenant, &report.customer).await?,
        };
        let Some(customer) = customer else {
            return Ok(Err(BookingFault::UnknownCustomer));
        };
        let currency = report.amount.currency;
        let reported = NewInvoice {
            tenant_id: self.tenant,
            external_id: &report.invoice,
            customer_id: Some(customer.id),
            currency: currency.code(),
            amount: Some(report.amount.amount),
            paid_at: Some(report.paid_at),
            refunded: Decimal::ZERO,
            refunded_at: None,
        };
        let (invoice, is_new) = Invoice::add(self.connection, &reported).await?;
        if invoice.currency != currency.code() {
            return Ok(differs(Content::Currency, invoice.currency));
        }
        if let (false, Some(amount), Some(paid_at)) = (is_new, invoice.amount, invoice.paid_at) {
            return self.payment_again(&invoice, amount, paid_at, customer.id, report).await;
        }
        if !is_new {
            invoice.pay(self.connection, self.tenant, customer.id, report.amount.amount, report.paid_at).await?;
        }
        let booked = self.earn_by_payment(report, &customer, &invoice).await?;
        if booked.is_ok() {
            // Who came by a link may have made what is earned by another: with tax, or without.
            let amount = match report.came {
                Some(_) => invoice.amount_now(self.connection, self.tenant).await?,
                None => Some(report.amount.amount),
            };
            let paid = Invoice { amount, paid_at: Some(report.paid_at), ..invoice };
            self.reward(customer.user_id, &paid).await?;
        }
        Ok(booked)
    }

    /// Books what partners earn by a payment that is recorded.
    async fn earn_by_payment(&self, report: &InvoicePayment, customer: &Customer, invoice: &Invoice) -> QueryResult<Booking> {
        let Some(known) = CustomerAccount::at(self.connection, self.tenant, customer.id, report.paid_at).await? else {
            return self.record_direct_sale(report, customer.id).await;
        };
        self.lock(&known.partners()).await?;
        // The partner may have been closed or suspended meanwhile, which takes the same lock.
        let Some(managed) = CustomerAccount::at(self.connection, self.tenant, customer.id, report.paid_at).await? else {
            if report.came.is_some() {
                // Nobody manages the customer any more: how it came decides, in another order of locks.
                self.still_of(&[], [known.account.partner_id])?;
            }
            return Ok(Ok(Booked::new(None)));
        };
        let account = &managed.account;
        let payment = Payment {
            partner: account.partner_id,
            programme: account.origin.programme_id,
            customer: customer.id,
            amount: report.amount,
            at: report.paid_at,
        };
        let outcome = match &report.came {
            Some(came) => Some(self.visit(came, report.paid_at).await?.err().unwrap_or(AttributionOutcome::Kept)),
            None => None,
        };
        let sharers = match account.origin.link_id {
            Some(link) if !managed.sharers.is_empty() => self.sharers(link).await?,
            Some(_) | None => Vec::new(),
        };
        let earner = Earner { account, status: managed.status, sharers: &sharers };
        let commission = self.book_paid_invoice(payment, earner, invoice).await?;
        Ok(Ok(Booked { outcome, ..Booked::new(Some(commission)) }))
    }

    /// Books a payment, recorded already, of a customer whom nobody manages: who came by a link to it is its partner's from then on.
    async fn record_direct_sale(&self, report: &InvoicePayment, customer: CustomerId) -> QueryResult<Booking> {
        let Some(came) = &report.came else { return Ok(Ok(Booked::new(None))) };
        let outcome = match self.visit(came, report.paid_at).await? {
            Ok(visit) => self.attribute(customer, &visit, report.paid_at).await?,
            Err(outcome) => Some(outcome),
        };
        let Some(outcome) = outcome else { return Ok(Err(BookingFault::TooManyPayments)) };
        if outcome == AttributionOutcome::Attributed {
            self.count_sign_ups(customer).await?;
        }
        let booked = Commission::by_invoice(self.connection, self.tenant, &report.invoice).await?;
        Ok(Ok(Booked { outcome: Some(outcome), ..Booked::new(booked.map(|commission| commission.id)) }))
    }

    /// Books what a partner, and who it shares with, earn by a paid invoice, less what was refunded of it already. Their books are locked.
    pub(in crate::models) async fn book_paid_invoice(
        &self,
        payment: Payment,
        earner: Earner<'_>,
        invoice: &Invoice,
    ) -> QueryResult<CommissionId> {
        let commission = self.book_payment(payment, earner, &invoice.external_id).await?;
        // A refund that came first could not be compared with a payment yet: of more than that, it is of all of it.
        let refunded = invoice.refunded.min(payment.amount.amount);
        if !refunded.is_zero() {
            let parts = match earner.sharers {
                [] => Vec::new(),
                _ => Commission::parts_of(self.connection, self.tenant, commission.id).await?,
            };
            self.reverse_all(&commission, &parts, refunded, invoice.refunded_at.unwrap_or(self.at)).await?;
        }
        Ok(commission.id)
    }

    /// A payment reported again: the first result where it says the same.
    async fn payment_again(
        &self,
        invoice: &Invoice,
        amount: Decimal,
        paid_at: DateTime<Utc>,
        customer: CustomerId,
        report: &InvoicePayment,
    ) -> QueryResult<Booking> {
        if invoice.customer_id != Some(customer) {
            let first = invoice.customer_id.unwrap_or(customer);
            let known = Customer::by_ids(self.connection, Scope::tenant(self.tenant), &[first]).await?;
            return Ok(differs(Content::Customer, known.get(&first).map_or("another", |known| known.external_id.as_str())));
        }
        if amount != report.amount.amount {
            return Ok(differs(Content::Amount, Money::rounded(amount, report.amount.currency).amount));
        }
        if paid_at != report.paid_at {
            return Ok(differs(Content::PaidAt, clock::shown(paid_at)));
        }
        match Commission::by_invoice(self.connection, self.tenant, &invoice.external_id).await? {
            Some(first) => Ok(Ok(Booked::replay(Some(first.id)))),
            // The first report may not have said how the customer came.
            None => Ok(self
                .record_direct_sale(report, customer)
                .await?
                .map(|booked| Booked { is_replay: booked.commission.is_none(), ..booked })),
        }
    }

    async fn book_payment(&self, payment: Payment, earner: Earner<'_>, invoice: &str) -> QueryResult<Commission> {
        let Earner { account, status, sharers } = earner;
        let assessment = Assessment::of(self.connection, self.tenant, payment, Some(account)).await?;
        let held_until = self.held_until(payment.at).await?;
        let flags = self.find_flags(payment, account).await?;
        // What comes for a partner that is not at work waits for an operator, however long; so does what is flagged.
        let waits = status != PartnerStatus::Active || !flags.is_empty();
        let mut event = self.event(CommissionEventType::InvoicePayment, payment.partner, payment.amount.currency, payment.at);
        event.customer_id = Some(payment.customer);
        event.invoice_id = Some(invoice);
        event.link_id = account.origin.link_id;
        event.source = assessment.source;
        event.rule_id = assessment.rule.as_ref().map(|rule| rule.id);
        event.base = Some(payment.amount.amount);
        event.rate = assessment.rate;
        event.month_base = assessment.month_base;
        event.is_past_duration = assessment.is_past_duration;
        event.amount = assessment.calculation.amount;
        event.due_at = held_until.filter(|_| !waits);
        if held_until.is_none() && !waits {
            event.status = CommissionStatus::Approved;
            event.decided_at = Some(self.at);
        }
        let (commission, parts) = if sharers.is_empty() {
            let commission = self.book(&event, payment.amount.currency).await?;
            let id = commission.id;
            (commission, vec![id])
        } else {
            self.book_in_parts(event, payment.amount.currency, sharers).await?
        };
        if !flags.is_empty() {
            self.flag(&parts, &flags).await?;
        }
        Ok(commission)
    }

    /// Until when the tenant holds back what was earned at an instant; `None` where that is past.
    pub(in crate::models) async fn held_until(&self, earned: DateTime<Utc>) -> QueryResult<Option<DateTime<Utc>>> {
        let query = tenants::table.filter(tenants::id.eq(self.tenant)).select(tenants::commission_hold_days);
        let days: i32 = query.first(&mut &*self.connection).await?;
        let until = earned + TimeDelta::days(i64::from(days));
        Ok(Some(until).filter(|until| days > 0 && *until > self.at))
    }

    /// Books what a lead that has converted earns its partner; an operator approves it. Booked once.
    pub async fn record_conversion(&self, lead: &Lead, converted_at: DateTime<Utc>) -> QueryResult<Option<CommissionId>> {
        if lead.commission.is_zero() {
            return Ok(None);
        }
        let currency = stored_currency(&lead.currency)?;
        self.lock(&[lead.partner_id]).await?;
        let mut event = self.event(CommissionEventType::LeadConversion, lead.partner_id, currency, converted_at);
        event.lead_id = Some(lead.id);
        event.source = RateSource::Lead;
        event.base = lead.deal_value;
        event.rate = Some(lead.commission_rate).filter(|_| !lead.commission_fixed);
        event.amount = lead.commission;
        Ok(Some(self.book(&event, currency).await?.id))
    }

    /// A commission with what all kinds of it share; pending.
    pub(in crate::models) fn event(
        &self,
        event_type: CommissionEventType,
        partner: PartnerId,
        currency: Currency,
        date: DateTime<Utc>,
    ) -> NewCommission<'_> {
        NewCommission {
            tenant_id: self.tenant,
            id: CommissionId::new(),
            partner_id: partner,
            event_type,
            status: CommissionStatus::Pending,
            lead_id: None,
            customer_id: None,
            invoice_id: None,
            reverses_id: None,
            link_id: None,
            source: RateSource::Manual,
            rule_id: None,
            base: None,
            rate: None,
            month_base: None,
            is_past_duration: false,
            amount: Decimal::ZERO,
            currency: currency.code(),
            event_date: date,
            refunded_at: None,
            due_at: None,
            notes: None,
            idempotency_key: None,
            request: None,
            created_by: self.by,
            decided_by: None,
            decided_at: None,
            created_at: self.at,
            updated_at: self.at,
        }
    }

    /// Writes a commission and its first transfer.
    pub(in crate::models) async fn book(&self, event: &NewCommission<'_>, currency: Currency) -> QueryResult<Commission> {
        let commission: Commission = diesel::insert_into(partner_commission_events::table)
            .values(event)
            .returning(Commission::as_returning())
            .get_result(&mut &*self.connection)
            .await?;
        let posting = Posting {
            partner: event.partner_id,
            currency,
            from: AccountKind::Expense,
            to: event.status.account(),
            amount: event.amount,
            kind: TransferKind::Earn,
            source: Source::Commission(event.id),
        };
        self.post(&[posting]).await?;
        Ok(commission)
    }
}
