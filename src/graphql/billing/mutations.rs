//! Mutations of customers, and of which partner manages them.

use async_graphql::{Context, InputObject, Object, SimpleObject};

use super::customer::Customer;
use crate::{
    auth::Permission,
    clock::shown,
    error::Result,
    graphql::{
        engine::{
            context::ContextExt,
            row::Row,
            scalars::{DateTime, Decimal, EmailAddress},
            user_errors::{Outcome, Refusal, UserError, outcome, settle},
        },
        ledger::books::BooksExt,
    },
    ids::{CustomerId, PartnerId, UserId},
    models::affiliates::past_reward::CustomerUserFault,
    models::billing::{
        assignment::{CustomerAssignment, CustomerAssignmentFault},
        customer::{self, CustomerReport},
        past_payment,
    },
    validation::{FaultCode, Faults, MAX_NAME, email, line, rate},
};

/// A customer as the billing system knows it.
#[derive(InputObject, Clone)]
struct UpsertCustomerInput {
    /// Its id in the billing system, at most 200 characters.
    external_id: String,
    /// Its name, at most 200 characters.
    name: String,
    /// Its e-mail address. A user who signs in with this address, as verified by the sign-in service, is the customer.
    email: Option<EmailAddress>,
    /// The user that the customer is, for affiliates: once it is one, it stays that.
    user_id: Option<UserId>,
}

/// What became of `upsertCustomer`.
#[derive(SimpleObject)]
struct UpsertCustomerPayload {
    /// The customer as it is now. Null where there are user errors.
    customer: Option<Row<Customer>>,
    /// Whether all was so before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the customer is as reported.
    user_errors: Vec<UserError>,
}

/// Which partner is to manage a customer.
#[derive(InputObject, Clone)]
struct AssignCustomerInput {
    /// The customer.
    customer_id: CustomerId,
    /// The partner.
    partner_id: PartnerId,
    /// The customer's own rate, as a fraction; it goes before every rule.
    commission_rate: Option<Decimal>,
    /// From when; from now on where it is left out. Commissions that are booked already stay as they are.
    from: Option<DateTime>,
    /// Whether payments since then that earned nobody anything are booked now, each by the rule that held when it was paid; at most 1,000.
    #[graphql(default = true)]
    book_past_payments: bool,
}

/// What became of `assignCustomer`.
#[derive(SimpleObject)]
struct AssignCustomerPayload {
    /// The customer as it is now. Null where there are user errors.
    customer: Option<Row<Customer>>,
    /// How many payments from before were booked now.
    booked_payments: i32,
    /// Whether all was so before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the partner manages the customer.
    user_errors: Vec<UserError>,
}

/// A customer whom no partner is to manage any longer.
#[derive(InputObject, Clone)]
struct ReleaseCustomerInput {
    /// The customer.
    customer_id: CustomerId,
    /// From when; from now on where it is left out.
    at: Option<DateTime>,
}

/// What became of `releaseCustomer`.
#[derive(SimpleObject)]
struct ReleaseCustomerPayload {
    /// The customer as it is now. Null where there are user errors.
    customer: Option<Row<Customer>>,
    /// Whether all was so before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when no partner manages the customer from then on.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct CustomerMutations;

#[Object]
impl CustomerMutations {
    /// Adds a customer, or brings the one of that id in the billing system up to date. Needs `CUSTOMERS_MANAGE`.
    async fn upsert_customer(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The customer.")] input: UpsertCustomerInput,
    ) -> Result<Option<UpsertCustomerPayload>> {
        ctx.require(Permission::CustomersManage)?;
        let ((customer, replayed), user_errors) = settle(ctx, || upsert(ctx, input.clone())).await?;
        Ok(Some(UpsertCustomerPayload { customer, replayed, user_errors }))
    }

    /// Lets a partner manage a customer from an instant on, and earn by what it pays. One partner at a time: release it from another
    /// first. The same partner with another rate begins a new period. Payments since that instant which earned nobody anything are booked by
    /// this, unless `bookPastPayments` is false. Needs `CUSTOMERS_MANAGE`.
    async fn assign_customer(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The customer and the partner.")] input: AssignCustomerInput,
    ) -> Result<Option<AssignCustomerPayload>> {
        ctx.require(Permission::CustomersManage)?;
        let (((customer, replayed), booked_payments), user_errors) = settle(ctx, || assign(ctx, input.clone())).await?;
        Ok(Some(AssignCustomerPayload { customer, booked_payments, replayed, user_errors }))
    }

    /// Ends a partner's management of a customer, or brings its end forward; one that has not begun by then never begins. A customer whom
    /// nobody manages from then on stays as it is. Needs `CUSTOMERS_MANAGE`.
    async fn release_customer(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The customer.")] input: ReleaseCustomerInput,
    ) -> Result<Option<ReleaseCustomerPayload>> {
        ctx.require(Permission::CustomersManage)?;
        let ((customer, replayed), user_errors) = settle(ctx, || release(ctx, input.clone())).await?;
        Ok(Some(ReleaseCustomerPayload { customer, replayed, user_errors }))
    }
}

async fn upsert(ctx: &Context<'_>, input: UpsertCustomerInput) -> Result<Outcome<Row<Customer>>, Refusal> {
    let mut faults = Faults::default();
    let external_id = faults.check("input.externalId", line(&input.external_id, MAX_NAME));
    let name = faults.check("input.name", line(&input.name, MAX_NAME));
    let email = faults.check_option("input.email", input.email.as_ref().map(|email| email.0.as_str()), email);
    let (Some(external_id), Some(name), true) = (external_id, name, faults.is_empty()) else { return Err(faults.into()) };
    let writing = ctx.write().await?;
    let report = CustomerReport { external_id, name, email };
    let (id, mut has_changed) = customer::Customer::upsert(&writing, ctx.viewer().tenant.id, &report).await?;
    if let Some(user) = input.user_id {
        has_changed |= ctx.books(&writing).link_customer(id, user).await?.map_err(other_user)?;
    }
    Ok(outcome(writing, has_changed, Customer::by_id(ctx, id)).await?)
}

/// What a person can put right of a customer that is not the user who is named.
pub fn other_user(fault: CustomerUserFault) -> Refusal {
    match fault {
        CustomerUserFault::UnknownUser => Refusal::not_found("input.userId", "user"),
        CustomerUserFault::OtherUser(other) => {
            Refusal::fault("input.userId", FaultCode::Taken, format!("The customer is {other}, and stays that."))
        }
    }
}

/// The customer, and how many payments were booked.
async fn assign(ctx: &Context<'_>, input: AssignCustomerInput) -> Result<(Outcome<Row<Customer>>, i32), Refusal> {
    let mut faults = Faults::default();
    let commission_rate = input.commission_rate.and_then(|given| faults.check("input.commissionRate", rate(given.0)));
    if !faults.is_empty() {
        return Err(faults.into());
    }
    let assignment = CustomerAssignment {
        customer: input.customer_id,
        partner: input.partner_id,
        commission_rate,
        from: input.from.map(|from| from.0),
        books_past_payments: input.book_past_payments,
    };
    let writing = ctx.write().await?;
    let managed = ctx.books(&writing).assign_customer(ctx.viewer().scope(), &assignment).await?.map_err(refusal)?;
    let customer = outcome(writing, managed.is_new, Customer::by_id(ctx, input.customer_id)).await?;
    Ok((customer, i32::try_from(managed.booked).unwrap_or(i32::MAX)))
}

async fn release(ctx: &Context<'_>, input: ReleaseCustomerInput) -> Result<Outcome<Row<Customer>>, Refusal> {
    let writing = ctx.write().await?;
    let released = ctx.books(&writing).release_customer(input.customer_id, input.at.map(|at| at.0)).await?;
    let has_changed = released.ok_or_else(|| refusal(CustomerAssignmentFault::UnknownCustomer))?;
    Ok(outcome(writing, has_changed, Customer::by_id(ctx, input.customer_id)).await?)
}

fn refusal(fault: CustomerAssignmentFault) -> Refusal {
    let (path, code, message) = match fault {
        CustomerAssignmentFault::UnknownCustomer => return Refusal::not_found("input.customerId", "customer"),
        CustomerAssignmentFault::UnknownPartner => return Refusal::not_found("input.partnerId", "partner"),
        CustomerAssignmentFault::PartnerClosed => {
            ("input.partnerId", FaultCode::InvalidTransition, "The partner is CLOSED.".to_owned())
        }
        CustomerAssignmentFault::SinceAnother(since) => {
            let message = format!("The partner manages the customer at this rate since {}; leave `from` out.", shown(since));
            ("input.from", FaultCode::Taken, message)
        }
        CustomerAssignmentFault::NotAfterLast(begin) => {
            ("input.from", FaultCode::OutOfRange, format!("Must be after {}, when the last period began.", shown(begin)))
        }
        CustomerAssignmentFault::ManagedUntil(end) => {
            let message = format!("The customer is managed until {}; choose that or a later instant.", shown(end));
            ("input.from", FaultCode::OutOfRange, message)
        }
        CustomerAssignmentFault::ManagedBy(partner) => {
            let message = format!("{partner} manages the customer. Release it first, with `releaseCustomer`.");
            ("input.customerId", FaultCode::Taken, message)
        }
        CustomerAssignmentFault::TooManyPayments => {
            let message = format!(
                "More than {} payments since then earned nothing, and no more are booked at once. Choose a later instant, or \
                 set `bookPastPayments` to false.",
                past_payment::MOST
            );
            ("input.from", FaultCode::OutOfRange, message)
        }
    };
    Refusal::fault(path, code, message)
}
