//! The rules for members and credits, and the statements that check them.

use super::{BookRule, Check};

/// In the order in which they are checked.
pub const CREDIT_RULES: &[BookRule] = &[
    BookRule {
        name: "accounts_equal_credits",
        sentence: "Every partner's accounts of credits are what its grants and its members' credits say",
        check: Check::Sql(
            "WITH sums AS (
                 SELECT partner_id, kind, sum(credits) AS said FROM (
                     SELECT partner_id, 'issued' AS kind, -sum(credits) AS credits FROM credit_grants WHERE tenant_id = ? GROUP BY 1
                     UNION ALL SELECT partner_id, 'available', sum(credits) FROM credit_grants WHERE tenant_id = ? GROUP BY 1
                     UNION ALL SELECT partner_id, 'available', -count(*) FROM partner_credits WHERE tenant_id = ? AND status <> 'revoked' GROUP BY 1
                     UNION ALL SELECT partner_id, CASE status WHEN 'available' THEN 'assigned' ELSE status::text END, count(*)
                     FROM partner_credits WHERE tenant_id = ? AND status <> 'revoked' GROUP BY 1, 2) AS rows
                 GROUP BY 1, 2),
             sides AS (
                 SELECT *, coalesce(balance, 0) <> coalesce(said, 0) AS is_wrong
                 FROM (SELECT partner_id, kind::text AS kind, balance FROM accounts WHERE tenant_id = ? AND unit = 'CREDIT') a
                 FULL JOIN sums s USING (partner_id, kind))
             SELECT count(*), count(*) FILTER (WHERE is_wrong),
                 min(format('the account %s of partner:%s in CREDIT, which holds %s where its credits come to %s', kind, partner_id, balance, said))
                     FILTER (WHERE is_wrong)
             FROM sides",
        ),
    },
    BookRule {
        name: "member_accounts_equal_transfers",
        sentence: "Every member's share of its partner's accounts equals its transfers",
        check: Check::Sql(
            "WITH sums AS (
                 SELECT member_id, kind, sum(change) AS said FROM (
                     SELECT member_id, to_kind::text AS kind, amount AS change FROM transfers WHERE tenant_id = ? AND member_id IS NOT NULL
                     UNION ALL SELECT member_id, from_kind, -amount FROM transfers WHERE tenant_id = ? AND member_id IS NOT NULL) AS moves
                 WHERE kind <> 'available' GROUP BY 1, 2),
             sides AS (
                 SELECT *, coalesce(balance, 0) <> coalesce(said, 0) AS is_wrong
                 FROM (SELECT member_id, kind::text AS kind, balance FROM member_accounts WHERE tenant_id = ?) a
                 FULL JOIN sums s USING (member_id, kind))
             SELECT count(*), count(*) FILTER (WHERE is_wrong),
                 min(format('%s of member:%s, which holds %s and whose transfers say %s', kind, member_id, balance, said)) FILTER (WHERE is_wrong)
             FROM sides",
        ),
    },
    BookRule {
        name: "member_accounts_equal_credits",
        sentence: "Every member's share of its partner's accounts is what its credits say",
        check: Check::Sql(
            "WITH sums AS (
                 SELECT member_id, CASE status WHEN 'available' THEN 'assigned' ELSE status::text END AS kind, count(*) AS said
                 FROM partner_credits WHERE tenant_id = ? AND status <> 'revoked' GROUP BY 1, 2),
             sides AS (
                 SELECT *, coalesce(balance, 0) <> coalesce(said, 0) AS is_wrong
                 FROM (SELECT member_id, kind::text AS kind, balance FROM member_accounts WHERE tenant_id = ?) a
                 FULL JOIN sums s USING (member_id, kind))
             SELECT count(*), count(*) FILTER (WHERE is_wrong),
                 min(format('%s of member:%s, which holds %s where there are %s credits', kind, member_id, balance, said)) FILTER (WHERE is_wrong)
             FROM sides",
        ),
    },
    BookRule {
        name: "allocations_equal_credits",
        sentence: "Every allocation has as many credits as it says, its own member's, under its address while they can be used, and counts what has become of them",
        check: Check::Sql(
            "WITH sides AS (
                 SELECT a.id, a.credits, count(c.number) AS found,
                     (a.credits, a.used, a.expired, a.revoked) IS DISTINCT FROM (count(c.number), count(*) FILTER (WHERE c.status = 'used'),
                         count(*) FILTER (WHERE c.status = 'expired'), count(*) FILTER (WHERE c.status = 'revoked'))
                     OR bool_or((c.partner_id, c.member_id, c.expires_at) IS DISTINCT FROM (a.partner_id, a.member_id, a.expires_at)
                         OR c.status = 'available' AND c.employee_email <> m.email_key)
                     OR m.id IS NULL OR (a.available > 0 AND a.employee_email <> m.email_key) AS is_wrong
                 FROM credit_allocations a
                 LEFT JOIN partner_members m ON m.tenant_id = a.tenant_id AND m.id = a.member_id
                 LEFT JOIN partner_credits c ON c.tenant_id = a.tenant_id AND c.allocation_id = a.id
                 WHERE a.tenant_id = ? GROUP BY a.tenant_id, a.id, m.id, m.email_key)
             SELECT count(*), count(*) FILTER (WHERE is_wrong),
                 min(format('allocation:%s, of %s credits, where there are %s', id, credits, found)) FILTER (WHERE is_wrong)
             FROM sides",
        ),
    },
    BookRule {
        name: "members_equal_credits",
        sentence: "Every member's credits_assigned equals its credits that are not revoked",
        check: Check::Sql(
            "WITH sums AS (SELECT member_id, count(*) AS said FROM partner_credits WHERE tenant_id = ? AND status <> 'revoked' GROUP BY 1),
             sides AS (
                 SELECT m.id, m.credits_assigned, coalesce(s.said, 0) AS said FROM partner_members m LEFT JOIN sums s ON s.member_id = m.id
                 WHERE m.tenant_id = ?)
             SELECT count(*), count(*) FILTER (WHERE credits_assigned <> said),
                 min(format('member:%s, assigned %s credits where there are %s', id, credits_assigned, said)) FILTER (WHERE credits_assigned <> said)
             FROM sides",
        ),
    },
    BookRule {
        name: "credits_used_in_time",
        sentence: "No credit was used past its time, none expired before it, and every redemption has used as many as it says",
        check: Check::Sql(
            "WITH sides AS (
                 SELECT format('redemption:%s, of %s credits, where %s are used, %s of them past their time', r.id, r.credits, count(c.number),
                         count(*) FILTER (WHERE c.ended_at >= c.expires_at)) AS source,
                     CASE WHEN r.reversed_at IS NULL THEN r.credits ELSE 0 END <> count(c.number) OR bool_or(c.ended_at >= c.expires_at OR c.ended_at <> r.created_at OR c.member_id <> r.member_id) AS is_wrong
                 FROM credit_redemptions r LEFT JOIN partner_credits c ON c.tenant_id = r.tenant_id AND c.redemption_id = r.id
                 WHERE r.tenant_id = ? GROUP BY r.tenant_id, r.id
                 UNION ALL
                 SELECT format('credit %s of allocation:%s, which is %s', number, allocation_id, status),
                     (status = 'used') <> (redemption_id IS NOT NULL) OR (status = 'expired' AND ended_at < expires_at)
                 FROM partner_credits WHERE tenant_id = ? AND (status IN ('used', 'expired') OR redemption_id IS NOT NULL))
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(source) FILTER (WHERE is_wrong) FROM sides",
        ),
    },
    BookRule {
        name: "credit_transfers_equal_sources",
        sentence: "Every grant, allocation and redemption has moved its own credits, once for each reason",
        check: Check::Sql(
            "WITH moved AS (
                 SELECT allocation_id, coalesce(sum(amount) FILTER (WHERE kind = 'assign'), 0) AS assigned,
                     coalesce(sum(CASE kind WHEN 'redeem' THEN amount WHEN 'restore' THEN -amount END), 0) AS used, coalesce(sum(amount) FILTER (WHERE kind = 'expire'), 0) AS expired,
                     coalesce(sum(amount) FILTER (WHERE kind = 'revoke'), 0) AS revoked
                 FROM transfers WHERE tenant_id = ? AND allocation_id IS NOT NULL GROUP BY 1),
             sides AS (
                 SELECT format('allocation:%s, of %s credits', a.id, a.credits) AS source,
                     (a.credits, a.used, a.expired, a.revoked) IS DISTINCT FROM (m.assigned, m.used, m.expired, m.revoked) AS is_wrong
                 FROM credit_allocations a LEFT JOIN moved m ON m.allocation_id = a.id WHERE a.tenant_id = ?
                 UNION ALL
                 SELECT format('redemption:%s, which says %s of allocation:%s where its transfer says %s', coalesce(u.redemption_id, t.redemption_id),
                         coalesce(u.credits, 0), coalesce(u.allocation_id, t.allocation_id), coalesce(t.amount, 0)),
                     coalesce(u.credits, 0) <> coalesce(t.amount, 0)
                 FROM (SELECT redemption_id, allocation_id, count(*) AS credits FROM partner_credits
                     WHERE tenant_id = ? AND redemption_id IS NOT NULL GROUP BY 1, 2) u
                 FULL JOIN (SELECT redemption_id, allocation_id, sum(CASE kind WHEN 'redeem' THEN amount ELSE -amount END) AS amount
                     FROM transfers WHERE tenant_id = ? AND redemption_id IS NOT NULL GROUP BY 1, 2) t
                     USING (redemption_id, allocation_id)
                 UNION ALL
                 SELECT format('grant:%s, of %s credits', g.id, g.credits),
                     t.amount IS NULL OR CASE t.kind WHEN 'grant' THEN t.amount WHEN 'withdraw' THEN -t.amount END IS DISTINCT FROM g.credits
                 FROM credit_grants g LEFT JOIN transfers t ON t.tenant_id = g.tenant_id AND t.grant_id = g.id WHERE g.tenant_id = ?)
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(source) FILTER (WHERE is_wrong) FROM sides",
        ),
    },
    BookRule {
        name: "extensions_lead_here",
        sentence: "Every allocation that was given more time expires when its last extension says, each beginning where the one before ended",
        check: Check::Sql(
            "WITH chained AS (
                 SELECT *, lead(from_expires_at) OVER (PARTITION BY allocation_id ORDER BY to_expires_at) AS after
                 FROM credit_extensions WHERE tenant_id = ?),
             sides AS (
                 SELECT x.allocation_id, a.id IS NULL OR a.partner_id <> x.partner_id OR x.to_expires_at <> coalesce(x.after, a.expires_at) AS is_wrong
                 FROM chained x LEFT JOIN credit_allocations a ON a.tenant_id = x.tenant_id AND a.id = x.allocation_id)
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(format('allocation:%s', allocation_id)) FILTER (WHERE is_wrong) FROM sides",
        ),
    },
    BookRule {
        name: "member_counts_equal_rows",
        sentence: "Every partner's counts of members equal its members",
        check: Check::Sql(
            "WITH sums AS (
                 SELECT partner_id, count(*) FILTER (WHERE status = 'invited') AS said_invited, count(*) FILTER (WHERE status = 'active') AS said_active,
                     count(*) FILTER (WHERE status = 'inactive') AS said_inactive
                 FROM partner_members WHERE tenant_id = ? GROUP BY 1),
             sides AS (
                 SELECT *, (coalesce(invited, 0), coalesce(active, 0), coalesce(inactive, 0))
                     <> (coalesce(said_invited, 0), coalesce(said_active, 0), coalesce(said_inactive, 0)) AS is_wrong
                 FROM (SELECT partner_id, invited, active, inactive FROM member_counts WHERE tenant_id = ?) c FULL JOIN sums s USING (partner_id))
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(format('partner:%s, which counts %s members as active and has %s', partner_id, active, said_active))
                 FILTER (WHERE is_wrong)
             FROM sides",
        ),
    },
];
