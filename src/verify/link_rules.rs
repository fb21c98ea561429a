//! The rules for links, and the statements that check them.

use super::{BookRule, Check};

/// In the order in which they are checked.
pub const LINK_RULES: &[BookRule] = &[
    BookRule {
        name: "enrolments_lead_here",
        sentence: "Every enrolment's history begins once, follows on, and ends at its status and reason",
        check: Check::Sql(
            "WITH steps AS (
                 SELECT enrolment_id, partner_id, from_status, to_status, reason, lag(to_status) OVER w AS before, lead(to_status) OVER w AS after
                 FROM enrolment_changes WHERE tenant_id = ? WINDOW w AS (PARTITION BY enrolment_id ORDER BY created_at, id)),
             sides AS (
                 SELECT e.id, count(s.enrolment_id) = 0 OR bool_or(s.from_status IS DISTINCT FROM s.before OR s.partner_id <> e.partner_id
                     OR s.after IS NULL AND (s.to_status <> e.status OR s.reason IS DISTINCT FROM e.reason)) AS is_wrong
                 FROM enrolments e LEFT JOIN steps s ON s.enrolment_id = e.id WHERE e.tenant_id = ? GROUP BY e.id)
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(format('enrolment:%s', id)) FILTER (WHERE is_wrong) FROM sides",
        ),
    },
    BookRule {
        name: "click_totals_equal_clicks",
        sentence: "Every link's, enrolment's and partner's clicks of a quarter of an hour are those that count, of months whose clicks are kept",
        check: Check::Sql(
            "WITH kept AS (SELECT date_trunc('month', min(at)) AS since FROM link_clicks WHERE tenant_id = ?),
             counted AS (
                 SELECT scope_id, date_bin('15 minutes', at, 'epoch'::timestamptz) AS starts_at, count(*) AS said
                 FROM link_clicks c
                 JOIN enrolments e ON e.tenant_id = c.tenant_id AND e.partner_id = c.partner_id AND e.programme_id = c.programme_id
                 CROSS JOIN LATERAL (VALUES (c.link_id), (e.id), (c.partner_id)) AS s (scope_id)
                 WHERE c.tenant_id = ? AND NOT (is_bot OR is_prefetch OR is_repeat) GROUP BY 1, 2),
             said AS (
                 SELECT scope_id, starts_at, sum(said) AS said FROM (
                     SELECT * FROM counted
                     UNION ALL SELECT s.scope_id, d.day::timestamp AT TIME ZONE 'UTC', d.clicks
                     FROM link_imported_days d JOIN links l ON l.tenant_id = d.tenant_id AND l.id = d.link_id
                     JOIN enrolments e ON e.tenant_id = l.tenant_id AND e.partner_id = l.partner_id AND e.programme_id = l.programme_id
                     CROSS JOIN LATERAL (VALUES (l.id), (e.id), (l.partner_id)) AS s (scope_id)
                     WHERE d.tenant_id = ? AND d.day::timestamp AT TIME ZONE 'UTC' >= (SELECT since FROM kept)) AS both_ways GROUP BY 1, 2),
             sides AS (
                 SELECT *, coalesce(clicks, 0) <> coalesce(said, 0) AS is_wrong
                 FROM (SELECT scope_id, starts_at, clicks FROM link_click_totals
                     WHERE tenant_id = ? AND grain = 'quarter_hour' AND starts_at >= (SELECT since FROM kept)) t
                 FULL JOIN said s USING (scope_id, starts_at))
             SELECT count(*), count(*) FILTER (WHERE is_wrong),
                 min(format('%s at %s, which says %s clicks where %s count', scope_id, starts_at, clicks, said)) FILTER (WHERE is_wrong)
             FROM sides",
        ),
    },
    BookRule {
        name: "click_totals_agree",
        sentence: "Every total of clicks and visitors is the sum of the finer ones, and a partner's and an enrolment's that of its links",
        check: Check::Sql(
            "WITH totals AS (SELECT * FROM link_click_totals WHERE tenant_id = ?),
             finer AS (
                 SELECT scope_id, 'day' AS grain, date_trunc('day', starts_at, 'UTC') AS starts_at, sum(clicks) AS clicks, sum(visitors) AS visitors
                     FROM totals WHERE grain = 'quarter_hour' GROUP BY 1, 3
                 UNION ALL SELECT scope_id, 'all', 'epoch'::timestamptz, sum(clicks), sum(visitors) FROM totals WHERE grain = 'day' GROUP BY 1),
             times AS (
                 SELECT scope_id, grain, starts_at, t.clicks IS DISTINCT FROM f.clicks OR t.visitors IS DISTINCT FROM f.visitors AS is_wrong
                 FROM (SELECT * FROM totals WHERE grain <> 'quarter_hour') t FULL JOIN finer f USING (scope_id, grain, starts_at)),
             below AS (
                 SELECT above.scope_id, t.grain, t.starts_at, sum(t.clicks) AS clicks, sum(t.visitors) AS visitors
                 FROM totals t JOIN links l ON l.tenant_id = t.tenant_id AND l.id = t.scope_id
                 JOIN enrolments e ON e.tenant_id = l.tenant_id AND e.partner_id = l.partner_id AND e.programme_id = l.programme_id
                 CROSS JOIN LATERAL (VALUES (e.id), (l.partner_id)) AS above (scope_id) GROUP BY 1, 2, 3),
             scopes AS (
                 SELECT scope_id, grain, starts_at, t.clicks IS DISTINCT FROM b.clicks OR t.visitors IS DISTINCT FROM b.visitors AS is_wrong
                 FROM (SELECT t.* FROM totals t LEFT JOIN links l ON l.tenant_id = t.tenant_id AND l.id = t.scope_id WHERE l.id IS NULL) t
                 FULL JOIN below b USING (scope_id, grain, starts_at)),
             owners AS (
                 SELECT t.scope_id, t.grain, t.starts_at, t.partner_id <> coalesce(l.partner_id, e.partner_id, t.scope_id) AS is_wrong
                 FROM totals t LEFT JOIN links l ON l.tenant_id = t.tenant_id AND l.id = t.scope_id
                 LEFT JOIN enrolments e ON e.tenant_id = t.tenant_id AND e.id = t.scope_id),
             found AS (SELECT * FROM times UNION ALL SELECT * FROM scopes UNION ALL SELECT * FROM owners)
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(format('%s: %s at %s', scope_id, grain, starts_at)) FILTER (WHERE is_wrong)
             FROM found",
        ),
    },
    BookRule {
        name: "click_parts_equal_clicks",
        sentence: "Every link's, enrolment's and partner's clicks by referrer, country, device and browser are those that count, of each day that is kept",
        check: Check::Sql(
            "WITH counted AS (
                 SELECT c.partner_id, s.scope_id, (c.at AT TIME ZONE 'UTC')::date AS day, d.dimension, coalesce(d.value, '') AS value, count(*) AS said
                 FROM link_clicks c
                 JOIN enrolments e ON e.tenant_id = c.tenant_id AND e.partner_id = c.partner_id AND e.programme_id = c.programme_id
                 CROSS JOIN LATERAL (VALUES (c.link_id), (e.id), (c.partner_id)) AS s (scope_id)
                 CROSS JOIN LATERAL (VALUES ('referrer', c.referrer), ('country', c.country), ('device', c.device), ('browser', c.browser))
                     AS d (dimension, value)
                 WHERE c.tenant_id = ? AND NOT (is_bot OR is_prefetch OR is_repeat) GROUP BY 1, 2, 3, 4, 5),
             sides AS (
                 SELECT scope_id, day, dimension, value, clicks, said, clicks IS DISTINCT FROM said OR p.partner_id <> c.partner_id AS is_wrong
                 FROM (SELECT * FROM link_click_parts WHERE tenant_id = ?) p FULL JOIN counted c USING (scope_id, day, dimension, value))
             SELECT count(*), count(*) FILTER (WHERE is_wrong),
                 min(format('%s on %s by %s “%s”, which says %s clicks where %s count', scope_id, day, dimension, value, clicks, said)) FILTER (WHERE is_wrong)
             FROM sides",
        ),
    },
    BookRule {
        name: "sale_totals_equal_sales",
        sentence: "Every link's, enrolment's and partner's sign-ups, customers, sales and earnings are those that are recorded",
        check: Check::Sql(
            "WITH recorded AS (
                 SELECT link_id, '' AS currency, at, 1 AS sign_ups, 0 AS customers, 0 AS sales, 0::numeric AS sale_amount, 0::numeric AS earned
                     FROM link_sign_ups WHERE tenant_id = ? AND is_counted
                 UNION ALL SELECT link_id, '', day::timestamp AT TIME ZONE 'UTC', sign_ups, 0, 0, 0, 0 FROM link_imported_days
                     WHERE tenant_id = ? AND sign_ups > 0
                 UNION ALL SELECT link_id, '', min(event_date), 0, 1, 0, 0, 0 FROM partner_commission_events
                     WHERE tenant_id = ? AND link_id IS NOT NULL AND event_type = 'invoice_payment' GROUP BY link_id, customer_id
                 UNION ALL SELECT e.link_id, e.currency, e.event_date, 0, 0, (e.event_type = 'invoice_payment')::integer,
                         CASE WHEN e.event_type = 'invoice_payment' THEN e.base - least(i.refunded, i.amount) ELSE 0 END,
                         CASE WHEN e.status <> 'rejected' AND e.partner_id = l.partner_id THEN e.amount ELSE 0 END
                     FROM partner_commission_events e
                     JOIN links l ON l.tenant_id = e.tenant_id AND l.id = e.link_id
                     LEFT JOIN invoices i ON i.tenant_id = e.tenant_id AND i.external_id = e.invoice_id
                     WHERE e.tenant_id = ?),
             said AS (
                 SELECT s.scope_id, l.partner_id, r.currency, g.grain, g.starts_at, sum(r.sign_ups) AS sign_ups, sum(r.customers) AS customers,
                     sum(r.sales) AS sales, sum(r.sale_amount) AS sale_amount, sum(r.earned) AS earned
                 FROM recorded r JOIN links l ON l.tenant_id = ? AND l.id = r.link_id
                 JOIN enrolments e ON e.tenant_id = l.tenant_id AND e.partner_id = l.partner_id AND e.programme_id = l.programme_id
                 CROSS JOIN LATERAL (VALUES (l.id), (e.id), (l.partner_id)) AS s (scope_id)
                 CROSS JOIN LATERAL (VALUES ('all', 'epoch'::timestamptz), ('day', date_trunc('day', r.at, 'UTC')),
                     ('quarter_hour', date_bin('15 minutes', r.at, 'epoch'::timestamptz))) AS g (grain, starts_at)
                 GROUP BY 1, 2, 3, 4, 5),
             sides AS (
                 SELECT scope_id, currency, grain, starts_at, coalesce(t.sign_ups, 0) <> coalesce(s.sign_ups, 0)
                     OR coalesce(t.customers, 0) <> coalesce(s.customers, 0) OR coalesce(t.sales, 0) <> coalesce(s.sales, 0)
                     OR coalesce(t.sale_amount, 0) <> coalesce(s.sale_amount, 0) OR coalesce(t.earned, 0) <> coalesce(s.earned, 0)
                     OR t.partner_id <> s.partner_id AS is_wrong
                 FROM (SELECT * FROM link_sale_totals WHERE tenant_id = ?) t FULL JOIN said s USING (scope_id, currency, grain, starts_at))
             SELECT count(*), count(*) FILTER (WHERE is_wrong),
                 min(format('%s: %s at %s %s', scope_id, grain, starts_at, currency)) FILTER (WHERE is_wrong)
             FROM sides",
        ),
    },
    BookRule {
        name: "link_orders_follow_figures",
        sentence: "Every link stands among the links by clicks and by sales with its figures",
        check: Check::Sql(
            "WITH said AS (
                 SELECT l.id, l.partner_id, l.programme_id, coalesce(c.clicks, 0) AS clicks, coalesce(n.sign_ups, 0) AS sign_ups,
                     coalesce(s.sales, 0) AS sales, coalesce(s.earned, 0) AS earned
                 FROM links l JOIN tenants t ON t.id = l.tenant_id
                 LEFT JOIN link_click_totals c ON c.tenant_id = l.tenant_id AND c.scope_id = l.id AND c.grain = 'all'
                 LEFT JOIN link_sale_totals n ON n.tenant_id = l.tenant_id AND n.scope_id = l.id AND n.grain = 'all' AND n.currency = ''
                 LEFT JOIN link_sale_totals s ON s.tenant_id = l.tenant_id AND s.scope_id = l.id AND s.grain = 'all' AND s.currency = t.default_currency
                 WHERE l.tenant_id = ?),
             found AS (
                 SELECT link_id, c.partner_id = s.partner_id AND c.programme_id = s.programme_id AS agree, s.partner_id, s.programme_id, c.clicks,
                     s.sign_ups, s.sales, s.earned
                 FROM (SELECT * FROM links_by_clicks WHERE tenant_id = ?) c
                 FULL JOIN (SELECT * FROM links_by_sales WHERE tenant_id = ?) s USING (link_id)),
             sides AS (
                 SELECT coalesce(s.id, f.link_id) AS id, f.agree IS NOT TRUE OR (s.partner_id, s.programme_id, s.clicks, s.sign_ups, s.sales, s.earned)
                     IS DISTINCT FROM (f.partner_id, f.programme_id, f.clicks, f.sign_ups, f.sales, f.earned) AS is_wrong
                 FROM said s FULL JOIN found f ON f.link_id = s.id)
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(format('link:%s', id)) FILTER (WHERE is_wrong) FROM sides",
        ),
    },
    BookRule {
        name: "links_customers_commissions_agree",
        sentence: "Every link, sign-up, customer and commission agree on their partner, or the commission was moved from it",
        check: Check::Sql(
            "WITH found AS (
                 SELECT format('commission:%s', e.id) AS what, e.partner_id <> l.partner_id AND NOT EXISTS (SELECT FROM partner_moves m
                         WHERE m.tenant_id = e.tenant_id AND m.commission_id IN (e.id, e.reverses_id) AND m.from_partner_id = l.partner_id)
                     OR NOT EXISTS (SELECT FROM partner_accounts a
                         WHERE a.tenant_id = e.tenant_id AND a.customer_id = e.customer_id AND a.link_id = e.link_id) AS is_wrong
                     FROM partner_commission_events e JOIN links l ON l.tenant_id = e.tenant_id AND l.id = e.link_id WHERE e.tenant_id = ?
                     -- Of what was imported there is a rule of its own; its refunds follow it.
                     AND e.source <> 'imported' AND NOT EXISTS (SELECT FROM partner_commission_events o
                         WHERE o.tenant_id = e.tenant_id AND o.id = e.reverses_id AND o.source = 'imported')
                 UNION ALL SELECT format('customeraccount:%s', a.id), l.id IS NULL OR a.partner_id <> l.partner_id OR a.programme_id <> l.programme_id
                     FROM partner_accounts a LEFT JOIN links l ON l.tenant_id = a.tenant_id AND l.id = a.link_id
                     WHERE a.tenant_id = ? AND a.link_id IS NOT NULL
                 UNION ALL SELECT format('signup:%s', s.id), l.id IS NULL OR s.partner_id <> l.partner_id OR s.programme_id <> l.programme_id
                         OR NOT EXISTS (SELECT FROM customers c WHERE c.tenant_id = s.tenant_id AND c.id = s.customer_id)
                         OR s.is_counted AND NOT EXISTS (SELECT FROM partner_accounts a
                             WHERE a.tenant_id = s.tenant_id AND a.customer_id = s.customer_id AND a.partner_id = s.partner_id)
                     FROM link_sign_ups s LEFT JOIN links l ON l.tenant_id = s.tenant_id AND l.id = s.link_id WHERE s.tenant_id = ?)
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(what) FILTER (WHERE is_wrong) FROM found",
        ),
    },
    BookRule {
        name: "parts_sum_to_the_whole",
        sentence: "Every commission that is shared is in parts that sum to the whole, each the share that its link says, and all of one payment",
        check: Check::Sql(
            "WITH parts AS (
                 SELECT s.owners_id, s.share, s.whole, e.id, e.partner_id, e.event_type, e.amount, o.link_id,
                     (e.invoice_id, e.customer_id, e.currency, e.event_date, e.base, e.source, e.rule_id, e.rate, e.month_base, e.is_past_duration)
                     IS DISTINCT FROM (o.invoice_id, o.customer_id, o.currency, o.event_date, o.base, o.source, o.rule_id, o.rate, o.month_base, o.is_past_duration)
                         AS is_other
                 FROM commission_splits s
                 LEFT JOIN partner_commission_events e ON e.tenant_id = s.tenant_id AND e.id = s.commission_id
                 LEFT JOIN partner_commission_events o ON o.tenant_id = s.tenant_id AND o.id = s.owners_id
                 WHERE s.tenant_id = ?
                 UNION ALL
                 SELECT e.id, NULL, NULL, e.id, e.partner_id, e.event_type, e.amount, NULL, true
                 FROM partner_commission_events e WHERE e.tenant_id = ? AND e.event_type = 'split'
                     AND NOT EXISTS (SELECT FROM commission_splits s WHERE s.tenant_id = e.tenant_id AND s.commission_id = e.id)),
             sides AS (
                 SELECT owners_id, sum(amount) IS DISTINCT FROM min(whole) OR min(whole) <> max(whole) OR sum(share) IS DISTINCT FROM 1
                     OR bool_or(is_other) OR count(*) FILTER (WHERE id = owners_id AND event_type = 'invoice_payment') <> 1
                     OR count(*) FILTER (WHERE id <> owners_id AND event_type <> 'split') > 0
                     -- By the largest remainder no part is a minor unit away from its share; of most currencies that is a hundredth.
                     OR bool_or(abs(amount - whole * share) >= CASE WHEN whole = trunc(whole) AND amount = trunc(amount) THEN 1 ELSE 0.01 END)
                     OR bool_or(id <> owners_id AND NOT EXISTS (SELECT FROM link_shares l WHERE l.tenant_id = ? AND l.link_id = parts.link_id AND l.share = parts.share
                         AND (l.partner_id = parts.partner_id OR EXISTS (SELECT FROM partner_moves m
                             WHERE m.tenant_id = l.tenant_id AND m.commission_id = parts.id AND m.from_partner_id = l.partner_id)))) AS is_wrong
                 FROM parts GROUP BY owners_id)
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(format('commission:%s', owners_id)) FILTER (WHERE is_wrong) FROM sides",
        ),
    },
    BookRule {
        name: "flags_are_decided",
        sentence: "Every commission with a flag waits for a person: it is not approved by itself, and was decided before it went on",
        check: Check::Sql(
            "WITH sides AS (
                 SELECT e.id, e.event_type <> 'split' AND (e.event_type <> 'invoice_payment' OR e.link_id IS NULL) OR e.due_at IS NOT NULL
                     OR e.status <> 'pending' AND e.decided_by IS NULL AS is_wrong
                 FROM commission_flags f JOIN partner_commission_events e ON e.tenant_id = f.tenant_id AND e.id = f.commission_id
                 WHERE f.tenant_id = ?)
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(format('commission:%s', id)) FILTER (WHERE is_wrong) FROM sides",
        ),
    },
];
