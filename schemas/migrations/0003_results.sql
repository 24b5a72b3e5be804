-- What the climate jobs write. Takes over result tables and a job log that already exist.

-- Scenario and window of a trigger that names none, as `riskflow migrate` finds them in the settings;
-- the views read them.
CREATE TABLE riskflow.defaults (
    only_row     boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    scenario     text    NOT NULL,
    window_start integer NOT NULL,
    window_end   integer NOT NULL
);
INSERT INTO riskflow.defaults (scenario, window_start, window_end)
VALUES (current_setting('riskflow.default_scenario'),
        current_setting('riskflow.default_window_start')::integer,
        current_setting('riskflow.default_window_end')::integer);

CREATE TABLE IF NOT EXISTS probability_results (
    id            bigserial PRIMARY KEY,
    latitude      numeric(10, 6) NOT NULL,
    longitude     numeric(10, 6) NOT NULL,
    risk_type     text           NOT NULL,
    probability   jsonb,
    bin_data      jsonb,
    calculated_at timestamptz    NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS hazard_results (
    id               bigserial PRIMARY KEY,
    latitude         numeric(10, 6) NOT NULL,
    longitude        numeric(10, 6) NOT NULL,
    risk_type        text           NOT NULL,
    hazard_score     double precision,
    hazard_score_100 double precision,
    hazard_level     text,
    calculated_at    timestamptz    NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS batch_job_logs (
    id              bigserial PRIMARY KEY,
    job_type        text        NOT NULL,
    started_at      timestamptz NOT NULL DEFAULT now(),
    completed_at    timestamptz,
    status          text        NOT NULL,
    total_grids     integer,
    processed_grids integer,
    failed_grids    integer,
    success_rate    double precision,
    error_message   text
);

-- Another system may have forbidden nulls that now carry a reason instead of a number.
ALTER TABLE probability_results
    ALTER COLUMN probability DROP NOT NULL,
    ALTER COLUMN bin_data DROP NOT NULL,
    ADD COLUMN scenario     text,
    ADD COLUMN window_start integer,
    ADD COLUMN window_end   integer,
    ADD COLUMN aal          double precision,
    ADD COLUMN aal_p05      double precision,
    ADD COLUMN aal_p95      double precision,
    ADD COLUMN reason       text,
    ADD COLUMN basis        text,
    ADD COLUMN risk_table   text,
    ADD COLUMN job_id       text,
    ADD COLUMN job_seq      bigint;

ALTER TABLE hazard_results
    ALTER COLUMN hazard_score DROP NOT NULL,
    ALTER COLUMN hazard_score_100 DROP NOT NULL,
    ALTER COLUMN hazard_level DROP NOT NULL,
    ADD COLUMN scenario     text,
    ADD COLUMN window_start integer,
    ADD COLUMN window_end   integer,
    ADD COLUMN reason       text,
    ADD COLUMN basis        text,
    ADD COLUMN risk_table   text,
    ADD COLUMN job_id       text,
    ADD COLUMN job_seq      bigint;

SELECT riskflow.ensure_type(results::regclass, field, wanted)
FROM unnest(ARRAY['probability_results', 'hazard_results']) AS results,
     (VALUES ('latitude', 'numeric(10,6)'), ('longitude', 'numeric(10,6)'), ('id', 'bigint')) AS columns (field, wanted);

CREATE TABLE probability_results_superseded (LIKE probability_results);
CREATE TABLE hazard_results_superseded (LIKE hazard_results);

DO $$
DECLARE
    results text;
BEGIN
    FOREACH results IN ARRAY ARRAY['probability_results', 'hazard_results'] LOOP
        EXECUTE format(
            'UPDATE %1$I SET scenario = d.scenario, window_start = d.window_start, window_end = d.window_end, job_seq = 0
             FROM riskflow.defaults d', results);
        EXECUTE format(
            'WITH ranked AS (
                 SELECT ctid, row_number() OVER (PARTITION BY latitude, longitude, risk_type
                            ORDER BY calculated_at DESC NULLS LAST, id DESC) AS place
                 FROM %1$I), older AS (
                 DELETE FROM %1$I WHERE ctid IN (SELECT ctid FROM ranked WHERE place > 1) RETURNING *)
             INSERT INTO %2$I SELECT * FROM older', results, results || '_superseded');
        EXECUTE format(
            'ALTER TABLE %1$I
                 ALTER COLUMN scenario SET NOT NULL, ALTER COLUMN window_start SET NOT NULL,
                 ALTER COLUMN window_end SET NOT NULL, ALTER COLUMN job_seq SET NOT NULL', results);
        EXECUTE format(
            'CREATE UNIQUE INDEX %2$I ON %1$I (latitude, longitude, risk_type, scenario, window_start, window_end)',
            results, results || '_key');
        -- Reruns update most rows in place; room in each page keeps those updates off the indexes.
        EXECUTE format('ALTER TABLE %1$I SET (fillfactor = 50)', results);
    END LOOP;
END $$;

CREATE VIEW current_probability_results AS
SELECT r.id, r.latitude, r.longitude, r.risk_type, r.probability, r.bin_data, r.calculated_at
FROM probability_results r JOIN riskflow.defaults d USING (scenario, window_start, window_end);

CREATE VIEW current_hazard_results AS
SELECT r.id, r.latitude, r.longitude, r.risk_type, r.hazard_score, r.hazard_score_100, r.hazard_level, r.calculated_at
FROM hazard_results r JOIN riskflow.defaults d USING (scenario, window_start, window_end);

CREATE SEQUENCE riskflow.job_seq;

ALTER TABLE batch_job_logs
    ADD COLUMN job_id         text,
    ADD COLUMN job_seq        bigint NOT NULL DEFAULT 0,
    ADD COLUMN requested_by   text,
    ADD COLUMN trigger        jsonb,
    ADD COLUMN request_hash   text,
    ADD COLUMN traceparent    text,
    ADD COLUMN kinds          text[]  NOT NULL DEFAULT '{}',
    ADD COLUMN risks          text[]  NOT NULL DEFAULT '{}',
    ADD COLUMN scenario       text,
    ADD COLUMN window_start   integer,
    ADD COLUMN window_end     integer,
    ADD COLUMN baseline_start integer,
    ADD COLUMN baseline_end   integer,
    ADD COLUMN uncertainty    boolean NOT NULL DEFAULT false,
    ADD COLUMN chunks_total   integer NOT NULL DEFAULT 0,
    ADD COLUMN chunks_done    integer NOT NULL DEFAULT 0,
    ADD COLUMN cancelled_by   text;

SELECT riskflow.ensure_type('batch_job_logs', 'id', 'bigint');
UPDATE batch_job_logs SET job_id = 'before-riskflow-' || id WHERE job_id IS NULL;
ALTER TABLE batch_job_logs ALTER COLUMN job_id SET NOT NULL;
CREATE UNIQUE INDEX batch_job_logs_job_id ON batch_job_logs (job_id);
CREATE INDEX batch_job_logs_open ON batch_job_logs (job_seq) WHERE status IN ('pending', 'running') AND job_seq > 0;

COMMENT ON COLUMN batch_job_logs.processed_grids IS 'Cells whose risks have all reported, failures included';
COMMENT ON COLUMN batch_job_logs.failed_grids IS 'Cells of which at least one risk failed';
COMMENT ON COLUMN batch_job_logs.success_rate IS 'Percent of total_grids that reported without a failure';
COMMENT ON COLUMN batch_job_logs.job_seq IS 'Order of acceptance; a result never overwrites one of a higher job_seq';
