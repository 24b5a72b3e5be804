-- The owner of riskflow's database, and a login role for each service. Run by a superuser at every start of
-- docker-compose.yml: what exists stays, and passwords become those of the environment.
\set ON_ERROR_STOP on
\getenv owner_password RISKFLOW_OWNER_PASSWORD
\getenv producers_password RISKFLOW_PRODUCERS_PASSWORD
\getenv worker_password RISKFLOW_WORKER_PASSWORD
\getenv sink_password RISKFLOW_SINK_PASSWORD
\getenv reporter_password RISKFLOW_REPORTER_PASSWORD
\getenv web_password RISKFLOW_WEB_PASSWORD

-- The statements below hold passwords; the server's log shall not.
SET log_statement TO 'none';
SET log_min_duration_statement TO -1;
SET log_min_error_statement TO 'panic';

SELECT format('CREATE ROLE %I LOGIN', name)
FROM unnest(ARRAY['riskflow', 'riskflow_producers', 'riskflow_worker', 'riskflow_sink', 'riskflow_reporter',
                  'riskflow_web']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec
ALTER ROLE riskflow PASSWORD :'owner_password';
ALTER ROLE riskflow_producers PASSWORD :'producers_password';
ALTER ROLE riskflow_worker PASSWORD :'worker_password';
ALTER ROLE riskflow_sink PASSWORD :'sink_password';
ALTER ROLE riskflow_reporter PASSWORD :'reporter_password';
ALTER ROLE riskflow_web PASSWORD :'web_password';

SELECT 'CREATE DATABASE riskflow OWNER riskflow'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'riskflow')
\gexec
