-- What PostGraphile needs besides the tables to answer the same questions: figures over time from the totals that the portal keeps,
-- and a lead's next status with its entry in the history, each one statement from outside.
DROP SCHEMA IF EXISTS bench CASCADE;
CREATE SCHEMA bench;
GRANT USAGE ON SCHEMA bench TO portal_partner, portal_operator, portal_service;

CREATE TYPE bench.revenue AS (commissions numeric, commission_count bigint, payouts numeric, pending numeric);
-- In PL/pgSQL: its plans are kept.
CREATE FUNCTION bench.revenue(first_month date, end_month date, in_currency text) RETURNS bench.revenue LANGUAGE plpgsql STABLE AS $$
DECLARE
    figures bench.revenue;
BEGIN
    SELECT coalesce(sum(earned), 0), coalesce(sum(commission_count), 0)::bigint, coalesce(sum(paid_out), 0), coalesce(sum(pending), 0)
    INTO figures FROM public.tenant_totals
    WHERE tenant_id = current_setting('app.tenant_id')::uuid AND currency = in_currency AND grain = 'month'
        AND starts_on >= first_month AND starts_on < end_month;
    RETURN figures;
END $$;

CREATE TYPE bench.month AS (start date, commissions numeric, payouts numeric);
CREATE FUNCTION bench.earnings(first_month date, end_month date, in_currency text) RETURNS SETOF bench.month LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN QUERY SELECT month::date, coalesce(commissions, 0), coalesce(payouts, 0)
    FROM generate_series(first_month::timestamp, end_month - 1, interval '1 month') AS month
    LEFT JOIN (
        SELECT starts_on, sum(earned) AS commissions, sum(paid_out) AS payouts FROM public.tenant_totals
        WHERE tenant_id = current_setting('app.tenant_id')::uuid AND currency = in_currency AND grain = 'month'
            AND starts_on >= first_month AND starts_on < end_month
        GROUP BY starts_on) AS totals ON starts_on = month
    ORDER BY month;
END $$;

CREATE FUNCTION bench.set_lead_status(lead uuid, to_status text) RETURNS public.partner_leads LANGUAGE plpgsql AS $$
DECLARE
    tenant uuid := current_setting('app.tenant_id')::uuid;
    before public.partner_leads;
    after public.partner_leads;
BEGIN
    SELECT * INTO before FROM public.partner_leads WHERE tenant_id = tenant AND id = lead FOR UPDATE;
    UPDATE public.partner_leads SET status = to_status, updated_at = now() WHERE tenant_id = tenant AND id = lead RETURNING * INTO after;
    INSERT INTO public.lead_status_changes (tenant_id, id, partner_id, lead_id, from_status, to_status, changed_by)
        VALUES (tenant, gen_random_uuid(), after.partner_id, lead, before.status, to_status, current_setting('app.user_id')::uuid);
    RETURN after;
END $$;

-- The table's foreign keys lead to partners by way of members; PostGraphile follows one that is only declared to it.
COMMENT ON TABLE credit_allocations IS E'@foreignKey (tenant_id, partner_id) references public.partners (tenant_id, id)';
