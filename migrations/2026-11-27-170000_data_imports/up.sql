-- Imports that are asked for over the API and run in the background, on whichever server has the time.
SET LOCAL lock_timeout = '60s';

CREATE DOMAIN data_import_status AS text CONSTRAINT data_import_status_known CHECK (VALUE IN ('waiting', 'running', 'completed', 'failed', 'cancelled'));

CREATE TABLE data_imports (
    tenant_id uuid NOT NULL CONSTRAINT data_imports_tenant_id_fkey REFERENCES tenants (id) ON DELETE RESTRICT,
    id uuid NOT NULL,
    source text NOT NULL,
    is_dry_run boolean NOT NULL,
    options jsonb NOT NULL,
    files jsonb NOT NULL,
    status data_import_status NOT NULL DEFAULT 'waiting',
    step text,
    rows_done bigint NOT NULL DEFAULT 0,
    rows_total bigint NOT NULL DEFAULT 0,
    outcome jsonb,
    failure text,
    attempts integer NOT NULL DEFAULT 0,
    lease uuid,
    held_until timestamptz,
    created_by uuid NOT NULL,
    impersonator text DEFAULT nullif(current_setting('app.impersonator', true), ''),
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    finished_at timestamptz,
    CONSTRAINT data_imports_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT data_imports_created_by_fkey FOREIGN KEY (tenant_id, created_by) REFERENCES users (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT data_imports_finished CHECK ((finished_at IS NOT NULL) = (status IN ('completed', 'failed', 'cancelled'))),
    CONSTRAINT data_imports_outcome CHECK ((outcome IS NOT NULL) = (status = 'completed')),
    CONSTRAINT data_imports_failure CHECK ((failure IS NOT NULL) = (status = 'failed')),
    CONSTRAINT data_imports_lease CHECK ((lease IS NOT NULL) = (status = 'running'))
);
CREATE INDEX data_imports_created_idx ON data_imports (tenant_id, created_at, id);
CREATE INDEX data_imports_open_idx ON data_imports (created_at, id) WHERE status IN ('waiting', 'running');
COMMENT ON TABLE data_imports IS 'Imports that run in the background: what is asked for, how far each is, and what came of it';
COMMENT ON COLUMN data_imports.options IS 'What the person said of the files beside them';
COMMENT ON COLUMN data_imports.files IS 'The names of its files, and their lengths in bytes';
COMMENT ON COLUMN data_imports.attempts IS 'How many turns have begun and not come to an end, those aside that were put back without a failure';
COMMENT ON COLUMN data_imports.lease IS 'The server that runs it, by an id drawn for this turn; it gives up as soon as the lease is another''s';
COMMENT ON COLUMN data_imports.held_until IS 'Until then no server takes it: of one that runs, the end of its lease; of one that waits, when it may be tried again';

CREATE TABLE data_import_chunks (
    tenant_id uuid NOT NULL,
    import_id uuid NOT NULL,
    file integer NOT NULL,
    number integer NOT NULL,
    content bytea NOT NULL,
    CONSTRAINT data_import_chunks_pkey PRIMARY KEY (tenant_id, import_id, file, number),
    CONSTRAINT data_import_chunks_import_fkey FOREIGN KEY (tenant_id, import_id) REFERENCES data_imports (tenant_id, id) ON DELETE RESTRICT
);
ALTER TABLE data_import_chunks ALTER COLUMN content SET STORAGE EXTERNAL;
COMMENT ON TABLE data_import_chunks IS 'The content of the files of imports that are not finished, in parts; file counts those in data_imports.files from 0';

CREATE TABLE data_import_findings (
    tenant_id uuid NOT NULL,
    import_id uuid NOT NULL,
    number bigint NOT NULL,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    kind import_kind NOT NULL,
    source_id text NOT NULL,
    code text NOT NULL,
    field text NOT NULL,
    value text,
    message text NOT NULL,
    is_left boolean NOT NULL,
    file text NOT NULL,
    line bigint NOT NULL,
    CONSTRAINT data_import_findings_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT data_import_findings_import_fkey FOREIGN KEY (tenant_id, import_id) REFERENCES data_imports (tenant_id, id) ON DELETE RESTRICT
);
CREATE INDEX data_import_findings_number_idx ON data_import_findings (tenant_id, import_id, number, id);
COMMENT ON TABLE data_import_findings IS 'What was reported of the rows of imports that ran in the background, as each of them ended; also of dry runs, of which import_findings keeps nothing';

DO $$
DECLARE
    tab text;
BEGIN
    FOREACH tab IN ARRAY ARRAY['data_imports', 'data_import_chunks', 'data_import_findings'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tab);
        EXECUTE format('CREATE POLICY %I ON %I TO portal_operator USING (tenant_id = (SELECT current_setting(''app.tenant_id'')::uuid))', tab || '_staff', tab);
    END LOOP;
END $$;
GRANT SELECT, INSERT ON data_imports, data_import_chunks TO portal_operator;
GRANT UPDATE (status, finished_at, lease, held_until) ON data_imports TO portal_operator;
GRANT DELETE ON data_import_chunks TO portal_operator;
GRANT SELECT ON data_import_findings TO portal_operator;

ALTER DOMAIN keyed_operation DROP CONSTRAINT keyed_operation_known;
ALTER DOMAIN keyed_operation ADD CONSTRAINT keyed_operation_known CHECK (VALUE IN (
    'create_lead', 'create_link', 'create_partner', 'create_payout_batches', 'import_data', 'set_commission_rule')) NOT VALID;

-- Those who watch learn how far it is.
ALTER DOMAIN event_kind DROP CONSTRAINT event_kind_known;
ALTER DOMAIN event_kind ADD CONSTRAINT event_kind_known
    CHECK (VALUE IN ('lead', 'commission', 'payout', 'credit_balance', 'clicks', 'sign_up', 'wallet', 'data_import')) NOT VALID;
COMMENT ON COLUMN events.partner_id IS 'Whose: the partner''s, of a wallet the user''s, of an import its own id';

-- A server of the previous version does not know the kind. It receives it as an event of a commission that does not exist, and skips it.
ALTER FUNCTION all_events_from(bigint, bigint) RENAME TO events_of_all_kinds_from;
CREATE FUNCTION all_events_from(first bigint, most bigint)
    RETURNS TABLE (place bigint, tenant_id uuid, partner_id uuid, kind text, subject_id uuid, at timestamptz, mark bytea)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT e.place, e.tenant_id, e.partner_id, CASE e.kind WHEN 'data_import' THEN 'commission' ELSE e.kind END, e.subject_id, e.at, e.mark
    FROM events_of_all_kinds_from(first, most) e
$$;
COMMENT ON FUNCTION all_events_from(bigint, bigint) IS 'The events from a sequence number on, with only the kinds that servers of the previous version know';

CREATE FUNCTION events_raise_data_import() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    raised bigint;
BEGIN
    IF current_setting('app.events', true) = 'off' THEN
        RETURN NULL;
    END IF;
    INSERT INTO events (tenant_id, partner_id, kind, subject_id) VALUES (NEW.tenant_id, NEW.id, 'data_import', NEW.id)
        ON CONFLICT (tenant_id, transaction, kind, subject_id) WHERE place IS NULL DO NOTHING RETURNING id INTO raised;
    PERFORM events_say_of(raised);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION events_raise_data_import() IS 'Adds an event for an import that is new, has come further, or has ended';
CREATE TRIGGER data_imports_event_insert AFTER INSERT ON data_imports FOR EACH ROW EXECUTE FUNCTION events_raise_data_import();
CREATE TRIGGER data_imports_event_update AFTER UPDATE OF status, step, rows_done, rows_total ON data_imports FOR EACH ROW
    WHEN ((OLD.status, OLD.step, OLD.rows_done, OLD.rows_total) IS DISTINCT FROM (NEW.status, NEW.step, NEW.rows_done, NEW.rows_total))
    EXECUTE FUNCTION events_raise_data_import();

-- What the servers do with imports of all tenants, each by the lease that it has. Leases are by the database's clock, which all servers share.
CREATE FUNCTION claim_data_import(holder uuid, seconds bigint, at timestamptz)
    RETURNS TABLE (tenant_id uuid, id uuid, source text, is_dry_run boolean, options jsonb, files jsonb, attempts integer)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    -- Two who claim at once would both see that nothing of the tenant's runs.
    PERFORM pg_advisory_xact_lock(x'706f7274616c0007'::bigint);
    RETURN QUERY UPDATE data_imports d SET status = 'running', lease = holder, held_until = clock_timestamp() + make_interval(secs => seconds),
        attempts = d.attempts + 1, started_at = coalesce(d.started_at, at)
    FROM (SELECT w.tenant_id, w.id FROM data_imports w
          WHERE w.status IN ('waiting', 'running') AND coalesce(w.held_until, '-infinity') < clock_timestamp()
              -- One after the other in a tenant: they would wait for each other anyway.
              AND NOT EXISTS (SELECT FROM data_imports r WHERE r.tenant_id = w.tenant_id AND r.status = 'running' AND r.held_until >= clock_timestamp())
          ORDER BY w.created_at, w.id LIMIT 1 FOR UPDATE SKIP LOCKED) AS next
    WHERE d.tenant_id = next.tenant_id AND d.id = next.id
    RETURNING d.tenant_id, d.id, d.source, d.is_dry_run, d.options, d.files, d.attempts;
END $$;
COMMENT ON FUNCTION claim_data_import(uuid, bigint, timestamptz) IS 'Makes the next import that waits, or that a server has left, the holder''s for so many seconds';

CREATE FUNCTION data_import_chunk(holder uuid, of_file integer, of_number integer) RETURNS bytea
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT c.content FROM data_imports d JOIN data_import_chunks c ON c.tenant_id = d.tenant_id AND c.import_id = d.id
    WHERE d.status = 'running' AND d.lease = holder AND c.file = of_file AND c.number = of_number
$$;
COMMENT ON FUNCTION data_import_chunk(uuid, integer, integer) IS 'A part of a file of the import that the holder has; NULL behind the last';

CREATE FUNCTION hold_data_import(holder uuid, seconds bigint, now_step text, done bigint, total bigint) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE data_imports SET held_until = clock_timestamp() + make_interval(secs => seconds), step = now_step, rows_done = done, rows_total = total
        WHERE status = 'running' AND lease = holder;
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION hold_data_import(uuid, bigint, text, bigint, bigint) IS 'Renews a lease and says how far the import is; false where it is no longer the holder''s';

CREATE FUNCTION put_back_data_import(holder uuid, seconds bigint, has_failed boolean) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE data_imports SET status = 'waiting', lease = NULL, held_until = clock_timestamp() + make_interval(secs => seconds),
        attempts = CASE WHEN has_failed THEN attempts ELSE attempts - 1 END
        WHERE status = 'running' AND lease = holder;
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION put_back_data_import(uuid, bigint, boolean) IS 'Lets another turn go on with the import, at the earliest in so many seconds; a turn that has not failed does not count';

CREATE FUNCTION report_data_import(holder uuid, after bigint, given jsonb) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    held record;
BEGIN
    SELECT d.tenant_id, d.id INTO held FROM data_imports d WHERE d.status = 'running' AND d.lease = holder FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- What an earlier turn has reported that did not come to its end.
    DELETE FROM data_import_findings f WHERE f.tenant_id = held.tenant_id AND f.import_id = held.id AND f.number > after;
    INSERT INTO data_import_findings (tenant_id, import_id, number, kind, source_id, code, field, value, message, is_left, file, line)
        SELECT held.tenant_id, held.id, after + g.ordinality, g.kind, g.source_id, g.code, g.field, g.value, g.message, g.is_left, g.file, g.line
        FROM ROWS FROM (jsonb_to_recordset(given) AS (kind text, source_id text, code text, field text, value text, message text,
            is_left boolean, file text, line bigint)) WITH ORDINALITY AS g;
    RETURN true;
END $$;
COMMENT ON FUNCTION report_data_import(uuid, bigint, jsonb) IS 'Keeps what was found, after so many findings';

CREATE FUNCTION end_data_import(holder uuid, came_to jsonb, failed_by text, at timestamptz) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    held record;
BEGIN
    UPDATE data_imports d SET status = CASE WHEN came_to IS NULL THEN 'failed' ELSE 'completed' END, outcome = came_to,
        failure = CASE WHEN came_to IS NULL THEN failed_by END, finished_at = at, lease = NULL, held_until = NULL, step = NULL
        WHERE d.status = 'running' AND d.lease = holder RETURNING d.tenant_id, d.id INTO held;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM data_import_chunks c WHERE c.tenant_id = held.tenant_id AND c.import_id = held.id;
    RETURN true;
END $$;
COMMENT ON FUNCTION end_data_import(uuid, jsonb, text, timestamptz) IS 'Ends the import that the holder has, with its outcome or with why it failed, and forgets its files';

REVOKE ALL ON FUNCTION all_events_from(bigint, bigint), events_raise_data_import(), claim_data_import(uuid, bigint, timestamptz),
    data_import_chunk(uuid, integer, integer), hold_data_import(uuid, bigint, text, bigint, bigint),
    put_back_data_import(uuid, bigint, boolean), report_data_import(uuid, bigint, jsonb), end_data_import(uuid, jsonb, text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION all_events_from(bigint, bigint), claim_data_import(uuid, bigint, timestamptz),
    data_import_chunk(uuid, integer, integer), hold_data_import(uuid, bigint, text, bigint, bigint),
    put_back_data_import(uuid, bigint, boolean), report_data_import(uuid, bigint, jsonb), end_data_import(uuid, jsonb, text, timestamptz) TO portal_app;
