-- `partner-portal doctor` tries the keys of its settings on values that they have sealed: another key of the same number is noticed before somebody
-- needs what it cannot open. It sees them as the server's login does, sealed.
CREATE FUNCTION sealed_samples() RETURNS TABLE (field text, tenant_id uuid, row_id uuid, sealed bytea)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN QUERY
        WITH s AS (
            SELECT 'tax_id' AS field, p.tenant_id, p.partner_id AS row_id, p.tax_id_sealed AS sealed FROM partner_profiles p WHERE p.tax_id_sealed IS NOT NULL
            UNION ALL SELECT 'bank_account', p.tenant_id, p.partner_id, p.bank_account_sealed FROM partner_profiles p WHERE p.bank_account_sealed IS NOT NULL
            UNION ALL SELECT 'webhook_secret', w.tenant_id, w.id, w.sealed FROM webhook_secrets w WHERE w.sealed IS NOT NULL
            UNION ALL SELECT 'webhook_source_secret', w.tenant_id, w.id, w.sealed FROM webhook_source_secrets w WHERE w.sealed IS NOT NULL)
        (SELECT DISTINCT ON (s.field, substr(s.sealed, 1, 4)) s.field, s.tenant_id, s.row_id, s.sealed FROM s ORDER BY s.field, substr(s.sealed, 1, 4), s.row_id)
        UNION
        (SELECT DISTINCT ON (s.field, substr(s.sealed, 1, 4)) s.field, s.tenant_id, s.row_id, s.sealed FROM s ORDER BY s.field, substr(s.sealed, 1, 4), s.row_id DESC);
END $$;
COMMENT ON FUNCTION sealed_samples() IS 'The oldest and the newest value of each field that each version of a key has sealed';
REVOKE ALL ON FUNCTION sealed_samples() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sealed_samples() TO portal_app;
