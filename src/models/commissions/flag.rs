//! Flags: what a person should look at of a commission by a link, before it is paid.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use diesel::{
    prelude::*,
    sql_types::{Text, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::{
    commission::{Commission, CommissionEventType},
    rule::Payment,
};
use crate::{
    db::{
        schema::{commission_flags, partner_commission_events},
        statement::{Bind, statement},
    },
    ids::{ClickId, CommissionId, PartnerId},
    models::{billing::account::CustomerAccount, ledger::books::Books, page::group, scope::Scope},
};

crate::pg_enum! {
    /// What a person should look at of a commission.
    pub enum CommissionFlagKind {
        /// The buyer seems to be the partner, or one that has a share of the link: with an address of its people, or at its own website.
        OwnPurchase = "own_purchase",
        /// Another partner has sent the same customer, by a link or as a lead.
        OtherPartner = "other_partner",
        /// A program, and not a person, followed the link; or the click was one of many within an hour, of which figures count hardly any.
        NoPerson = "no_person",
    }
}

/// A flag of a commission.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = commission_flags)]
pub struct CommissionFlag {
    /// The commission.
    pub commission_id: CommissionId,
    /// What should be looked at.
    pub kind: CommissionFlagKind,
    /// What gave the reason: an address or a domain, another partner, a click, or of the clicks around it those that count and all ("3/212").
    pub subject: String,
    /// Since when.
    pub created_at: DateTime<Utc>,
}

impl CommissionFlag {
    /// The flags of many commissions, in scope; partners are shown none.
    pub async fn by_commissions(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        commissions: &[CommissionId],
    ) -> QueryResult<HashMap<CommissionId, Vec<Self>>> {
        if scope.partner.is_some() {
            return Ok(HashMap::new());
        }
        let rows: Vec<Self> = Self::query()
            .filter(commission_flags::tenant_id.eq(scope.tenant))
            .filter(commission_flags::commission_id.eq_any(commissions))
            .order((commission_flags::commission_id, commission_flags::kind))
            .load(&mut connection)
            .await?;
        Ok(group(rows.into_iter().map(|row| (row.commission_id, row)).collect()))
    }

    /// The reason, in one sentence for people.
    pub fn reason(&self) -> String {
        let subject = &self.subject;
        let id = || subject.parse::<Uuid>().unwrap_or_default();
        match self.kind {
            CommissionFlagKind::OwnPurchase if subject.contains('@') => {
                format!("The customer's address {subject} is that of somebody who earns by the link.")
            }
            CommissionFlagKind::OwnPurchase => {
                format!("The customer's address is at {subject}, the website of a partner that earns by the link.")
            }
            CommissionFlagKind::OtherPartner => format!("{} has sent the same customer.", PartnerId::from(id())),
            CommissionFlagKind::NoPerson => match subject.split_once('/') {
                Some((people, clicks)) => {
                    format!(
                        "Of the {clicks} clicks on the link around the customer's, figures count {people}: the others are those of programs, prefetches and repeats."
                    )
                }
                None => format!("A program, and not a person, followed the link: {}.", ClickId::from(id())),
            },
        }
    }
}

impl Books<'_> {
    /// What a person should look at of a payment; nothing where the customer did not come by a link.
    pub(super) async fn find_flags(
        &self,
        payment: Payment,
        account: &CustomerAccount,
    ) -> QueryResult<Vec<(CommissionFlagKind, String)>> {
        let Some(link) = account.origin.link_id else { return Ok(Vec::new()) };
        statement::<(Text, Text)>(
            "SELECT kind, subject FROM find_commission_flags(?, ?, ?, ?, ?)",
            vec![
                Bind::Uuid(self.tenant.uuid()),
                Bind::Uuid(payment.partner.uuid()),
                Bind::Uuid(payment.customer.uuid()),
                Bind::OptionalUuid(account.origin.click_id.map(ClickId::uuid)),
                Bind::Uuid(link.uuid()),
            ],
        )
        .load(&mut &*self.connection)
        .await
    }

    /// Looks once more at commissions that are about to be approved by time, whose books are locked: what another partner has sent meanwhile, or an
    /// address that is known by now. What a person should look at waits for one from now on; gives which.
    pub(super) async fn flag_late(&self, due: &[Commission]) -> QueryResult<HashSet<CommissionId>> {
        let by_link = due.iter().filter(|row| row.link_id.is_some() || row.event_type == CommissionEventType::Split);
        let ids: Vec<Uuid> = by_link.map(|row| row.id.uuid()).collect();
        if ids.is_empty() {
            return Ok(HashSet::new());
        }
        // Of a part, what there is of the commission of the link's partner. One that an operator has moved was looked at.
        let found: Vec<(CommissionId, CommissionFlagKind, String)> = statement::<(SqlUuid, Text, Text)>(
            "SELECT e.id, f.kind, f.subject
             FROM partner_commission_events e
             LEFT JOIN commission_splits s ON s.tenant_id = e.tenant_id AND s.commission_id = e.id
             LEFT JOIN partner_commission_events o ON o.tenant_id = s.tenant_id AND o.id = s.owners_id
             JOIN links l ON l.tenant_id = e.tenant_id AND l.id = coalesce(o.link_id, e.link_id) AND l.partner_id = coalesce(o.partner_id, e.partner_id)
             LEFT JOIN LATERAL (SELECT a.click_id FROM partner_accounts a
                 WHERE a.tenant_id = e.tenant_id AND a.customer_id = e.customer_id AND a.link_id = l.id ORDER BY a.managed_from DESC LIMIT 1) a ON true
             CROSS JOIN LATERAL find_commission_flags(e.tenant_id, l.partner_id, e.customer_id, a.click_id, l.id) f
             WHERE e.tenant_id = ? AND e.id = ANY (?)",
            vec![Bind::Uuid(self.tenant.uuid()), Bind::Uuids(ids)],
        )
        .load(&mut &*self.connection)
        .await?;
        for (commission, kind, subject) in &found {
            self.flag(&[*commission], &[(*kind, subject.clone())]).await?;
        }
        let flagged: HashSet<CommissionId> = found.into_iter().map(|(id, ..)| id).collect();
        if !flagged.is_empty() {
            let rows = partner_commission_events::table
                .filter(partner_commission_events::tenant_id.eq(self.tenant))
                .filter(partner_commission_events::id.eq_any(flagged.clone()));
            let waits = partner_commission_events::due_at.eq(None::<DateTime<Utc>>);
            let update = diesel::update(rows).set((waits, partner_commission_events::updated_at.eq(self.at)));
            update.execute(&mut &*self.connection).await?;
        }
        Ok(flagged)
    }

    /// Writes what was found of a commission, or of all the parts of one.
    pub(super) async fn flag(&self, commissions: &[CommissionId], flags: &[(CommissionFlagKind, String)]) -> QueryResult<()> {
        let each = commissions.iter().flat_map(|commission| flags.iter().map(move |flag| (commission, flag)));
        let rows = each.map(|(commission, (kind, subject))| {
            (
                commission_flags::tenant_id.eq(self.tenant),
                commission_flags::commission_id.eq(commission),
                commission_flags::kind.eq(*kind),
                commission_flags::subject.eq(subject),
            )
        });
        let insert = diesel::insert_into(commission_flags::table).values(rows.collect::<Vec<_>>());
        insert.execute(&mut &*self.connection).await.map(drop)
    }
}
