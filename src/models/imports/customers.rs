//! Customers, and which partner manages them, as it was elsewhere.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use diesel::{
    QueryResult,
    sql_types::{Text, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use serde::Serialize;
use uuid::Uuid;

use super::{
    facts::{Facts, ImportKind},
    finding::FindingCode,
    partners::shortened,
    refs::Known,
    run::ImportRun,
    staged::Settled,
};
use crate::{
    db::statement::{Bind, statement},
    ids::{CustomerAccountId, CustomerId},
};

#[derive(Serialize)]
struct NewCustomer {
    id: Uuid,
    external_id: String,
    name: String,
    email: Option<String>,
    at: DateTime<Utc>,
}

impl ImportRun<'_> {
    /// Settles some customers; gives how many.
    pub async fn settle_customers(&self) -> QueryResult<usize> {
        let kind = ImportKind::Customer;
        let rows = self.waiting(kind).await?;
        let count = rows.len();
        let rows = self.without_unknown(kind, rows).await?;
        let links = self.known(ImportKind::Link, rows.iter().map(|row| row.facts.link.as_ref())).await?;
        let partners = self.known(ImportKind::Partner, rows.iter().map(|row| row.facts.partner.as_ref())).await?;
        let wanted = rows.iter().map(|row| (row.source_id.clone(), row.facts.clone())).collect();
        let ids = self.customers_of(wanted).await?;
        let mut settled = Vec::new();
        for row in &rows {
            let Some(id) = row.facts.existing.or_else(|| ids.get(&row.source_id).copied()) else { continue };
            let link = row.facts.link.as_ref().and_then(|id| links.get(id));
            let named = row.facts.partner.as_ref().and_then(|id| partners.get(id)).and_then(Known::inside);
            let partner = named.or_else(|| link.and_then(|link| link.partner));
            let link = link.filter(|link| link.partner == partner).and_then(Known::inside);
            settled.push(Settled { partner, link, ..Settled::inside(&row.source_id, id) });
        }
        self.settle(kind, &settled).await?;
        Ok(count)
    }

    /// The customers of these ids there; one that there is by its id in the billing system is that one, and others are added.
    async fn customers_of(&self, wanted: Vec<(String, Facts)>) -> QueryResult<HashMap<String, Uuid>> {
        let mut external = BTreeMap::new();
        let mut added = BTreeMap::new();
        for (id, facts) in wanted {
            let external_id: String = facts.customer.clone().unwrap_or_else(|| id.clone()).chars().take(200).collect();
            added.entry(external_id.clone()).or_insert_with(|| NewCustomer {
                id: CustomerId::new().uuid(),
                name: shortened(facts.name.as_deref().or(facts.email.as_deref()).unwrap_or(&external_id)),
                external_id: external_id.clone(),
                email: facts.email,
                at: facts.at.unwrap_or(self.at),
            });
            external.insert(id, external_id);
        }
        let added: Vec<NewCustomer> = added.into_values().collect();
        let externals = added.iter().map(|customer| customer.external_id.clone()).collect();
        statement::<Text>(
            "INSERT INTO customers (tenant_id, id, external_id, name, email, created_at, updated_at)
             SELECT ?, c.id, c.external_id, c.name, c.email, c.at, c.at
             FROM jsonb_to_recordset(?::jsonb) AS c (id uuid, external_id text, name text, email text, at timestamptz) ON CONFLICT DO NOTHING",
            vec![self.tenant_bind(), Bind::json(&added)],
        )
        .execute(&mut &*self.connection)
        .await?;
        let sql = "SELECT external_id, id FROM customers WHERE tenant_id = ? AND external_id = ANY (?)";
        let found: Vec<(String, Uuid)> = statement::<(Text, SqlUuid)>(sql, vec![self.tenant_bind(), Bind::Texts(externals)])
            .load(&mut &*self.connection)
            .await?;
        let found: HashMap<String, Uuid> = found.into_iter().collect();
        Ok(external.into_iter().filter_map(|(id, external)| Some((id, *found.get(&external)?))).collect())
    }

    /// The customers that commissions name, those included of whom nothing else is known.
    pub(super) async fn customers_named(&self, named: Vec<(String, Facts)>) -> QueryResult<HashMap<String, Uuid>> {
        let known = self.known(ImportKind::Customer, named.iter().map(|(id, _)| Some(id))).await?;
        let mut found: HashMap<String, Uuid> =
            known.iter().filter_map(|(id, known)| Some((id.clone(), known.inside()?))).collect();
        let missing: Vec<(String, Facts)> = named.into_iter().filter(|(id, _)| !known.contains_key(id)).collect();
        if !missing.is_empty() {
            let made = self.customers_of(missing.clone()).await?;
            let rows: Vec<_> = made.iter().map(|(id, target)| (id.clone(), Facts::default(), *target, None)).collect();
            self.derive(ImportKind::Customer, &rows).await?;
            found.extend(made);
        }
        Ok(found)
    }

    /// Lets partners manage the customers that came in and nobody manages: the partner that the source names, else the one that earned by them. Where
    /// several did, that is to be decided. Gives whether there were any.
    pub async fn assign_customers(&self) -> QueryResult<usize> {
        // Within the database: there may be many.
        let code = FindingCode::CustomerOfSeveral;
        statement::<Text>(
            "INSERT INTO import_findings (tenant_id, source, kind, source_id, code, field, message, is_left, run)
             SELECT r.tenant_id, r.source, r.kind, r.source_id, ?, '', count(DISTINCT c.partner_id)
                 || ' partners earned by the customer; who manages them now is to be decided.', ?::boolean, ?::integer
             FROM import_rows r
             JOIN import_rows c ON c.tenant_id = r.tenant_id AND c.source = r.source AND c.kind = 'commission' AND c.customer_ref = r.source_id AND c.state = 'in'
             WHERE r.tenant_id = ? AND r.source = ? AND r.kind = 'customer' AND r.state = 'in' AND r.partner_id IS NULL
                 AND NOT EXISTS (SELECT FROM partner_accounts a WHERE a.tenant_id = r.tenant_id AND a.customer_id = r.target_id)
             GROUP BY 1, 2, 3, 4 HAVING count(DISTINCT c.partner_id) > 1
             ON CONFLICT (tenant_id, source, kind, source_id, code, field) DO UPDATE SET run = EXCLUDED.run",
            vec![
                Bind::text(code.as_str()),
                Bind::text(code.is_left().to_string()),
                self.run_bind(),
                self.tenant_bind(),
                self.source_bind(),
            ],
        )
        .execute(&mut &*self.connection)
        .await?;
        let candidates: Vec<Uuid> = statement::<SqlUuid>(
            "SELECT DISTINCT r.target_id FROM import_rows r WHERE r.tenant_id = ? AND r.source = ? AND r.kind = 'customer' AND r.state = 'in'
                 AND NOT EXISTS (SELECT FROM partner_accounts a WHERE a.tenant_id = r.tenant_id AND a.customer_id = r.target_id)",
            vec![self.tenant_bind(), self.source_bind()],
        )
        .load(&mut &*self.connection)
        .await?;
        for some in candidates.chunks(1_000) {
            let (customers, accounts) = some.iter().map(|customer| (*customer, CustomerAccountId::new().uuid())).unzip();
            statement::<Text>(
                "INSERT INTO partner_accounts (tenant_id, id, partner_id, customer_id, managed_from, created_at, link_id, programme_id, means)
                 SELECT f.tenant_id, n.account, f.partner_id, n.customer, f.since, f.since, l.id, l.programme_id, CASE WHEN l.id IS NOT NULL THEN 'link_key' END
                 FROM unnest(?, ?) AS n (customer, account)
                 JOIN LATERAL (
                     SELECT r.tenant_id, coalesce(min(r.partner_id::text), min(c.partner_id::text))::uuid AS partner_id,
                         coalesce(min(r.link_id::text), min(c.link_id::text) FILTER (WHERE k.partner_id = c.partner_id))::uuid AS link_id,
                         coalesce(least(min((r.facts ->> 'at')::timestamptz), min((c.facts ->> 'at')::timestamptz)), now()) AS since
                     FROM import_rows r
                     LEFT JOIN import_rows c ON c.tenant_id = r.tenant_id AND c.source = r.source AND c.kind = 'commission'
                         AND c.customer_ref = r.source_id AND c.state = 'in'
                     LEFT JOIN links k ON k.tenant_id = c.tenant_id AND k.id = c.link_id
                     WHERE r.tenant_id = ? AND r.source = ? AND r.kind = 'customer' AND r.target_id = n.customer
                     GROUP BY r.tenant_id HAVING count(r.partner_id) > 0 OR count(DISTINCT c.partner_id) = 1) AS f ON true
                 LEFT JOIN links l ON l.tenant_id = f.tenant_id AND l.id = f.link_id AND l.partner_id = f.partner_id
                 WHERE f.partner_id IS NOT NULL ON CONFLICT DO NOTHING",
                vec![Bind::Uuids(customers), Bind::Uuids(accounts), self.tenant_bind(), self.source_bind()],
            )
            .execute(&mut &*self.connection)
            .await?;
        }
        Ok(candidates.len())
    }
}
