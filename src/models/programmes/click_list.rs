//! Clicks as lists, below links, and by where they came from.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use diesel::{
    pg::Pg,
    prelude::*,
    sql_types::{BigInt, Text, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::{
    click::Device,
    figures::{FiguresOf, Totals},
};
use crate::{
    db::{
        schema::link_clicks,
        statement::{Bind, statement},
    },
    ids::{ClickId, LinkId, PartnerId},
    models::{
        list::{Conditions, list, list_below},
        page::{Cursor, Key, KeyKind, Page, SortKey, group},
        scope::Scope,
    },
};

crate::pg_enum! {
    /// What clicks are told apart by.
    pub enum ClickDimension {
        /// The host of the page that the link was followed from.
        Referrer = "referrer",
        /// The visitor's country.
        Country = "country",
        /// The kind of device.
        Device = "device",
        /// The browser.
        Browser = "browser",
    }
}

/// A click, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = link_clicks)]
pub struct LinkClick {
    /// Its id.
    pub id: ClickId,
    /// The link.
    pub link_id: LinkId,
    /// The link's partner.
    pub partner_id: PartnerId,
    /// When.
    pub at: DateTime<Utc>,
    /// Whether a program followed it.
    pub is_bot: bool,
    /// Whether a browser fetched it ahead.
    pub is_prefetch: bool,
    /// Whether the same visitor had followed it less than an hour before.
    pub is_repeat: bool,
    /// The kind of device.
    pub device: Option<Device>,
    /// The browser's name.
    pub browser: Option<String>,
    /// The visitor's country (ISO 3166-1 alpha-2).
    pub country: Option<String>,
    /// The host of the page that the link was on.
    pub referrer: Option<String>,
}

/// Which clicks a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ClickFilter {
    /// Those that count, or those that do not.
    pub is_counted: Option<bool>,
    /// Those from this instant on.
    pub from: Option<DateTime<Utc>>,
    /// Those before this instant.
    pub before: Option<DateTime<Utc>>,
}

/// By when they were.
pub const BY_TIME: SortKey = SortKey { name: "at", column: "link_clicks.at", id: "link_clicks.id", kind: KeyKind::Time };

impl ClickFilter {
    /// What holds for each of them.
    fn conditions(&self, scope: Scope) -> Conditions<'_, link_clicks::table> {
        Conditions::of(link_clicks::tenant_id.eq(scope.tenant))
            .and_if(scope.partner, |partner| link_clicks::partner_id.eq(partner))
            .and_if(self.is_counted, |is_counted| {
                link_clicks::is_bot.or(link_clicks::is_prefetch).or(link_clicks::is_repeat).ne(is_counted)
            })
            .and_if(self.from, |from| link_clicks::at.ge(from))
            .and_if(self.before, |before| link_clicks::at.lt(before))
    }
}

list!(ClickFilter => LinkClick; link_clicks);
list_below!(ClickFilter => LinkClick; link_clicks; LinkId, "link_clicks.link_id");

impl LinkClick {
    /// Those of `ids` that are in scope.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[ClickId],
    ) -> QueryResult<HashMap<ClickId, Self>> {
        let query = Self::query().into_boxed::<Pg>();
        let all = ClickFilter::default();
        let query = all.conditions(scope).narrow(query).filter(link_clicks::id.eq_any(ids));
        let rows: Vec<Self> = query.load(&mut connection).await?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }

    /// Whether it is one of those that figures count.
    pub fn is_counted(&self) -> bool {
        !(self.is_bot || self.is_prefetch || self.is_repeat)
    }

    /// Where this row stands in a list.
    pub fn cursor(&self, page: &Page) -> Cursor {
        page.cursor(Key::Time(self.at), Uuid::from(self.id))
    }
}

/// From where so many of the clicks that count came; the empty text is for what is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClickPart {
    /// The referrer's host, the country and so on.
    pub value: String,
    /// How many.
    pub clicks: i64,
}

impl ClickPart {
    /// The largest parts of the clicks of many, within days (UTC) or of all days that clicks are kept for.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        of: FiguresOf,
        ids: &[Uuid],
        dimension: ClickDimension,
        days: Option<(NaiveDate, NaiveDate)>,
        most: i64,
    ) -> QueryResult<HashMap<Uuid, Vec<Self>>> {
        let Totals { id, from, condition, mut binds } = Totals::within("link_click_parts", scope, of, ids, "true", &[]);
        binds.push(Bind::text(dimension.as_str()));
        let mut within = "";
        if let Some((first, end)) = days {
            within = " AND t.day >= ? AND t.day < ?";
            binds.extend([Bind::Date(first), Bind::Date(end)]);
        }
        binds.push(Bind::BigInt(most));
        let rows: Vec<(Uuid, String, i64)> = statement::<(SqlUuid, Text, BigInt)>(
            format!(
                "SELECT id, value, clicks FROM (
                     SELECT {id} AS id, t.value, sum(t.clicks)::bigint AS clicks,
                         row_number() OVER (PARTITION BY {id} ORDER BY sum(t.clicks) DESC, t.value) AS place
                     FROM {from} WHERE {condition} AND t.dimension = ?{within} GROUP BY {id}, t.value) AS parts
                 WHERE place <= ? ORDER BY id, place"
            ),
            binds,
        )
        .load(&mut connection)
        .await?;
        Ok(group(rows.into_iter().map(|(id, value, clicks)| (id, Self { value, clicks })).collect()))
    }
}
