DROP FUNCTION sealed_key_versions();

CREATE OR REPLACE FUNCTION visitor_key(of_day date) RETURNS bytea LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO visitor_keys (day, key) VALUES (of_day, uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) ON CONFLICT DO NOTHING;
    RETURN (SELECT key FROM visitor_keys WHERE day = of_day);
END $$;
COMMENT ON FUNCTION visitor_key(date) IS 'The key by which the visitors of a day are hashed, made where there is none yet';
