//! Clicks as the API shows them.

use std::{collections::HashMap, sync::Arc};

use async_graphql::{Context, InputObject, Object, SimpleObject};
use chrono::NaiveDate;
use uuid::Uuid;

use super::link::Link;
use crate::{
    db,
    error::Result,
    graphql::engine::{
        context::{ContextExt, missing},
        json::leaf_enums,
        lists::{self, Shown},
        loaders::{BatchKey, batch_key},
        pagination::{Connection, Listed, TotalCount},
        period::{PeriodInput, bounds},
        row::{Row, plain},
        scalars::DateTime,
    },
    ids::{ClickId, LinkId},
    models::{
        page::{Page, PageArguments, group},
        programmes::{
            click::Device,
            click_list::{self, BY_TIME, ClickDimension, ClickFilter, ClickPart},
            figures::FiguresOf,
        },
        scope::Scope,
    },
};

/// A click.
#[derive(Clone)]
pub struct LinkClick(pub Arc<click_list::LinkClick>);

/// A link was followed. Of who followed it nothing is kept that says who it was. Clicks are kept for some time, unlike their figures.
#[Object]
impl LinkClick {
    /// Its id, which the shop gets in the address.
    pub async fn id(&self) -> ClickId {
        self.0.id
    }

    /// The link.
    async fn link(&self, ctx: &Context<'_>) -> Result<Row<Link>> {
        Link::by_id(ctx, self.0.link_id).await?.ok_or_else(|| missing("a click's link"))
    }

    /// When it was followed.
    async fn at(&self) -> DateTime {
        self.0.at.into()
    }

    /// Whether figures count it: it was a person, and not the same one on the same link within an hour.
    async fn is_counted(&self) -> bool {
        self.0.is_counted()
    }

    /// Whether a program followed it, and not a person.
    async fn is_bot(&self) -> bool {
        self.0.is_bot
    }

    /// Whether a browser fetched it ahead of a person who may follow it.
    async fn is_prefetch(&self) -> bool {
        self.0.is_prefetch
    }

    /// Whether the same visitor had followed the same link less than an hour before.
    async fn is_repeat(&self) -> bool {
        self.0.is_repeat
    }

    /// The host of the page that it was followed from. Null where that is unknown.
    async fn referrer(&self) -> Option<&str> {
        self.0.referrer.as_deref()
    }

    /// The visitor's country (ISO 3166-1 alpha-2). Null where that is unknown.
    async fn country(&self) -> Option<&str> {
        self.0.country.as_deref()
    }

    /// The kind of device. Null where that is unknown.
    async fn device(&self) -> Option<Device> {
        self.0.device
    }

    /// The browser's name. Null where that is unknown.
    async fn browser(&self) -> Option<&str> {
        self.0.browser.as_deref()
    }
}

plain!(LinkClick: id, at, is_counted, is_bot, is_prefetch, is_repeat, referrer, country, device, browser);
leaf_enums!(Device, ClickDimension);

impl From<Arc<click_list::LinkClick>> for LinkClick {
    fn from(row: Arc<click_list::LinkClick>) -> Self {
        Self(row)
    }
}

impl Listed for LinkClick {
    type Beside = TotalCount;
}

impl Shown for ClickFilter {}

batch_key!(ClickById(ClickId) -> Arc<click_list::LinkClick>, click_list::LinkClick::by_ids);

/// Which clicks to show.
#[derive(InputObject)]
#[graphql(name = "LinkClickFilter")]
pub struct LinkClickFilterInput {
    /// Only those that figures count, or only those that they do not.
    counted: Option<bool>,
    /// Only those in this period.
    at: Option<PeriodInput>,
}

impl LinkClick {
    /// The click of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: ClickId) -> Result<Option<Self>> {
        Ok(ctx.load(ClickById(id)).await?.map(Self))
    }

    /// One page of the clicks on a link, the latest first, fetched together with those of its siblings.
    pub async fn of_link(
        ctx: &Context<'_>,
        link: LinkId,
        arguments: PageArguments,
        filter: Option<LinkClickFilterInput>,
    ) -> Result<Connection<Self>> {
        let filter = match filter {
            Some(filter) => {
                let (from, before) = bounds(ctx, "at", filter.at)?;
                ClickFilter { is_counted: filter.counted, from, before }
            }
            None => ClickFilter::default(),
        };
        lists::nested(ctx, link, filter, Page::new(BY_TIME, true, arguments)?).await
    }
}

/// From where so many of the clicks came.
#[derive(SimpleObject)]
pub struct LinkClickPart {
    /// The referrer's host, the country (ISO 3166-1 alpha-2), the kind of device in lower case, or the browser's name. Null where it is unknown.
    value: Option<String>,
    /// How many clicks.
    clicks: i64,
}

/// The largest parts of clicks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PartsOfClicks {
    /// Of what.
    pub of: FiguresOf,
    /// Of which one.
    pub id: Uuid,
    /// By what.
    pub dimension: ClickDimension,
    /// Within which days.
    pub days: Option<(NaiveDate, NaiveDate)>,
    /// How many parts.
    pub most: i64,
}

impl PartsOfClicks {
    /// Read together with those of its siblings.
    pub async fn read(self, ctx: &Context<'_>) -> Result<Vec<LinkClickPart>> {
        let parts = ctx.load(self).await?.unwrap_or_default();
        let shown = |part: &ClickPart| LinkClickPart {
            value: Some(part.value.clone()).filter(|value| !value.is_empty()),
            clicks: part.clicks,
        };
        Ok(parts.iter().map(shown).collect())
    }
}

impl BatchKey for PartsOfClicks {
    type Value = Arc<[ClickPart]>;

    /// One statement for each kind, dimension and period that the document asks for.
    async fn fetch(connection: &db::Connection, scope: Scope, keys: &[Self]) -> db::QueryResult<HashMap<Self, Self::Value>> {
        let mut found = HashMap::new();
        let asked = keys.iter().map(|key| ((key.of, key.dimension, key.days, key.most), key.id)).collect();
        for ((of, dimension, days, most), ids) in group(asked) {
            let parts = ClickPart::by_ids(connection, scope, of, &ids, dimension, days, most).await?;
            found.extend(parts.into_iter().map(|(id, parts)| (Self { of, id, dimension, days, most }, parts.into())));
        }
        Ok(found)
    }
}
