-- How work moves: the chunks of a job, their outcomes, counters, and the outbox.

CREATE TABLE batch_job_chunks (
    job_id       text             NOT NULL REFERENCES batch_job_logs (job_id) ON DELETE CASCADE,
    chunk        integer          NOT NULL,
    chunk_id     text             NOT NULL UNIQUE,
    latitudes    double precision[] NOT NULL,
    longitudes   double precision[] NOT NULL,
    cells        integer          NOT NULL,
    kinds_left   integer          NOT NULL,
    sent_at      timestamptz,
    partition    integer,
    "offset"     bigint,
    sends        integer          NOT NULL DEFAULT 0,
    losses       integer          NOT NULL DEFAULT 0,
    starts       integer          NOT NULL DEFAULT 0,
    PRIMARY KEY (job_id, chunk)
);
CREATE INDEX batch_job_chunks_unsent ON batch_job_chunks (job_id, chunk) WHERE sent_at IS NULL AND kinds_left > 0;
CREATE INDEX batch_job_chunks_in_flight ON batch_job_chunks (partition) WHERE sent_at IS NOT NULL AND kinds_left > 0;
COMMENT ON COLUMN batch_job_chunks.latitudes IS 'Cells frozen at acceptance, in ascending order of latitude, longitude';
COMMENT ON COLUMN batch_job_chunks.kinds_left IS 'Result kinds without an outcome; 0 = the chunk is done';
COMMENT ON COLUMN batch_job_chunks.starts IS 'How often a worker took it up; more than once means that a worker died or was moved';

CREATE TABLE batch_job_outcomes (
    job_id       text        NOT NULL,
    chunk        integer     NOT NULL,
    kind         text        NOT NULL,
    failed_cells integer[]   NOT NULL DEFAULT '{}',
    error        text,
    recorded_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (job_id, chunk, kind),
    FOREIGN KEY (job_id, chunk) REFERENCES batch_job_chunks (job_id, chunk) ON DELETE CASCADE
);
COMMENT ON COLUMN batch_job_outcomes.failed_cells IS 'Places (from 0) of the failed cells within the chunk';

CREATE TABLE batch_job_risks (
    job_id         text    NOT NULL REFERENCES batch_job_logs (job_id) ON DELETE CASCADE,
    risk_type      text    NOT NULL,
    reported       integer NOT NULL DEFAULT 0,
    without_number integer NOT NULL DEFAULT 0,
    failed         integer NOT NULL DEFAULT 0,
    PRIMARY KEY (job_id, risk_type)
);

CREATE TABLE outbox (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic          text        NOT NULL,
    key            bytea       NOT NULL,
    value          bytea,
    header_names   text[]      NOT NULL DEFAULT '{}',
    header_values  bytea[]     NOT NULL DEFAULT '{}',
    created_at     timestamptz NOT NULL DEFAULT now(),
    published_at   timestamptz,
    partition      integer,
    "offset"       bigint,
    job_id         text,
    answered_at    timestamptz
);
CREATE INDEX outbox_unpublished ON outbox (id) WHERE published_at IS NULL;
CREATE INDEX outbox_unanswered ON outbox (id) WHERE job_id IS NOT NULL AND answered_at IS NULL;
CREATE UNIQUE INDEX outbox_trigger_job ON outbox (job_id) WHERE job_id IS NOT NULL;
COMMENT ON COLUMN outbox.job_id IS 'Job that a trigger asks for; a second trigger with the same id is the same trigger';
COMMENT ON COLUMN outbox.answered_at IS 'When the acceptor accepted or refused the trigger; until then its message may be lost';

-- Wakes the bridge when the writer commits; the channel is its own, apart from NOTIFY_CHANNEL.
CREATE FUNCTION riskflow.wake_bridge() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('riskflow_outbox', '');
    RETURN NULL;
END $$;
CREATE TRIGGER outbox_written AFTER INSERT ON outbox
    FOR EACH STATEMENT EXECUTE FUNCTION riskflow.wake_bridge();

CREATE FUNCTION riskflow.wake_dispatcher() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('riskflow_chunks', '');
    RETURN NULL;
END $$;
CREATE TRIGGER chunks_planned AFTER INSERT ON batch_job_chunks
    FOR EACH STATEMENT EXECUTE FUNCTION riskflow.wake_dispatcher();
CREATE TRIGGER outcomes_recorded AFTER INSERT ON batch_job_outcomes
    FOR EACH STATEMENT EXECUTE FUNCTION riskflow.wake_dispatcher();

-- Asks for a job. `options` holds the Trigger's other fields; the answer is the job_id to look for in batch_job_logs.
CREATE FUNCTION riskflow.request(job_type text, options jsonb DEFAULT '{}') RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    asked jsonb := coalesce(options, '{}') || jsonb_build_object('job_type', job_type);
    job   text  := coalesce(options ->> 'job_id', 'request-' || gen_random_uuid());
BEGIN
    IF job !~ '^[A-Za-z0-9][A-Za-z0-9._:+@-]{0,199}$' THEN
        RAISE EXCEPTION 'job_id % is not allowed: 1 to 200 letters, digits and . _ : + @ -, the first a letter or digit', job
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    asked := jsonb_build_object('requested_by', 'request by ' || session_user) || asked || jsonb_build_object('job_id', job);
    INSERT INTO public.outbox (topic, key, value, header_names, header_values, job_id)
    VALUES ('risk.triggers.v1', convert_to(job, 'UTF8'), convert_to(asked::text, 'UTF8'),
            ARRAY['content-type', 'ce_specversion', 'ce_id', 'ce_type', 'ce_source', 'ce_time', 'job-id', 'traceparent'],
            ARRAY[convert_to('application/json', 'UTF8'), convert_to('1.0', 'UTF8'), convert_to(job, 'UTF8'),
                  convert_to('risk.triggers.v1', 'UTF8'), convert_to('riskflow/request', 'UTF8'),
                  convert_to(to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'UTF8'),
                  convert_to(job, 'UTF8'),
                  convert_to('00-' || replace(gen_random_uuid()::text, '-', '') || '-' ||
                             substr(replace(gen_random_uuid()::text, '-', ''), 1, 16) || '-01', 'UTF8')],
            job)
    ON CONFLICT (job_id) WHERE job_id IS NOT NULL DO NOTHING;
    IF NOT EXISTS (SELECT FROM public.outbox
                   WHERE job_id = job AND convert_from(value, 'UTF8')::jsonb - 'requested_by' = asked - 'requested_by') THEN
        RAISE EXCEPTION 'job_id % was asked for before with other options; choose another id, or leave it out', job
            USING ERRCODE = 'unique_violation';
    END IF;
    RETURN job;
END $$;
REVOKE ALL ON FUNCTION riskflow.request(text, jsonb) FROM PUBLIC;

-- Risks that this version knows, filled by `riskflow migrate` from the one table of risks, so that the
-- acceptor can check a trigger without the models.
CREATE TABLE riskflow.risk_types (
    risk_type text PRIMARY KEY,
    title     text    NOT NULL,
    intensity text    NOT NULL,
    unit      text    NOT NULL,
    position  integer NOT NULL
);
