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
             sides AS (
                 SELECT *, coalesce(clicks, 0) <> coalesce(said, 0) AS is_wrong
                 FROM (SELECT scope_id, starts_at, clicks FROM link_click_totals
                     WHERE tenant_id = ? AND grain = 'quarter_hour' AND starts_at >= (SELECT since FROM kept)) t
                 FULL JOIN counted s USING (scope_id, starts_at))
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
];
