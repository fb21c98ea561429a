//! Lists of links: what they are filtered and ordered by, for one caller and below partners and programmes.

use std::sync::Arc;

use diesel::{
    prelude::*,
    sql_types::{BigInt, Nullable},
};
use uuid::Uuid;

use super::link::Link;
use crate::{
    db::statement::{Statement, statement},
    ids::{PartnerId, ProgrammeId},
    models::{
        list::{Conditions, list, list_below},
        page::{Cursor, Key, KeyKind, Page, SortKey, finds},
        scope::Scope,
    },
};

diesel::table! {
    /// The view `listed_links`: links with what lists of them are ordered by.
    listed_links (tenant_id, id) {
        /// The tenant.
        tenant_id -> Uuid,
        /// The link's id.
        id -> Uuid,
        /// Its partner.
        partner_id -> Uuid,
        /// Who made it.
        user_id -> Nullable<Uuid>,
        /// Its programme.
        programme_id -> Uuid,
        /// Its host.
        host -> Nullable<Text>,
        /// Its key.
        key -> Text,
        /// Where it leads.
        url -> Text,
        /// A digest of that.
        url_hash -> Nullable<Bytea>,
        /// Its title.
        title -> Nullable<Text>,
        /// Another system's id for it.
        external_id -> Nullable<Text>,
        /// Its coupon code.
        coupon_code -> Nullable<Text>,
        /// Where it is shared.
        utm_source -> Nullable<Text>,
        /// In which kind of place.
        utm_medium -> Nullable<Text>,
        /// For which campaign.
        utm_campaign -> Nullable<Text>,
        /// For which search term.
        utm_term -> Nullable<Text>,
        /// In which of several places.
        utm_content -> Nullable<Text>,
        /// Until when it leads there.
        expires_at -> Nullable<Timestamptz>,
        /// Where it leads from then on.
        expired_url -> Nullable<Text>,
        /// When it was archived.
        archived_at -> Nullable<Timestamptz>,
        /// When it was made.
        created_at -> Timestamptz,
        /// When it last changed.
        updated_at -> Timestamptz,
    }
}

/// A link in a list.
#[derive(Debug, Clone, Queryable)]
pub struct ListedLink {
    /// The link.
    #[diesel(deserialize_as = Link)]
    pub link: Arc<Link>,
    /// The figure that the list is ordered by; `None` where it is ordered otherwise.
    figure: Option<i64>,
}

/// Which links a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct LinkFilter {
    /// Those of this partner; `None` for all in scope.
    pub partner: Option<PartnerId>,
    /// Those that lead to the shop of this programme.
    pub programme: Option<ProgrammeId>,
    /// Those that are archived, or those that are not.
    pub is_archived: Option<bool>,
    /// Those whose key, address, title, external id or coupon code has every word of this.
    pub search: Option<String>,
}

const fn by_figure(name: &'static str, column: &'static str, id: &'static str) -> SortKey {
    SortKey { name, column, id, kind: KeyKind::NumberBeside }
}

/// By when they were made.
pub const BY_CREATED: SortKey =
    SortKey { name: "created", column: "listed_links.created_at", id: "listed_links.id", kind: KeyKind::Time };
/// By their clicks that count.
pub const BY_CLICKS: SortKey = by_figure("clicks", "listed_links.clicks", "listed_links.by_clicks_id");
/// By their sign-ups that count.
pub const BY_SIGN_UPS: SortKey = by_figure("sign_ups", "listed_links.sign_ups", "listed_links.by_sales_id");
/// By their sales in the tenant's default currency.
pub const BY_SALES: SortKey = by_figure("sales", "listed_links.sales", "listed_links.by_sales_id");
/// By what their partner has earned by them in the tenant's default currency.
pub const BY_EARNINGS: SortKey = by_figure("earnings", "listed_links.earned_sort", "listed_links.by_sales_id");

impl LinkFilter {
    /// What holds for each of them.
    fn conditions(&self, scope: Scope) -> Conditions<'_, listed_links::table> {
        Conditions::of(listed_links::tenant_id.eq(scope.tenant))
            .and_if([scope.partner, self.partner].into_iter().flatten(), |partner| listed_links::partner_id.eq(partner))
            .and_if(self.programme, |programme| listed_links::programme_id.eq(programme))
            .and_if(self.is_archived, |is_archived| listed_links::archived_at.is_not_null().eq(is_archived))
            .and_if(&self.search, |search| finds("listed_links", search))
    }
}

list!(LinkFilter => ListedLink, by sort; listed_links);
list_below!(LinkFilter => ListedLink, by sort; listed_links; PartnerId, "listed_links.partner_id");
list_below!(LinkFilter => ListedLink, by sort; listed_links; ProgrammeId, "listed_links.programme_id");

impl ListedLink {
    /// The columns of a link, and the figure that the list is ordered by.
    #[diesel::dsl::auto_type(no_type_alias)]
    fn query(sort: SortKey) -> _ {
        let column: &'static str = if sort.kind == KeyKind::NumberBeside { sort.column } else { "NULL::bigint" };
        let figure: Statement<Nullable<BigInt>> = statement(column, vec![]);
        listed_links::table.select((
            (
                listed_links::id,
                listed_links::partner_id,
                listed_links::user_id,
                listed_links::programme_id,
                listed_links::host,
                listed_links::key,
                listed_links::url,
                listed_links::url_hash,
                listed_links::title,
                listed_links::external_id,
                listed_links::coupon_code,
                (
                    listed_links::utm_source,
                    listed_links::utm_medium,
                    listed_links::utm_campaign,
                    listed_links::utm_term,
                    listed_links::utm_content,
                ),
                listed_links::expires_at,
                listed_links::expired_url,
                listed_links::archived_at,
                listed_links::created_at,
                listed_links::updated_at,
            ),
            figure,
        ))
    }

    /// Where this row stands in a list.
    pub fn cursor(&self, page: &Page) -> Cursor {
        let key = self.figure.map_or(Key::Time(self.link.created_at), Key::Number);
        page.cursor(key, Uuid::from(self.link.id))
    }
}
