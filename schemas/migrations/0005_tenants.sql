-- The weekly tenant report: what it reads, what it writes, and who may see which tenant.

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

-- Takes over input tables of another system: types, older duplicates set aside, the key. Ids are
-- compared by code point everywhere, because parts of a tenant are ranges of ids.
DO $$
DECLARE
    input record;
    field text;
BEGIN
    FOR input IN
        SELECT * FROM (VALUES
            ('fact_assessment', ARRAY['org_id', 'student_id', 'assessed_at']),
            ('fact_assessment_item', ARRAY['org_id', 'student_id', 'assessed_at', 'item_id']),
            ('attendance', ARRAY['org_id', 'student_id', 'class_date', 'session']),
            ('irt_snapshot', ARRAY['org_id', 'student_id', 'snapshot_date']),
            ('students', ARRAY['org_id', 'student_id'])) AS i (name, key)
    LOOP
        FOREACH field IN ARRAY input.key LOOP
            IF field NOT IN ('assessed_at', 'class_date', 'snapshot_date') THEN
                IF NOT EXISTS (SELECT FROM pg_attribute a JOIN pg_collation c ON c.oid = a.attcollation
                               WHERE attrelid = input.name::regclass AND attname = field AND collname = 'C'
                                 AND atttypid = 'text'::regtype) THEN
                    EXECUTE format('ALTER TABLE %I ALTER COLUMN %I TYPE text COLLATE "C"', input.name, field);
                END IF;
            END IF;
            EXECUTE format('ALTER TABLE %I ALTER COLUMN %I SET NOT NULL', input.name, field);
        END LOOP;
        EXECUTE format('CREATE TABLE %I (LIKE %I)', input.name || '_superseded', input.name);
        EXECUTE format(
            'WITH ranked AS (
                 SELECT ctid, row_number() OVER (PARTITION BY %3$s ORDER BY ctid DESC) AS place FROM %1$I
             ), older AS (
                 DELETE FROM %1$I WHERE ctid IN (SELECT ctid FROM ranked WHERE place > 1) RETURNING *
             )
             INSERT INTO %2$I SELECT * FROM older',
            input.name, input.name || '_superseded',
            (SELECT string_agg(quote_ident(k), ', ') FROM unnest(input.key) AS k));
        EXECUTE format('CREATE UNIQUE INDEX %I ON %I (%s)', input.name || '_key', input.name,
            (SELECT string_agg(quote_ident(k), ', ') FROM unnest(input.key) AS k));
    END LOOP;
END $$;

SELECT riskflow.ensure_type('fact_assessment', 'assessed_at', 'timestamp with time zone'),
       riskflow.ensure_type('fact_assessment', 'theta', 'double precision'),
       riskflow.ensure_type('fact_assessment', 'c_hat', 'double precision'),
       riskflow.ensure_type('fact_assessment_item', 'assessed_at', 'timestamp with time zone'),
       riskflow.ensure_type('attendance', 'class_date', 'date'),
       riskflow.ensure_type('attendance', 'status', 'text'),
       riskflow.ensure_type('irt_snapshot', 'snapshot_date', 'date'),
       riskflow.ensure_type('irt_snapshot', 'theta', 'double precision');

-- NOT VALID: rows of before stay as they are, new ones must be possible.
ALTER TABLE fact_assessment
    ADD CONSTRAINT fact_assessment_items CHECK (items >= 0 AND omitted BETWEEN 0 AND items) NOT VALID,
    ADD CONSTRAINT fact_assessment_c_hat CHECK (c_hat BETWEEN 0 AND 1) NOT VALID,
    ADD CONSTRAINT fact_assessment_theta CHECK (theta BETWEEN -12 AND 12) NOT VALID;
ALTER TABLE fact_assessment_item
    ADD CONSTRAINT fact_assessment_item_response CHECK (response IN (0, 1)) NOT VALID,
    ADD CONSTRAINT fact_assessment_item_c CHECK (c >= 0 AND c < 1) NOT VALID;
ALTER TABLE attendance
    ADD CONSTRAINT attendance_status CHECK (status IN ('present', 'late', 'absent', 'excused')) NOT VALID;

-- The acceptor looks for the students of two weeks, the agent for the weeks of a range of students.
CREATE INDEX fact_assessment_time ON fact_assessment (org_id, assessed_at, student_id);
CREATE INDEX fact_assessment_item_time ON fact_assessment_item (org_id, assessed_at, student_id);
CREATE INDEX attendance_date ON attendance (org_id, class_date, student_id);
CREATE INDEX irt_snapshot_date ON irt_snapshot (org_id, snapshot_date, student_id);

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

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'fact_assessment', 'fact_assessment_item', 'attendance', 'irt_snapshot', 'students',
        'fact_assessment_superseded', 'fact_assessment_item_superseded', 'attendance_superseded',
        'irt_snapshot_superseded', 'students_superseded',
        'student_risk_metrics', 'tenant_risk_summary', 'report_deliveries', 'batch_job_tenants'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY own_tenant ON %I USING (EXISTS (
                 SELECT FROM riskflow.tenant_roles t
                 WHERE t.role = current_user AND t.org_id IN (%I.org_id, ''*'')))', name, name);
    END LOOP;
END $$;

-- Lets a role read one tenant's rows; '*' is for service roles that are not the owner.
CREATE FUNCTION riskflow.grant_tenant(reader name, tenant text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO riskflow.tenant_roles (role, org_id) VALUES (reader, tenant) ON CONFLICT DO NOTHING;
    EXECUTE format('GRANT USAGE ON SCHEMA riskflow TO %I', reader);
    EXECUTE format('GRANT SELECT ON riskflow.tenant_roles TO %I', reader);
    EXECUTE format(
        'GRANT SELECT ON fact_assessment, fact_assessment_item, attendance, irt_snapshot, students,
             student_risk_metrics, tenant_risk_summary, report_deliveries TO %I', reader);
END $$;
REVOKE ALL ON FUNCTION riskflow.grant_tenant(name, text) FROM PUBLIC;
