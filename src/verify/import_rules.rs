//! The rules for what was imported, and the statements that check them: what another system gave out is here as it was, and nothing of it is without what it
//! needs.

use super::{BookRule, Check};

/// In the order in which they are checked.
pub const IMPORT_RULES: &[BookRule] = &[
    BookRule {
        name: "imported_rows_are_here",
        sentence: "Every imported row is here under the id that it got, and every row that was read is here or was reported",
        check: Check::Sql(
            "WITH sides AS (
                 SELECT r.kind, r.source_id, CASE WHEN r.state = 'in' THEN NOT CASE r.kind
                         WHEN 'partner' THEN EXISTS (SELECT FROM partners t WHERE t.tenant_id = r.tenant_id AND t.id = r.target_id)
                         WHEN 'user' THEN EXISTS (SELECT FROM users t WHERE t.tenant_id = r.tenant_id AND t.id = r.target_id)
                         WHEN 'membership' THEN EXISTS (SELECT FROM partner_users t
                             WHERE t.tenant_id = r.tenant_id AND t.partner_id = r.partner_id AND t.user_id = r.target_id)
                         WHEN 'programme' THEN EXISTS (SELECT FROM programmes t WHERE t.tenant_id = r.tenant_id AND t.id = r.target_id)
                         WHEN 'enrolment' THEN EXISTS (SELECT FROM enrolments t
                             WHERE t.tenant_id = r.tenant_id AND t.partner_id = r.partner_id AND t.id = r.target_id)
                         WHEN 'rule' THEN EXISTS (SELECT FROM partner_commissions t WHERE t.tenant_id = r.tenant_id AND t.id = r.target_id)
                         WHEN 'link' THEN EXISTS (SELECT FROM links t WHERE t.tenant_id = r.tenant_id AND t.id = r.target_id)
                         WHEN 'link_day' THEN EXISTS (SELECT FROM links t WHERE t.tenant_id = r.tenant_id AND t.id = r.target_id)
                         WHEN 'customer' THEN EXISTS (SELECT FROM customers t WHERE t.tenant_id = r.tenant_id AND t.id = r.target_id)
                         WHEN 'payout' THEN EXISTS (SELECT FROM partner_payouts t WHERE t.tenant_id = r.tenant_id AND t.id = r.target_id)
                         ELSE EXISTS (SELECT FROM partner_commission_events t WHERE t.tenant_id = r.tenant_id AND t.id = r.target_id) END
                     WHEN r.state = 'left' THEN NOT EXISTS (SELECT FROM import_findings f WHERE f.tenant_id = r.tenant_id AND f.source = r.source
                         AND f.kind = r.kind AND f.source_id = r.source_id AND f.is_left)
                     -- What waits for its turn is the business of a run that was not finished.
                     ELSE EXISTS (SELECT FROM import_runs u WHERE u.tenant_id = r.tenant_id AND u.source = r.source AND u.finished_at IS NOT NULL) END AS is_wrong
                 FROM import_rows r WHERE r.tenant_id = ?)
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(format('the %s %s', kind, source_id)) FILTER (WHERE is_wrong) FROM sides",
        ),
    },
    BookRule {
        name: "imported_commissions_have_partners",
        sentence: "Every imported commission has a partner of the tenant",
        check: Check::Sql(
            "WITH sides AS (
                 SELECT e.id, p.id IS NULL AS is_wrong
                 FROM partner_commission_events e LEFT JOIN partners p ON p.tenant_id = e.tenant_id AND p.id = e.partner_id
                 WHERE e.tenant_id = ? AND e.source = 'imported')
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(format('commission:%s', id)) FILTER (WHERE is_wrong) FROM sides",
        ),
    },
    BookRule {
        name: "imported_users_have_partners",
        sentence: "Every imported user acts for a partner",
        check: Check::Sql(
            "WITH sides AS (
                 SELECT u.id, u.default_partner_id IS NULL AS is_wrong
                 FROM import_rows r JOIN users u ON u.tenant_id = r.tenant_id AND u.id = r.target_id
                 WHERE r.tenant_id = ? AND r.kind = 'user' AND r.state = 'in')
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(format('user:%s', id)) FILTER (WHERE is_wrong) FROM sides",
        ),
    },
    BookRule {
        name: "imported_users_belong_to_it",
        sentence: "Every imported user belongs, or once belonged, to the partner that they act for",
        check: Check::Sql(
            "WITH sides AS (
                 SELECT u.id, NOT EXISTS (SELECT FROM partner_users b
                     WHERE b.tenant_id = u.tenant_id AND b.user_id = u.id AND b.partner_id = u.default_partner_id) AS is_wrong
                 FROM import_rows r JOIN users u ON u.tenant_id = r.tenant_id AND u.id = r.target_id
                 WHERE r.tenant_id = ? AND r.kind = 'user' AND r.state = 'in' AND u.default_partner_id IS NOT NULL)
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(format('user:%s', id)) FILTER (WHERE is_wrong) FROM sides",
        ),
    },
    BookRule {
        name: "imported_links_have_partners",
        sentence: "Every imported link has a partner of the tenant",
        check: Check::Sql(
            "WITH sides AS (
                 SELECT l.id, p.id IS NULL AS is_wrong
                 FROM import_rows r JOIN links l ON l.tenant_id = r.tenant_id AND l.id = r.target_id
                 LEFT JOIN partners p ON p.tenant_id = l.tenant_id AND p.id = l.partner_id
                 WHERE r.tenant_id = ? AND r.kind = 'link' AND r.state = 'in')
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(format('link:%s', id)) FILTER (WHERE is_wrong) FROM sides",
        ),
    },
    BookRule {
        name: "imported_links_have_programmes",
        sentence: "Every imported link whose address has a domain is in a programme: none was left for want of one",
        check: Check::Sql(
            "WITH sides AS (
                 SELECT r.source_id, r.state = 'in' AND NOT EXISTS (SELECT FROM links l
                     JOIN programmes p ON p.tenant_id = l.tenant_id AND p.id = l.programme_id
                     WHERE l.tenant_id = r.tenant_id AND l.id = r.target_id) AS is_wrong
                 FROM import_rows r WHERE r.tenant_id = ? AND r.kind = 'link' AND r.facts -> 'domain' IS NOT NULL)
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(format('the link %s', source_id)) FILTER (WHERE is_wrong) FROM sides",
        ),
    },
    BookRule {
        name: "imported_partners_are_enrolled",
        sentence: "Every partner takes part in the programmes of its imported links and of those that its imported commissions came by",
        check: Check::Sql(
            "WITH pairs AS (
                 SELECT DISTINCT l.partner_id, l.programme_id
                 FROM import_rows r JOIN links l ON l.tenant_id = r.tenant_id AND l.id = coalesce(r.link_id, r.target_id)
                 WHERE r.tenant_id = ? AND r.kind IN ('link', 'commission') AND r.state = 'in'),
             sides AS (
                 SELECT p.*, NOT EXISTS (SELECT FROM enrolments e
                     WHERE e.tenant_id = ? AND e.partner_id = p.partner_id AND e.programme_id = p.programme_id) AS is_wrong
                 FROM pairs p)
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(format('partner:%s in programme:%s', partner_id, programme_id)) FILTER (WHERE is_wrong)
             FROM sides",
        ),
    },
    BookRule {
        name: "enrolled_once",
        sentence: "No partner takes part in a programme twice (a constraint holds this too: it fails where somebody has dropped it)",
        check: Check::Sql(
            "WITH sides AS (SELECT partner_id, programme_id, count(*) > 1 AS is_wrong FROM enrolments WHERE tenant_id = ? GROUP BY 1, 2)
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(format('partner:%s in programme:%s', partner_id, programme_id)) FILTER (WHERE is_wrong)
             FROM sides",
        ),
    },
    BookRule {
        name: "one_programme_a_domain",
        sentence: "No domain has two programmes (a constraint holds this too: it fails where somebody has dropped it)",
        check: Check::Sql(
            "WITH sides AS (SELECT domain, count(*) > 1 AS is_wrong FROM programmes WHERE tenant_id = ? GROUP BY 1)
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(domain) FILTER (WHERE is_wrong) FROM sides",
        ),
    },
    BookRule {
        name: "imported_partners_have_owners",
        sentence: "Every imported partner has, or once had, an owner",
        check: Check::Sql(
            "WITH sides AS (
                 SELECT r.target_id AS id, NOT EXISTS (SELECT FROM partner_users b
                     WHERE b.tenant_id = r.tenant_id AND b.partner_id = r.target_id AND b.role = 'owner') AS is_wrong
                 FROM import_rows r JOIN import_runs u ON u.tenant_id = r.tenant_id AND u.source = r.source AND u.finished_at IS NOT NULL
                 WHERE r.tenant_id = ? AND r.kind = 'partner' AND r.state = 'in')
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(format('partner:%s', id)) FILTER (WHERE is_wrong) FROM sides",
        ),
    },
    BookRule {
        name: "imported_commissions_follow_links",
        sentence: "Every imported commission is of its link's partner, or that it is not was reported, or it was moved",
        check: Check::Sql(
            "WITH sides AS (
                 SELECT e.id, e.partner_id <> l.partner_id
                     AND NOT EXISTS (SELECT FROM import_findings f WHERE f.tenant_id = r.tenant_id AND f.source = r.source AND f.kind = r.kind
                         AND f.source_id = r.source_id AND f.code = 'PARTNER_DIFFERS_FROM_LINK')
                     AND NOT EXISTS (SELECT FROM partner_moves m WHERE m.tenant_id = e.tenant_id AND m.commission_id = e.id) AS is_wrong
                 FROM import_rows r JOIN partner_commission_events e ON e.tenant_id = r.tenant_id AND e.id = r.target_id
                 JOIN links l ON l.tenant_id = e.tenant_id AND l.id = e.link_id
                 WHERE r.tenant_id = ? AND r.kind = 'commission' AND r.state = 'in')
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(format('commission:%s', id)) FILTER (WHERE is_wrong) FROM sides",
        ),
    },
    BookRule {
        name: "imported_amounts_are_theirs",
        sentence: "Every imported commission has the amount, currency and date that its source says",
        check: Check::Sql(
            "WITH sides AS (
                 SELECT r.source_id, e.amount IS DISTINCT FROM r.amount OR e.currency IS DISTINCT FROM r.currency
                     OR e.event_date IS DISTINCT FROM (r.facts ->> 'at')::timestamptz AS is_wrong
                 FROM import_rows r JOIN partner_commission_events e ON e.tenant_id = r.tenant_id AND e.id = r.target_id
                 WHERE r.tenant_id = ? AND r.kind = 'commission' AND r.state = 'in')
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(format('the commission %s', source_id)) FILTER (WHERE is_wrong) FROM sides",
        ),
    },
    BookRule {
        name: "imported_sums_agree",
        sentence: "For each source, currency and status that commissions had there, their count and sum are the same here",
        check: Check::Sql(
            "WITH sides AS (
                 SELECT r.source, r.currency, r.status, (count(*), sum(r.amount)) IS DISTINCT FROM (count(e.id), sum(e.amount)) AS is_wrong
                 FROM import_rows r LEFT JOIN partner_commission_events e ON e.tenant_id = r.tenant_id AND e.id = r.target_id
                 WHERE r.tenant_id = ? AND r.kind = 'commission' AND r.state = 'in' GROUP BY 1, 2, 3)
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(format('%s from %s in %s', status, source, currency)) FILTER (WHERE is_wrong)
             FROM sides",
        ),
    },
    BookRule {
        name: "imported_days_are_in_totals",
        sentence: "Every imported day of a link is in that day's totals, and in those of the quarter of an hour that it begins with",
        check: Check::Sql(
            "WITH sides AS (
                 SELECT d.link_id, d.day, bool_or(d.clicks > coalesce(c.clicks, 0) OR d.sign_ups > coalesce(s.sign_ups, 0)) AS is_wrong
                 FROM link_imported_days d CROSS JOIN (VALUES ('day'), ('quarter_hour')) AS g (grain)
                 LEFT JOIN link_click_totals c ON c.tenant_id = d.tenant_id AND c.scope_id = d.link_id AND c.grain = g.grain
                     AND c.starts_at = d.day::timestamp AT TIME ZONE 'UTC'
                 LEFT JOIN link_sale_totals s ON s.tenant_id = d.tenant_id AND s.scope_id = d.link_id AND s.currency = '' AND s.grain = g.grain
                     AND s.starts_at = d.day::timestamp AT TIME ZONE 'UTC'
                 WHERE d.tenant_id = ? GROUP BY 1, 2)
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(format('link:%s on %s', link_id, day)) FILTER (WHERE is_wrong) FROM sides",
        ),
    },
];
