//! Flags: what a person should look at of a commission by a link, before it is paid.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{prelude::*, sql_types::Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::rule::Payment;
use crate::{
    db::{
        schema::commission_flags,
        statement::{Bind, statement},
    },
    ids::{ClickId, CommissionId, PartnerId},
    models::{billing::account::CustomerAccount, ledger::books::Books, page::group, scope::Scope},
};

crate::pg_enum! {
    /// What a person should look at of a commission.
    pub enum CommissionFlagKind {
        /// The buyer seems to be the partner: with an address of its people, or at its own website.
        OwnPurchase = "own_purchase",
        /// Another partner has sent the same customer, by a link or as a lead.
        OtherPartner = "other_partner",
        /// A program, and not a person, followed the link.
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
    /// What gave the reason: an address or a domain, another partner, a click.
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
                format!("The customer's address {subject} is that of one of the partner's own people.")
            }
            CommissionFlagKind::OwnPurchase => format!("The customer's address is at {subject}, the partner's own website."),
            CommissionFlagKind::OtherPartner => format!("{} has sent the same customer.", PartnerId::from(id())),
            CommissionFlagKind::NoPerson => {
                format!("A program, and not a person, followed the link: {}.", ClickId::from(id()))
            }
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
        if account.origin.link_id.is_none() {
            return Ok(Vec::new());
        }
        statement::<(Text, Text)>(
            "SELECT kind, subject FROM find_commission_flags(?, ?, ?, ?)",
            vec![
                Bind::Uuid(self.tenant.uuid()),
                Bind::Uuid(payment.partner.uuid()),
                Bind::Uuid(payment.customer.uuid()),
                Bind::OptionalUuid(account.origin.click_id.map(ClickId::uuid)),
            ],
        )
        .load(&mut &*self.connection)
        .await
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
