//! Totals written anew: where a tenant's days begin elsewhere.

use diesel::{
    QueryResult,
    sql_types::{Bool, Text, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use uuid::Uuid;

use super::calendar::TimeZone;
use crate::{
    db::{
        locks::{self, OfTenant},
        statement::{Bind, statement},
    },
    ids::TenantId,
};

/// How many partners' totals are written by one statement.
const AT_ONCE: usize = 200;

/// Whether PostgreSQL knows the zone too: by what it does not know, it keeps no totals.
pub async fn knows(mut connection: &AsyncPgConnection, zone: TimeZone) -> QueryResult<bool> {
    let sql = "SELECT EXISTS (SELECT FROM pg_timezone_names WHERE name = ?)";
    statement::<Bool>(sql, vec![Bind::text(zone.name())]).get_result(&mut connection).await
}

/// Gives a tenant another time zone and writes its totals by day and month anew, in one transaction. `progress` is called with how many of its partners are
/// done, and of how many. Bookings of the tenant wait meanwhile. For the command line, as the tables' owner.
pub async fn change_time_zone(
    mut connection: &AsyncPgConnection,
    tenant: TenantId,
    zone: TimeZone,
    mut progress: impl FnMut(usize, usize),
) -> QueryResult<()> {
    let own = || Bind::Uuid(tenant.uuid());
    connection.batch_execute("BEGIN READ WRITE ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = 0").await?;
    locks::lock_of_tenant(connection, OfTenant::Totals, tenant).await?;
    let changes: [(String, Vec<Bind>); 8] = [
        ("UPDATE tenants SET time_zone = ?, updated_at = now() WHERE id = ?".to_owned(), vec![Bind::text(zone.name()), own()]),
        ("DELETE FROM tenant_totals WHERE tenant_id = ?".to_owned(), vec![own()]),
        ("DELETE FROM commission_totals WHERE tenant_id = ?".to_owned(), vec![own()]),
        ("DELETE FROM account_days WHERE tenant_id = ?".to_owned(), vec![own()]),
        ("DELETE FROM affiliate_totals WHERE tenant_id = ?".to_owned(), vec![own()]),
        ("DELETE FROM affiliate_people WHERE tenant_id = ?".to_owned(), vec![own()]),
        (AFFILIATE_TOTALS.to_owned(), vec![Bind::text(zone.name()), own()]),
        (AFFILIATE_PEOPLE.to_owned(), vec![Bind::text(zone.name()), own(), Bind::text(zone.name()), own()]),
    ];
    for (sql, binds) in changes {
        statement::<Text>(sql, binds).execute(&mut connection).await?;
    }
    let partners = statement::<SqlUuid>("SELECT id FROM partners WHERE tenant_id = ? ORDER BY id", vec![own()]);
    let partners: Vec<Uuid> = partners.load(&mut connection).await?;
    for (turn, some) in partners.chunks(AT_ONCE).enumerate() {
        progress(turn * AT_ONCE, partners.len());
        for sql in [COMMISSION_TOTALS, ACCOUNT_DAYS] {
            // The same for each part of a union: the zone, the tenant, the partners.
            let part = [Bind::text(zone.name()), own(), Bind::Uuids(some.to_vec())];
            let binds = part.iter().cycle().take(sql.matches('?').count()).cloned().collect();
            statement::<Text>(sql, binds).execute(&mut connection).await?;
        }
    }
    progress(partners.len(), partners.len());
    connection.batch_execute("COMMIT").await
}

/// From the commissions and payouts, as the triggers keep them.
const COMMISSION_TOTALS: &str = "
    INSERT INTO commission_totals (tenant_id, partner_id, currency, grain, starts_on, base, earned, pending, commission_count, paid_out)
    SELECT tenant_id, partner_id, currency, g.grain, date_trunc(g.grain, local)::date, sum(base), sum(earned), sum(pending), sum(n), sum(paid)
    FROM (
        SELECT tenant_id, partner_id, currency, event_date AT TIME ZONE ? AS local,
            CASE event_type WHEN 'invoice_payment' THEN base ELSE 0 END AS base, amount AS earned,
            CASE status WHEN 'pending' THEN amount ELSE 0 END AS pending, 1 AS n, 0 AS paid
        FROM partner_commission_events WHERE tenant_id = ? AND partner_id = ANY (?) AND status <> 'rejected'
        UNION ALL
        SELECT tenant_id, partner_id, currency, completed_at AT TIME ZONE ?, 0, 0, 0, 0, total_amount
        FROM partner_payouts WHERE tenant_id = ? AND partner_id = ANY (?) AND completed_at IS NOT NULL) AS rows
    CROSS JOIN (VALUES ('day'), ('month')) AS g (grain)
    GROUP BY 1, 2, 3, 4, 5";

/// From the transfers.
const ACCOUNT_DAYS: &str = "
    INSERT INTO account_days (tenant_id, partner_id, unit, kind, day, debits, credits, closing)
    SELECT tenant_id, partner_id, unit, kind, day, sum(debit), sum(credit),
        sum(sum(credit - debit)) OVER (PARTITION BY partner_id, unit, kind ORDER BY day)
    FROM (
        SELECT t.tenant_id, t.partner_id, t.unit, s.kind, (t.posted_at AT TIME ZONE ?)::date AS day, s.debit, s.credit
        FROM transfers t CROSS JOIN LATERAL (VALUES (t.from_kind::text, t.amount, 0), (t.to_kind::text, 0, t.amount)) AS s (kind, debit, credit)
        WHERE t.tenant_id = ? AND t.partner_id = ANY (?)) AS sides
    GROUP BY 1, 2, 3, 4, 5";

/// From the transactions of wallets.
const AFFILIATE_TOTALS: &str = "
    INSERT INTO affiliate_totals (tenant_id, user_id, currency, day, sales, earned, taken_out, adjusted)
    SELECT tenant_id, user_id, currency, (at AT TIME ZONE ?)::date, sum(sales), coalesce(sum(amount) FILTER (WHERE kind IN ('reward', 'refund')), 0),
        coalesce(-sum(amount) FILTER (WHERE kind IN ('take_out', 'give_back')), 0), coalesce(sum(amount) FILTER (WHERE kind = 'adjustment'), 0)
    FROM wallet_transactions WHERE tenant_id = ? GROUP BY 1, 2, 3, 4";

/// From the referrals.
const AFFILIATE_PEOPLE: &str = "
    INSERT INTO affiliate_people (tenant_id, user_id, day, people, paying)
    SELECT tenant_id, referrer_id, day, sum(people), sum(paying) FROM (
        SELECT tenant_id, referrer_id, (signed_up_at AT TIME ZONE ?)::date AS day, 1 AS people, 0 AS paying
        FROM referrals WHERE tenant_id = ? AND valid_to IS NULL
        UNION ALL SELECT tenant_id, referrer_id, (first_paid_at AT TIME ZONE ?)::date, 0, 1
        FROM referrals WHERE tenant_id = ? AND first_paid_at IS NOT NULL AND valid_to IS NULL) AS each
    GROUP BY 1, 2, 3";
