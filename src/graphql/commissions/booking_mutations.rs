//! Mutations that book commissions: what the billing system reports, and an operator's corrections.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use super::commission::Commission;
use crate::{
    auth::Permission,
    db::session::Writing,
    error::Result,
    graphql::{
        engine::{
            context::ContextExt,
            row::Row,
            scalars::{CurrencyCode, DateTime, Decimal, currency_or_default},
            user_errors::{MAX_KEY, MAX_REASON, Refusal, UserError, settle},
        },
        ledger::books::BooksExt,
        programmes::{came_by::CameByInput, sign_up_mutations::too_many_payments},
    },
    ids::PartnerId,
    models::commissions::{
        adjustment::Adjustment,
        booking::{Booked, BookingFault, Content, InvoicePayment},
        refund::InvoiceRefund,
    },
    models::programmes::attribution::AttributionOutcome,
    money::{Money, minor_units},
    validation::{FaultCode, Faults, amount, line, paragraphs, past, positive_amount},
};

/// A paid invoice.
#[derive(InputObject, Clone)]
struct RecordInvoicePaymentInput {
    /// The invoice's id in the billing system, at most 200 characters.
    invoice_id: String,
    /// The customer's id in the billing system: the `externalId` of `upsertCustomer`.
    customer_external_id: String,
    /// How much was paid.
    amount: Decimal,
    /// In which currency; the tenant's default where it is left out.
    currency: Option<CurrencyCode>,
    /// When it was paid.
    paid_at: DateTime,
    /// The click by which the customer came to this purchase: the value of the parameter that the link added to the shop's address. Where nobody
    /// manages the customer when it pays, it is the link's partner's from then on.
    click_id: Option<ID>,
    /// Further clicks of the same visitor, where the shop keeps them all, in any order; at most 20 in all. The programme says which one counts.
    other_click_ids: Option<Vec<ID>>,
    /// The coupon code that the customer gave, instead of a click.
    coupon_code: Option<String>,
}

/// A refund of an invoice.
#[derive(InputObject, Clone)]
struct RecordRefundInput {
    /// The invoice's id in the billing system, at most 200 characters.
    invoice_id: String,
    /// How much of the invoice has been refunded in all, this time included. Where a refund has failed, what is left of them: 0 for none.
    refunded_amount: Decimal,
    /// In which currency.
    currency: CurrencyCode,
    /// Since when that is so: when it was refunded, or when a refund failed. Reports are ordered by this time; one that is earlier than
    /// another which was recorded changes nothing.
    refunded_at: DateTime,
}

/// A correction of what a partner has earned.
#[derive(InputObject, Clone)]
struct AdjustCommissionInput {
    /// The partner.
    partner_id: PartnerId,
    /// By how much; below zero takes away.
    amount: Decimal,
    /// In which currency; the tenant's default where it is left out.
    currency: Option<CurrencyCode>,
    /// Why, for the partner to read; at most 1,000 characters.
    reason: String,
    /// The idempotency key, at most 200 characters: sent again, it answers with the first result and books nothing.
    idempotency_key: String,
}

macro_rules! payload {
    ($(#[$doc:meta])* $name:ident, $commission:literal $(, $(#[$more:meta])* $field:ident: $type:ty)?) => {
        $(#[$doc])*
        #[derive(SimpleObject)]
        struct $name {
            #[doc = $commission]
            commission: Option<Row<Commission>>,
            $($(#[$more])* $field: $type,)?
            /// Whether it had been recorded before, so that this is the first result.
            replayed: bool,
            /// What is wrong with the input. Empty when it is recorded.
            user_errors: Vec<UserError>,
        }
    };
}

payload!(
    /// What became of `recordInvoicePayment`.
    RecordInvoicePaymentPayload,
    "What a partner earned by it. Null where no partner managed the customer when it was paid, and where there are user errors.",
    /// What was made of the click or the coupon code. Null where there is none, where the payment was recorded before, and where there are user errors.
    attribution: Option<AttributionOutcome>
);
payload!(
    /// What became of `recordRefund`.
    RecordRefundPayload,
    "What it took back, or gave back. Null where there was nothing to, and where there are user errors."
);
payload!(
    /// What became of `adjustCommission`.
    AdjustCommissionPayload,
    "The correction. Null where there are user errors."
);

#[derive(Default)]
pub struct BookingMutations;

#[Object]
impl BookingMutations {
    /// Records that a customer has paid an invoice. The partner that managed the customer then earns a commission by the rule that held
    /// then (or by its default rate as it is now): approved at once, or pending for as long as the tenant holds commissions, or until an
    /// operator decides where the partner is not `ACTIVE`. A partner that is closed earns nothing. An unknown click or coupon code refuses no
    /// payment: `attribution` says so. An invoice counts once, however often it is
    /// sent; sent with other content it is refused. Needs `EVENTS_INGEST`.
    async fn record_invoice_payment(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The invoice and its payment.")] input: RecordInvoicePaymentInput,
    ) -> Result<Option<RecordInvoicePaymentPayload>> {
        ctx.require(Permission::EventsIngest)?;
        let (((commission, replayed), attribution), user_errors) = settle(ctx, || record_payment(ctx, input.clone())).await?;
        Ok(Some(RecordInvoicePaymentPayload { commission, attribution, replayed, user_errors }))
    }

    /// Records how much of an invoice has been refunded in all. What that takes back from the commission, less what is taken back
    /// already, is booked as a commission below zero; where a refund has failed and less is refunded than before, the difference is given
    /// back by one above zero. Reports may repeat, be lost, come out of order, and come before that of the payment: the latest by
    /// `refundedAt` counts, and the books end the same. More than was paid is refused; reported before the payment, it counts as all of it.
    /// Needs `EVENTS_INGEST`.
    async fn record_refund(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The invoice and what has been refunded of it.")] input: RecordRefundInput,
    ) -> Result<Option<RecordRefundPayload>> {
        ctx.require(Permission::EventsIngest)?;
        let ((commission, replayed), user_errors) = settle(ctx, || record_refund(ctx, input.clone())).await?;
        Ok(Some(RecordRefundPayload { commission, replayed, user_errors }))
    }

    /// Corrects what a partner has earned, up or down; approved at once. Needs `COMMISSIONS_MANAGE`.
    async fn adjust_commission(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The correction.")] input: AdjustCommissionInput,
    ) -> Result<Option<AdjustCommissionPayload>> {
        ctx.require(Permission::CommissionsManage)?;
        let ((commission, replayed), user_errors) = settle(ctx, || adjust(ctx, input.clone())).await?;
        Ok(Some(AdjustCommissionPayload { commission, replayed, user_errors }))
    }
}

/// The commission, and whether it was booked before.
type Outcome = (Option<Row<Commission>>, bool);

/// Commits what was booked, and reads it.
async fn finish(ctx: &Context<'_>, writing: Writing<'_>, booked: Booked) -> Result<Outcome> {
    let read = async {
        match booked.commission {
            Some(id) => Commission::by_id(ctx, id).await,
            None => Ok(None),
        }
    };
    Ok((writing.commit_and(read).await?, booked.is_replay))
}

async fn record_payment(
    ctx: &Context<'_>,
    input: RecordInvoicePaymentInput,
) -> Result<(Outcome, Option<AttributionOutcome>), Refusal> {
    let currency = currency_or_default(ctx, input.currency)?;
    let mut faults = Faults::default();
    let invoice = faults.check("input.invoiceId", line(&input.invoice_id, MAX_KEY));
    let customer = faults.check("input.customerExternalId", line(&input.customer_external_id, MAX_KEY));
    let amount = faults.check("input.amount", positive_amount(input.amount.0, minor_units(currency)));
    let paid_at = faults.check("input.paidAt", past(input.paid_at.0, ctx.now()));
    let (click_id, other_click_ids, coupon_code) = (input.click_id, input.other_click_ids, input.coupon_code);
    let came = CameByInput { click_id, other_click_ids, link_key: None, coupon_code }.checked(&mut faults);
    let (Some(invoice), Some(customer), Some(amount), Some(paid_at), true) =
        (invoice, customer, amount, paid_at, faults.is_empty())
    else {
        return Err(faults.into());
    };
    let report = InvoicePayment { invoice, customer, amount: Money::rounded(amount, currency), paid_at, came };
    let writing = ctx.write().await?;
    let booked = ctx.books(&writing).record_payment(&report).await?.map_err(|fault| refusal(&fault, "input.amount"))?;
    Ok((finish(ctx, writing, booked).await?, booked.outcome))
}

async fn record_refund(ctx: &Context<'_>, input: RecordRefundInput) -> Result<Outcome, Refusal> {
    let currency = input.currency.0;
    let mut faults = Faults::default();
    let invoice = faults.check("input.invoiceId", line(&input.invoice_id, MAX_KEY));
    let refunded = faults.check("input.refundedAmount", amount(input.refunded_amount.0, minor_units(currency)));
    let refunded_at = faults.check("input.refundedAt", past(input.refunded_at.0, ctx.now()));
    let (Some(invoice), Some(refunded), Some(refunded_at)) = (invoice, refunded, refunded_at) else {
        return Err(faults.into());
    };
    let report = InvoiceRefund { invoice, refunded: Money::rounded(refunded, currency), refunded_at };
    let writing = ctx.write().await?;
    let booked = ctx.books(&writing).record_refund(&report).await?.map_err(|fault| refusal(&fault, "input.refundedAmount"))?;
    Ok(finish(ctx, writing, booked).await?)
}

async fn adjust(ctx: &Context<'_>, input: AdjustCommissionInput) -> Result<Outcome, Refusal> {
    let currency = currency_or_default(ctx, input.currency)?;
    let mut faults = Faults::default();
    let size = faults.check("input.amount", amount(input.amount.0.abs(), minor_units(currency)));
    if size.is_some_and(|size| size.is_zero()) {
        faults.add("input.amount", FaultCode::OutOfRange, "Must be above or below 0.");
    }
    let reason = faults.check("input.reason", paragraphs(&input.reason, MAX_REASON));
    let key = faults.check("input.idempotencyKey", line(&input.idempotency_key, MAX_KEY));
    let (Some(reason), Some(key), true) = (reason, key, faults.is_empty()) else { return Err(faults.into()) };
    let amount = Money::rounded(input.amount.0, currency);
    let adjustment = Adjustment { partner: input.partner_id, amount, reason, key };
    let writing = ctx.write().await?;
    let booked = ctx.books(&writing).adjust(ctx.viewer().scope(), &adjustment).await?;
    let booked = booked.map_err(|fault| refusal(&fault, "input.amount"))?;
    Ok(finish(ctx, writing, booked).await?)
}

/// What a person can put right of what was not booked. `amount` is the path of the amount.
fn refusal(fault: &BookingFault, amount: &'static str) -> Refusal {
    match fault {
        BookingFault::UnknownCustomer => Refusal::fault(
            "input.customerExternalId",
            FaultCode::NotFound,
            "There is no customer of this id in the billing system. Report it first, with `upsertCustomer`.",
        ),
        BookingFault::UnknownPartner => Refusal::not_found("input.partnerId", "partner"),
        BookingFault::KeyTaken => {
            let message = "The key is being used for another partner at this very moment. Use another key.";
            Refusal::fault("input.idempotencyKey", FaultCode::KeyReused, message)
        }
        BookingFault::KeyReused { first, difference } => Refusal::key_reused(first, difference),
        BookingFault::Closed { payable } => {
            let message = format!(
                "The partner is CLOSED: only what brings its balance of {} nearer to zero can be booked.",
                payable.normalize()
            );
            Refusal::fault(amount, FaultCode::InvalidTransition, message)
        }
        BookingFault::TooManyPayments => Refusal::fault("input.clickId", FaultCode::OutOfRange, too_many_payments()),
        BookingFault::RefundsExceed { paid, refunded } => {
            let message = format!(
                "{} has been refunded, which is more than the {} that was paid. What is recorded stays: correct the invoice in the \
                 billing system.",
                refunded.normalize(),
                paid.normalize()
            );
            Refusal::fault(amount, FaultCode::OutOfRange, message)
        }
        BookingFault::Differs { content, first } => {
            let path = match content {
                Content::Amount => amount,
                Content::Currency => "input.currency",
                Content::Customer => "input.customerExternalId",
                Content::PaidAt => "input.paidAt",
            };
            let message =
                format!("It was recorded before with “{first}”, and what is recorded stays. Use another id for something else.");
            Refusal::fault(path, FaultCode::KeyReused, message)
        }
    }
}
