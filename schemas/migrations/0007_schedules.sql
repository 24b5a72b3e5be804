-- How far the schedules have been looked at, and what became of each due time.

CREATE TABLE riskflow.schedules (
    name          text PRIMARY KEY,
    job_type      text        NOT NULL,
    enabled       boolean     NOT NULL,
    expression    text        NOT NULL,
    timezone      text        NOT NULL,
    checked_until timestamptz NOT NULL
);
COMMENT ON TABLE riskflow.schedules IS 'Schedules as the scheduler that looked last has them in its settings';
COMMENT ON COLUMN riskflow.schedules.expression IS 'Cron expression: minute, hour, day, month, weekday, on the clocks of timezone';
COMMENT ON COLUMN riskflow.schedules.checked_until IS 'Due times up to here are decided; without a row a schedule starts from now';

CREATE TABLE riskflow.schedule_runs (
    name       text        NOT NULL,
    due_at     timestamptz NOT NULL,
    job_id     text        NOT NULL,
    missed     boolean     NOT NULL,
    decided_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (name, due_at)
);
COMMENT ON COLUMN riskflow.schedule_runs.missed IS 'False: the trigger of job_id went into the outbox; true: too late for that, or its job_id was taken; the row of job_id says why';
