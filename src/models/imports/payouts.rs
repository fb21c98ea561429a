//! Payouts, as they were elsewhere: understood first, and written with the commissions that they paid.

use diesel::{QueryResult, sql_types::Text};
use diesel_async::RunQueryDsl;

use super::{
    facts::ImportKind,
    finding::{Finding, FindingCode},
    refs::Known,
    run::ImportRun,
    staged::Settled,
};
use crate::{db::statement::statement, models::members::member::email_key};

impl ImportRun<'_> {
    /// Finds whose some payouts are; gives how many. They are in once their commissions are.
    pub async fn settle_payouts(&self) -> QueryResult<usize> {
        let kind = ImportKind::Payout;
        let rows = self.waiting(kind).await?;
        let partners = self.known(ImportKind::Partner, rows.iter().map(|row| row.facts.partner.as_ref())).await?;
        let by_address =
            self.first_of_addresses(ImportKind::Partner, rows.iter().map(|row| row.facts.partner_email.as_ref())).await?;
        let (mut settled, mut findings) = (Vec::new(), Vec::new());
        for row in &rows {
            let status = row.facts.status.as_deref().unwrap_or("completed");
            if matches!(status, "failed" | "cancelled") {
                let message = format!("The payout is {status} and paid nothing; its commissions are free.");
                findings.push(Finding::of(kind, &row.source_id, FindingCode::PayoutFailed, message));
                settled.push(Settled::left(&row.source_id));
                continue;
            }
            let named = row.facts.partner.as_ref().and_then(|id| partners.get(id)).and_then(Known::inside);
            let partner = named.or_else(|| by_address.get(&email_key(row.facts.partner_email.as_deref()?))?.1);
            settled.push(Settled { source_id: row.source_id.clone(), state: "ready", partner, ..Settled::default() });
        }
        self.settle(kind, &settled).await?;
        self.report(&findings).await?;
        Ok(rows.len())
    }

    /// Notes with commissions that do not name their payout which payout names them: of several the first that did not fail, since what has failed is paid by another.
    pub async fn name_payouts(&self) -> QueryResult<()> {
        statement::<Text>(
            "UPDATE import_rows c SET facts = c.facts || jsonb_build_object('payout', p.payout)
             FROM (SELECT DISTINCT ON (p.tenant_id, p.source, paid.id) p.tenant_id, p.source, paid.id, p.source_id AS payout
                   FROM import_rows p CROSS JOIN LATERAL jsonb_array_elements_text(p.facts -> 'commissions') AS paid (id)
                   WHERE p.tenant_id = ? AND p.source = ? AND p.kind = 'payout' AND p.facts -> 'commissions' IS NOT NULL
                   ORDER BY p.tenant_id, p.source, paid.id, coalesce(p.status IN ('failed', 'cancelled'), false), p.position) AS p
             WHERE c.tenant_id = p.tenant_id AND c.source = p.source AND c.kind = 'commission' AND c.source_id = p.id AND c.state = 'read'
                 AND c.facts -> 'payout' IS NULL",
            vec![self.tenant_bind(), self.source_bind()],
        )
        .execute(&mut &*self.connection)
        .await
        .map(drop)
    }
}
