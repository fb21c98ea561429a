-- One role per kind of caller. A request's transaction takes one of them with SET LOCAL ROLE; none can log in, none owns anything.
-- Roles belong to the whole PostgreSQL cluster: another database of it may have made them already, or may be making them now,
-- in which case PostgreSQL refuses the second of two changes of one catalogue row (an internal error, "tuple concurrently
-- updated") and the first has done the same.
DO $$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN SELECT * FROM (VALUES
        ('portal_gate', 'The session guard: finds and registers the person a verified token names'),
        ('portal_partner', 'A member of one partner: sees that partner alone'),
        ('portal_operator', 'Staff of one tenant'),
        ('portal_service', 'A back-end system of one tenant'),
        -- NOINHERIT: whoever logs in through portal_app can do nothing until it has said who is asking.
        ('portal_app', 'What the server logs in as, or through: a member of the callers'' roles, without rights of its own')
    ) AS roles (name, purpose) LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = wanted.name);
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT NOBYPASSRLS', wanted.name);
            EXECUTE format('COMMENT ON ROLE %I IS %L', wanted.name, wanted.purpose);
        EXCEPTION WHEN duplicate_object OR unique_violation OR internal_error THEN NULL;
        END;
    END LOOP;
END $$;

-- The server logs in through portal_app; it may also be given the owner's connection alone, and its pool then steps down.
DO $$
DECLARE
    granted record;
BEGIN
    FOR granted IN
        SELECT caller.rolname AS role, taker.name AS taker
        FROM pg_roles caller, (VALUES ('portal_app'), (current_user)) AS taker (name)
        WHERE caller.rolname IN ('portal_gate', 'portal_partner', 'portal_operator', 'portal_service', 'portal_app')
            AND caller.rolname <> taker.name
            -- From PostgreSQL 16 on whoever makes a role administers it, but may not take it without a grant of its own.
            AND NOT EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member
                WHERE m.roleid = caller.oid AND r.rolname = taker.name AND NOT m.admin_option)
    LOOP
        BEGIN
            EXECUTE format('GRANT %I TO %I', granted.role, granted.taker);
        EXCEPTION WHEN unique_violation OR internal_error THEN NULL;
        END;
    END LOOP;
END $$;

-- Nothing is granted by default: every right below is written down.
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO portal_gate, portal_partner, portal_operator, portal_service, portal_app;

-- The readiness check compares this list with the migrations that the server was built with.
GRANT SELECT ON __diesel_schema_migrations TO portal_app;
