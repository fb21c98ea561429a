//! The rules for affiliates and their wallets, and the statements that check them.

use super::{BookRule, Check};

/// In the order in which they are checked.
pub const AFFILIATE_RULES: &[BookRule] = &[
    BookRule {
        name: "wallets_equal_transactions",
        sentence: "Every wallet's transactions are numbered without gaps, follow on, and end at what its accounts hold",
        check: Check::Sql(
            "WITH steps AS (
                 SELECT user_id, currency, number, amount, balance, row_number() OVER w AS said_number, sum(amount) OVER w AS said_balance,
                     lead(number) OVER w IS NULL AS is_last
                 FROM wallet_transactions WHERE tenant_id = ? WINDOW w AS (PARTITION BY user_id, currency ORDER BY number ROWS UNBOUNDED PRECEDING)),
             held AS (
                 SELECT user_id, unit AS currency, sum(balance) AS balance FROM user_accounts
                 WHERE tenant_id = ? AND kind IN ('pending', 'wallet') GROUP BY 1, 2),
             sides AS (
                 SELECT user_id, currency, (number, s.balance) IS DISTINCT FROM (said_number, said_balance) AS is_wrong FROM steps s
                 UNION ALL
                 SELECT user_id, currency, coalesce(s.balance, 0) <> coalesce(h.balance, 0)
                 FROM (SELECT * FROM steps WHERE is_last) s FULL JOIN held h USING (user_id, currency))
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(format('the wallet of user:%s in %s', user_id, currency)) FILTER (WHERE is_wrong)
             FROM sides",
        ),
    },
    BookRule {
        name: "wallet_transfers_equal_transactions",
        sentence: "Every wallet's transaction has moved its own amount, and what rewards hold back is what has not been set free",
        check: Check::Sql(
            "WITH own AS (SELECT * FROM transfers WHERE tenant_id = ? AND user_id IS NOT NULL),
             moved AS (
                 SELECT format('wallettransaction:%s', id) AS source,
                     coalesce(CASE WHEN o.to_kind IN ('pending', 'wallet') THEN o.amount ELSE -o.amount END, 0) <> w.amount
                         OR o.unit <> w.currency OR o.user_id <> w.user_id OR o.kind <> CASE w.kind
                             WHEN 'take_out' THEN 'take_out' WHEN 'give_back' THEN 'give_back' WHEN 'adjustment' THEN 'adjust' ELSE 'earn' END AS is_wrong
                 FROM (SELECT * FROM wallet_transactions WHERE tenant_id = ?) w LEFT JOIN own o ON o.wallet_transaction_id = w.id),
             sums AS (
                 SELECT coalesce(o.reward_id, w.reward_id) AS id,
                     sum(CASE WHEN o.to_kind = 'pending' THEN o.amount WHEN o.from_kind = 'pending' THEN -o.amount ELSE 0 END) AS held
                 FROM own o LEFT JOIN wallet_transactions w ON w.tenant_id = o.tenant_id AND w.id = o.wallet_transaction_id GROUP BY 1),
             rewards AS (
                 SELECT format('reward:%s', r.id), coalesce(s.held, 0) <> CASE WHEN r.is_held THEN r.amount ELSE 0 END
                 FROM affiliate_rewards r LEFT JOIN sums s USING (id) WHERE r.tenant_id = ?)
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(source) FILTER (WHERE is_wrong)
             FROM (SELECT * FROM moved UNION ALL SELECT * FROM rewards) AS sides",
        ),
    },
    BookRule {
        name: "rewards_equal_payments",
        sentence: "Every reward is for its invoice's payment less refunds, by a person whom its user referred then, and is what its transactions come to",
        check: Check::Sql(
            "WITH sums AS (
                 SELECT reward_id, user_id, currency, sum(amount) AS amount, sum(sales) AS sales,
                     count(*) FILTER (WHERE kind = 'reward') AS rewards FROM wallet_transactions
                 WHERE tenant_id = ? AND reward_id IS NOT NULL GROUP BY 1, 2, 3),
             sides AS (
                 SELECT r.id, (r.user_id, r.currency, r.amount, r.base - r.refunded) IS DISTINCT FROM (s.user_id, s.currency, s.amount, s.sales)
                     OR s.rewards <> 1
                     OR (r.base, r.refunded, r.currency, r.paid_at) IS DISTINCT FROM (i.amount, least(i.refunded, i.amount), i.currency, i.paid_at)
                     OR f.referrer_id IS DISTINCT FROM r.user_id OR f.user_id IS DISTINCT FROM c.user_id OR f.first_paid_at IS NULL OR f.first_paid_at > r.paid_at
                     OR CASE WHEN r.paid_at = date_trunc('second', r.paid_at) THEN date_trunc('second', f.valid_from) ELSE f.valid_from END > least(r.paid_at, r.created_at)
                     OR f.valid_to <= least(r.paid_at, r.created_at) AS is_wrong
                 FROM affiliate_rewards r
                 LEFT JOIN referrals f ON f.tenant_id = r.tenant_id AND f.id = r.referral_id
                 LEFT JOIN invoices i ON i.tenant_id = r.tenant_id AND i.external_id = r.invoice_id
                 LEFT JOIN customers c ON c.tenant_id = i.tenant_id AND c.id = i.customer_id
                 LEFT JOIN sums s ON s.reward_id = r.id
                 WHERE r.tenant_id = ?)
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(format('reward:%s', id)) FILTER (WHERE is_wrong) FROM sides",
        ),
    },
    BookRule {
        name: "rewards_equal_terms",
        sentence: "Every reward is the share of its terms, of what was paid and not refunded",
        check: Check::Rewards,
    },
    BookRule {
        name: "rewards_have_terms_in_force",
        sentence: "Every reward names the terms that were in force and on at its payment, in time after the sign-up, while its user was active",
        check: Check::Sql(
            "WITH sides AS (
                 SELECT r.id, t.id IS DISTINCT FROM r.terms_id OR NOT t.is_active
                     OR p.at >= f.signed_up_at + make_interval(hours => 24 * t.validity_days)
                     OR NOT EXISTS (SELECT FROM affiliate_periods a WHERE a.tenant_id = r.tenant_id AND a.user_id = r.user_id
                         AND CASE WHEN p.at = date_trunc('second', p.at) THEN date_trunc('second', a.active_from) ELSE a.active_from END <= p.at AND (a.active_to IS NULL OR a.active_to > p.at)) AS is_wrong
                 FROM affiliate_rewards r
                 CROSS JOIN LATERAL (SELECT least(r.paid_at, r.created_at) AS at) AS p
                 JOIN referrals f ON f.tenant_id = r.tenant_id AND f.id = r.referral_id
                 LEFT JOIN LATERAL (
                     SELECT * FROM affiliate_terms l WHERE l.tenant_id = r.tenant_id AND CASE WHEN p.at = date_trunc('second', p.at) THEN date_trunc('second', l.valid_from) ELSE l.valid_from END <= p.at
                         AND l.valid_from <= r.created_at
                     ORDER BY l.valid_from DESC LIMIT 1) t ON true
                 WHERE r.tenant_id = ?)
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(format('reward:%s', id)) FILTER (WHERE is_wrong) FROM sides",
        ),
    },
    BookRule {
        name: "terms_are_versions",
        sentence: "The terms for affiliates are numbered in the order in which they began, without gaps",
        check: Check::Sql(
            "WITH sides AS (SELECT id, number <> row_number() OVER (ORDER BY valid_from) AS is_wrong FROM affiliate_terms WHERE tenant_id = ?)
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(format('affiliateterms:%s', id)) FILTER (WHERE is_wrong) FROM sides",
        ),
    },
    BookRule {
        name: "payments_are_rewarded",
        sentence: "Every payment of a referred person earned its reward, but those within five minutes of a change that decides of it",
        check: Check::Sql(
            "WITH sides AS (
                 SELECT i.external_id, w.id IS NULL AS is_wrong
                 FROM invoices i
                 JOIN customers c ON c.tenant_id = i.tenant_id AND c.id = i.customer_id AND NOT c.are_rewards_due
                 JOIN referrals f ON f.tenant_id = c.tenant_id AND f.user_id = c.user_id
                     AND f.valid_from <= i.paid_at - interval '5 minutes' AND (f.valid_to IS NULL OR f.valid_to > i.paid_at + interval '5 minutes')
                 JOIN affiliate_periods a ON a.tenant_id = f.tenant_id AND a.user_id = f.referrer_id
                     AND a.active_from <= i.paid_at - interval '5 minutes' AND (a.active_to IS NULL OR a.active_to > i.paid_at + interval '5 minutes')
                 CROSS JOIN LATERAL (
                     SELECT l.* FROM affiliate_terms l WHERE l.tenant_id = f.tenant_id AND l.valid_from <= i.paid_at - interval '5 minutes'
                     ORDER BY l.valid_from DESC LIMIT 1) t
                 LEFT JOIN affiliate_rewards w ON w.tenant_id = i.tenant_id AND w.invoice_id = i.external_id
                 WHERE i.tenant_id = ? AND i.amount > 0 AND t.is_active
                     AND (t.validity_days IS NULL OR i.paid_at < f.signed_up_at + make_interval(hours => 24 * t.validity_days))
                     AND NOT EXISTS (SELECT FROM affiliate_terms n WHERE n.tenant_id = f.tenant_id AND n.valid_from > i.paid_at - interval '5 minutes'
                         AND n.valid_from <= i.paid_at + interval '5 minutes'))
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(format('the invoice %s', external_id)) FILTER (WHERE is_wrong) FROM sides",
        ),
    },
    BookRule {
        name: "take_outs_equal_commissions",
        sentence: "What was taken out of wallets is what partners' commissions say, and what of that was rejected is back",
        check: Check::Sql(
            "WITH sides AS (
                 SELECT e.id, o.id IS NULL OR (-o.amount, o.currency) IS DISTINCT FROM (e.amount, e.currency)
                     OR (e.status = 'rejected') <> (b.id IS NOT NULL) OR (b.user_id, b.amount, b.currency) <> (o.user_id, -o.amount, o.currency) AS is_wrong
                 FROM (SELECT * FROM partner_commission_events WHERE tenant_id = ? AND event_type = 'wallet') e
                 FULL JOIN (SELECT * FROM wallet_transactions WHERE tenant_id = ? AND kind = 'take_out') o ON o.commission_id = e.id
                 LEFT JOIN wallet_transactions b ON b.tenant_id = o.tenant_id AND b.commission_id = o.commission_id AND b.kind = 'give_back')
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(format('commission:%s', id)) FILTER (WHERE is_wrong) FROM sides",
        ),
    },
    BookRule {
        name: "nobody_refers_themselves",
        sentence: "Nobody was referred by themselves, directly or over others",
        check: Check::Sql(
            "WITH RECURSIVE current AS (SELECT user_id, referrer_id FROM referrals WHERE tenant_id = ? AND valid_to IS NULL),
             above AS (
                 SELECT user_id, referrer_id FROM current
                 UNION SELECT a.user_id, c.referrer_id FROM above a JOIN current c ON c.user_id = a.referrer_id)
             SELECT (SELECT count(*) FROM current), count(*) FILTER (WHERE user_id = referrer_id),
                 min(format('user:%s', user_id)) FILTER (WHERE user_id = referrer_id)
             FROM above",
        ),
    },
    BookRule {
        name: "users_have_invite_codes",
        sentence: "Every user has one current invite code",
        check: Check::Sql(
            "WITH sides AS (
                 SELECT u.id, count(*) FILTER (WHERE c.is_current) <> 1 AS is_wrong
                 FROM users u LEFT JOIN invite_codes c ON c.tenant_id = u.tenant_id AND c.user_id = u.id WHERE u.tenant_id = ? GROUP BY u.id)
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(format('user:%s', id)) FILTER (WHERE is_wrong) FROM sides",
        ),
    },
    BookRule {
        name: "affiliate_totals_equal_transactions",
        sentence: "Every affiliate's totals of a day are what their wallets' transactions come to",
        check: Check::Sql(
            "WITH sums AS (
                 SELECT user_id, currency, (at AT TIME ZONE (SELECT time_zone FROM tenants WHERE id = ?))::date AS day, sum(sales) AS sales,
                     coalesce(sum(amount) FILTER (WHERE kind IN ('reward', 'refund')), 0) AS earned,
                     coalesce(-sum(amount) FILTER (WHERE kind IN ('take_out', 'give_back')), 0) AS taken_out,
                     coalesce(sum(amount) FILTER (WHERE kind = 'adjustment'), 0) AS adjusted
                 FROM wallet_transactions WHERE tenant_id = ? GROUP BY 1, 2, 3),
             sides AS (
                 SELECT user_id, day, (t.sales, t.earned, t.taken_out, t.adjusted) IS DISTINCT FROM (s.sales, s.earned, s.taken_out, s.adjusted) AS is_wrong
                 FROM (SELECT * FROM affiliate_totals WHERE tenant_id = ?) t FULL JOIN sums s USING (user_id, currency, day))
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(format('user:%s on %s', user_id, day)) FILTER (WHERE is_wrong) FROM sides",
        ),
    },
    BookRule {
        name: "affiliate_people_equal_referrals",
        sentence: "Every affiliate's people of a day are those whom they referred, and those who paid first",
        check: Check::Sql(
            "WITH zone AS (SELECT time_zone AS name FROM tenants WHERE id = ?),
             sums AS (
                 SELECT referrer_id AS user_id, day, sum(people) AS people, sum(paying) AS paying FROM (
                     SELECT referrer_id, (signed_up_at AT TIME ZONE (SELECT name FROM zone))::date AS day, 1 AS people, 0 AS paying
                     FROM referrals WHERE tenant_id = ? AND valid_to IS NULL
                     UNION ALL SELECT referrer_id, (first_paid_at AT TIME ZONE (SELECT name FROM zone))::date, 0, 1
                     FROM referrals WHERE tenant_id = ? AND first_paid_at IS NOT NULL AND valid_to IS NULL) AS each
                 GROUP BY 1, 2),
             sides AS (
                 SELECT user_id, day, (coalesce(p.people, 0), coalesce(p.paying, 0)) <> (coalesce(s.people, 0), coalesce(s.paying, 0)) AS is_wrong
                 FROM (SELECT * FROM affiliate_people WHERE tenant_id = ?) p FULL JOIN sums s USING (user_id, day))
             SELECT count(*), count(*) FILTER (WHERE is_wrong), min(format('user:%s on %s', user_id, day)) FILTER (WHERE is_wrong) FROM sides",
        ),
    },
];
