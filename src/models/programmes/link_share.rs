//! Who has a part of what is earned by a link, beside its own partner. Fixed when the link is made.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rust_decimal::Decimal;

use crate::{
    db::schema::{link_shares, links},
    ids::{LinkId, PartnerId, TenantId},
    models::{page::group, scope::Scope},
};

/// The most partners that a link's partner can share with.
pub const MOST_SHARERS: usize = 5;

/// A part of what is earned by a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, HasQuery)]
#[diesel(table_name = link_shares)]
pub struct LinkShare {
    /// Whose it is.
    pub partner_id: PartnerId,
    /// The part, as a fraction.
    pub share: Decimal,
}

impl LinkShare {
    /// The parts of many links in scope, in the order of the partners' ids.
    pub async fn by_links(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[LinkId],
    ) -> QueryResult<HashMap<LinkId, Vec<Self>>> {
        let rows: Vec<(LinkId, PartnerId, Self)> = link_shares::table
            .inner_join(links::table.on(links::tenant_id.eq(link_shares::tenant_id).and(links::id.eq(link_shares::link_id))))
            .filter(link_shares::tenant_id.eq(scope.tenant))
            .filter(link_shares::link_id.eq_any(ids))
            .order((link_shares::link_id, link_shares::partner_id))
            .select((link_shares::link_id, links::partner_id, Self::as_select()))
            .load(&mut connection)
            .await?;
        let visible = rows.into_iter().filter(|(_, owner, _)| scope.includes(*owner));
        Ok(group(visible.map(|(link, _, share)| (link, share)).collect()))
    }

    /// Adds the parts of a new link.
    pub(super) async fn insert(
        mut connection: &AsyncPgConnection,
        tenant: TenantId,
        link: LinkId,
        shares: &[Self],
    ) -> QueryResult<()> {
        let rows = shares.iter().map(|share| {
            (
                link_shares::tenant_id.eq(tenant),
                link_shares::link_id.eq(link),
                link_shares::partner_id.eq(share.partner_id),
                link_shares::share.eq(share.share),
            )
        });
        let insert = diesel::insert_into(link_shares::table).values(rows.collect::<Vec<_>>());
        insert.execute(&mut connection).await.map(drop)
    }
}
