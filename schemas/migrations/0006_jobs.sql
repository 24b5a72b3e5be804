-- Jobs that are cancelled, resumed and mended, and what was done about their dead letters.

ALTER TABLE batch_job_logs
    ADD COLUMN resumed_by text,
    ADD COLUMN resumed_at timestamptz,
    ADD COLUMN resumes    integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN batch_job_logs.cancelled_by IS 'Who cancelled it last; a job that was resumed since keeps the name';
COMMENT ON COLUMN batch_job_logs.resumed_at IS 'When it was resumed last; job_seq is of that moment';

-- Taking an outcome back must find what it has added to batch_job_risks. Only an outcome with failures
-- is ever taken back, and failures recorded before this migration have no counts: their job can only be
-- computed again as a whole.
ALTER TABLE batch_job_outcomes ADD COLUMN counts jsonb;
COMMENT ON COLUMN batch_job_outcomes.counts IS
    'Of an outcome with failed cells: risk_type to [reported, without_number, failed], as added to batch_job_risks';

ALTER TABLE report_deliveries DROP CONSTRAINT report_deliveries_state_check;
ALTER TABLE report_deliveries ADD CONSTRAINT report_deliveries_state_check
    CHECK (state IN ('pending', 'sending', 'retrying', 'cancelled', 'sent', 'refused', 'failed', 'unknown', 'kept', 'no_data'));
COMMENT ON COLUMN report_deliveries.state IS
    'pending, sending (the server is being spoken to), retrying (failed for the moment), cancelled (with its job, not sent); for good: sent, refused (by the server or for want of a setting), failed (gave up), unknown (interrupted while sending: look, then resend), kept (no channel is set), no_data';

-- A Kafka record may have no key, which is not an empty one.
ALTER TABLE outbox ALTER COLUMN key DROP NOT NULL;

-- Letters stay in their topics. The time of writing tells apart the logs of an in-memory broker, whose
-- offsets start anew.
CREATE TABLE dead_letter_marks (
    topic      text        NOT NULL,
    partition  integer     NOT NULL,
    "offset"   bigint      NOT NULL,
    written_at timestamptz NOT NULL,
    action     text        NOT NULL CHECK (action IN ('replayed', 'dropped')),
    marked_by  text        NOT NULL,
    marked_at  timestamptz NOT NULL DEFAULT now(),
    times      integer     NOT NULL DEFAULT 1,
    PRIMARY KEY (topic, partition, "offset", written_at)
);
COMMENT ON TABLE dead_letter_marks IS 'What a person did about a dead letter';
COMMENT ON COLUMN dead_letter_marks.topic IS 'Topic that the message was on; its letter lies in <topic>.dlq at partition and offset';
