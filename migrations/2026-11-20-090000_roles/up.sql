-- One role per kind of caller. A request's transaction takes one of them with SET LOCAL ROLE; none can log in, none owns anything.
-- Roles belong to the whole PostgreSQL cluster, so another database of the same cluster may have made them already.
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['portal_gate', 'portal_partner', 'portal_operator', 'portal_service'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT NOBYPASSRLS', wanted);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
            END;
        END IF;
    END LOOP;
    -- NOINHERIT: whoever logs in through portal_app can do nothing until it has said who is asking.
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'portal_app') THEN
        BEGIN
            CREATE ROLE portal_app NOLOGIN NOINHERIT NOBYPASSRLS;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END;
    END IF;
END $$;

DO $$
BEGIN
    GRANT portal_gate, portal_partner, portal_operator, portal_service TO portal_app;
    -- The server may be given the owner's connection alone: its pool then steps down to portal_app.
    EXECUTE format('GRANT portal_app, portal_gate, portal_partner, portal_operator, portal_service TO %I', current_user);
EXCEPTION
    -- Two databases of one cluster migrated at once touch the same catalogue rows; the other one has granted the same.
    WHEN unique_violation OR invalid_grant_operation THEN NULL;
END $$;

DO $$
BEGIN
    EXECUTE format('COMMENT ON ROLE portal_gate IS %L', 'The session guard: finds and registers the person a verified token names');
    EXECUTE format('COMMENT ON ROLE portal_partner IS %L', 'A member of one partner: sees that partner alone');
    EXECUTE format('COMMENT ON ROLE portal_operator IS %L', 'Staff of one tenant');
    EXECUTE format('COMMENT ON ROLE portal_service IS %L', 'A back-end system of one tenant');
    EXECUTE format('COMMENT ON ROLE portal_app IS %L', 'What the server logs in as, or through: a member of the callers'' roles, without rights of its own');
END $$;

-- Nothing is granted by default: every right below is written down.
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO portal_gate, portal_partner, portal_operator, portal_service, portal_app;

-- The readiness check compares this list with the migrations that the server was built with.
GRANT SELECT ON __diesel_schema_migrations TO portal_app;
