-- Assigning credits is one function in the database, so that every program does it alike: the API's path calls it, and so does
-- allocate_partner_credit(), which is for others.

-- Callers may not write accounts, and so may not lock them; this is all that is done in the owner's name.
CREATE FUNCTION lock_partner_credits(of_tenant uuid, of_partner uuid) RETURNS numeric
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    held numeric;
    caller text := coalesce(nullif(current_setting('role'), 'none'), session_user);
BEGIN
    -- Whoever is not the owner, or may become it, gets no further than its tenant, as by the policies.
    IF NOT pg_has_role(caller, current_user, 'MEMBER') AND of_tenant IS DISTINCT FROM current_setting('app.tenant_id')::uuid THEN
        RETURN 0;
    END IF;
    SELECT a.balance INTO held FROM public.accounts a
    WHERE a.tenant_id = of_tenant AND a.partner_id = of_partner AND a.unit = 'CREDIT' AND a.kind = 'available'
    FOR UPDATE;
    RETURN coalesce(held, 0);
END $$;
COMMENT ON FUNCTION lock_partner_credits(uuid, uuid) IS 'A partner''s unassigned credits, locked until the transaction ends. Whoever moves them begins with this, before any other lock on the partner''s credits';
REVOKE ALL ON FUNCTION lock_partner_credits(uuid, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lock_partner_credits(uuid, uuid) TO portal_operator, portal_service;

CREATE FUNCTION assign_partner_credits(
        of_tenant uuid, of_partner uuid, to_member uuid, amount integer, days integer, new_allocation uuid, unique_key text, assigner uuid,
        assigned_at timestamptz)
    RETURNS TABLE (outcome text, allocation uuid, balance bigint)
    -- Its statements, and the checks of their foreign keys, find single rows: see transfers_post().
    LANGUAGE plpgsql SET search_path = pg_catalog, public SET enable_seqscan = off AS $$
DECLARE
    held bigint;
    partner_state text;
    member_state text;
    address text;
    first record;
    ends_at timestamptz;
BEGIN
    IF amount IS NULL OR amount NOT BETWEEN 1 AND 100000 THEN
        RETURN QUERY SELECT 'invalid_amount', NULL::uuid, NULL::bigint;
        RETURN;
    ELSIF days IS NULL OR days NOT BETWEEN 1 AND 3650 THEN
        RETURN QUERY SELECT 'invalid_days', NULL::uuid, NULL::bigint;
        RETURN;
    END IF;
    held := lock_partner_credits(of_tenant, of_partner);
    IF unique_key IS NOT NULL THEN
        SELECT a.id, a.member_id, a.credits, a.valid_days INTO first FROM credit_allocations a
        WHERE a.tenant_id = of_tenant AND a.partner_id = of_partner AND a.idempotency_key = unique_key;
        IF FOUND THEN
            RETURN QUERY SELECT CASE WHEN (first.member_id, first.credits, first.valid_days) = (to_member, amount, days)
                THEN 'replayed' ELSE 'key_reused' END, first.id, held;
            RETURN;
        END IF;
    END IF;
    SELECT p.status INTO partner_state FROM partners p WHERE p.tenant_id = of_tenant AND p.id = of_partner;
    SELECT m.status, m.email_key INTO member_state, address FROM partner_members m
    WHERE m.tenant_id = of_tenant AND m.partner_id = of_partner AND m.id = to_member FOR NO KEY UPDATE;
    IF partner_state IS DISTINCT FROM 'active' OR member_state IS NULL OR member_state = 'inactive' OR held < amount THEN
        RETURN QUERY SELECT CASE
            WHEN partner_state IS NULL THEN 'partner_not_found'
            WHEN partner_state <> 'active' THEN 'partner_inactive'
            WHEN member_state IS NULL THEN 'member_not_found'
            WHEN member_state = 'inactive' THEN 'member_inactive'
            ELSE 'insufficient_credits' END, NULL::uuid, held;
        RETURN;
    END IF;
    ends_at := assigned_at + make_interval(hours => 24 * days);
    INSERT INTO credit_allocations (tenant_id, id, partner_id, member_id, employee_email, credits, valid_days, expires_at, idempotency_key,
        assigned_by, created_at)
    VALUES (of_tenant, new_allocation, of_partner, to_member, address, amount, days, ends_at, unique_key, assigner, assigned_at);
    INSERT INTO partner_credits (tenant_id, allocation_id, number, partner_id, member_id, employee_email, expires_at)
    SELECT of_tenant, new_allocation, unit, of_partner, to_member, address, ends_at FROM generate_series(1, amount) AS unit;
    INSERT INTO transfers (tenant_id, partner_id, unit, from_kind, to_kind, amount, kind, member_id, allocation_id, posted_by, posted_at)
    VALUES (of_tenant, of_partner, 'CREDIT', 'available', 'assigned', amount, 'assign', to_member, new_allocation, assigner, assigned_at);
    RETURN QUERY SELECT 'assigned', new_allocation, held - amount;
END $$;
COMMENT ON FUNCTION assign_partner_credits(uuid, uuid, uuid, integer, integer, uuid, text, uuid, timestamptz) IS 'Assigns credits to a partner''s member, or says why not: outcome is assigned, replayed, key_reused, invalid_amount, invalid_days, partner_not_found, partner_inactive, member_not_found, member_inactive or insufficient_credits; balance is what the partner has left';
REVOKE ALL ON FUNCTION assign_partner_credits(uuid, uuid, uuid, integer, integer, uuid, text, uuid, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION assign_partner_credits(uuid, uuid, uuid, integer, integer, uuid, text, uuid, timestamptz) TO portal_service;

-- A partner's id says its tenant to whoever is not told one.
CREATE INDEX partners_id_idx ON partners (id);

CREATE FUNCTION allocate_partner_credit(partner uuid, employee_email text, employee_name text, credits integer, valid_days integer)
    RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
    of_tenant uuid;
    -- An address as it stands here: without the blanks around it.
    address text := btrim(allocate_partner_credit.employee_email, E' \t\r\n');
    name text := regexp_replace(btrim(coalesce(employee_name, ''), E' \t\r\n'), '\s+', ' ', 'g');
    member uuid;
    result record;
BEGIN
    SELECT p.tenant_id INTO of_tenant FROM partners p WHERE p.id = partner;
    IF of_tenant IS NULL THEN
        RAISE NOTICE 'not allocated: partner_not_found';
        RETURN false;
    ELSIF coalesce(address, '') !~ '^[^]@[:space:][:cntrl:]"(),:;<>[\\]+@[^]@[:space:][:cntrl:]"(),:;<>[\\]+\.[^]@[:space:][:cntrl:]"(),:;<>[\\]+$'
            OR char_length(address) > 254 THEN
        RAISE NOTICE 'not allocated: invalid_email';
        RETURN false;
    -- What changes how a text is read, or does not show.
    ELSIF name ~ '[[:cntrl:]\u202A-\u202E\u2066-\u2069\u200B\u2060\uFEFF]' THEN
        RAISE NOTICE 'not allocated: invalid_name';
        RETURN false;
    END IF;
    PERFORM lock_partner_credits(of_tenant, partner);
    -- Within this block: a member who is made for credits that are then refused is not made.
    BEGIN
        INSERT INTO partner_members (tenant_id, id, partner_id, email, first_name, last_name)
        VALUES (of_tenant, gen_random_uuid(), partner, address,
            left(coalesce(nullif(split_part(name, ' ', 1), ''), split_part(address, '@', 1)), 200),
            nullif(left(substr(name, length(split_part(name, ' ', 1)) + 2), 200), ''))
        ON CONFLICT (tenant_id, partner_id, email_key) DO NOTHING;
        SELECT m.id INTO STRICT member FROM partner_members m
        WHERE m.tenant_id = of_tenant AND m.partner_id = partner AND m.email_key = lower(address COLLATE "C");
        SELECT a.outcome, a.balance INTO result FROM assign_partner_credits(of_tenant, partner, member, allocate_partner_credit.credits,
            allocate_partner_credit.valid_days, gen_random_uuid(), NULL, NULL, clock_timestamp()) AS a;
        IF result.outcome <> 'assigned' THEN
            RAISE EXCEPTION USING ERRCODE = 'PC001', MESSAGE = result.outcome || coalesce(', balance ' || result.balance, '');
        END IF;
        RETURN true;
    EXCEPTION WHEN SQLSTATE 'PC001' THEN
        RAISE NOTICE 'not allocated: %', SQLERRM;
        RETURN false;
    END;
END $$;
COMMENT ON FUNCTION allocate_partner_credit(uuid, text, text, integer, integer) IS 'For other programs: gives credits of a partner to the employee of an address, who becomes a member if they are none yet. Whole or not at all; returns whether it did, and says in a notice why not. Call it as the tables'' owner, or as portal_service with app.tenant_id set';
REVOKE ALL ON FUNCTION allocate_partner_credit(uuid, text, text, integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION allocate_partner_credit(uuid, text, text, integer, integer) TO portal_service;
