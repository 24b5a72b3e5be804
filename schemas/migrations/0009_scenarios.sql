-- Scenarios that were derived from others, and which results were there before riskflow.

CREATE TABLE climate_scenarios (
    scenario     text             PRIMARY KEY,
    derived_from text             NOT NULL CHECK (derived_from <> scenario),
    ta_delta_c   double precision NOT NULL,
    rn_factor    double precision NOT NULL CHECK (rn_factor >= 0),
    method       text             NOT NULL,
    created_at   timestamptz      NOT NULL DEFAULT now(),
    created_by   text             NOT NULL,
    note         text
);
COMMENT ON TABLE climate_scenarios IS 'What a derived scenario was made from; scenarios that were loaded have no row';
COMMENT ON COLUMN climate_scenarios.ta_delta_c IS 'Added to ta, tamax and tamin of every month, degC';
COMMENT ON COLUMN climate_scenarios.rn_factor IS 'What rn of every month and rx1day of every year were multiplied by';

-- No job of the log has written these; counted once, because the result tables may be large.
CREATE TABLE riskflow.results_before (
    scenario     text    NOT NULL,
    window_start integer NOT NULL,
    window_end   integer NOT NULL,
    risk_type    text    NOT NULL,
    cells        integer NOT NULL,
    PRIMARY KEY (scenario, window_start, window_end, risk_type)
);
INSERT INTO riskflow.results_before
SELECT scenario, window_start, window_end, risk_type, max(cells)
FROM (SELECT scenario, window_start, window_end, risk_type, count(*) AS cells
      FROM probability_results WHERE job_seq = 0 GROUP BY 1, 2, 3, 4
      UNION ALL
      SELECT scenario, window_start, window_end, risk_type, count(*)
      FROM hazard_results WHERE job_seq = 0 GROUP BY 1, 2, 3, 4) AS counted
GROUP BY 1, 2, 3, 4;
COMMENT ON TABLE riskflow.results_before IS 'Scenarios, windows and risks whose results another system wrote before riskflow';

-- Derives a scenario by delta change and returns the number of its months. It is the owner's, so that who
-- may derive need not be able to change weather that was loaded: it writes rows of derived scenarios only.
CREATE FUNCTION riskflow.derive_scenario(
    origin text, made text, delta double precision, factor double precision, author text, how text, overwrite boolean
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    before     public.climate_scenarios;
    was_there  boolean;
    first_year integer;
    last_year  integer;
    marked     text := 'derived from ' || origin;
    targets    text;
    picked     text;
    months     bigint;
BEGIN
    -- A temporary table of the caller's, with triggers of the caller's, must not be what the owner writes to.
    DROP TABLE IF EXISTS pg_temp.repack_cells;
    PERFORM pg_advisory_xact_lock(hashtext('riskflow.load'));
    PERFORM riskflow.repack();
    IF made = 'historical' OR made = origin OR made !~ '^[^[:cntrl:]]{1,200}$' OR made <> btrim(made) THEN
        RAISE EXCEPTION 'a derived scenario cannot be called %; choose a name of 1 to 200 characters other than % and historical', quote_literal(made), quote_literal(origin)
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT delta BETWEEN -20 AND 20 THEN
        RAISE EXCEPTION 'a change of temperature of % degC is not allowed; allowed are -20 to 20', delta
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT (factor > 0 AND factor <= 10) THEN
        RAISE EXCEPTION 'a factor on rain of % is not allowed; allowed is more than 0 and at most 10', factor
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT min(p.first_year), max(p.first_year + length(p.months) / 768 - 1) INTO first_year, last_year
    FROM public.climate_packed p WHERE p.scenario = origin;
    IF first_year IS NULL THEN
        RAISE EXCEPTION 'scenario % has no months to derive from; riskflow scenario list says which have', origin
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    SELECT * INTO before FROM public.climate_scenarios s WHERE s.scenario = made FOR UPDATE;
    was_there := FOUND;
    IF NOT was_there AND (EXISTS (SELECT FROM public.climate_packed p WHERE p.scenario = made)
                          OR EXISTS (SELECT FROM public.climate_extremes e WHERE e.scenario = made)) THEN
        RAISE EXCEPTION 'scenario % was loaded, not derived, and is not overwritten; choose another name', made
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF was_there AND NOT overwrite
       AND (before.derived_from, before.ta_delta_c, before.rn_factor) IS DISTINCT FROM (origin, delta, factor) THEN
        RAISE EXCEPTION 'scenario % is there: derived from % with % degC and rain x %; choose another name, or replace it (--replace)',
            made, before.derived_from, before.ta_delta_c, before.rn_factor
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    IF was_there THEN
        DELETE FROM public.climate_data d WHERE d.scenario = made;
        DELETE FROM public.climate_extremes e WHERE e.scenario = made;
        -- Rows that somebody has loaded for it since stay.
        DELETE FROM public.climate_warming w WHERE w.scenario = made AND starts_with(w.source, 'derived from ');
        DELETE FROM public.water_demand w WHERE w.scenario = made AND starts_with(w.source, 'derived from ');
        DELETE FROM public.sea_level_rise r WHERE r.scenario = made AND starts_with(r.source, 'derived from ');
    END IF;

    -- The table of another system may have columns of its own; those that it numbers by itself are left to it.
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum),
           string_agg(CASE WHEN attname = 'scenario' THEN '$2'
                           WHEN attname IN ('ta', 'tamax', 'tamin') THEN format('%I + $3', attname)
                           WHEN attname = 'rn' THEN 'rn * $4'
                           ELSE quote_ident(attname) END, ', ' ORDER BY attnum)
    INTO targets, picked
    FROM pg_attribute a LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
    WHERE attrelid = 'public.climate_data'::regclass AND attnum > 0 AND NOT attisdropped
      AND attidentity = '' AND attgenerated = ''
      AND coalesce(pg_get_expr(d.adbin, d.adrelid) NOT LIKE 'nextval(%', true);
    EXECUTE format('INSERT INTO public.climate_data (%s) SELECT %s FROM public.climate_data WHERE scenario = $1',
                   targets, picked)
    USING origin, made, delta, factor;
    GET DIAGNOSTICS months = ROW_COUNT;

    -- A constant factor on daily rain is the same factor on its yearly maximum. Spells over thresholds and
    -- fire weather follow from days only, so they are taken over where no day has changed, and else unknown.
    INSERT INTO public.climate_extremes (latitude, longitude, scenario, year, wsdi, csdi, rx1day, fwi_days, fwi_max,
                                         valid_days, baseline_start, baseline_end)
    SELECT e.latitude, e.longitude, made, e.year,
           CASE WHEN delta = 0 THEN e.wsdi END, CASE WHEN delta = 0 THEN e.csdi END, e.rx1day * factor,
           CASE WHEN delta = 0 AND factor = 1 THEN e.fwi_days END, CASE WHEN delta = 0 AND factor = 1 THEN e.fwi_max END,
           e.valid_days, e.baseline_start, e.baseline_end
    FROM public.climate_extremes e WHERE e.scenario = origin;

    -- historical is its own reference: no warming, the demand of the baseline, the sea of the stations.
    INSERT INTO public.climate_warming (scenario, year, dt_c, source)
    SELECT made, known.year, known.dt_c + delta, marked || ', dt_c + ' || delta
    FROM (SELECT w.year, w.dt_c FROM public.climate_warming w WHERE w.scenario = origin
          UNION
          SELECT y, 0 FROM unnest(ARRAY[first_year, last_year]) AS y WHERE origin = 'historical') AS known
    WHERE NOT EXISTS (SELECT FROM public.climate_warming w WHERE w.scenario = made);
    INSERT INTO public.water_demand (scenario, year, ratio, source)
    SELECT made, known.year, known.ratio, marked || ', unchanged'
    FROM (SELECT w.year, w.ratio FROM public.water_demand w WHERE w.scenario = origin
          UNION
          SELECT y, 1 FROM unnest(ARRAY[first_year, last_year]) AS y WHERE origin = 'historical') AS known
    WHERE NOT EXISTS (SELECT FROM public.water_demand w WHERE w.scenario = made);
    -- How far the sea rises with the air's warming the change does not say.
    INSERT INTO public.sea_level_rise (station, scenario, year, rise_mm, source)
    SELECT known.station, made, known.year, known.rise_mm, marked || ', unchanged'
    FROM (SELECT r.station, r.year, r.rise_mm FROM public.sea_level_rise r WHERE r.scenario = origin
          UNION
          SELECT s.station, greatest(last_year, 2006), 0 FROM public.sea_level_stations s WHERE origin = 'historical')
        AS known
    WHERE delta = 0 AND NOT EXISTS (SELECT FROM public.sea_level_rise r WHERE r.scenario = made);

    INSERT INTO public.climate_scenarios (scenario, derived_from, ta_delta_c, rn_factor, method, created_by)
    VALUES (made, origin, delta, factor, how, author)
    ON CONFLICT (scenario) DO UPDATE
    SET derived_from = excluded.derived_from, ta_delta_c = excluded.ta_delta_c, rn_factor = excluded.rn_factor,
        method = excluded.method, created_by = excluded.created_by, created_at = now();
    PERFORM riskflow.repack();
    RETURN months;
END $$;
REVOKE ALL ON FUNCTION riskflow.derive_scenario(text, text, double precision, double precision, text, text, boolean) FROM PUBLIC;

-- Replaying the letter of a refused trigger takes away its row, so that the same id can be asked for again;
-- no other row of the log is taken away by a service.
CREATE POLICY riskflow_only_refused_go ON batch_job_logs AS RESTRICTIVE FOR DELETE USING (
    status = 'failed' AND job_seq = 0 AND chunks_total = 0 AND NOT starts_with(job_id, 'before-riskflow-'));

-- The rights of 0008 and those that scenarios and the web page need.
CREATE OR REPLACE FUNCTION riskflow.service_rights(service text) RETURNS SETOF text LANGUAGE sql STABLE AS $$
    WITH climate (names) AS (VALUES
        ('public.climate_packed, public.climate_extremes, public.grid_cells, public.sea_level_stations,'
         ' public.sea_level_rise, public.water_basins, public.water_demand, public.climate_warming, public.storm_fixes')
    ), learning (names) AS (VALUES
        ('public.fact_assessment, public.fact_assessment_item, public.attendance, public.irt_snapshot, public.students')
    ), shown (names) AS (VALUES
        ('public.probability_results, public.hazard_results, public.current_probability_results,'
         ' public.current_hazard_results, public.climate_data, public.climate_scenarios, public.batch_job_logs,'
         ' public.batch_job_risks, public.batch_job_chunks, public.batch_job_outcomes, public.batch_job_tenants,'
         ' public.student_risk_metrics, public.tenant_risk_summary, public.report_deliveries,'
         ' riskflow.risk_types, riskflow.defaults, riskflow.results_before, riskflow.schedules, riskflow.schedule_runs')
    ), sequences (service, name) AS (VALUES
        ('producers', pg_get_serial_sequence('public.batch_job_logs', 'id')),
        ('sink', pg_get_serial_sequence('public.batch_job_logs', 'id')),
        ('sink', pg_get_serial_sequence('public.probability_results', 'id')),
        ('sink', pg_get_serial_sequence('public.hazard_results', 'id')),
        ('sink', 'riskflow.job_seq'),
        ('web', 'riskflow.job_seq')
    ), rights (service, clause) AS (VALUES
        ('producers', 'SELECT, INSERT, DELETE, UPDATE (published_at, partition, "offset", answered_at) ON public.outbox'),
        ('producers', 'SELECT, UPDATE (sent_at, partition, "offset", sends, losses) ON public.batch_job_chunks'),
        ('producers', 'SELECT, INSERT, UPDATE (status) ON public.batch_job_logs'),
        ('producers', 'SELECT ON public.batch_job_outcomes, public.batch_job_risks, public.batch_job_tenants'),
        ('producers', 'SELECT, INSERT, UPDATE ON riskflow.schedules, riskflow.schedule_runs'),

        ('worker', 'SELECT ON public.batch_job_logs, public.batch_job_tenants'),
        ('worker', 'SELECT, UPDATE (starts) ON public.batch_job_chunks'),

        ('sink', 'SELECT, INSERT, UPDATE ON public.batch_job_logs, public.batch_job_risks, public.batch_job_tenants'),
        ('sink', 'SELECT, INSERT, UPDATE (kinds_left) ON public.batch_job_chunks'),
        ('sink', 'SELECT, INSERT ON public.batch_job_outcomes'),
        ('sink', 'SELECT, INSERT, UPDATE ON public.probability_results, public.hazard_results'),
        ('sink', 'SELECT, INSERT, UPDATE, DELETE ON public.student_risk_metrics'),
        ('sink', 'SELECT, INSERT, UPDATE ON public.tenant_risk_summary'),
        ('sink', 'SELECT ON public.report_deliveries'),
        ('sink', 'INSERT, SELECT (job_id, answered_at), UPDATE (answered_at) ON public.outbox'),
        ('sink', 'SELECT ON public.climate_data, riskflow.risk_types'),
        ('sink', 'SELECT, DELETE ON public.climate_stale'),
        ('sink', 'INSERT, UPDATE, DELETE ON public.climate_packed'),
        ('sink', 'INSERT ON public.grid_cells'),
        ('sink', 'EXECUTE ON FUNCTION riskflow.repack()'),
        ('sink', format('TEMPORARY ON DATABASE %I', current_database())),

        ('reporter', 'SELECT ON public.student_risk_metrics, public.tenant_risk_summary, public.students, public.attendance'),
        ('reporter', 'SELECT, UPDATE (state, error, changed_at, ended_at) ON public.batch_job_tenants'),
        ('reporter', 'SELECT, UPDATE (status, completed_at, processed_grids, failed_grids, success_rate, error_message)'
                     ' ON public.batch_job_logs'),
        ('reporter', 'SELECT, INSERT, UPDATE, DELETE ON public.report_deliveries'),
        ('reporter', 'INSERT ON public.outbox'),

        ('web', 'EXECUTE ON FUNCTION riskflow.request(text, jsonb)'),
        ('web', 'EXECUTE ON FUNCTION riskflow.derive_scenario(text, text, double precision, double precision, text, text,'
                ' boolean)'),
        -- Cancelling, resuming and replaying: what is ended or opened again, but no result and no metric.
        ('web', 'DELETE, UPDATE (job_seq, status, completed_at, processed_grids, failed_grids, success_rate, error_message,'
                ' chunks_done, cancelled_by, resumed_by, resumed_at, resumes) ON public.batch_job_logs'),
        ('web', 'UPDATE (kinds_left, sent_at, partition, "offset", sends, losses, starts) ON public.batch_job_chunks'),
        ('web', 'UPDATE (reported, without_number, failed) ON public.batch_job_risks'),
        ('web', 'UPDATE (parts_left, state, changed_at) ON public.batch_job_tenants'),
        ('web', 'DELETE ON public.batch_job_outcomes'),
        ('web', 'UPDATE (job_id, state, detail, next_try_at, changed_at) ON public.report_deliveries'),
        ('web', 'SELECT, INSERT, UPDATE (published_at, partition, "offset", answered_at) ON public.outbox'),
        ('web', 'SELECT, INSERT, UPDATE ON public.dead_letter_marks'),
        ('web', 'SELECT ON riskflow.migrations'),

        ('requester', 'EXECUTE ON FUNCTION riskflow.request(text, jsonb)')
    )
    SELECT clause FROM rights WHERE rights.service = $1
    UNION ALL
    SELECT format('SELECT ON %s', names) FROM climate WHERE $1 IN ('worker', 'sink', 'reader', 'web')
    UNION ALL
    SELECT format('SELECT ON %s', names) FROM shown WHERE $1 IN ('reader', 'web')
    UNION ALL
    SELECT format('SELECT ON %s', names) FROM learning WHERE $1 IN ('worker', 'sink')
    UNION ALL
    SELECT format('USAGE ON SEQUENCE %s', name) FROM sequences WHERE sequences.service = $1 AND name IS NOT NULL
    UNION ALL
    -- Without it the planner does not know what has just been loaded; before version 17 only the owner has it.
    SELECT 'MAINTAIN ON public.climate_data' WHERE $1 = 'sink' AND current_setting('server_version_num')::integer >= 170000;
$$;

-- Lets a login role run one service: producers, worker, sink, reporter or web; or read results (reader) or ask for jobs
-- (requester) and nothing else. Run it again after `riskflow migrate`: a later version may need more.
CREATE OR REPLACE FUNCTION riskflow.grant_service(role name, service text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    clause text;
BEGIN
    IF NOT EXISTS (SELECT FROM riskflow.service_rights(service)) THEN
        RAISE EXCEPTION 'no service %; there are producers, worker, sink, reporter, web, reader and requester', service
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF EXISTS (
        SELECT FROM pg_roles r WHERE r.rolname = grant_service.role
          AND (rolsuper OR rolbypassrls
               OR pg_has_role(oid, (SELECT relowner FROM pg_class WHERE oid = 'public.outbox'::regclass), 'USAGE'))) THEN
        RAISE EXCEPTION 'role % may do more than any service whatever is granted: it is a superuser, may bypass row-level security, or is a member of the owner of the tables', role;
    END IF;
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), role);
    EXECUTE format('GRANT USAGE ON SCHEMA public, riskflow TO %I', role);
    FOR clause IN SELECT * FROM riskflow.service_rights(service) LOOP
        EXECUTE format('GRANT %s TO %I', clause, role);
    END LOOP;
    IF service <> 'requester' THEN
        EXECUTE format('GRANT SELECT ON riskflow.tenant_roles TO %I', role);
    END IF;
    IF service NOT IN ('reader', 'requester') THEN
        INSERT INTO riskflow.tenant_roles (role, org_id) VALUES (grant_service.role, '*') ON CONFLICT DO NOTHING;
    END IF;
END $$;

-- The reverse. Of a role with two services, grant the one that stays again. What grant_tenant gave stays.
CREATE OR REPLACE FUNCTION riskflow.revoke_service(role name, service text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    clause text;
BEGIN
    IF NOT EXISTS (SELECT FROM riskflow.service_rights(service)) THEN
        RAISE EXCEPTION 'no service %; there are producers, worker, sink, reporter, web, reader and requester', service
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR clause IN SELECT * FROM riskflow.service_rights(service) LOOP
        EXECUTE format('REVOKE %s FROM %I', clause, role);
    END LOOP;
    DELETE FROM riskflow.tenant_roles t WHERE t.role = revoke_service.role AND t.org_id = '*';
END $$;
