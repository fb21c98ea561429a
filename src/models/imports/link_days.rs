//! Clicks and sign-ups of links from before they came here, by day.

use std::collections::BTreeMap;

use diesel::{QueryResult, sql_types::Text};
use diesel_async::RunQueryDsl;

use super::{
    facts::ImportKind,
    finding::{Finding, FindingCode},
    links::LinkDay,
    refs::Known,
    run::ImportRun,
    staged::Settled,
};
use crate::db::statement::{Bind, statement};

impl ImportRun<'_> {
    /// Settles some days of links; gives how many.
    pub async fn settle_link_days(&self) -> QueryResult<usize> {
        let kind = ImportKind::LinkDay;
        let rows = self.waiting(kind).await?;
        let links = self.known(ImportKind::Link, rows.iter().map(|row| row.facts.link.as_ref())).await?;
        let (mut days, mut settled, mut findings) = (Vec::new(), Vec::new(), Vec::new());
        for row in &rows {
            let link = row.facts.link.as_ref().and_then(|id| links.get(id)).and_then(Known::inside);
            let (Some(link), Some(day)) = (link, row.facts.day) else {
                let message =
                    format!("There is no link {:?} among those that came in.", row.facts.link.as_deref().unwrap_or_default());
                findings.push(Finding::of(kind, &row.source_id, FindingCode::DayWithoutLink, message));
                settled.push(Settled::left(&row.source_id));
                continue;
            };
            let (clicks, sign_ups) = (row.facts.clicks.unwrap_or_default(), row.facts.sign_ups.unwrap_or_default());
            days.push(LinkDay { link, partner: None, programme: None, day, clicks, sign_ups });
            settled.push(Settled { link: Some(link), ..Settled::inside(&row.source_id, link) });
        }
        days.retain(|day| day.clicks + day.sign_ups > 0);
        self.add_link_days(&days).await?;
        self.settle(kind, &settled).await?;
        self.report(&findings).await?;
        Ok(rows.len())
    }

    /// Adds days to the figures of links; of one day that comes twice the sum.
    pub(super) async fn add_link_days(&self, days: &[LinkDay]) -> QueryResult<()> {
        if days.is_empty() {
            return Ok(());
        }
        let mut sums: BTreeMap<_, LinkDay> = BTreeMap::new();
        for day in days {
            let sum = sums.entry((day.link, day.day)).or_insert(LinkDay { clicks: 0, sign_ups: 0, ..*day });
            sum.clicks += day.clicks;
            sum.sign_ups += day.sign_ups;
        }
        let binds = vec![self.tenant_bind(), Bind::json(&sums.values().collect::<Vec<_>>())];
        statement::<Text>("SELECT import_link_days(?, ?::jsonb)::text", binds).execute(&mut &*self.connection).await.map(drop)
    }
}
