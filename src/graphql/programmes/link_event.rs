//! What has come of links, event by event, as the API shows it.

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object};

use super::{click::LinkClick, link::Link, sign_up::LinkSignUp};
use crate::{
    error::{Error, Result},
    graphql::{
        commissions::commission::Commission,
        engine::{
            context::ContextExt,
            json::leaf_enums,
            lists::{self, Shown},
            loaders::batch_key,
            pagination::{Connection, Listed, TotalCount},
            period::{PeriodInput, bounds},
            row::{Row, plain},
            scalars::DateTime,
        },
        partners::partner::Partner,
    },
    ids::{LinkEventId, LinkId, PartnerId},
    models::{
        page::{Page, PageArguments},
        programmes::link_event::{self, BY_TIME, LinkEventFilter, LinkEventKind},
    },
};

/// One thing that has come of a link.
#[derive(Clone)]
pub struct LinkEvent(pub Arc<link_event::LinkEvent>);

/// A link was followed, somebody who came by it signed up, or a customer who came by it paid.
#[Object]
impl LinkEvent {
    /// Its id.
    pub async fn id(&self) -> LinkEventId {
        self.0.id
    }

    /// What it was.
    async fn kind(&self) -> LinkEventKind {
        self.0.kind
    }

    /// When it was.
    async fn at(&self) -> DateTime {
        self.0.at.into()
    }

    /// Whether the figures of its link count it.
    async fn is_counted(&self) -> bool {
        self.0.is_counted
    }

    /// The link. Null where it is another partner's: the commission of the sale was moved to yours.
    async fn link(&self, ctx: &Context<'_>) -> Option<Result<Row<Link>>> {
        Link::by_id(ctx, self.0.link_id).await.transpose()
    }

    /// The link's partner, or that of the sale's commission.
    async fn partner(&self, ctx: &Context<'_>) -> Option<Result<Row<Partner>>> {
        Partner::by_id(ctx, self.0.partner_id).await.transpose()
    }

    /// The click. Null for another kind of event.
    async fn click(&self, ctx: &Context<'_>) -> Option<Result<Row<LinkClick>>> {
        let found = LinkClick::by_id(ctx, self.0.click()?).await.transpose()?;
        Some(found.map(Row))
    }

    /// The sign-up. Null for another kind of event.
    async fn sign_up(&self, ctx: &Context<'_>) -> Option<Result<Row<LinkSignUp>>> {
        let found = LinkSignUp::by_id(ctx, self.0.sign_up()?).await.transpose()?;
        Some(found.map(Row))
    }

    /// What was earned by the sale, by the link's partner or by the one that the commission was moved to, whose event it then is. Null for another kind of event.
    async fn commission(&self, ctx: &Context<'_>) -> Option<Result<Row<Commission>>> {
        Commission::by_id(ctx, self.0.commission()?).await.transpose()
    }
}

plain!(LinkEvent: id, kind, at, is_counted);
leaf_enums!(LinkEventKind);

impl From<Arc<link_event::LinkEvent>> for LinkEvent {
    fn from(row: Arc<link_event::LinkEvent>) -> Self {
        Self(row)
    }
}

impl Listed for LinkEvent {
    type Beside = TotalCount;
}

impl Shown for LinkEventFilter {}

batch_key!(LinkEventById(LinkEventId) -> Arc<link_event::LinkEvent>, link_event::LinkEvent::by_ids);

/// Which events to show.
#[derive(InputObject)]
#[graphql(name = "LinkEventFilter")]
pub struct LinkEventFilterInput {
    /// Only those of one of these kinds; of an empty list there are none.
    kind: Option<Vec<LinkEventKind>>,
    /// Only those of this partner.
    partner_id: Option<PartnerId>,
    /// Only those of this link.
    link_id: Option<LinkId>,
    /// Only those that the figures of their links count, or only those that they do not.
    counted: Option<bool>,
    /// Only those in this period.
    at: Option<PeriodInput>,
}

impl LinkEvent {
    /// The event of that id, if the viewer may see it.
    pub async fn by_id(ctx: &Context<'_>, id: LinkEventId) -> Result<Option<Self>> {
        Ok(ctx.load(LinkEventById(id)).await?.map(Self))
    }

    /// One page of the events that the viewer may see, the latest first.
    pub async fn paginate(
        ctx: &Context<'_>,
        arguments: PageArguments,
        filter: Option<LinkEventFilterInput>,
    ) -> Result<Connection<Self>> {
        let filter = match filter {
            Some(filter) => {
                let (from, before) = bounds(ctx, "at", filter.at)?;
                let LinkEventFilterInput { kind, partner_id, link_id, counted, .. } = filter;
                LinkEventFilter { kinds: kind, partner: partner_id, link: link_id, is_counted: counted, from, before }
            }
            None => LinkEventFilter::default(),
        };
        if let Some(refusal) = filter.refusal(ctx.viewer().scope(), "filter.") {
            return Err(Error::BadUserInput(refusal));
        }
        lists::root(ctx, filter, Page::new(BY_TIME, true, arguments)?).await
    }
}
