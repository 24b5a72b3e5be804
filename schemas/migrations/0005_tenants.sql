-- The weekly tenant report: what it reads, what it writes, and who may see which tenant.

-- What the input tables must look like, for a database where another system has made them.
CREATE TEMPORARY TABLE input_columns ON COMMIT DROP AS
SELECT owner::name, field::name, wanted, is_key, row_number() OVER () AS place
FROM (VALUES
    ('fact_assessment', 'org_id', 'text', true), ('fact_assessment', 'student_id', 'text', true),
    ('fact_assessment', 'assessed_at', 'timestamp with time zone', true),
    ('fact_assessment', 'theta', 'double precision', false), ('fact_assessment', 'items', 'integer', false),
    ('fact_assessment', 'omitted', 'integer', false), ('fact_assessment', 'c_hat', 'double precision', false),
    ('fact_assessment_item', 'org_id', 'text', true), ('fact_assessment_item', 'student_id', 'text', true),
    ('fact_assessment_item', 'assessed_at', 'timestamp with time zone', true),
    ('fact_assessment_item', 'item_id', 'text', true), ('fact_assessment_item', 'response', 'integer', false),
    ('fact_assessment_item', 'a', 'double precision', false), ('fact_assessment_item', 'b', 'double precision', false),
    ('fact_assessment_item', 'c', 'double precision', false),
    ('attendance', 'org_id', 'text', true), ('attendance', 'student_id', 'text', true),
    ('attendance', 'class_date', 'date', true), ('attendance', 'session', 'text', true),
    ('attendance', 'status', 'text', false),
    ('irt_snapshot', 'org_id', 'text', true), ('irt_snapshot', 'student_id', 'text', true),
    ('irt_snapshot', 'snapshot_date', 'date', true), ('irt_snapshot', 'theta', 'double precision', false),
    ('students', 'org_id', 'text', true), ('students', 'student_id', 'text', true),
    ('students', 'display_name', 'text', false), ('students', 'class_name', 'text', false)
) AS input (owner, field, wanted, is_key);

-- Rows of partitions share their ctid, by which older duplicates are set aside below.
DO $$
DECLARE
    others text := (
        SELECT string_agg(DISTINCT owner, ', ') FROM input_columns JOIN pg_class c ON c.oid = to_regclass(quote_ident(owner))
        WHERE relkind <> 'r' OR EXISTS (SELECT FROM pg_inherits WHERE c.oid IN (inhparent, inhrelid)));
BEGIN
    IF others IS NOT NULL THEN
        RAISE EXCEPTION '% cannot be taken over: each must be a plain table, no view and without partitions; rename it, migrate, then load its rows', others;
    END IF;
END $$;

CREATE TABLE IF NOT EXISTS fact_assessment (
    org_id      text COLLATE "C" NOT NULL,
    student_id  text COLLATE "C" NOT NULL,
    assessed_at timestamptz      NOT NULL
);
CREATE TABLE IF NOT EXISTS fact_assessment_item (
    org_id      text COLLATE "C" NOT NULL,
    student_id  text COLLATE "C" NOT NULL,
    assessed_at timestamptz      NOT NULL,
    item_id     text COLLATE "C" NOT NULL
);
CREATE TABLE IF NOT EXISTS attendance (
    org_id     text COLLATE "C" NOT NULL,
    student_id text COLLATE "C" NOT NULL,
    class_date date             NOT NULL,
    session    text COLLATE "C" NOT NULL
);
CREATE TABLE IF NOT EXISTS irt_snapshot (
    org_id        text COLLATE "C" NOT NULL,
    student_id    text COLLATE "C" NOT NULL,
    snapshot_date date             NOT NULL
);
CREATE TABLE IF NOT EXISTS students (
    org_id     text COLLATE "C" NOT NULL,
    student_id text COLLATE "C" NOT NULL
);

ALTER TABLE fact_assessment
    ADD COLUMN IF NOT EXISTS theta   double precision,
    ADD COLUMN IF NOT EXISTS items   integer,
    ADD COLUMN IF NOT EXISTS omitted integer,
    ADD COLUMN IF NOT EXISTS c_hat   double precision;
ALTER TABLE fact_assessment_item
    ADD COLUMN IF NOT EXISTS response integer,
    ADD COLUMN IF NOT EXISTS a        double precision,
    ADD COLUMN IF NOT EXISTS b        double precision,
    ADD COLUMN IF NOT EXISTS c        double precision;
ALTER TABLE attendance
    ADD COLUMN IF NOT EXISTS status text;
ALTER TABLE irt_snapshot
    ADD COLUMN IF NOT EXISTS theta double precision;
ALTER TABLE students
    ADD COLUMN IF NOT EXISTS display_name text,
    ADD COLUMN IF NOT EXISTS class_name   text;

-- Takes over input tables of another system: types, then older duplicates set aside, then the key. Ids
-- are compared by code point everywhere, because parts of a tenant are ranges of ids. What cannot be
-- told from the table, such as the zone of its times, is refused: a day depends on it.
CREATE FUNCTION riskflow.input_conversion(had text, wanted text, field name) RETURNS text LANGUAGE sql AS $$
    SELECT CASE
        WHEN wanted = 'text' THEN format('%I::text', field)
        WHEN wanted = 'double precision' AND had ~ '^(smallint|integer|bigint|real|numeric.*)$' THEN format('%I::double precision', field)
        WHEN wanted = 'integer' AND had ~ '^(smallint|bigint|boolean)$' THEN format('%I::integer', field)
        WHEN wanted = 'date' AND had ~ '^timestamp.* without time zone$' THEN format('%I::date', field)
        WHEN wanted = 'timestamp with time zone' AND had ~ '^timestamp.* with time zone$' THEN format('%I', field)
    END
$$;
CREATE FUNCTION riskflow.input_advice(had text, wanted text, field name) RETURNS text LANGUAGE sql AS $$
    SELECT CASE
        WHEN wanted = 'timestamp with time zone' AND had ~ '^(timestamp|date)' THEN format('%I AT TIME ZONE ''Asia/Seoul''', field)
        WHEN wanted = 'date' AND had ~ '^timestamp' THEN format('(%I AT TIME ZONE ''Asia/Seoul'')::date', field)
        ELSE format('%I::%s', field, wanted)
    END
$$;

DO $$
DECLARE
    faults text[] := '{}';
    input record;
    had record;
    filled boolean;
    nulls bigint;
    readers text;
    conversion text;
BEGIN
    FOR input IN SELECT *, owner::regclass AS relation FROM input_columns ORDER BY place LOOP
        SELECT attnum, format_type(atttypid, atttypmod) AS type,
               input.wanted <> 'text' OR atttypid <> 'text'::regtype OR (NOT input.is_key)
                   OR attcollation = (SELECT oid FROM pg_collation WHERE collname = 'C' AND collnamespace = 'pg_catalog'::regnamespace) AS collated
        INTO had FROM pg_attribute WHERE attrelid = input.relation AND attname = input.field AND NOT attisdropped;
        IF NOT FOUND THEN
            faults := faults || format('%s has no column %s, which is part of its key: add and fill it', input.owner, input.field);
            CONTINUE;
        END IF;
        EXECUTE format('SELECT EXISTS (SELECT FROM %I)', input.owner) INTO filled;
        IF had.type <> input.wanted OR NOT had.collated THEN
            conversion := CASE WHEN filled THEN riskflow.input_conversion(had.type, input.wanted, input.field)
                               ELSE format('NULL::%s', input.wanted) END;
            SELECT string_agg(DISTINCT r.ev_class::regclass::text, ', ') INTO readers
            FROM pg_depend d JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
            WHERE d.refobjid = input.relation AND d.refobjsubid = had.attnum;
            IF conversion IS NULL THEN
                faults := faults || format(
                    '%1$s.%2$s is %3$s, needed is %4$s: change it and say how, for example ALTER TABLE %1$s ALTER COLUMN %2$s TYPE %4$s USING %5$s',
                    input.owner, input.field, had.type, input.wanted, riskflow.input_advice(had.type, input.wanted, input.field));
            ELSIF readers IS NOT NULL THEN
                faults := faults || format(
                    '%s.%s must become %s%s, but %s reads it: drop that view, migrate, create it again', input.owner, input.field,
                    input.wanted, CASE WHEN input.is_key AND input.wanted = 'text' THEN ' COLLATE "C"' END, readers);
            ELSE
                BEGIN
                    EXECUTE format('ALTER TABLE %I ALTER COLUMN %I DROP DEFAULT, ALTER COLUMN %I TYPE %s USING %s',
                        input.owner, input.field, input.field,
                        input.wanted || CASE WHEN input.is_key AND input.wanted = 'text' THEN ' COLLATE "C"' ELSE '' END, conversion);
                EXCEPTION WHEN OTHERS THEN
                    faults := faults || format('%s.%s is %s and cannot become %s: %s; look at the table''s checks, keys and values',
                        input.owner, input.field, had.type, input.wanted, SQLERRM);
                END;
            END IF;
        END IF;
        IF input.is_key THEN
            EXECUTE format('SELECT count(*) FROM %I WHERE %I IS NULL', input.owner, input.field) INTO nulls;
            IF nulls > 0 THEN
                faults := faults || format('%s has %s rows without %s, which is part of its key: fill or delete them', input.owner, nulls, input.field);
            ELSE
                EXECUTE format('ALTER TABLE %I ALTER COLUMN %I SET NOT NULL', input.owner, input.field);
            END IF;
        END IF;
    END LOOP;
    IF faults <> '{}' THEN
        RAISE EXCEPTION E'the tables of learning data cannot be taken over:\n  %', array_to_string(faults, E'\n  ');
    END IF;
END $$;
DROP FUNCTION riskflow.input_conversion, riskflow.input_advice;

DO $$
DECLARE
    input record;
BEGIN
    FOR input IN
        SELECT owner, string_agg(quote_ident(field), ', ' ORDER BY place) FILTER (WHERE is_key) AS key
        FROM input_columns GROUP BY owner
    LOOP
        EXECUTE format('CREATE TABLE %I (LIKE %I)', input.owner || '_superseded', input.owner);
        EXECUTE format(
            'WITH ranked AS (
                 SELECT ctid, row_number() OVER (PARTITION BY %3$s ORDER BY ctid DESC) AS place FROM %1$I
             ), older AS (
                 DELETE FROM %1$I WHERE ctid IN (SELECT ctid FROM ranked WHERE place > 1) RETURNING *
             )
             INSERT INTO %2$I SELECT * FROM older',
            input.owner, input.owner || '_superseded', input.key);
        EXECUTE format('CREATE UNIQUE INDEX %I ON %I (%s)', 'riskflow_' || input.owner || '_key', input.owner, input.key);
        EXECUTE format('COMMENT ON TABLE %I IS %L', input.owner || '_superseded',
            format('Rows of %s that a later row with the same key replaced at takeover', input.owner));
    END LOOP;
END $$;

-- NOT VALID: rows of before stay as they are, new ones must be possible.
ALTER TABLE fact_assessment
    ADD CONSTRAINT riskflow_items CHECK (items >= 0 AND omitted BETWEEN 0 AND items) NOT VALID,
    ADD CONSTRAINT riskflow_c_hat CHECK (c_hat BETWEEN 0 AND 1) NOT VALID,
    ADD CONSTRAINT riskflow_theta CHECK (theta BETWEEN -12 AND 12) NOT VALID;
ALTER TABLE fact_assessment_item
    ADD CONSTRAINT riskflow_response CHECK (response IN (0, 1)) NOT VALID,
    ADD CONSTRAINT riskflow_c CHECK (c >= 0 AND c < 1) NOT VALID;
ALTER TABLE attendance
    ADD CONSTRAINT riskflow_status CHECK (status IN ('present', 'late', 'absent', 'excused')) NOT VALID;
ALTER TABLE irt_snapshot
    ADD CONSTRAINT riskflow_theta CHECK (theta BETWEEN -12 AND 12) NOT VALID;

-- The acceptor looks for the students of two weeks, the agent for the weeks of a range of students.
CREATE INDEX riskflow_fact_assessment_time ON fact_assessment (org_id, assessed_at, student_id);
CREATE INDEX riskflow_fact_assessment_item_time ON fact_assessment_item (org_id, assessed_at, student_id);
CREATE INDEX riskflow_attendance_date ON attendance (org_id, class_date, student_id);
CREATE INDEX riskflow_irt_snapshot_date ON irt_snapshot (org_id, snapshot_date, student_id);

COMMENT ON TABLE fact_assessment IS 'Assessments: theta in standard deviations of ability, items and omitted as counts, c_hat as a share';
COMMENT ON TABLE fact_assessment_item IS 'Responses (1, 0, null = omitted) and 3PL parameters a, b, c of each item';
COMMENT ON TABLE attendance IS 'A row per student, day and session: present, late, absent or excused';
COMMENT ON TABLE irt_snapshot IS 'Ability estimates of another system, one a day';

CREATE TABLE student_risk_metrics (
    org_id               text COLLATE "C"  NOT NULL,
    report_date          date              NOT NULL,
    student_id           text COLLATE "C"  NOT NULL,
    theta                double precision,
    delta_theta_7d       double precision,
    delta_theta_14d      double precision,
    omit_rate            double precision,
    c_hat                double precision,
    absence_rate_7d      double precision,
    absence_rate_14d     double precision,
    consecutive_absences integer,
    decline_weeks        integer,
    theta_level          text              NOT NULL,
    omit_level           text              NOT NULL,
    guess_level          text              NOT NULL,
    attendance_level     text              NOT NULL,
    level                text              NOT NULL,
    theta_basis          text,
    rank                 integer,
    calculated_at        timestamptz       NOT NULL,
    job_id               text              NOT NULL,
    job_seq              bigint            NOT NULL,
    PRIMARY KEY (org_id, report_date, student_id)
) WITH (fillfactor = 50);
COMMENT ON COLUMN student_risk_metrics.rank IS '1 = most at risk of the tenant; null until all parts of the tenant are there';

CREATE TABLE tenant_risk_summary (
    org_id                text COLLATE "C" NOT NULL,
    report_date           date             NOT NULL,
    org_name              text             NOT NULL,
    total_students        integer          NOT NULL,
    crit_count            integer          NOT NULL,
    crit_pct              double precision,
    warn_count            integer          NOT NULL,
    warn_pct              double precision,
    ok_count              integer          NOT NULL,
    insufficient_data     integer          NOT NULL,
    theta_warn            integer          NOT NULL,
    theta_crit            integer          NOT NULL,
    omit_warn             integer          NOT NULL,
    omit_crit             integer          NOT NULL,
    guess_warn            integer          NOT NULL,
    guess_crit            integer          NOT NULL,
    attendance_warn       integer          NOT NULL,
    attendance_crit       integer          NOT NULL,
    mean_theta            double precision,
    mean_delta_theta_7d   double precision,
    mean_omit_rate        double precision,
    mean_c_hat            double precision,
    mean_absence_rate_7d  double precision,
    mean_absence_rate_14d double precision,
    thresholds            jsonb            NOT NULL,
    calculated_at         timestamptz      NOT NULL,
    job_id                text             NOT NULL,
    job_seq               bigint           NOT NULL,
    PRIMARY KEY (org_id, report_date)
);
COMMENT ON COLUMN tenant_risk_summary.crit_pct IS 'Percent of the students with data (total_students - insufficient_data); null without any';

-- How far each tenant of a weekly job is. `tenant` is its entry of tenants.yaml as it was at acceptance.
CREATE TABLE batch_job_tenants (
    job_id      text             NOT NULL REFERENCES batch_job_logs (job_id) ON DELETE CASCADE,
    org_id      text COLLATE "C" NOT NULL,
    report_date date             NOT NULL,
    tenant      jsonb            NOT NULL,
    students    integer          NOT NULL,
    parts       integer          NOT NULL,
    parts_left  integer          NOT NULL,
    state       text             NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'stored', 'rendered', 'delivered', 'no_data', 'failed')),
    error       text,
    changed_at  timestamptz      NOT NULL DEFAULT now(),
    ended_at    timestamptz,
    PRIMARY KEY (job_id, org_id)
);
CREATE INDEX batch_job_tenants_open ON batch_job_tenants (org_id, report_date) WHERE ended_at IS NULL;
COMMENT ON COLUMN batch_job_tenants.state IS
    'pending (being computed), stored (rows are there), rendered (files are there), then for good: delivered, no_data, failed';

CREATE TABLE report_deliveries (
    org_id      text COLLATE "C" NOT NULL,
    report_date date             NOT NULL,
    channel     text             NOT NULL CHECK (channel IN ('email', 'slack', 'folder')),
    state       text             NOT NULL
        CHECK (state IN ('pending', 'sending', 'retrying', 'sent', 'refused', 'failed', 'unknown', 'kept', 'no_data')),
    attempts    integer          NOT NULL DEFAULT 0,
    address     text[]           NOT NULL DEFAULT '{}',
    html        text             NOT NULL,
    csv         text             NOT NULL,
    detail      text,
    next_try_at timestamptz,
    created_at  timestamptz      NOT NULL DEFAULT now(),
    changed_at  timestamptz      NOT NULL DEFAULT now(),
    sent_at     timestamptz,
    job_id      text             NOT NULL,
    traceparent text,
    PRIMARY KEY (org_id, report_date, channel)
);
CREATE INDEX report_deliveries_due ON report_deliveries (next_try_at) WHERE state IN ('pending', 'retrying');
COMMENT ON COLUMN report_deliveries.state IS
    'pending, sending (the server is being spoken to), retrying (failed for the moment); for good: sent, refused (by the server or for want of a setting), failed (gave up), unknown (interrupted while sending: look, then resend), kept (no channel is set), no_data';
COMMENT ON COLUMN report_deliveries.address IS 'Recipients, or the name of the environment variable with the webhook; never the webhook itself';

CREATE FUNCTION riskflow.wake_delivery() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('riskflow_deliveries', '');
    RETURN NULL;
END $$;
CREATE TRIGGER deliveries_changed AFTER INSERT OR UPDATE ON report_deliveries
    FOR EACH STATEMENT EXECUTE FUNCTION riskflow.wake_delivery();

-- A weekly job: its chunks are parts of tenants, its total_grids are tenants.
ALTER TABLE batch_job_logs ADD COLUMN report_date date;
COMMENT ON COLUMN batch_job_logs.total_grids IS 'Cells of the job; tenants of a weekly job';

ALTER TABLE batch_job_chunks
    ALTER COLUMN latitudes SET DEFAULT '{}',
    ALTER COLUMN longitudes SET DEFAULT '{}',
    ADD COLUMN topic          text NOT NULL DEFAULT 'risk.grid-chunks.v1',
    ADD COLUMN org_id         text COLLATE "C",
    ADD COLUMN part           integer,
    ADD COLUMN first_student  text COLLATE "C",
    ADD COLUMN before_student text COLLATE "C";
COMMENT ON COLUMN batch_job_chunks.topic IS 'Topic that its message goes to';
COMMENT ON COLUMN batch_job_chunks.cells IS 'Cells of the chunk; students of a part when it was planned';
DROP INDEX batch_job_chunks_in_flight;
CREATE INDEX batch_job_chunks_in_flight ON batch_job_chunks (topic, partition) WHERE sent_at IS NOT NULL AND kinds_left > 0;

-- Which tenants a database role may see; the owner of the tables sees all, a service role has org_id '*'.
CREATE TABLE riskflow.tenant_roles (
    role   name NOT NULL,
    org_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (role, org_id)
);
ALTER TABLE riskflow.tenant_roles ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_roles ON riskflow.tenant_roles FOR SELECT USING (role = current_user);

-- Neither subquery names the row, so that PostgreSQL runs them once a statement and may use the key.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'fact_assessment', 'fact_assessment_item', 'attendance', 'irt_snapshot', 'students',
        'fact_assessment_superseded', 'fact_assessment_item_superseded', 'attendance_superseded',
        'irt_snapshot_superseded', 'students_superseded',
        'student_risk_metrics', 'tenant_risk_summary', 'report_deliveries', 'batch_job_tenants', 'batch_job_chunks'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY riskflow_own_tenant ON %I USING (
                 org_id = ANY (ARRAY(SELECT org_id FROM riskflow.tenant_roles WHERE role = current_user))
                 OR EXISTS (SELECT FROM riskflow.tenant_roles WHERE role = current_user AND org_id = ''*''))', name);
    END LOOP;
END $$;
-- Chunks of climate jobs belong to no tenant; a service role of before keeps seeing them.
CREATE POLICY riskflow_no_tenant ON batch_job_chunks USING (org_id IS NULL);

-- Lets a role read one tenant's rows; '*' is for service roles that are not the owner.
CREATE FUNCTION riskflow.grant_tenant(reader name, tenant text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF tenant <> '*' AND EXISTS (
        SELECT FROM pg_roles WHERE rolname = reader
          AND (rolsuper OR rolbypassrls
               OR pg_has_role(oid, (SELECT relowner FROM pg_class WHERE oid = 'public.students'::regclass), 'USAGE'))) THEN
        RAISE EXCEPTION 'role % sees every tenant whatever is granted: it is a superuser, may bypass row-level security, or is a member of the owner of the tables', reader;
    END IF;
    INSERT INTO riskflow.tenant_roles (role, org_id) VALUES (reader, tenant) ON CONFLICT DO NOTHING;
    EXECUTE format('GRANT USAGE ON SCHEMA riskflow TO %I', reader);
    EXECUTE format('GRANT SELECT ON riskflow.tenant_roles TO %I', reader);
    EXECUTE format(
        'GRANT SELECT ON public.fact_assessment, public.fact_assessment_item, public.attendance, public.irt_snapshot,
             public.students, public.student_risk_metrics, public.tenant_risk_summary, public.report_deliveries TO %I', reader);
END $$;
REVOKE ALL ON FUNCTION riskflow.grant_tenant(name, text) FROM PUBLIC;

-- The reverse. A role must lose its tenants before it is dropped: a later role of that name would have them.
CREATE FUNCTION riskflow.revoke_tenant(reader name, tenant text) RETURNS void LANGUAGE sql AS $$
    DELETE FROM riskflow.tenant_roles WHERE role = reader AND org_id = tenant;
$$;
REVOKE ALL ON FUNCTION riskflow.revoke_tenant(name, text) FROM PUBLIC;
