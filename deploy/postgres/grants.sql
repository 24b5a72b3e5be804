-- What each service may do; run by the owner after `riskflow migrate`, harmless when run again.
\set ON_ERROR_STOP on
SELECT riskflow.grant_service('riskflow_producers', 'producers');
SELECT riskflow.grant_service('riskflow_worker', 'worker');
SELECT riskflow.grant_service('riskflow_sink', 'sink');
SELECT riskflow.grant_service('riskflow_reporter', 'reporter');
SELECT riskflow.grant_service('riskflow_web', 'web');
