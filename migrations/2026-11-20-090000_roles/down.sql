REVOKE ALL ON __diesel_schema_migrations FROM portal_app;
REVOKE USAGE ON SCHEMA public FROM portal_gate, portal_partner, portal_operator, portal_service, portal_app;
GRANT USAGE ON SCHEMA public TO PUBLIC;

-- The roles go too, unless another database of this cluster still uses them.
DO $$
DECLARE
    unwanted text;
BEGIN
    FOREACH unwanted IN ARRAY ARRAY['portal_app', 'portal_gate', 'portal_partner', 'portal_operator', 'portal_service'] LOOP
        BEGIN
            EXECUTE format('DROP ROLE %I', unwanted);
        EXCEPTION WHEN dependent_objects_still_exist OR insufficient_privilege THEN NULL;
        END;
    END LOOP;
END $$;
