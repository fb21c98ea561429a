-- A standby makes no key of a day; where the primary has made one, a server that reads from the standby hashes visitors by it too.
SET LOCAL lock_timeout = '60s';

CREATE OR REPLACE FUNCTION visitor_key(of_day date) RETURNS bytea LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT pg_is_in_recovery() THEN
        INSERT INTO visitor_keys (day, key) VALUES (of_day, uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) ON CONFLICT DO NOTHING;
    END IF;
    RETURN (SELECT key FROM visitor_keys WHERE day = of_day);
END $$;
COMMENT ON FUNCTION visitor_key(date) IS 'The key by which the visitors of a day are hashed, made where there is none yet; NULL where there is none on a standby';

-- `partner-portal doctor` sees with the server's login which keys have sealed something, and nothing of what is sealed.
CREATE FUNCTION sealed_key_versions() RETURNS TABLE (field text, version bytea)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT DISTINCT s.field, substr(s.value, 1, 4) FROM (
        SELECT 'tax_id' AS field, p.tax_id_sealed AS value FROM partner_profiles p
        UNION ALL SELECT 'bank_account', p.bank_account_sealed FROM partner_profiles p
        UNION ALL SELECT 'webhook_secret', w.sealed FROM webhook_secrets w
        UNION ALL SELECT 'webhook_source_secret', w.sealed FROM webhook_source_secrets w) s
        WHERE s.value IS NOT NULL;
END $$;
COMMENT ON FUNCTION sealed_key_versions() IS 'By which versions of keys (4 bytes, big-endian) the values of each field are sealed';
REVOKE ALL ON FUNCTION sealed_key_versions() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sealed_key_versions() TO portal_app;
