//! Links, sign-ups, and what has come of links.

use std::collections::HashMap;

use super::{amount, name, or_empty, partners, time};
use crate::{
    auth::Viewer,
    db,
    error::{self, Error},
    http::export::{
        Export,
        parameters::{self, SignUps},
    },
    ids::{LinkId, ProgrammeId},
    models::{
        list::List,
        page::{Cursor, Page, Slice, SortKey},
        programmes::{
            figures::{ClickFigures, FiguresOf, SaleFigures},
            link::Link,
            link_event::{self, LinkEvent, LinkEventFilter},
            link_list::{self, LinkFilter, ListedLink},
            programme::Programme,
            sign_up::SignUp,
            sign_up_list,
        },
    },
    money::stored_currency,
};

impl Export for LinkFilter {
    type Row = ListedLink;

    const NAME: &'static str = "links.csv";
    const ORDER: SortKey = link_list::BY_CREATED;
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "partner_id",
        "partner",
        "programme",
        "host",
        "key",
        "url",
        "title",
        "external_id",
        "coupon_code",
        "clicks",
        "visitors",
        "sign_ups",
        "customers",
        "sales",
        "sale_amount",
        "earnings",
        "currency",
        "created_at",
        "expires_at",
        "archived_at",
    ];

    fn parse(parameters: &[(String, String)]) -> Result<Self, String> {
        parameters::links(parameters)
    }

    fn cursor(row: &ListedLink, page: &Page) -> Cursor {
        row.cursor(page)
    }

    async fn read(&self, connection: &db::Connection, viewer: &Viewer, page: &Page) -> db::QueryResult<Slice<ListedLink>> {
        self.page(connection, viewer.scope(), page).await
    }

    /// The figures are those since the beginning, amounts in the tenant's default currency.
    async fn cells(connection: &db::Connection, viewer: &Viewer, rows: &[ListedLink]) -> db::QueryResult<Vec<Vec<String>>> {
        let (scope, currency) = (viewer.scope(), stored_currency(&viewer.tenant.default_currency)?);
        let links = || rows.iter().map(|row| &row.link);
        let ids: Vec<_> = links().map(|row| row.id.uuid()).collect();
        let partners = partners(connection, viewer, links().map(|row| row.partner_id)).await?;
        let programmes = programmes(connection, viewer, links().map(|row| row.programme_id)).await?;
        let clicks = ClickFigures::by_ids(connection, scope, FiguresOf::Link, &ids, None).await?;
        let sales = SaleFigures::by_ids(connection, scope, FiguresOf::Link, &ids, None, currency).await?;
        let cells = links().map(|row| {
            let clicks = clicks.get(&row.id.uuid()).copied().unwrap_or_default();
            let sales = sales.get(&row.id.uuid()).copied().unwrap_or_default();
            vec![
                row.id.to_string(),
                row.partner_id.to_string(),
                name(&partners, row.partner_id),
                or_empty(programmes.get(&row.programme_id).map(|programme| &programme.domain)),
                or_empty(row.host.as_ref()),
                row.key.clone(),
                row.url.clone(),
                or_empty(row.title.as_ref()),
                or_empty(row.external_id.as_ref()),
                or_empty(row.coupon_code.as_ref()),
                clicks.clicks.to_string(),
                clicks.visitors.to_string(),
                sales.sign_ups.to_string(),
                sales.customers.to_string(),
                sales.sales.to_string(),
                amount(sales.sale_amount, currency.code()),
                amount(sales.earned, currency.code()),
                currency.code().to_owned(),
                time(row.created_at),
                or_empty(row.expires_at.map(time)),
                or_empty(row.archived_at.map(time)),
            ]
        });
        Ok(cells.collect())
    }
}

impl Export for SignUps {
    type Row = SignUp;

    const NAME: &'static str = "sign-ups.csv";
    const ORDER: SortKey = sign_up_list::BY_TIME;
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "partner_id",
        "partner",
        "link_id",
        "key",
        "customer_id",
        "name",
        "means",
        "click_id",
        "clicked_at",
        "signed_up_at",
        "is_counted",
        "metadata",
    ];

    fn parse(parameters: &[(String, String)]) -> Result<Self, String> {
        parameters::sign_ups(parameters)
    }

    fn cursor(row: &SignUp, page: &Page) -> Cursor {
        row.cursor(page)
    }

    async fn read(&self, connection: &db::Connection, viewer: &Viewer, page: &Page) -> db::QueryResult<Slice<SignUp>> {
        self.page(connection, viewer.scope(), page).await
    }

    async fn cells(connection: &db::Connection, viewer: &Viewer, rows: &[SignUp]) -> db::QueryResult<Vec<Vec<String>>> {
        let partners = partners(connection, viewer, rows.iter().map(|row| row.partner_id)).await?;
        let ids: Vec<LinkId> = rows.iter().map(|row| row.link_id).collect();
        let links = Link::by_ids(connection, viewer.scope(), &ids).await?;
        let cells = rows.iter().map(|row| {
            vec![
                row.id.to_string(),
                row.partner_id.to_string(),
                name(&partners, row.partner_id),
                row.link_id.to_string(),
                or_empty(links.get(&row.link_id).map(|link| &link.key)),
                row.customer_id.to_string(),
                row.name.clone(),
                row.means.as_str().to_uppercase(),
                or_empty(row.click_id),
                or_empty(row.clicked_at.map(time)),
                time(row.at),
                row.is_counted.to_string(),
                or_empty(row.metadata.as_ref()),
            ]
        });
        Ok(cells.collect())
    }
}

impl Export for LinkEventFilter {
    type Row = LinkEvent;

    const NAME: &'static str = "link-events.csv";
    const ORDER: SortKey = link_event::BY_TIME;
    const COLUMNS: &'static [&'static str] =
        &["kind", "at", "partner_id", "partner", "link_id", "key", "is_counted", "click_id", "sign_up_id", "commission_id"];

    fn parse(parameters: &[(String, String)]) -> Result<Self, String> {
        parameters::link_events(parameters)
    }

    fn check(&self, viewer: &Viewer) -> error::Result<()> {
        self.refusal(viewer.scope(), "").map_or(Ok(()), |refusal| Err(Error::BadUserInput(refusal)))
    }

    fn cursor(row: &LinkEvent, page: &Page) -> Cursor {
        row.cursor(page)
    }

    async fn read(&self, connection: &db::Connection, viewer: &Viewer, page: &Page) -> db::QueryResult<Slice<LinkEvent>> {
        self.page(connection, viewer.scope(), page).await
    }

    async fn cells(connection: &db::Connection, viewer: &Viewer, rows: &[LinkEvent]) -> db::QueryResult<Vec<Vec<String>>> {
        let partners = partners(connection, viewer, rows.iter().map(|row| row.partner_id)).await?;
        let ids: Vec<LinkId> = rows.iter().map(|row| row.link_id).collect();
        let links = Link::by_ids(connection, viewer.scope(), &ids).await?;
        let cells = rows.iter().map(|row| {
            vec![
                row.kind.as_str().to_uppercase(),
                time(row.at),
                row.partner_id.to_string(),
                name(&partners, row.partner_id),
                or_empty(links.get(&row.link_id).map(|link| link.id)),
                or_empty(links.get(&row.link_id).map(|link| &link.key)),
                row.is_counted.to_string(),
                or_empty(row.click()),
                or_empty(row.sign_up()),
                or_empty(row.commission()),
            ]
        });
        Ok(cells.collect())
    }
}

async fn programmes(
    connection: &db::Connection,
    viewer: &Viewer,
    of: impl Iterator<Item = ProgrammeId>,
) -> db::QueryResult<HashMap<ProgrammeId, Programme>> {
    let ids: std::collections::HashSet<ProgrammeId> = of.collect();
    Programme::by_ids(connection, viewer.scope(), &ids.into_iter().collect::<Vec<_>>()).await
}
