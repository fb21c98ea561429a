DROP FUNCTION tenants_with_due_rewards(timestamptz);
DO $migration$
BEGIN
    EXECUTE replace(pg_get_functiondef('portal_caller(text, text, text, text, text)'::regprocedure),
        'coalesce(public.portal_is_invited(t.id, verified_email), false)',
        'verified_email IS NOT NULL AND EXISTS (SELECT FROM public.partner_members m
            WHERE m.tenant_id = t.id AND m.email_key = public.email_key(verified_email) AND m.user_id IS NULL AND m.status = ''invited'')');
END $migration$;
CREATE OR REPLACE FUNCTION portal_is_invited(of_tenant uuid, verified_email text) RETURNS boolean
    LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    SELECT EXISTS (SELECT FROM public.partner_members m
        WHERE m.tenant_id = of_tenant AND m.email_key = public.email_key(verified_email) AND m.user_id IS NULL AND m.status = 'invited')
$$;
COMMENT ON FUNCTION portal_is_invited(uuid, text) IS NULL;
DROP FUNCTION link_customers(uuid, uuid, text);
ALTER TABLE customers DROP COLUMN user_id, DROP COLUMN invite_code, DROP COLUMN invited_at, DROP COLUMN are_rewards_due;
DROP TRIGGER users_initials ON users;
DROP FUNCTION users_initials();
DROP TABLE referrals, affiliate_terms, affiliate_periods;
DROP FUNCTION referrals_initials();
DROP FUNCTION initials(text);
DROP DOMAIN referral_means;
DROP TRIGGER users_invite_code ON users;
DROP FUNCTION users_invite_code();
DROP FUNCTION user_of_invite_code(uuid, text);
DROP FUNCTION give_invite_code(uuid, uuid);
DROP TABLE invite_codes;
DROP FUNCTION make_invite_code();
DROP FUNCTION invite_code_key(text);
