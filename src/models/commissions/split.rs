//! Commissions in parts: what is earned by a link whose partner shares it with others is booked as one commission for each of them, by the
//! largest remainder, so that the parts sum to the whole. Each is approved, paid and taken back by itself.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use iso_currency::Currency;
use rust_decimal::Decimal;

use super::commission::{Commission, CommissionEventType, CommissionStatus, NewCommission};
use crate::{
    db::schema::{commission_splits, link_shares, partner_commission_events, partners},
    ids::{CommissionId, LinkId, PartnerId, TenantId},
    models::{billing::account::CustomerAccount, ledger::books::Books, partners::status::PartnerStatus, scope::Scope},
    money::Money,
};

/// Which part of a whole a commission is.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = commission_splits)]
pub struct CommissionSplit {
    /// The commission.
    pub commission_id: CommissionId,
    /// That of the link's partner, which has the rest; itself for that one.
    pub owners_id: CommissionId,
    /// The part, as a fraction.
    pub share: Decimal,
    /// What is divided.
    pub whole: Decimal,
}

/// One who has a part of what is earned by a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sharer {
    /// The partner.
    pub partner: PartnerId,
    /// Its part, as a fraction.
    pub share: Decimal,
    /// Its status.
    pub status: PartnerStatus,
}

/// Who earns by a payment.
#[derive(Debug, Clone, Copy)]
pub(in crate::models) struct Earner<'e> {
    /// The period in which the partner manages the customer.
    pub account: &'e CustomerAccount,
    /// The partner's status.
    pub status: PartnerStatus,
    /// Who has a part of it.
    pub sharers: &'e [Sharer],
}

impl CommissionSplit {
    /// Of which wholes commissions are parts; those that are in scope.
    pub async fn by_commissions(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        commissions: &[CommissionId],
    ) -> QueryResult<HashMap<CommissionId, Self>> {
        let rows: Vec<(PartnerId, Self)> = commission_splits::table
            .inner_join(
                partner_commission_events::table.on(partner_commission_events::tenant_id
                    .eq(commission_splits::tenant_id)
                    .and(partner_commission_events::id.eq(commission_splits::commission_id))),
            )
            .filter(commission_splits::tenant_id.eq(scope.tenant))
            .filter(commission_splits::commission_id.eq_any(commissions))
            .select((partner_commission_events::partner_id, Self::as_select()))
            .load(&mut connection)
            .await?;
        let visible = rows.into_iter().filter(|(partner, _)| scope.includes(*partner));
        Ok(visible.map(|(_, row)| (row.commission_id, row)).collect())
    }
}

impl Commission {
    /// The others' parts of what a link's partner has earned, in the order of their ids.
    pub(super) async fn parts_of(
        mut connection: &AsyncPgConnection,
        tenant: TenantId,
        owners: CommissionId,
    ) -> QueryResult<Vec<Self>> {
        let parts = commission_splits::table
            .filter(commission_splits::tenant_id.eq(tenant))
            .filter(commission_splits::owners_id.eq(owners))
            .filter(commission_splits::commission_id.ne(owners))
            .select(commission_splits::commission_id);
        Self::query()
            .filter(partner_commission_events::tenant_id.eq(tenant))
            .filter(partner_commission_events::id.eq_any(parts))
            .order(partner_commission_events::id)
            .load(&mut connection)
            .await
    }
}

impl Books<'_> {
    /// Who has a part of what is earned by a link, beside its own partner: those that are not closed, in the order of their ids. Their books are
    /// locked.
    pub(in crate::models) async fn sharers(&self, link: LinkId) -> QueryResult<Vec<Sharer>> {
        let rows: Vec<(PartnerId, Decimal, PartnerStatus)> = link_shares::table
            .inner_join(
                partners::table.on(partners::tenant_id.eq(link_shares::tenant_id).and(partners::id.eq(link_shares::partner_id))),
            )
            .filter(link_shares::tenant_id.eq(self.tenant))
            .filter(link_shares::link_id.eq(link))
            .filter(partners::status.ne(PartnerStatus::Closed))
            .order(link_shares::partner_id)
            .select((link_shares::partner_id, link_shares::share, partners::status))
            .load(&mut &*self.connection)
            .await?;
        Ok(rows.into_iter().map(|(partner, share, status)| Sharer { partner, share, status }).collect())
    }

    /// Books a commission, of which others have parts: it keeps the rest. Each part waits or is held as it is, unless its own partner is not at
    /// work. Gives the link's partner's, and all of them.
    pub(super) async fn book_in_parts(
        &self,
        mut event: NewCommission<'_>,
        currency: Currency,
        sharers: &[Sharer],
    ) -> QueryResult<(Commission, Vec<CommissionId>)> {
        let whole = Money::rounded(event.amount, currency);
        let (parts, amounts) = divided(whole, sharers);
        event.amount = amounts[0].amount;
        let owners = self.book(&event, currency).await?;
        let mut rows = vec![(owners.id, parts[0])];
        for ((sharer, amount), share) in sharers.iter().zip(&amounts[1..]).zip(&parts[1..]) {
            let mut part = NewCommission {
                id: CommissionId::new(),
                partner_id: sharer.partner,
                event_type: CommissionEventType::Split,
                link_id: None,
                amount: amount.amount,
                ..event.clone()
            };
            if sharer.status != PartnerStatus::Active {
                (part.status, part.due_at, part.decided_at) = (CommissionStatus::Pending, None, None);
            }
            self.book(&part, currency).await?;
            rows.push((part.id, *share));
        }
        let values = rows.iter().map(|(id, share)| {
            (
                commission_splits::tenant_id.eq(self.tenant),
                commission_splits::commission_id.eq(id),
                commission_splits::owners_id.eq(owners.id),
                commission_splits::share.eq(share),
                commission_splits::whole.eq(whole.amount),
            )
        });
        let insert = diesel::insert_into(commission_splits::table).values(values.collect::<Vec<_>>());
        insert.execute(&mut &*self.connection).await?;
        Ok((owners, rows.into_iter().map(|(id, _)| id).collect()))
    }
}

/// The parts of a whole, the link's partner's first, which is the rest: as fractions, and as amounts.
fn divided(whole: Money, sharers: &[Sharer]) -> (Vec<Decimal>, Vec<Money>) {
    let others: Decimal = sharers.iter().map(|sharer| sharer.share).sum();
    let parts: Vec<Decimal> = std::iter::once(Decimal::ONE - others).chain(sharers.iter().map(|sharer| sharer.share)).collect();
    let amounts = whole.divide(&parts);
    (parts, amounts)
}
