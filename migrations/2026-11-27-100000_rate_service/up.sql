-- Rates of programmes that the commission-rate service knows.
SET LOCAL lock_timeout = '60s';

ALTER TABLE programmes
    ADD COLUMN rate_asked_at timestamptz,
    ADD COLUMN rate_until timestamptz;
COMMENT ON COLUMN programmes.rate_asked_at IS 'When the commission-rate service was last asked about the shop';
COMMENT ON COLUMN programmes.rate_until IS 'Until when the service stands by the rate that it gave; then it is asked again';
CREATE INDEX programmes_unrated_idx ON programmes (rate_asked_at NULLS FIRST) WHERE rate_source = 'default' OR rate_source = 'service' AND rate_until IS NOT NULL;

CREATE TABLE programme_rate_answers (
    tenant_id uuid NOT NULL,
    rule_id uuid NOT NULL,
    programme_id uuid NOT NULL,
    answer text NOT NULL,
    valid_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT programme_rate_answers_pkey PRIMARY KEY (tenant_id, rule_id),
    CONSTRAINT programme_rate_answers_rule_id_fkey FOREIGN KEY (tenant_id, rule_id) REFERENCES partner_commissions (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT programme_rate_answers_programme_id_fkey FOREIGN KEY (tenant_id, programme_id) REFERENCES programmes (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT programme_rate_answers_answer_length CHECK (octet_length(answer) <= 32768)
);
CREATE INDEX programme_rate_answers_programme_idx ON programme_rate_answers (tenant_id, programme_id);
COMMENT ON TABLE programme_rate_answers IS 'The answers of the commission-rate service that became rules, as they were sent';
ALTER TABLE programme_rate_answers ENABLE ROW LEVEL SECURITY;
CREATE POLICY programme_rate_answers_staff ON programme_rate_answers TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));
GRANT SELECT, INSERT ON programme_rate_answers TO portal_operator, portal_service;

-- A machine, and a partner that makes the first link to a shop, set what the service says: a rule for all partners in a programme, by nobody.
GRANT INSERT (tenant_id, id, programme_id, currency, version, kind, rate, flat_amount, valid_from, valid_to,
    partner_id, enrolment_id, cap, duration_months, created_by) ON partner_commissions TO portal_service;
GRANT UPDATE (valid_to) ON partner_commissions TO portal_service;
CREATE POLICY partner_commissions_service ON partner_commissions AS RESTRICTIVE FOR INSERT TO portal_service
    WITH CHECK (programme_id IS NOT NULL AND partner_id IS NULL AND created_by IS NULL);
CREATE POLICY partner_commissions_service_end ON partner_commissions AS RESTRICTIVE FOR UPDATE TO portal_service
    USING (programme_id IS NOT NULL AND partner_id IS NULL AND created_by IS NULL);
GRANT UPDATE (rate_source, rate_asked_at, rate_until, updated_at) ON programmes TO portal_service;
GRANT UPDATE (rate_asked_at, rate_until) ON programmes TO portal_operator;

CREATE FUNCTION programmes_without_rate(asked_before timestamptz, as_of timestamptz, most bigint)
    RETURNS TABLE (tenant_id uuid, id uuid, domain text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT p.tenant_id, p.id, p.domain FROM public.programmes p
    WHERE p.rate_source = 'default' AND (p.rate_asked_at IS NULL OR p.rate_asked_at < asked_before)
        OR p.rate_source = 'service' AND p.rate_until <= as_of AND (p.rate_asked_at < asked_before OR p.rate_asked_at < p.rate_until)
    ORDER BY p.rate_asked_at NULLS FIRST LIMIT most
$$;
COMMENT ON FUNCTION programmes_without_rate(timestamptz, timestamptz, bigint) IS 'Ids and domains alone, for the maintenance task';
REVOKE ALL ON FUNCTION programmes_without_rate(timestamptz, timestamptz, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION programmes_without_rate(timestamptz, timestamptz, bigint) TO portal_service;
