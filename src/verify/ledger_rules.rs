//! The rules for accounts, transfers and payouts, and the statements that check them.

use super::{BookRule, Check};

/// In the order in which they are checked.
pub const LEDGER_RULES: &[BookRule] = &[
    BookRule {
        name: "accounts_equal_transfers",
        sentence: "Every account equals its transfers",
        check: Check::Sql(
            "WITH sums AS (
                 SELECT owner, unit, kind, sum(change) AS said, max(at) AS last FROM (
                     SELECT format('partner:%s', partner_id) AS owner, unit, to_kind AS kind, amount AS change, posted_at AS at
                         FROM transfers WHERE tenant_id = ? AND partner_id IS NOT NULL
                     UNION ALL SELECT format('partner:%s', partner_id), unit, from_kind, -amount, posted_at
                         FROM transfers WHERE tenant_id = ? AND partner_id IS NOT NULL
                     UNION ALL SELECT format('user:%s', user_id), unit, to_kind, amount, posted_at FROM transfers WHERE tenant_id = ? AND user_id IS NOT NULL
                     UNION ALL SELECT format('user:%s', user_id), unit, from_kind, -amount, posted_at FROM transfers WHERE tenant_id = ? AND user_id IS NOT NULL
                     ) AS moves
                 GROUP BY 1, 2, 3),
             sides AS (
                 SELECT *, (balance, posted_at) IS DISTINCT FROM (said, last) AS is_wrong
                 FROM (SELECT format('partner:%s', partner_id) AS owner, unit, kind::text AS kind, balance, posted_at FROM accounts WHERE tenant_id = ?
                     UNION ALL SELECT format('user:%s', user_id), unit, kind, balance, posted_at FROM user_accounts WHERE tenant_id = ?) a
                 FULL JOIN sums s USING (owner, unit, kind))
             SELECT count(*), count(*) FILTER (WHERE is_wrong),
                 min(format('the account %s of %s in %s, which holds %s since %s and whose transfers say %s since %s', kind, owner, unit,
                     balance, posted_at, said, last)) FILTER (WHERE is_wrong)
             FROM sides",
        ),
    },
    BookRule {
        name: "running_balances",
        sentence: "Every transfer's running balances follow from those before it",
        check: Check::Sql(
            "SELECT count(*), count(*) FILTER (WHERE stored <> ran),
                 min(format('the transfer %s of %s, after which %s holds %s and not %s', entry,
                     coalesce('partner:' || partner_id, 'user:' || user_id), kind, ran, stored)) FILTER (WHERE stored <> ran)
             FROM (SELECT entry, partner_id, user_id, kind, stored,
                     sum(change) OVER (PARTITION BY partner_id, user_id, unit, kind ORDER BY entry) AS ran FROM (
                 SELECT entry, partner_id, user_id, unit, to_kind::text AS kind, amount AS change, to_balance AS stored FROM transfers WHERE tenant_id = ?
                 UNION ALL
                 SELECT entry, partner_id, user_id, unit, from_kind, -amount, from_balance FROM transfers WHERE tenant_id = ?) AS moves) AS run",
        ),
    },
    BookRule {
        name: "day_totals_equal_transfers",
        sentence: "Every day's totals of an account equal its transfers of that day",
        check: Check::Sql(
            "WITH sums AS (
                 SELECT partner_id, unit, kind, day, sum(out) AS said_out, sum(come) AS said_come,
                     sum(sum(come - out)) OVER (PARTITION BY partner_id, unit, kind ORDER BY day) AS said_closing
                 FROM (
                     SELECT partner_id, unit, to_kind::text AS kind, (posted_at AT TIME ZONE (SELECT time_zone FROM tenants WHERE id = ?))::date AS day, 0 AS out, amount AS come FROM transfers WHERE tenant_id = ? AND partner_id IS NOT NULL
                     UNION ALL
                     SELECT partner_id, unit, from_kind, (posted_at AT TIME ZONE (SELECT time_zone FROM tenants WHERE id = ?))::date, amount, 0 FROM transfers WHERE tenant_id = ? AND partner_id IS NOT NULL) AS moves
                 GROUP BY 1, 2, 3, 4),
             sides AS (
                 SELECT *, (debits, credits, closing) IS DISTINCT FROM (said_out, said_come, said_closing) AS is_wrong
                 FROM (SELECT partner_id, unit, kind::text AS kind, day, debits, credits, closing FROM account_days WHERE tenant_id = ?) d
                 FULL JOIN sums s USING (partner_id, unit, kind, day))
             SELECT count(*), count(*) FILTER (WHERE is_wrong),
                 min(format('%s of partner:%s on %s: %s out, %s in, %s at the end, and its transfers say %s, %s and %s',
                     kind, partner_id, day, debits, credits, closing, said_out, said_come, said_closing)) FILTER (WHERE is_wrong)
             FROM sides",
        ),
    },
    BookRule {
        name: "accounts_equal_commissions",
        sentence: "Every partner's accounts are what its commissions say",
        check: Check::Sql(
            "WITH sums AS (
                 SELECT partner_id, unit, kind, sum(amount) AS said FROM (
                     SELECT partner_id, currency AS unit, amount, CASE WHEN status = 'pending' THEN 'pending' WHEN status = 'paid' THEN 'paid'
                         WHEN payout_id IS NULL THEN 'payable' ELSE 'in_payout' END AS kind
                     FROM partner_commission_events WHERE tenant_id = ? AND status <> 'rejected'
                     UNION ALL
                     SELECT partner_id, currency, -amount, 'expense' FROM partner_commission_events WHERE tenant_id = ? AND status <> 'rejected') AS rows
                 GROUP BY 1, 2, 3),
             sides AS (
                 SELECT *, coalesce(balance, 0) <> coalesce(said, 0) AS is_wrong
                 FROM (SELECT partner_id, unit, kind::text AS kind, balance FROM accounts WHERE tenant_id = ? AND unit <> 'CREDIT') a
                 FULL JOIN sums s USING (partner_id, unit, kind))
             SELECT count(*), count(*) FILTER (WHERE is_wrong),
                 min(format('the account %s of partner:%s in %s, which holds %s while its commissions come to %s', kind, partner_id, unit, balance, said))
                     FILTER (WHERE is_wrong)
             FROM sides",
        ),
    },
    BookRule {
        name: "accounts_equal_payouts",
        sentence: "What is in payouts and paid is what the payouts say",
        check: Check::Sql(
            "WITH sums AS (
                 SELECT partner_id, currency AS unit, CASE status WHEN 'completed' THEN 'paid' ELSE 'in_payout' END AS kind, sum(total_amount) AS said
                 FROM partner_payouts WHERE tenant_id = ? AND status IN ('pending', 'ready', 'processing', 'completed') GROUP BY 1, 2, 3),
             sides AS (
                 SELECT *, coalesce(balance, 0) <> coalesce(said, 0) AS is_wrong
                 FROM (SELECT partner_id, unit, kind::text AS kind, balance FROM accounts WHERE tenant_id = ? AND kind IN ('in_payout', 'paid')) a
                 FULL JOIN sums s USING (partner_id, unit, kind))
             SELECT count(*), count(*) FILTER (WHERE is_wrong),
                 min(format('the account %s of partner:%s in %s, which holds %s while its payouts come to %s', kind, partner_id, unit, balance, said))
                     FILTER (WHERE is_wrong)
             FROM sides",
        ),
    },
    BookRule {
        name: "payouts_equal_items",
        sentence: "Every payout's total, count and fingerprint are those of what it was made of",
        check: Check::Sql(
            "WITH sums AS (
                 SELECT p.id, p.total_amount, p.commission_count, p.fingerprint, coalesce(sum(i.amount), 0) AS said, count(i.event_id) AS n,
                     encode(sha256(convert_to(coalesce(string_agg(i.event_id::text || ' ' || i.amount::text || ' ' || p.currency, E'\\n'
                         ORDER BY i.event_date, i.event_id), ''), 'UTF8')), 'hex') AS print
                 FROM partner_payouts p LEFT JOIN partner_payout_items i ON i.tenant_id = p.tenant_id AND i.payout_id = p.id
                 WHERE p.tenant_id = ? GROUP BY p.tenant_id, p.id),
             sides AS (SELECT *, total_amount <> said OR commission_count <> n OR fingerprint <> print AS is_wrong FROM sums)
             SELECT count(*), count(*) FILTER (WHERE is_wrong),
                 min(format('payout:%s, of %s in %s commissions, which was made of %s in %s', id, total_amount, commission_count, said, n))
                     FILTER (WHERE is_wrong)
             FROM sides",
        ),
    },
    BookRule {
        name: "items_equal_commissions",
        sentence: "What a payout was made of is as its commissions are, and a live payout holds all of them",
        check: Check::Sql(
            "WITH sides AS (
                 SELECT i.payout_id, i.event_id, e.id IS NULL OR e.amount <> i.amount OR e.event_date <> i.event_date OR e.currency <> p.currency
                     OR (p.status IN ('pending', 'ready', 'processing', 'completed') AND e.partner_id <> p.partner_id)
                     OR (p.status IN ('pending', 'ready', 'processing', 'completed') AND e.payout_id IS DISTINCT FROM p.id) AS is_wrong
                 FROM partner_payout_items i
                 JOIN partner_payouts p ON p.tenant_id = i.tenant_id AND p.id = i.payout_id
                 LEFT JOIN partner_commission_events e ON e.tenant_id = i.tenant_id AND e.id = i.event_id
                 WHERE i.tenant_id = ?)
             SELECT count(*), count(*) FILTER (WHERE is_wrong),
                 min(format('commission:%s in payout:%s', event_id, payout_id)) FILTER (WHERE is_wrong)
             FROM sides",
        ),
    },
    BookRule {
        name: "one_live_payout",
        sentence: "No commission is in two live payouts",
        check: Check::Sql(
            "WITH sides AS (
                 SELECT i.event_id, count(*) FILTER (WHERE p.status IN ('pending', 'ready', 'processing', 'completed')) AS live
                 FROM partner_payout_items i JOIN partner_payouts p ON p.tenant_id = i.tenant_id AND p.id = i.payout_id
                 WHERE i.tenant_id = ? GROUP BY 1)
             SELECT count(*), count(*) FILTER (WHERE live > 1), min(format('commission:%s, in %s', event_id, live)) FILTER (WHERE live > 1)
             FROM sides",
        ),
    },
    BookRule {
        name: "status_follows_payout",
        sentence: "A commission is paid when its payout is completed, and only then; one in a payout is on that payout's list",
        check: Check::Sql(
            "WITH sides AS (
                 SELECT e.id, e.status, p.status AS payout,
                     p.id IS NULL OR i.event_id IS NULL OR (e.status = 'paid') <> (p.status = 'completed') OR p.status IN ('failed', 'cancelled') AS is_wrong
                 FROM partner_commission_events e
                 LEFT JOIN partner_payouts p ON p.tenant_id = e.tenant_id AND p.id = e.payout_id
                 LEFT JOIN partner_payout_items i ON i.tenant_id = e.tenant_id AND i.payout_id = e.payout_id AND i.event_id = e.id
                 WHERE e.tenant_id = ? AND (e.payout_id IS NOT NULL OR e.status = 'paid'))
             SELECT count(*), count(*) FILTER (WHERE is_wrong),
                 min(format('commission:%s, which is %s in a payout that is %s', id, status, coalesce(payout, 'not there'))) FILTER (WHERE is_wrong)
             FROM sides",
        ),
    },
    BookRule {
        name: "transfers_equal_sources",
        sentence: "Every commission and payout has moved its own amount, from where it was to where it is",
        check: Check::Sql(
            "WITH commissions AS (
                 SELECT e.id, e.amount, CASE e.status WHEN 'pending' THEN 'pending' WHEN 'rejected' THEN 'expense' ELSE 'payable' END AS place,
                     coalesce(t.moved, 0) AS moved, coalesce(t.rightly, true) AS rightly, t.ends
                 FROM partner_commission_events e
                 LEFT JOIN (
                     SELECT m.event_id, count(*) AS moved, bool_and(m.amount = abs(o.amount)) AS rightly,
                         (array_agg(CASE WHEN o.amount < 0 THEN m.from_kind::text ELSE m.to_kind::text END ORDER BY m.entry DESC))[1] AS ends
                     FROM transfers m JOIN partner_commission_events o ON o.tenant_id = m.tenant_id AND o.id = m.event_id
                     WHERE m.tenant_id = ? GROUP BY 1) t ON t.event_id = e.id
                 WHERE e.tenant_id = ?),
             payouts AS (
                 SELECT p.id, p.total_amount, CASE p.status WHEN 'completed' THEN 'paid' WHEN 'failed' THEN 'payable' WHEN 'cancelled' THEN 'payable'
                     ELSE 'in_payout' END AS place, coalesce(t.rightly, false) AS rightly, t.ends
                 FROM partner_payouts p
                 LEFT JOIN (
                     SELECT m.payout_id, bool_and(m.amount = o.total_amount) AS rightly, (array_agg(m.to_kind::text ORDER BY m.entry DESC))[1] AS ends
                     FROM transfers m JOIN partner_payouts o ON o.tenant_id = m.tenant_id AND o.id = m.payout_id
                     WHERE m.tenant_id = ? GROUP BY 1) t ON t.payout_id = p.id
                 WHERE p.tenant_id = ?),
             sides AS (
                 SELECT format('commission:%s', id) AS source, (amount = 0) <> (moved = 0) OR NOT rightly OR (moved > 0 AND ends <> place) AS is_wrong
                 FROM commissions
                 UNION ALL
                 SELECT format('payout:%s', id), NOT rightly OR ends IS DISTINCT FROM place FROM payouts)
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(source) FILTER (WHERE is_wrong) FROM sides",
        ),
    },
    BookRule {
        name: "transfers_go_their_way",
        sentence: "Every transfer goes the way of its kind, for a source that is there, and counts its attempts",
        check: Check::Sql(
            "WITH numbered AS (
                 SELECT t.*, count(*) FILTER (WHERE kind = 'hold') OVER (PARTITION BY payout_id ORDER BY entry) AS holds,
                     row_number() OVER (PARTITION BY event_id, kind ORDER BY entry) AS of_kind,
                     1 + count(*) FILTER (WHERE kind = 'restore') OVER (PARTITION BY allocation_id ORDER BY entry) AS after_restores
                 FROM transfers t WHERE tenant_id = ?),
             sides AS (
                 SELECT t.entry, t.partner_id, t.user_id, t.kind, CASE
                     WHEN t.event_id IS NOT NULL THEN e.id IS NULL OR e.currency <> t.unit OR t.attempt <> t.of_kind
                         OR (t.kind, CASE WHEN e.amount > 0 THEN t.from_kind ELSE t.to_kind END, CASE WHEN e.amount > 0 THEN t.to_kind ELSE t.from_kind END) NOT IN (
                             ('earn', 'expense', 'pending'), ('earn', 'expense', 'payable'), ('approve', 'pending', 'payable'),
                             ('reject', 'pending', 'expense'), ('reject', 'payable', 'expense'), ('move_out', 'pending', 'expense'),
                             ('move_out', 'payable', 'expense'), ('move_in', 'expense', 'pending'), ('move_in', 'expense', 'payable'))
                     WHEN t.payout_id IS NOT NULL THEN p.id IS NULL OR (p.currency, p.partner_id) <> (t.unit, t.partner_id) OR t.attempt <> t.holds
                         OR (t.kind, t.from_kind, t.to_kind) NOT IN (('hold', 'payable', 'in_payout'), ('release', 'in_payout', 'payable'),
                             ('pay', 'in_payout', 'paid'), ('return', 'paid', 'payable'))
                     WHEN t.user_id IS NOT NULL THEN t.attempt <> 1 OR (t.kind, t.from_kind, t.to_kind) NOT IN (
                         ('earn', 'expense', 'pending'), ('earn', 'pending', 'expense'), ('earn', 'expense', 'wallet'), ('earn', 'wallet', 'expense'),
                         ('approve', 'pending', 'wallet'), ('take_out', 'wallet', 'taken_out'), ('give_back', 'taken_out', 'wallet'),
                         ('adjust', 'expense', 'wallet'), ('adjust', 'wallet', 'expense'))
                     WHEN t.kind IN ('revoke', 'expire') THEN t.attempt <> t.after_restores
                     ELSE t.attempt <> 1 END AS is_wrong
                 FROM numbered t
                 LEFT JOIN partner_commission_events e ON e.tenant_id = t.tenant_id AND e.id = t.event_id
                 LEFT JOIN partner_payouts p ON p.tenant_id = t.tenant_id AND p.id = t.payout_id)
             SELECT count(*), count(*) FILTER (WHERE is_wrong),
                 min(format('the transfer %s of %s, which is called %s', entry, coalesce('partner:' || partner_id, 'user:' || user_id), kind))
                     FILTER (WHERE is_wrong)
             FROM sides",
        ),
    },
    BookRule {
        name: "sources_fit",
        sentence: "Every commission names a source that fits what made it, and a rule that is there and is for its currency",
        check: Check::Sql(
            "WITH sides AS (
                 SELECT e.id, e.event_type, e.source, CASE e.event_type
                     WHEN 'adjustment' THEN e.source <> 'manual'
                     WHEN 'lead_conversion' THEN e.source <> 'lead'
                     WHEN 'refund' THEN e.source <> 'reversal'
                     WHEN 'wallet' THEN e.source <> 'wallet'
                     WHEN 'imported' THEN e.source <> 'imported'
                     ELSE e.source NOT IN ('customer_rate', 'enrolment_rule', 'partner_rule', 'programme_rule', 'tenant_rule', 'partner_rate', 'imported') OR CASE
                         WHEN e.source = 'imported' THEN e.event_type <> 'invoice_payment' OR e.is_past_duration OR num_nonnulls(e.rate, e.rule_id, e.month_base) > 0
                         WHEN e.source LIKE '%\\_rule' THEN r.id IS NULL OR (r.partner_id IS NULL) <> (e.source IN ('programme_rule', 'tenant_rule'))
                             OR (r.programme_id IS NULL) <> (e.source IN ('partner_rule', 'tenant_rule')) OR r.programme_id <> l.programme_id
                             OR r.currency <> e.currency OR (e.is_past_duration AND r.duration_months IS NULL)
                         ELSE e.is_past_duration OR e.rate IS NULL END
                     END AS is_wrong
                 FROM partner_commission_events e
                 LEFT JOIN partner_commissions r ON r.tenant_id = e.tenant_id AND r.id = e.rule_id
                 LEFT JOIN links l ON l.tenant_id = e.tenant_id AND l.id = e.link_id
                 WHERE e.tenant_id = ?)
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(format('commission:%s, an %s by %s', id, event_type, source)) FILTER (WHERE is_wrong)
             FROM sides",
        ),
    },
];
