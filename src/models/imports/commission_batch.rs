//! Commissions as they are written: with the payouts that paid them, the payments that they are of, and the transfers that their statuses stand for.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use diesel::{
    QueryResult,
    sql_types::{Jsonb, Nullable, Text, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::{
    facts::{Facts, ImportKind},
    finding::{Finding, FindingCode},
    refs::Known,
    run::ImportRun,
    staged::{Settled, understood},
};
use crate::{
    db::statement::{Bind, statement},
    ids::{CommissionId, PayoutChangeId, PayoutId},
};

/// The longest id that an invoice may have.
const MAX_INVOICE: usize = 200;

/// A commission of which everything is known.
struct ReadyCommission {
    source_id: String,
    facts: Facts,
    partner: Uuid,
    link: Option<Uuid>,
    customer: Option<Uuid>,
    payout_key: Option<String>,
}

#[derive(Serialize)]
struct NewCommission {
    id: Uuid,
    partner: Uuid,
    status: String,
    customer: Option<Uuid>,
    invoice: Option<String>,
    payout: Option<Uuid>,
    link: Option<Uuid>,
    base: Option<Decimal>,
    amount: Decimal,
    currency: String,
    at: DateTime<Utc>,
    decided_at: Option<DateTime<Utc>>,
    notes: String,
    reason: Option<String>,
}

#[derive(Serialize)]
struct NewPayout {
    id: Uuid,
    change: Uuid,
    partner: Uuid,
    currency: String,
    status: String,
    reference: String,
    at: DateTime<Utc>,
    period_start: Option<DateTime<Utc>>,
    period_end: Option<DateTime<Utc>>,
    notes: String,
}

/// What some commissions become.
#[derive(Default)]
struct Plan {
    payouts: Vec<NewPayout>,
    settled: Vec<Settled>,
    settled_payouts: Vec<Settled>,
    derived: Vec<(String, Facts, Uuid, Option<Uuid>)>,
    findings: Vec<Finding>,
    /// The commissions, with the payout of each.
    written: Vec<(ReadyCommission, Option<Uuid>)>,
}

impl ImportRun<'_> {
    /// Writes some commissions, and whole payouts; gives how many commissions.
    pub async fn write_commissions(&self) -> QueryResult<usize> {
        let rows = self.ready_commissions().await?;
        let count = rows.len();
        let payouts = self.known(ImportKind::Payout, rows.iter().map(|row| row.payout_key.as_ref())).await?;
        let mut plan = Plan::default();
        let mut groups = BTreeMap::<String, Vec<ReadyCommission>>::new();
        for row in rows {
            match row.payout_key.clone() {
                Some(key) => groups.entry(key).or_default().push(row),
                None => plan.written.push((row, None)),
            }
        }
        for (key, group) in groups {
            self.plan_payout(&key, payouts.get(&key), group, &mut plan);
        }
        let partners: BTreeSet<Uuid> = plan.written.iter().map(|(row, _)| row.partner).collect();
        if !self.is_rehearsal {
            self.books().lock(&partners.into_iter().map(Into::into).collect::<Vec<_>>()).await?;
        }
        let taken = self.invoices_here(&plan.written).await?;
        let commissions = self.plan_commissions(&mut plan, taken);
        let binds = vec![self.tenant_bind(), Bind::Time(self.at), Bind::json(&commissions), Bind::json(&plan.payouts)];
        statement::<Text>("SELECT import_commissions(?, ?, ?::jsonb, ?::jsonb)::text", binds)
            .execute(&mut &*self.connection)
            .await?;
        self.settle(ImportKind::Commission, &plan.settled).await?;
        self.settle(ImportKind::Payout, &plan.settled_payouts).await?;
        self.derive(ImportKind::Payout, &plan.derived).await?;
        self.report(&plan.findings).await?;
        Ok(count)
    }

    /// The ids of those that are written next.
    pub(super) async fn ready_ids(&self) -> QueryResult<Vec<String>> {
        Ok(self.ready_commissions().await?.into_iter().map(|row| row.source_id).collect())
    }

    /// Those without a payout first, then payout by payout; each in the order of their links, whose totals are written once for many then. Last what takes
    /// something back, so that there is something to take it from.
    async fn ready_commissions(&self) -> QueryResult<Vec<ReadyCommission>> {
        type Columns = (Text, Jsonb, SqlUuid, Nullable<SqlUuid>, Nullable<SqlUuid>, Nullable<Text>);
        type Found = (String, Value, Uuid, Option<Uuid>, Option<Uuid>, Option<String>);
        let scope = || vec![self.tenant_bind(), self.source_bind()];
        let unpaid = async |is_negative: bool| -> QueryResult<Vec<Found>> {
            let mut binds = scope();
            binds.extend([Bind::Bools(vec![is_negative]), Bind::BigInt(self.batch)]);
            statement::<Columns>(
                "SELECT source_id, facts, partner_id, link_id, customer_id, payout_key FROM import_rows
                 WHERE tenant_id = ? AND source = ? AND kind = 'commission' AND state = 'ready' AND payout_key IS NULL AND (amount < 0) = ANY (?)
                 ORDER BY payout_key, link_id, position LIMIT ?",
                binds,
            )
            .load(&mut &*self.connection)
            .await
        };
        let mut found = unpaid(false).await?;
        if found.is_empty() {
            let mut binds = scope();
            binds.extend(scope());
            binds.push(Bind::BigInt(self.batch));
            found = statement::<Columns>(
                "SELECT source_id, facts, partner_id, link_id, customer_id, payout_key FROM import_rows
                 WHERE tenant_id = ? AND source = ? AND kind = 'commission' AND state = 'ready' AND payout_key = ANY (ARRAY(
                     SELECT payout_key FROM import_rows WHERE tenant_id = ? AND source = ? AND kind = 'commission' AND state = 'ready'
                     ORDER BY payout_key, link_id, position LIMIT ?)) ORDER BY payout_key, link_id, position",
                binds,
            )
            .load(&mut &*self.connection)
            .await?;
        }
        if found.is_empty() {
            found = unpaid(true).await?;
        }
        let ready = |(source_id, facts, partner, link, customer, payout_key): Found| {
            Ok(ReadyCommission { source_id, facts: understood(facts)?, partner, link, customer, payout_key })
        };
        found.into_iter().map(ready).collect()
    }

    /// A payout of commissions: those that cannot be in it are left.
    fn plan_payout(&self, key: &str, known: Option<&Known>, group: Vec<ReadyCommission>, plan: &mut Plan) {
        let Some((partner, currency)) = group.as_slice().first().map(|first| (first.partner, first.facts.currency.clone()))
        else {
            return;
        };
        let (own, others): (Vec<_>, Vec<_>) =
            group.into_iter().partition(|row| (row.partner, &row.facts.currency) == (partner, &currency));
        let mut leave = |row: &ReadyCommission, code, message: String| {
            plan.findings.push(Finding::of(ImportKind::Commission, &row.source_id, code, message));
            plan.settled.push(Settled::left(&row.source_id));
        };
        for row in &others {
            let (code, message) = if row.partner == partner {
                (
                    FindingCode::PayoutInAnotherCurrency,
                    format!("The payout {key:?} is in {}.", currency.as_deref().unwrap_or_default()),
                )
            } else {
                (FindingCode::PayoutOfAnotherPartner, format!("The payout {key:?} has paid another partner."))
            };
            leave(row, code, message);
        }
        let total: Decimal = own.iter().filter_map(|row| row.facts.amount).sum();
        if total <= Decimal::ZERO {
            for row in &own {
                leave(
                    row,
                    FindingCode::PayoutNotPositive,
                    format!("What the payout {key:?} paid sums up to {}.", total.normalize()),
                );
            }
            return;
        }
        let facts = known.map(|known| known.facts.clone()).unwrap_or_default();
        if let Some(said) = facts.amount.filter(|said| *said != total) {
            let message = format!("The payout says {}, and its commissions sum up to {}.", said.normalize(), total.normalize());
            plan.findings.push(Finding::of(ImportKind::Payout, key, FindingCode::PayoutDiffers, message));
        }
        let id = PayoutId::new().uuid();
        let (at, target) = (latest(&own), Some(id));
        let at = facts.paid_at.or(facts.at).or(at).unwrap_or(self.at);
        // What comes later, after a decision, is paid by a payout of its own: the first is completed.
        let is_late = known.is_some_and(|known| known.state == "in");
        let source_id = if is_late { format!("{key}#{}", self.run) } else { key.to_owned() };
        plan.payouts.push(NewPayout {
            id,
            change: PayoutChangeId::new().uuid(),
            partner,
            currency: currency.clone().unwrap_or_default(),
            status: facts.status.clone().unwrap_or_else(|| "completed".to_owned()),
            reference: source_id.clone(),
            at,
            period_start: facts.period_start,
            period_end: facts.period_end,
            notes: format!("{}.", self.named(&source_id)),
        });
        if known.is_some() && !is_late {
            plan.settled_payouts.push(Settled { source_id, state: "in", target, partner: Some(partner), ..Settled::default() });
        } else {
            let facts = Facts { amount: Some(total), currency, at: Some(at), ..Facts::default() };
            plan.derived.push((source_id, facts, id, Some(partner)));
        }
        plan.written.extend(own.into_iter().map(|row| (row, Some(id))));
    }

    fn plan_commissions(&self, plan: &mut Plan, mut taken: HashSet<String>) -> Vec<NewCommission> {
        let mut commissions = Vec::with_capacity(plan.written.len());
        for (row, payout) in &plan.written {
            let (facts, id) = (&row.facts, CommissionId::new().uuid());
            let (Some(amount), Some(currency)) = (facts.amount, facts.currency.clone()) else { continue };
            let status = facts.status.clone().unwrap_or_else(|| "pending".to_owned());
            let at = facts.at.unwrap_or(self.at);
            let there = facts.source_status.as_deref().unwrap_or(&status);
            // A payment is one commission's; where it is another's already, this one is none of a payment.
            let invoice = self.invoice_of(row).filter(|invoice| taken.insert(invoice.clone()));
            commissions.push(NewCommission {
                id,
                partner: row.partner,
                customer: row.customer,
                invoice,
                payout: *payout,
                link: row.link,
                base: facts.base,
                amount,
                currency,
                at,
                decided_at: (status != "pending").then_some(facts.paid_at.unwrap_or(at)),
                notes: format!("{}, {there} there.", self.named(&row.source_id)),
                reason: (status == "rejected").then(|| format!("It was {there} in {}.", self.source)),
                status,
            });
            plan.settled.push(Settled::inside(&row.source_id, id));
        }
        commissions
    }

    /// The invoice of a commission that is of a customer's payment.
    fn invoice_of(&self, row: &ReadyCommission) -> Option<String> {
        let is_payment = row.customer.is_some()
            && row.facts.base.is_some_and(|base| base > Decimal::ZERO)
            && row.facts.amount.is_some_and(|amount| amount >= Decimal::ZERO);
        let invoice = || row.facts.invoice.clone().unwrap_or_else(|| format!("{}:{}", self.source, row.source_id));
        is_payment.then(invoice).filter(|invoice| invoice.chars().count() <= MAX_INVOICE)
    }

    /// The invoices of these commissions that are known already.
    async fn invoices_here(&self, rows: &[(ReadyCommission, Option<Uuid>)]) -> QueryResult<HashSet<String>> {
        let invoices = Bind::Texts(rows.iter().filter_map(|(row, _)| self.invoice_of(row)).collect());
        let sql = "SELECT external_id FROM invoices WHERE tenant_id = ? AND external_id = ANY (?)";
        let found: Vec<String> = statement::<Text>(sql, vec![self.tenant_bind(), invoices]).load(&mut &*self.connection).await?;
        Ok(found.into_iter().collect())
    }

    /// Reports the payouts that no commission named; gives how many.
    pub async fn settle_empty_payouts(&self) -> QueryResult<usize> {
        let sql = "SELECT source_id FROM import_rows WHERE tenant_id = ? AND source = ? AND kind = 'payout' AND state = 'ready' ORDER BY position LIMIT ?";
        let binds = vec![self.tenant_bind(), self.source_bind(), Bind::BigInt(self.batch)];
        let found: Vec<String> = statement::<Text>(sql, binds).load(&mut &*self.connection).await?;
        let message = "No commission that came in names the payout.";
        let finding = |id: &String| Finding::of(ImportKind::Payout, id, FindingCode::PayoutWithoutCommissions, message);
        let settled: Vec<Settled> = found.iter().map(|id| Settled::left(id)).collect();
        self.settle(ImportKind::Payout, &settled).await?;
        self.report(&found.iter().map(finding).collect::<Vec<_>>()).await?;
        Ok(found.len())
    }
}

/// The latest time that commissions were paid, or came to be.
fn latest(rows: &[ReadyCommission]) -> Option<DateTime<Utc>> {
    rows.iter().filter_map(|row| row.facts.paid_at.or(row.facts.at)).max()
}
