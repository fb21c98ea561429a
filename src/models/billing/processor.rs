//! What a payment service has reported of invoices, and what is taken back of them by it.
//!
//! Its reports come in any order, more than once, and overlap: a refund is reported by itself and in what a charge says of itself; one may fail
//! afterwards, and a dispute may be won. So the latest state of each object is kept, and what is taken back of an invoice is computed from all of them:
//! whatever the order, the same reports end in the same books.

use chrono::{DateTime, Utc};
use diesel::{
    prelude::*,
    sql_types::{Bool, Numeric, Text},
};
use diesel_async::RunQueryDsl;
use rust_decimal::Decimal;

use super::{
    account::CustomerAccount,
    customer::{Customer, CustomerReport},
    invoice::Invoice,
    reversal::{Reversal, ReversalKind, commission_base_part, withdrawn},
};
use crate::{
    db::{
        locks::{self, Named},
        schema::{invoices, processor_customers, processor_invoices, processor_payments, processor_reversals},
        statement::{Bind, statement},
    },
    ids::{CustomerId, ProgrammeId},
    models::{
        ledger::books::Books,
        programmes::attribution::{AttributionOutcome, CameBy},
    },
    money::{Money, stored_currency},
};

/// The books, as far as the payment service reports to them.
#[derive(Clone, Copy)]
pub struct Processor<'b, 'c>(pub &'b Books<'c>);

/// How much of an invoice was paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paid {
    /// With tax.
    pub gross: Money,
    /// Without.
    pub net: Money,
}

impl Processor<'_, '_> {
    /// Waits until no other transaction works on these payments, on an invoice that one of them has paid, or on the one that is given, before anything else
    /// of them is locked. All who lock do so in the same order: first payments, then invoices, each by their ids.
    pub async fn lock(&self, payments: &[&str], invoice: Option<&str>) -> QueryResult<()> {
        self.lock_each(payments.iter().copied().map(str::to_owned).collect()).await?;
        let mut invoices = self.invoices_of(payments).await?;
        invoices.extend(invoice.map(str::to_owned));
        self.lock_each(invoices).await
    }

    async fn lock_each(&self, ids: Vec<String>) -> QueryResult<()> {
        let names = ids.into_iter().map(|id| format!("{} {id}", self.0.tenant));
        locks::lock_names(self.0.connection, Named::Processor, names.collect()).await
    }

    /// Adds a customer, or brings it up to date, unless a later report is known; of two of one second that of the higher step is the later. Gives whether
    /// this is the latest.
    pub async fn report_customer(&self, report: &CustomerReport, as_of: DateTime<Utc>, step: i32) -> QueryResult<bool> {
        let latest = diesel::insert_into(processor_customers::table)
            .values((
                processor_customers::tenant_id.eq(self.0.tenant),
                processor_customers::customer_id.eq(&report.external_id),
                processor_customers::as_of.eq(as_of),
                processor_customers::step.eq(step),
            ))
            .on_conflict((processor_customers::tenant_id, processor_customers::customer_id))
            .do_update()
            .set((processor_customers::as_of.eq(as_of), processor_customers::step.eq(step)));
        let is_later =
            processor_customers::as_of.lt(as_of).or(processor_customers::as_of.eq(as_of).and(processor_customers::step.le(step)));
        let is_latest =
            diesel::query_dsl::methods::FilterDsl::filter(latest, is_later).execute(&mut &*self.0.connection).await? > 0;
        if is_latest {
            Customer::upsert(self.0.connection, self.0.tenant, report).await?;
        }
        Ok(is_latest)
    }

    /// Notes how much of an invoice was paid.
    pub async fn note_invoice(&self, invoice: &str, paid: Paid) -> QueryResult<()> {
        diesel::insert_into(processor_invoices::table)
            .values((
                processor_invoices::tenant_id.eq(self.0.tenant),
                processor_invoices::invoice_id.eq(invoice),
                processor_invoices::currency.eq(paid.gross.currency.code()),
                processor_invoices::gross.eq(paid.gross.amount),
                processor_invoices::net.eq(paid.net.amount),
            ))
            .on_conflict_do_nothing()
            .execute(&mut &*self.0.connection)
            .await
            .map(drop)
    }

    /// Notes which invoice a payment has paid, both of which are locked. What was taken back of a payment of several invoices is taken back of none of them,
    /// because nothing says of which: where that became so by this, it gives what a person should know.
    pub async fn note_payment(&self, payment: &str, invoice: &str, at: DateTime<Utc>) -> QueryResult<Option<String>> {
        let before = self.invoices_of(&[payment]).await?;
        diesel::insert_into(processor_payments::table)
            .values((
                processor_payments::tenant_id.eq(self.0.tenant),
                processor_payments::payment_id.eq(payment),
                processor_payments::invoice_id.eq(invoice),
            ))
            .on_conflict_do_nothing()
            .execute(&mut &*self.0.connection)
            .await?;
        let [first] = &before[..] else { return Ok(None) };
        let is_taken_back = processor_reversals::table
            .filter(processor_reversals::tenant_id.eq(self.0.tenant))
            .filter(processor_reversals::payment_id.eq(payment));
        if first == invoice || !diesel::select(diesel::dsl::exists(is_taken_back)).get_result(&mut &*self.0.connection).await? {
            return Ok(None);
        }
        self.follow(first, at, true).await?;
        Ok(Some(format!(
            "{payment} has paid {first} before, and what was refunded or disputed of it was taken back there. It does not say which of the two it is of, so it is taken back of neither; recordRefund takes it back."
        )))
    }

    /// The invoices that payments have paid, each once.
    pub async fn invoices_of(&self, payments: &[&str]) -> QueryResult<Vec<String>> {
        processor_payments::table
            .filter(processor_payments::tenant_id.eq(self.0.tenant))
            .filter(processor_payments::payment_id.eq_any(payments))
            .order(processor_payments::invoice_id)
            .select(processor_payments::invoice_id)
            .distinct()
            .load(&mut &*self.0.connection)
            .await
    }

    /// In which currency an invoice was paid, where that was reported.
    pub async fn currency_of(&self, invoice: &str) -> QueryResult<Option<String>> {
        let row = processor_invoices::table.find((self.0.tenant, invoice)).select(processor_invoices::currency);
        row.first(&mut &*self.0.connection).await.optional()
    }

    /// Notes the state of something that takes money back, unless a later one is known. Gives whether this is the latest.
    pub async fn note_reversal(&self, state: &Reversal) -> QueryResult<bool> {
        if state.kind == ReversalKind::Refund && self.has_failed(state).await? {
            return Ok(false);
        }
        let upsert = diesel::insert_into(processor_reversals::table)
            .values((
                processor_reversals::tenant_id.eq(self.0.tenant),
                processor_reversals::object_id.eq(&state.object_id),
                processor_reversals::payment_id.eq(&state.payment_id),
                processor_reversals::kind.eq(state.kind),
                processor_reversals::currency.eq(&state.currency),
                processor_reversals::amount.eq(state.amount),
                processor_reversals::is_taken.eq(state.is_taken),
                processor_reversals::created_at.eq(state.created_at),
                processor_reversals::as_of.eq(state.as_of),
                processor_reversals::step.eq(state.step),
            ))
            .on_conflict((processor_reversals::tenant_id, processor_reversals::object_id))
            .do_update()
            .set((
                processor_reversals::amount.eq(state.amount),
                processor_reversals::is_taken.eq(state.is_taken),
                processor_reversals::as_of.eq(state.as_of),
                processor_reversals::step.eq(state.step),
            ));
        // Of two reports of one second and one step the larger amount is the later: what is refunded of a charge only grows, but for refunds that fail.
        let is_later = processor_reversals::as_of.lt(state.as_of).or(processor_reversals::as_of.eq(state.as_of).and(
            processor_reversals::step
                .lt(state.step)
                .or(processor_reversals::step.eq(state.step).and(processor_reversals::amount.le(state.amount))),
        ));
        let changed = diesel::query_dsl::methods::FilterDsl::filter(upsert, is_later);
        Ok(changed.execute(&mut &*self.0.connection).await? > 0)
    }

    /// Whether it is known of a refund that it has failed, which is for good; the first report of that says when.
    async fn has_failed(&self, state: &Reversal) -> QueryResult<bool> {
        let row = processor_reversals::table.find((self.0.tenant, &state.object_id));
        let failed_at: Option<DateTime<Utc>> = row
            .filter(processor_reversals::is_taken.eq(false))
            .select(processor_reversals::as_of)
            .first(&mut &*self.0.connection)
            .await
            .optional()?;
        if !state.is_taken && failed_at.is_some_and(|known| state.as_of < known) {
            diesel::update(row).set(processor_reversals::as_of.eq(state.as_of)).execute(&mut &*self.0.connection).await?;
        }
        Ok(failed_at.is_some())
    }

    /// Lets the books follow what the service has taken back of an invoice, whose lock is held. Where it has reported nothing of that, what was reported
    /// otherwise stays.
    pub async fn follow_reversals(&self, invoice: &str, at: DateTime<Utc>) -> QueryResult<()> {
        self.follow(invoice, at, false).await
    }

    async fn follow(&self, invoice: &str, at: DateTime<Utc>, also_nothing: bool) -> QueryResult<()> {
        // Its amount may change while it has earned nothing.
        let of_tenant = Invoice::query().filter(invoices::tenant_id.eq(self.0.tenant));
        let known = of_tenant.filter(invoices::external_id.eq(invoice)).for_no_key_update();
        let known: Option<Invoice> = known.first(&mut &*self.0.connection).await.optional()?;
        let gross: Option<Decimal> = processor_invoices::table
            .find((self.0.tenant, invoice))
            .select(processor_invoices::gross)
            .first(&mut &*self.0.connection)
            .await
            .optional()?;
        let (Some(Invoice { amount: Some(base), currency, .. }), Some(gross)) = (known, gross) else { return Ok(()) };
        let other = diesel::alias!(processor_payments as other);
        let of_others = other
            .filter(other.field(processor_payments::tenant_id).eq(processor_payments::tenant_id))
            .filter(other.field(processor_payments::payment_id).eq(processor_payments::payment_id))
            .filter(other.field(processor_payments::invoice_id).ne(processor_payments::invoice_id));
        let reversals: Vec<Reversal> = processor_reversals::table
            .inner_join(
                processor_payments::table.on(processor_payments::tenant_id
                    .eq(processor_reversals::tenant_id)
                    .and(processor_payments::payment_id.eq(processor_reversals::payment_id))),
            )
            .filter(processor_payments::tenant_id.eq(self.0.tenant))
            .filter(processor_payments::invoice_id.eq(invoice))
            .filter(diesel::dsl::not(diesel::dsl::exists(of_others)))
            .select(Reversal::as_select())
            .load(&mut &*self.0.connection)
            .await?;
        if reversals.is_empty() && !also_nothing {
            return Ok(());
        }
        let base = Money { amount: base, currency: stored_currency(&currency)? };
        self.0.set_refunded(invoice, commission_base_part(withdrawn(&reversals), gross, base), at).await.map(drop)
    }

    /// How much of a payment partners earn by: with tax where the programme says so by which the customer is managed then.
    pub async fn commission_base(&self, customer: CustomerId, paid: Paid, at: DateTime<Utc>) -> QueryResult<Money> {
        let managed = CustomerAccount::at(self.0.connection, self.0.tenant, customer, at).await?;
        let programme = managed.and_then(|managed| managed.account.origin.programme_id);
        Ok(if self.0.includes_tax(programme).await? { paid.gross } else { paid.net })
    }

    /// Whether somebody manages a customer at an instant.
    pub async fn is_managed(&self, customer: CustomerId, at: DateTime<Utc>) -> QueryResult<bool> {
        Ok(CustomerAccount::at(self.0.connection, self.0.tenant, customer, at).await?.is_some())
    }

    /// Makes a customer, whose row is locked, the partner's who came by a link to a purchase. Payments since then that earned nobody anything are booked.
    /// `None` where those are too many.
    pub async fn came_by(
        &self,
        customer: CustomerId,
        came: &CameBy,
        at: DateTime<Utc>,
    ) -> QueryResult<Option<AttributionOutcome>> {
        let visit = match self.0.visit(came, at).await? {
            Ok(visit) => visit,
            Err(outcome) => return Ok(Some(outcome)),
        };
        let outcome = self.0.attribute(customer, &visit, at).await?;
        if outcome == Some(AttributionOutcome::Attributed) {
            self.0.count_sign_ups(customer).await?;
        }
        Ok(outcome)
    }
}

impl Books<'_> {
    async fn includes_tax(&self, programme: Option<ProgrammeId>) -> QueryResult<bool> {
        let Some(programme) = programme else { return Ok(false) };
        let binds = vec![Bind::Uuid(self.tenant.uuid()), Bind::Uuid(programme.uuid())];
        let sql = "SELECT includes_tax FROM programmes WHERE tenant_id = ? AND id = ?";
        let found: Option<bool> = statement::<Bool>(sql, binds).get_result(&mut &*self.connection).await.optional()?;
        Ok(found.unwrap_or_default())
    }

    /// Lets invoices that have earned nothing, and are locked, be of what was paid with tax or without, as the programme says by which they earn now; of
    /// those that the payment service has reported. One that has earned an affiliate something stays.
    pub(in crate::models) async fn price(&self, programme: Option<ProgrammeId>, unearned: &mut [Invoice]) -> QueryResult<()> {
        if unearned.is_empty() {
            return Ok(());
        }
        let ids = unearned.iter().map(|invoice| invoice.external_id.clone()).collect();
        let reported: Vec<(String, Decimal, Decimal)> = statement::<(Text, Numeric, Numeric)>(
            "SELECT p.invoice_id, p.gross, p.net FROM processor_invoices p WHERE p.tenant_id = ? AND p.invoice_id = ANY (?)
                 AND NOT EXISTS (SELECT FROM affiliate_rewards r WHERE r.tenant_id = p.tenant_id AND r.invoice_id = p.invoice_id)",
            vec![Bind::Uuid(self.tenant.uuid()), Bind::Texts(ids)],
        )
        .load(&mut &*self.connection)
        .await?;
        if reported.is_empty() {
            return Ok(());
        }
        let includes_tax = self.includes_tax(programme).await?;
        for (id, gross, net) in reported {
            let amount = if includes_tax { gross } else { net };
            let Some(invoice) = unearned.iter_mut().find(|invoice| invoice.external_id == id) else { continue };
            let Some(before) = invoice.amount.filter(|before| *before != amount && !before.is_zero()) else { continue };
            let base = Money { amount, currency: stored_currency(&invoice.currency)? };
            invoice.refunded = commission_base_part(invoice.refunded, before, base).amount;
            invoice.amount = Some(amount);
            diesel::update(invoices::table.find((self.tenant, &invoice.external_id)))
                .set((invoices::amount.eq(amount), invoices::refunded.eq(invoice.refunded)))
                .execute(&mut &*self.connection)
                .await?;
        }
        Ok(())
    }
}
