//! The rules for commissions, for what they follow from, and for what is counted of them.

use super::{BookRule, Check};

/// In the order in which they are checked.
pub const COMMISSION_RULES: &[BookRule] = &[
    BookRule {
        name: "rules_are_versions",
        sentence: "The versions of every rule are numbered from 1 without gaps",
        check: Check::Sql(
            "WITH sides AS (
                 SELECT id, version, row_number() OVER (PARTITION BY scope_id, scope_currency ORDER BY version) AS place
                 FROM partner_commissions WHERE tenant_id = ?)
             SELECT count(*), count(*) FILTER (WHERE version <> place), min(format('rule:%s, which is version %s', id, version)) FILTER (WHERE version <> place)
             FROM sides",
        ),
    },
    BookRule {
        name: "reversals_fit",
        sentence: "Reversals never exceed what they reverse, follow it while it waits and when it is rejected, and a full refund ends at exactly zero",
        check: Check::Sql(
            "WITH sides AS (
                 SELECT e.id, e.status, e.amount, coalesce(-sum(r.amount), 0) AS reversed, i.refunded >= i.amount AS is_full,
                     bool_or(r.id IS NOT NULL AND ((r.partner_id, r.currency, r.customer_id, r.invoice_id) IS DISTINCT FROM (e.partner_id, e.currency, e.customer_id, e.invoice_id)
                         OR (r.status = 'rejected') <> (e.status = 'rejected') OR (r.status = 'pending') <> (e.status = 'pending')
                         OR r.source <> 'reversal' OR (r.refunded_at IS NOT NULL AND r.event_date <> greatest(r.refunded_at, e.event_date))
                         OR r.base > e.base)) AS strays
                 FROM partner_commission_events e
                 JOIN invoices i ON i.tenant_id = e.tenant_id AND i.external_id = e.invoice_id
                 LEFT JOIN partner_commission_events r ON r.tenant_id = e.tenant_id AND r.reverses_id = e.id
                 WHERE e.tenant_id = ? AND e.event_type IN ('invoice_payment', 'split') AND (i.refunded > 0 OR r.id IS NOT NULL)
                 GROUP BY e.tenant_id, e.id, i.refunded, i.amount),
             wrong AS (
                 SELECT *, coalesce(strays, false) OR (status <> 'rejected' AND (reversed NOT BETWEEN 0 AND amount OR (is_full AND reversed <> amount)))
                     AS is_wrong
                 FROM sides)
             SELECT count(*), count(*) FILTER (WHERE is_wrong),
                 min(format('commission:%s, of which %s of %s is reversed', id, reversed, amount)) FILTER (WHERE is_wrong)
             FROM wrong",
        ),
    },
    BookRule {
        name: "refunds_converge",
        sentence: "What is taken back is what the refunds say, to the minor unit",
        check: Check::Refunds,
    },
    BookRule {
        name: "invoices_equal_commissions",
        sentence: "Every commission of an invoice is of that invoice's amount, currency and customer",
        check: Check::Sql(
            "WITH sides AS (
                 SELECT e.id, e.base, i.amount, (e.base, e.currency, e.customer_id, e.event_date) IS DISTINCT FROM (i.amount, i.currency, i.customer_id, i.paid_at) AS is_wrong
                 FROM partner_commission_events e
                 LEFT JOIN invoices i ON i.tenant_id = e.tenant_id AND i.external_id = e.invoice_id
                 WHERE e.tenant_id = ? AND e.event_type IN ('invoice_payment', 'split'))
             SELECT count(*), count(*) FILTER (WHERE is_wrong),
                 min(format('commission:%s, of %s where its invoice says %s', id, base, amount)) FILTER (WHERE is_wrong)
             FROM sides",
        ),
    },
    BookRule {
        name: "amounts_explain_themselves",
        sentence: "Every commission that was calculated comes to its amount again",
        check: Check::Amounts,
    },
    BookRule {
        name: "totals_equal_rows",
        sentence: "Every total by day and month equals the commissions and payouts of that time",
        check: Check::Sql(
            "WITH sums AS (
                 SELECT partner_id, currency, grain, starts_on, sum(base) AS said_base, sum(earned) AS said_earned, sum(pending) AS said_pending,
                     sum(n) AS said_count, sum(paid) AS said_paid
                 FROM (
                     SELECT partner_id, currency, g.grain, date_trunc(g.grain, event_date AT TIME ZONE (SELECT time_zone FROM tenants WHERE id = ?))::date AS starts_on,
                         CASE event_type WHEN 'invoice_payment' THEN base ELSE 0 END AS base, amount AS earned,
                         CASE status WHEN 'pending' THEN amount ELSE 0 END AS pending, 1 AS n, 0 AS paid
                     FROM partner_commission_events CROSS JOIN (VALUES ('day'), ('month')) AS g (grain) WHERE tenant_id = ? AND status <> 'rejected'
                     UNION ALL
                     SELECT partner_id, currency, g.grain, date_trunc(g.grain, completed_at AT TIME ZONE (SELECT time_zone FROM tenants WHERE id = ?))::date, 0, 0, 0, 0, total_amount
                     FROM partner_payouts CROSS JOIN (VALUES ('day'), ('month')) AS g (grain) WHERE tenant_id = ? AND completed_at IS NOT NULL) AS rows
                 GROUP BY 1, 2, 3, 4),
             sides AS (
                 SELECT *, coalesce(base, 0) <> coalesce(said_base, 0) OR coalesce(earned, 0) <> coalesce(said_earned, 0)
                     OR coalesce(pending, 0) <> coalesce(said_pending, 0) OR coalesce(commission_count, 0) <> coalesce(said_count, 0)
                     OR coalesce(paid_out, 0) <> coalesce(said_paid, 0) AS is_wrong
                 FROM (SELECT partner_id, currency, grain::text AS grain, starts_on, base, earned, pending, commission_count, paid_out
                     FROM commission_totals WHERE tenant_id = ?) t
                 FULL JOIN sums s USING (partner_id, currency, grain, starts_on))
             SELECT count(*), count(*) FILTER (WHERE is_wrong),
                 min(format('the %s from %s of partner:%s in %s, which says %s earned where its rows say %s', grain, starts_on, partner_id, currency, earned, said_earned))
                     FILTER (WHERE is_wrong)
             FROM sides",
        ),
    },
    BookRule {
        name: "tenants_equal_partners",
        sentence: "Every total of a tenant is the sum of its partners' totals",
        check: Check::Sql(
            "WITH sides AS (
                 SELECT *, (coalesce(t.earned, 0), coalesce(t.pending, 0), coalesce(t.commission_count, 0), coalesce(t.paid_out, 0))
                     <> (coalesce(p.earned, 0), coalesce(p.pending, 0), coalesce(p.commission_count, 0), coalesce(p.paid_out, 0)) AS is_wrong,
                     t.earned AS said, p.earned AS summed
                 FROM (SELECT currency, grain::text AS grain, starts_on, sum(earned) AS earned, sum(pending) AS pending,
                         sum(commission_count) AS commission_count, sum(paid_out) AS paid_out
                     FROM tenant_totals WHERE tenant_id = ? GROUP BY 1, 2, 3) t
                 FULL JOIN (SELECT currency, grain::text AS grain, starts_on, sum(earned) AS earned, sum(pending) AS pending,
                         sum(commission_count) AS commission_count, sum(paid_out) AS paid_out
                     FROM commission_totals WHERE tenant_id = ? GROUP BY 1, 2, 3) p USING (currency, grain, starts_on))
             SELECT count(*), count(*) FILTER (WHERE is_wrong),
                 min(format('the %s from %s in %s, which says %s earned where its partners'' totals say %s', grain, starts_on, currency, said, summed))
                     FILTER (WHERE is_wrong)
             FROM sides",
        ),
    },
    BookRule {
        name: "counters_equal_rows",
        sentence: "Every partner's counters equal its leads",
        check: Check::Sql(
            "WITH sides AS (
                 SELECT p.id, p.total_referrals, p.converted_referrals, count(l.id) AS total, count(l.id) FILTER (WHERE l.status = 'converted') AS converted
                 FROM partners p LEFT JOIN partner_leads l ON l.tenant_id = p.tenant_id AND l.partner_id = p.id
                 WHERE p.tenant_id = ? GROUP BY p.tenant_id, p.id)
             SELECT count(*), count(*) FILTER (WHERE (total_referrals, converted_referrals) <> (total, converted)),
                 min(format('partner:%s, which has %s leads and counts %s', id, total, total_referrals))
                     FILTER (WHERE (total_referrals, converted_referrals) <> (total, converted))
             FROM sides",
        ),
    },
    BookRule {
        name: "leads_have_commissions",
        sentence: "Every converted lead has the commission that it says, and is paid when that is",
        check: Check::Sql(
            "WITH sides AS (
                 SELECT l.id, l.commission, e.amount, (l.status = 'converted' AND l.commission <> 0) <> (e.id IS NOT NULL)
                     OR l.commission <> e.amount OR (e.id IS NOT NULL AND ((e.currency, e.partner_id) <> (l.currency, l.partner_id) OR e.base IS DISTINCT FROM l.deal_value
                         OR e.rate IS DISTINCT FROM CASE WHEN NOT l.commission_fixed THEN l.commission_rate END))
                     OR l.commission_paid <> (e.id IS NOT NULL AND e.status = 'paid') AS is_wrong
                 FROM partner_leads l
                 LEFT JOIN partner_commission_events e ON e.tenant_id = l.tenant_id AND e.lead_id = l.id AND e.event_type = 'lead_conversion'
                 WHERE l.tenant_id = ?)
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(format('lead:%s, of %s and booked with %s', id, commission, amount)) FILTER (WHERE is_wrong)
             FROM sides",
        ),
    },
    BookRule {
        name: "histories_lead_here",
        sentence: "The history of every payout and lead begins once, goes on without gaps and ends where it is",
        // Without regard to times, which are of several clocks: each status is left as often as it is come to, but for the one that it has.
        check: Check::Sql(
            "WITH steps AS (
                 SELECT 'payout' AS kind, payout_id AS id, partner_id, from_status::text, to_status::text, note, created_at FROM partner_payout_changes WHERE tenant_id = ?
                 UNION ALL
                 SELECT 'lead', lead_id, partner_id, from_status, to_status, note, created_at FROM lead_status_changes WHERE tenant_id = ?),
             balances AS (
                 SELECT kind, id, status, sum(n) AS n FROM (
                     SELECT kind, id, to_status AS status, 1 AS n FROM steps
                     UNION ALL SELECT kind, id, from_status, -1 FROM steps WHERE from_status IS NOT NULL) AS sides
                 GROUP BY 1, 2, 3),
             ends AS (
                 SELECT kind, id, min(status) FILTER (WHERE n = 1) AS ends, bool_and(n IN (0, 1)) AND count(*) FILTER (WHERE n = 1) = 1 AS is_whole
                 FROM balances GROUP BY 1, 2),
             facts AS (
                 SELECT kind, id, count(*) FILTER (WHERE from_status IS NULL) = 1 AS begins_once, count(DISTINCT partner_id) = 1 AS is_one,
                     min(partner_id::text) AS partner, min(created_at) FILTER (WHERE from_status IS NULL) AS began,
                     1 + count(*) FILTER (WHERE from_status = 'failed' AND to_status = 'ready') AS attempts,
                     array_agg(note) FILTER (WHERE to_status = 'failed') AS failures,
                     array_agg((created_at, note)::text) FILTER (WHERE to_status = 'completed') AS completions
                 FROM steps GROUP BY 1, 2),
             sides AS (
                 SELECT format('payout:%s, which is %s and whose history ends with %s', p.id, p.status, coalesce(e.ends, 'nothing')) AS source,
                     e.id IS NULL OR NOT e.is_whole OR NOT f.begins_once OR NOT f.is_one OR f.partner <> p.partner_id::text OR e.ends <> p.status
                     OR p.attempt <> f.attempts OR p.created_at <> f.began
                     OR (p.failure_reason IS NOT NULL AND p.failure_reason <> ALL (coalesce(f.failures, '{}')))
                     OR (p.status = 'completed' AND (p.completed_at, p.payment_reference)::text <> ALL (coalesce(f.completions, '{}'))) AS is_wrong
                 FROM partner_payouts p
                 LEFT JOIN ends e ON e.kind = 'payout' AND e.id = p.id
                 LEFT JOIN facts f ON f.kind = 'payout' AND f.id = p.id
                 WHERE p.tenant_id = ?
                 UNION ALL
                 SELECT format('lead:%s, which is %s and whose history ends with %s', l.id, l.status, coalesce(e.ends, 'nothing')),
                     e.id IS NULL OR NOT e.is_whole OR NOT f.begins_once OR NOT f.is_one OR f.partner <> l.partner_id::text OR e.ends <> l.status
                 FROM partner_leads l
                 LEFT JOIN ends e ON e.kind = 'lead' AND e.id = l.id
                 LEFT JOIN facts f ON f.kind = 'lead' AND f.id = l.id
                 WHERE l.tenant_id = ?)
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(source) FILTER (WHERE is_wrong) FROM sides",
        ),
    },
    BookRule {
        name: "moves_lead_here",
        sentence: "Every lead and commission that was moved is where its moves lead, and every move of a commission is in the ledger",
        check: Check::Sql(
            "WITH moves AS (
                 SELECT m.*, coalesce(l.partner_id, e.partner_id) AS partner_id, e.amount,
                     coalesce('lead:' || m.lead_id, 'commission:' || m.commission_id) AS subject
                 FROM partner_moves m
                 LEFT JOIN partner_leads l ON l.tenant_id = m.tenant_id AND l.id = m.lead_id
                 LEFT JOIN partner_commission_events e ON e.tenant_id = m.tenant_id AND e.id = m.commission_id
                 WHERE m.tenant_id = ?),
             -- Come to more often than left: the partner whose it is, unless it is back where it began.
             balances AS (
                 SELECT subject, partner, sum(n) AS n FROM (
                     SELECT subject, to_partner_id AS partner, 1 AS n FROM moves UNION ALL SELECT subject, from_partner_id, -1 FROM moves) AS sides
                 GROUP BY 1, 2),
             sides AS (
                 SELECT m.subject,
                     m.partner_id IS NULL
                     OR EXISTS (SELECT FROM balances b WHERE b.subject = m.subject AND (b.n NOT BETWEEN -1 AND 1 OR (b.n = 1 AND b.partner <> m.partner_id)))
                     OR NOT EXISTS (SELECT FROM moves o WHERE o.subject = m.subject AND o.to_partner_id = m.partner_id)
                     OR (m.amount <> 0 AND NOT EXISTS (SELECT FROM transfers t WHERE t.tenant_id = m.tenant_id AND t.event_id = m.commission_id
                         AND t.kind = 'move_out' AND t.partner_id = m.from_partner_id AND t.posted_by IS NOT DISTINCT FROM m.moved_by)) AS is_wrong
                 FROM moves m)
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(subject) FILTER (WHERE is_wrong) FROM sides",
        ),
    },
    BookRule {
        name: "rows_have_partners",
        sentence: "No row is without its tenant's partner (foreign keys hold this too: it fails where somebody has switched them off)",
        check: Check::Sql(
            "WITH rows AS (
                 SELECT 'partner_commission_events' AS source, partner_id FROM partner_commission_events WHERE tenant_id = ?
                 UNION ALL SELECT 'partner_payouts', partner_id FROM partner_payouts WHERE tenant_id = ?
                 UNION ALL SELECT 'partner_leads', partner_id FROM partner_leads WHERE tenant_id = ?
                 UNION ALL SELECT 'partner_accounts', partner_id FROM partner_accounts WHERE tenant_id = ?
                 UNION ALL SELECT 'partner_commissions', partner_id FROM partner_commissions WHERE tenant_id = ? AND partner_id IS NOT NULL
                 UNION ALL SELECT 'accounts', partner_id FROM accounts WHERE tenant_id = ?
                 UNION ALL SELECT 'account_days', partner_id FROM account_days WHERE tenant_id = ?
                 UNION ALL SELECT 'commission_totals', partner_id FROM commission_totals WHERE tenant_id = ?
                 UNION ALL SELECT 'partner_payout_items', partner_id FROM partner_payout_items WHERE tenant_id = ?
                 UNION ALL SELECT 'partner_payout_changes', partner_id FROM partner_payout_changes WHERE tenant_id = ?
                 UNION ALL SELECT 'lead_status_changes', partner_id FROM lead_status_changes WHERE tenant_id = ?
                 UNION ALL SELECT 'partner_users', partner_id FROM partner_users WHERE tenant_id = ?
                 UNION ALL SELECT 'partner_profiles', partner_id FROM partner_profiles WHERE tenant_id = ?
                 UNION ALL SELECT 'partner_members', partner_id FROM partner_members WHERE tenant_id = ?
                 UNION ALL SELECT 'member_counts', partner_id FROM member_counts WHERE tenant_id = ?
                 UNION ALL SELECT 'member_accounts', partner_id FROM member_accounts WHERE tenant_id = ?
                 UNION ALL SELECT 'credit_grants', partner_id FROM credit_grants WHERE tenant_id = ?
                 UNION ALL SELECT 'credit_allocations', partner_id FROM credit_allocations WHERE tenant_id = ?
                 UNION ALL SELECT 'partner_credits', partner_id FROM partner_credits WHERE tenant_id = ?
                 UNION ALL SELECT 'transfers', partner_id FROM transfers WHERE tenant_id = ? AND partner_id IS NOT NULL),
             sides AS (SELECT rows.*, p.id IS NULL AS is_wrong FROM rows LEFT JOIN partners p ON p.tenant_id = ? AND p.id = rows.partner_id)
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(format('a row of %s that names partner:%s', source, partner_id)) FILTER (WHERE is_wrong)
             FROM sides",
        ),
    },
];
