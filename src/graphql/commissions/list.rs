//! Lists of commissions: which are shown, and in which order.

use async_graphql::{Context, Enum, InputObject};

use crate::{
    error::Result,
    graphql::engine::{
        arguments::{OrderDirection, search_text},
        period::{PeriodInput, bounds},
        scalars::{CurrencyCode, Decimal},
    },
    ids::{CustomerId, LeadId, LinkId, PartnerId, PayoutId, ProgrammeId},
    models::{
        commissions::{
            commission::{CommissionEventType, CommissionStatus},
            flag::CommissionFlagKind,
            list::{BY_AMOUNT, BY_EVENT_DATE, CommissionFilter},
        },
        page::{Page, PageArguments, SortKey},
    },
};

/// Which commissions to show.
#[derive(InputObject, Default)]
#[graphql(name = "CommissionFilter")]
pub struct CommissionFilterInput {
    /// Only those of this partner.
    partner_id: Option<PartnerId>,
    /// Only those of one of these statuses; of an empty list there are none.
    status: Option<Vec<CommissionStatus>>,
    /// Only those made by one of these kinds of events; of an empty list there are none.
    event_type: Option<Vec<CommissionEventType>>,
    /// Only those of this customer's payments, refunds included.
    customer_id: Option<CustomerId>,
    /// Only those of customers who came by this link.
    link_id: Option<LinkId>,
    /// Only those of customers who came by a link of this programme.
    programme_id: Option<ProgrammeId>,
    /// Only those that a person should look at for one of these reasons; of an empty list there are none. For operators: partners find none.
    flag: Option<Vec<CommissionFlagKind>>,
    /// Only that of this lead.
    lead_id: Option<LeadId>,
    /// Only those that this payout holds, or has paid.
    payout_id: Option<PayoutId>,
    /// Only that of this invoice's payment, by its id in the billing system; what takes it back is in its `reversals`.
    invoice_id: Option<String>,
    /// Only those of a customer or a lead that has every word of this text, as searches of these find them, and that of the invoice of this id.
    search: Option<String>,
    /// Only those in this currency.
    currency: Option<CurrencyCode>,
    /// Only those earned in this period.
    earned: Option<PeriodInput>,
    /// Only those of at least this amount.
    min_amount: Option<Decimal>,
    /// Only those of at most this amount.
    max_amount: Option<Decimal>,
}

impl CommissionFilterInput {
    /// The filter, or what is wrong with it.
    pub(super) fn checked(self, ctx: &Context<'_>) -> Result<CommissionFilter> {
        let input = self;
        let (earned_from, earned_before) = bounds(ctx, "earned", input.earned)?;
        Ok(CommissionFilter {
            partner: input.partner_id,
            statuses: input.status,
            event_types: input.event_type,
            currency: input.currency.map(|currency| currency.0.code()),
            earned_from,
            earned_before,
            min_amount: input.min_amount.map(|amount| amount.0),
            max_amount: input.max_amount.map(|amount| amount.0),
            customer: input.customer_id,
            link: input.link_id,
            programme: input.programme_id,
            flags: input.flag,
            lead: input.lead_id,
            payout: input.payout_id,
            invoice: input.invoice_id,
            search: search_text(input.search)?,
            free_before: None,
        })
    }
}

/// How to order commissions.
#[derive(InputObject, Default)]
pub struct CommissionOrder {
    /// By what.
    field: CommissionOrderField,
    /// In which direction.
    #[graphql(default)]
    direction: OrderDirection,
}

/// What commissions can be ordered by.
#[derive(Enum, Clone, Copy, PartialEq, Eq, Default)]
pub enum CommissionOrderField {
    /// When they were earned.
    #[default]
    EventDate,
    /// How much they are, whatever the currency.
    Amount,
}

impl CommissionOrder {
    /// A page in this order.
    pub(super) fn page(&self, arguments: PageArguments) -> Result<Page> {
        let sort: SortKey = match self.field {
            CommissionOrderField::EventDate => BY_EVENT_DATE,
            CommissionOrderField::Amount => BY_AMOUNT,
        };
        Page::new(sort, self.direction.is_descending(), arguments)
    }
}
