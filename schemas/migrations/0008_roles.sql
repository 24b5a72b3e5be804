-- What each service may do, so that every process can log in with a role of its own.

-- A weekly job names its tenants and, where one failed, why; so it is for roles that may see all tenants.
ALTER TABLE batch_job_logs ENABLE ROW LEVEL SECURITY;
CREATE POLICY riskflow_own_jobs ON batch_job_logs USING (
    job_type <> 'weekly'
    OR EXISTS (SELECT FROM riskflow.tenant_roles WHERE role = current_user AND org_id = '*'));
ALTER TABLE batch_job_outcomes ENABLE ROW LEVEL SECURITY;
CREATE POLICY riskflow_own_outcomes ON batch_job_outcomes USING (
    kind IN ('probability', 'hazard')
    OR EXISTS (SELECT FROM riskflow.tenant_roles WHERE role = current_user AND org_id = '*'));

-- The policies read it as whoever asks, also as roles of other systems that only know the job log; its own
-- policy shows each role its own rows.
GRANT SELECT ON riskflow.tenant_roles TO PUBLIC;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA riskflow FROM PUBLIC;

-- One row per right, as GRANT and REVOKE take it between their word and the role.
CREATE FUNCTION riskflow.service_rights(service text) RETURNS SETOF text LANGUAGE sql STABLE AS $$
    WITH climate (names) AS (VALUES
        ('public.climate_packed, public.climate_extremes, public.grid_cells, public.sea_level_stations,'
         ' public.sea_level_rise, public.water_basins, public.water_demand, public.climate_warming, public.storm_fixes')
    ), learning (names) AS (VALUES
        ('public.fact_assessment, public.fact_assessment_item, public.attendance, public.irt_snapshot, public.students')
    ), sequences (service, name) AS (VALUES
        ('producers', pg_get_serial_sequence('public.batch_job_logs', 'id')),
        ('sink', pg_get_serial_sequence('public.batch_job_logs', 'id')),
        ('sink', pg_get_serial_sequence('public.probability_results', 'id')),
        ('sink', pg_get_serial_sequence('public.hazard_results', 'id')),
        ('sink', 'riskflow.job_seq')
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

        ('reader', 'SELECT ON public.probability_results, public.hazard_results, public.current_probability_results,'
                   ' public.current_hazard_results, public.climate_data, public.batch_job_logs, public.batch_job_risks,'
                   ' public.batch_job_chunks, public.batch_job_outcomes, public.batch_job_tenants,'
                   ' public.student_risk_metrics, public.tenant_risk_summary, public.report_deliveries,'
                   ' riskflow.risk_types, riskflow.defaults, riskflow.schedules, riskflow.schedule_runs'),

        ('requester', 'EXECUTE ON FUNCTION riskflow.request(text, jsonb)')
    )
    SELECT clause FROM rights WHERE rights.service = $1
    UNION ALL
    SELECT format('SELECT ON %s', names) FROM climate WHERE $1 IN ('worker', 'sink', 'reader')
    UNION ALL
    SELECT format('SELECT ON %s', names) FROM learning WHERE $1 IN ('worker', 'sink')
    UNION ALL
    SELECT format('USAGE ON SEQUENCE %s', name) FROM sequences WHERE sequences.service = $1 AND name IS NOT NULL
    UNION ALL
    -- Without it the planner does not know what has just been loaded; before version 17 only the owner has it.
    SELECT 'MAINTAIN ON public.climate_data' WHERE $1 = 'sink' AND current_setting('server_version_num')::integer >= 170000;
$$;
REVOKE ALL ON FUNCTION riskflow.service_rights(text) FROM PUBLIC;

-- Lets a login role run one service: producers, worker, sink or reporter; or read results (reader) or ask for jobs
-- (requester) and nothing else. Run it again after `riskflow migrate`: a later version may need more.
CREATE FUNCTION riskflow.grant_service(role name, service text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    clause text;
BEGIN
    IF NOT EXISTS (SELECT FROM riskflow.service_rights(service)) THEN
        RAISE EXCEPTION 'no service %; there are producers, worker, sink, reporter, reader and requester', service
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
REVOKE ALL ON FUNCTION riskflow.grant_service(name, text) FROM PUBLIC;

-- The reverse. Of a role with two services, grant the one that stays again. What grant_tenant gave stays.
CREATE FUNCTION riskflow.revoke_service(role name, service text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    clause text;
BEGIN
    IF NOT EXISTS (SELECT FROM riskflow.service_rights(service)) THEN
        RAISE EXCEPTION 'no service %; there are producers, worker, sink, reporter, reader and requester', service
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR clause IN SELECT * FROM riskflow.service_rights(service) LOOP
        EXECUTE format('REVOKE %s FROM %I', clause, role);
    END LOOP;
    DELETE FROM riskflow.tenant_roles t WHERE t.role = revoke_service.role AND t.org_id = '*';
END $$;
REVOKE ALL ON FUNCTION riskflow.revoke_service(name, text) FROM PUBLIC;
