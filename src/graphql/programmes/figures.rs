//! What has come of links, as the API shows it.

use std::collections::HashMap;

use async_graphql::{Context, Object};
use uuid::Uuid;

use crate::{
    db,
    error::Result,
    graphql::engine::{context::ContextExt, loaders::BatchKey, period::PeriodInput},
    models::{
        page::group,
        programmes::figures::{ClickFigures, FiguresOf, Quarters},
        scope::Scope,
    },
};

/// Figures of links.
pub struct LinkFigures(ClickFigures);

/// What has come of a link, or of several.
#[Object]
impl LinkFigures {
    /// How often people followed them. Programs, browsers that fetch ahead, and the same visitor on the same link less than an hour later are
    /// not counted.
    async fn clicks(&self) -> i64 {
        self.0.clicks
    }

    /// How many people followed them: each is counted once for each link and day (UTC).
    async fn visitors(&self) -> i64 {
        self.0.visitors
    }
}

impl LinkFigures {
    /// Those of one, since the beginning or of a period; read together with those of its siblings.
    pub async fn of(ctx: &Context<'_>, of: FiguresOf, id: impl Into<Uuid>, period: Option<PeriodInput>) -> Result<Self> {
        let span = period.map(|period| period.span(ctx)).transpose()?;
        let period = span.map(|span| Quarters::between(span.from, span.before));
        let figures = ctx.load(FiguresKey { of, period, id: id.into() }).await?;
        Ok(Self(figures.unwrap_or_default()))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct FiguresKey {
    of: FiguresOf,
    period: Option<Quarters>,
    id: Uuid,
}

impl BatchKey for FiguresKey {
    type Value = ClickFigures;

    /// One statement for each kind and period that the document asks for.
    async fn fetch(connection: &db::Connection, scope: Scope, keys: &[Self]) -> db::QueryResult<HashMap<Self, ClickFigures>> {
        let mut found = HashMap::new();
        for ((of, period), ids) in group(keys.iter().map(|key| ((key.of, key.period), key.id)).collect()) {
            let figures = ClickFigures::by_ids(connection, scope, of, &ids, period).await?;
            found.extend(figures.into_iter().map(|(id, figures)| (Self { of, period, id }, figures)));
        }
        Ok(found)
    }
}
