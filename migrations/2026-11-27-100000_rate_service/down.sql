DROP FUNCTION programmes_without_rate(timestamptz, timestamptz, bigint);
REVOKE UPDATE (rate_asked_at, rate_until) ON programmes FROM portal_operator;
REVOKE UPDATE (rate_source, rate_asked_at, rate_until, updated_at) ON programmes FROM portal_service;
DROP POLICY partner_commissions_service_end ON partner_commissions;
DROP POLICY partner_commissions_service ON partner_commissions;
REVOKE UPDATE (valid_to) ON partner_commissions FROM portal_service;
REVOKE INSERT (tenant_id, id, programme_id, currency, version, kind, rate, flat_amount, valid_from, valid_to,
    partner_id, enrolment_id, cap, duration_months, created_by) ON partner_commissions FROM portal_service;
DROP TABLE programme_rate_answers;
DROP INDEX programmes_unrated_idx;
ALTER TABLE programmes DROP COLUMN rate_until, DROP COLUMN rate_asked_at;
