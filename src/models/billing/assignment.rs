//! Which partner manages a customer, and so earns by what it pays: one at a time, in periods that never overlap.

use chrono::{DateTime, Utc};
use diesel::QueryResult;
use rust_decimal::Decimal;

use super::{
    account::{CustomerAccount, NewCustomerAccount, Whose},
    customer::Customer,
    past_payment::{self, lock_unearned},
};
use crate::{
    ids::{CustomerAccountId, CustomerId, PartnerId},
    models::{
        commissions::split::Earner,
        ledger::books::Books,
        partners::{partner::Partner, status::PartnerStatus},
        scope::Scope,
    },
};

/// A customer that a partner is to manage.
#[derive(Debug, Clone, Copy)]
pub struct CustomerAssignment {
    /// The customer.
    pub customer: CustomerId,
    /// The partner.
    pub partner: PartnerId,
    /// The customer's own rate, as a fraction; it goes before every rule.
    pub commission_rate: Option<Decimal>,
    /// From when; from now on where it is left out.
    pub from: Option<DateTime<Utc>>,
    /// Whether payments since then that earned nobody anything are booked now.
    pub books_past_payments: bool,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CustomerAssigned {
    /// Whether the partner did not manage the customer so before.
    pub is_new: bool,
    /// How many payments from before were booked now.
    pub booked: usize,
}

/// Why a customer's management was left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CustomerAssignmentFault {
    /// There is no such customer.
    UnknownCustomer,
    /// There is no such partner.
    UnknownPartner,
    /// The partner is closed.
    PartnerClosed,
    /// The partner manages it at this rate already, since another instant than the one that is named.
    SinceAnother(DateTime<Utc>),
    /// The last period began then, and the new one would not begin after it.
    NotAfterLast(DateTime<Utc>),
    /// Somebody manages it until then, and the new period would begin before.
    ManagedUntil(DateTime<Utc>),
    /// This other partner manages it, with no end.
    ManagedBy(PartnerId),
    /// More payments since then earned nothing than are booked at once: [`past_payment::MOST`].
    TooManyPayments,
}

impl Books<'_> {
    /// Lets a partner manage a customer from an instant on. The same partner with another rate begins a new period.
    pub async fn assign_customer(
        &self,
        scope: Scope,
        to: &CustomerAssignment,
    ) -> QueryResult<Result<CustomerAssigned, CustomerAssignmentFault>> {
        let from = to.from.unwrap_or(self.at);
        if Customer::lock(self.connection, self.tenant, to.customer).await?.is_none() {
            return Ok(Err(CustomerAssignmentFault::UnknownCustomer));
        }
        let unearned = if to.books_past_payments && from < self.after_locks().at {
            lock_unearned(self.connection, self.tenant, to.customer, from).await?
        } else {
            Vec::new()
        };
        // Closing a partner takes the same lock, and releases its customers.
        self.lock(&[to.partner]).await?;
        let status = match Partner::by_ids(self.connection, scope, &[to.partner]).await?.get(&to.partner) {
            None => return Ok(Err(CustomerAssignmentFault::UnknownPartner)),
            Some(partner) if partner.status == PartnerStatus::Closed => return Ok(Err(CustomerAssignmentFault::PartnerClosed)),
            Some(partner) => partner.status,
        };
        let last = CustomerAccount::latest(self.connection, self.tenant, to.customer).await?;
        if let Some(last) = &last {
            if last.managed_to.is_none() && last.partner_id == to.partner && last.commission_rate == to.commission_rate {
                return Ok(match to.from {
                    Some(from) if from != last.managed_from => Err(CustomerAssignmentFault::SinceAnother(last.managed_from)),
                    _ => Ok(CustomerAssigned { is_new: false, booked: 0 }),
                });
            }
            if let Err(fault) = last.makes_room(to.partner, from) {
                return Ok(Err(fault));
            }
            if last.managed_to.is_none() {
                last.end(self.connection, self.tenant, from).await?;
            }
        }
        // With another rate it is still the link's customer.
        let goes_on = |last: &&CustomerAccount| last.managed_to.is_none_or(|end| end == from);
        let same = last.as_ref().filter(|last| last.partner_id == to.partner).filter(goes_on);
        let new = NewCustomerAccount {
            tenant_id: self.tenant,
            id: CustomerAccountId::new(),
            partner_id: to.partner,
            customer_id: to.customer,
            origin: same.map(|last| last.origin.clone()).unwrap_or_default(),
            commission_rate: to.commission_rate,
            managed_from: from,
            managed_to: None,
        };
        let account = CustomerAccount::insert(self.connection, &new).await?;
        if unearned.len() > past_payment::MOST {
            return Ok(Err(CustomerAssignmentFault::TooManyPayments));
        }
        let booked = self.book_past_payments(Earner { account: &account, status, sharers: &[] }, &unearned).await?;
        Ok(Ok(CustomerAssigned { is_new: true, booked }))
    }

    /// Ends a partner's management of a customer at an instant, or brings its end forward; gives whether there was any to end. `None` where
    /// there is no such customer.
    pub async fn release_customer(&self, customer: CustomerId, at: Option<DateTime<Utc>>) -> QueryResult<Option<bool>> {
        if Customer::lock(self.connection, self.tenant, customer).await?.is_none() {
            return Ok(None);
        }
        let at = at.unwrap_or(self.at);
        CustomerAccount::end_all(self.connection, self.tenant, Whose::Customer(customer), at).await.map(Some)
    }
}

impl CustomerAccount {
    /// Whether a period of that partner's can begin at that instant: this one, the last, must be over by then, or be the same partner's.
    fn makes_room(&self, partner: PartnerId, from: DateTime<Utc>) -> Result<(), CustomerAssignmentFault> {
        if from <= self.managed_from {
            return Err(CustomerAssignmentFault::NotAfterLast(self.managed_from));
        }
        match self.managed_to {
            Some(end) if end > from => Err(CustomerAssignmentFault::ManagedUntil(end)),
            None if self.partner_id != partner => Err(CustomerAssignmentFault::ManagedBy(self.partner_id)),
            Some(_) | None => Ok(()),
        }
    }
}
