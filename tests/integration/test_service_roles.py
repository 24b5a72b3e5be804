"""What each service's role may not do, and how rights are given and taken."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from service_roles import SERVICES, ServiceRoles, service_roles

JOB = "INSERT INTO batch_job_logs (job_id, job_type, status) VALUES ('x', 'hazard', 'x')"
RESULT = "INSERT INTO hazard_results (latitude, longitude) VALUES (1, 1)"
CHUNK = "INSERT INTO batch_job_chunks (job_id, chunk, chunk_id, cells) VALUES ('job', 1, 'job:1', 1)"
PUPILS = "SELECT * FROM students"
OWNERS_ONLY = (
    "SELECT riskflow.grant_service(current_user::name, 'sink')",
    "SELECT riskflow.revoke_service(current_user::name, 'sink')",
    "SELECT riskflow.grant_tenant(current_user::name, '*')",
    "SELECT riskflow.revoke_tenant(current_user::name, '*')",
    "INSERT INTO riskflow.tenant_roles VALUES (current_user, 'school-b')",
    "UPDATE riskflow.tenant_roles SET org_id = 'school-b'",
    "DELETE FROM riskflow.tenant_roles",
    "DELETE FROM batch_job_logs",
    "TRUNCATE batch_job_logs",
    "TRUNCATE outbox",
    "DELETE FROM hazard_results",
    "DELETE FROM dead_letter_marks",
    "UPDATE climate_data SET ta = 0",
    "UPDATE riskflow.defaults SET scenario = 'x'",
    "UPDATE attendance SET status = 'present'",
    "INSERT INTO riskflow.migrations (number, name, digest) VALUES (99, 'x', 'x')",
    "CREATE TABLE public.mine (id integer)",
    "CREATE FUNCTION riskflow.mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "ALTER TABLE students DISABLE ROW LEVEL SECURITY",
    "ALTER TABLE outbox DISABLE TRIGGER ALL",
)
REFUSED = {
    "producers": (RESULT, CHUNK, PUPILS, "SELECT * FROM student_risk_metrics", "SELECT riskflow.repack()",
                  "UPDATE outbox SET value = 'x'", "UPDATE batch_job_logs SET processed_grids = 9",
                  "UPDATE batch_job_chunks SET kinds_left = 0", "SELECT nextval('riskflow.job_seq')"),
    "worker": (RESULT, JOB, CHUNK, "INSERT INTO outbox (topic) VALUES ('t')", "SELECT * FROM outbox",
               "SELECT * FROM student_risk_metrics", "SELECT * FROM report_deliveries",
               "UPDATE batch_job_chunks SET kinds_left = 0", "UPDATE batch_job_logs SET status = 'x'"),
    "sink": ("SELECT value FROM outbox", "UPDATE outbox SET published_at = now()",
             "INSERT INTO report_deliveries SELECT * FROM report_deliveries",
             "UPDATE batch_job_chunks SET sent_at = now()", "UPDATE grid_cells SET slope = 1",
             "INSERT INTO riskflow.schedules SELECT * FROM riskflow.schedules"),
    "reporter": (RESULT, JOB, CHUNK, "SELECT * FROM outbox", "SELECT * FROM fact_assessment",
                 "SELECT * FROM hazard_results", "UPDATE student_risk_metrics SET rank = 1",
                 "UPDATE batch_job_tenants SET tenant = '{}'", "UPDATE batch_job_logs SET trigger = '{}'"),
    "web": (RESULT, JOB, CHUNK, PUPILS, "SELECT * FROM attendance",
            "UPDATE hazard_results SET hazard_score = 0",
            "UPDATE probability_results SET aal = 0", "DELETE FROM probability_results",
            "UPDATE student_risk_metrics SET rank = 1", "UPDATE tenant_risk_summary SET crit_count = 0",
            "DELETE FROM climate_data", "INSERT INTO climate_data (latitude) VALUES (1)",
            "DELETE FROM climate_extremes", "UPDATE climate_scenarios SET ta_delta_c = 0",
            "INSERT INTO climate_scenarios SELECT * FROM climate_scenarios", "DELETE FROM outbox",
            "UPDATE outbox SET value = 'x'", "UPDATE batch_job_logs SET trigger = '{}'",
            "UPDATE batch_job_logs SET job_id = 'x'", "UPDATE batch_job_chunks SET latitudes = '{1}'",
            "DELETE FROM batch_job_chunks", "UPDATE batch_job_tenants SET tenant = '{}'",
            "UPDATE report_deliveries SET address = '{x}'", "DELETE FROM report_deliveries",
            "SELECT riskflow.repack()", "UPDATE riskflow.schedules SET enabled = false",
            "INSERT INTO batch_job_outcomes (job_id, chunk, kind) VALUES ('job', 0, 'x')"),
    "reader": (RESULT, JOB, CHUNK, PUPILS, "SELECT * FROM attendance", "SELECT * FROM outbox",
               "UPDATE batch_job_logs SET status = 'x'", "SELECT * FROM dead_letter_marks",
               "SELECT riskflow.request('hazard')", "SELECT riskflow.repack()",
               "SELECT riskflow.derive_scenario('historical', 'x', 0, 1, 'me', 'how', false)"),
    "requester": (RESULT, JOB, CHUNK, PUPILS, "SELECT * FROM batch_job_logs", "SELECT * FROM outbox",
                  "SELECT * FROM hazard_results", "SELECT * FROM grid_cells", "SELECT riskflow.repack()"),
}  # fmt: skip
SQL = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b")
ANYBODY = """
    SELECT proname AS name FROM pg_proc p
    WHERE pronamespace = 'riskflow'::regnamespace AND has_function_privilege($1, p.oid, 'EXECUTE')
"""


@pytest.fixture
async def roles(database_url: str) -> AsyncIterator[ServiceRoles]:
    async with service_roles(database_url) as roles:
        yield roles


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    owner = await asyncpg.connect(database_url)
    await owner.execute(
        "INSERT INTO batch_job_logs (job_id, job_type, status) "
        "VALUES ('job', 'hazard', 'running'), ('week', 'weekly', 'running')"
    )
    await owner.execute(
        "INSERT INTO batch_job_chunks (job_id, chunk, chunk_id, cells, kinds_left, org_id) "
        "VALUES ('job', 0, 'job:0', 1, 0, NULL), ('week', 0, 'week:0', 1, 0, 'school-a')"
    )
    await owner.execute(
        "INSERT INTO batch_job_outcomes (job_id, chunk, kind) "
        "VALUES ('job', 0, 'hazard'), ('week', 0, 'metrics')"
    )
    yield owner
    await owner.close()


async def may(connection: asyncpg.Connection, statement: str) -> bool:
    """Whether the role has the right, whatever else comes of the statement."""
    try:
        async with connection.transaction():
            await connection.execute(statement)
    except asyncpg.InsufficientPrivilegeError:
        return False
    except asyncpg.IntegrityConstraintViolationError:
        return True
    return True


async def test_each_role_is_refused_what_is_not_its_own(
    roles: ServiceRoles, owner: asyncpg.Connection
) -> None:
    assert await may(owner, JOB)
    granted = []
    for service in SERVICES:
        async with roles.login(service) as connection:
            asked = [*REFUSED[service], *OWNERS_ONLY]
            if service == "web":  # It forgets refused jobs, and no others: the test below.
                asked.remove("DELETE FROM batch_job_logs")
            granted += [(service, each) for each in asked if await may(connection, each)]
    assert granted == []


def statements_of(entry: str) -> set[str]:
    """The SQL constants of a module and of all that it imports of its own package, however deep."""
    package = entry.partition(".")[0]
    found: set[str] = set()
    waiting, seen = [entry], set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        module = importlib.import_module(name)
        found |= {value for value in vars(module).values() if isinstance(value, str) and SQL.match(value)}
        for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == package:
                names = [str(node.module), *(f"{node.module}.{each.name}" for each in node.names)]
                waiting += [each for each in names if each in sys.modules]
    return found


@pytest.mark.parametrize(
    ("service", "entry", "at_least"),
    [
        ("producers", "producers.service", 20),
        ("worker", "streams.service", 5),
        ("sink", "consumers.service", 25),
        ("reporter", "consumers.reporter", 20),
        ("reader", "ops.show", 3),
        ("reader", "ops.export.write", 4),
        ("web", "ops.lifecycle", 10),
        ("web", "ops.replay", 15),
        ("web", "consumers.reopening", 8),
        ("web", "ops.scenarios", 3),
        ("web", "ops.export.write", 4),
        ("web", "ops.show", 3),
    ],
)
async def test_every_statement_of_a_service_is_allowed_to_its_role(
    roles: ServiceRoles, service: str, entry: str, at_least: int
) -> None:
    """Also those that no test of the whole runs into: PostgreSQL plans them without their values."""
    planned, refused = 0, []
    async with roles.login(service) as connection:
        await connection.execute("SET search_path = public")
        for statement in statements_of(entry):
            try:
                await connection.execute(f"EXPLAIN (GENERIC_PLAN) {statement}")
            except asyncpg.InsufficientPrivilegeError as error:
                refused.append((str(error), statement))
            except asyncpg.PostgresError:
                # Part of a statement, or one on a temporary table.
                continue
            else:
                planned += 1
    assert refused == []
    assert planned >= at_least


async def test_a_requester_calls_one_function_and_nothing_else(
    roles: ServiceRoles, owner: asyncpg.Connection
) -> None:
    allowed = await owner.fetch(ANYBODY, roles.name("requester"))
    assert [row["name"] for row in allowed] == ["request"]
    tables = await owner.fetch(
        """
        SELECT oid::regclass::text FROM pg_class
        WHERE relkind IN ('r', 'v', 'm')
          AND relnamespace IN ('public'::regnamespace, 'riskflow'::regnamespace)
          AND (has_table_privilege($1, oid, 'SELECT, INSERT, UPDATE, DELETE')
               OR has_any_column_privilege($1, oid, 'SELECT, INSERT, UPDATE'))
        """,
        roles.name("requester"),
    )
    # Of tenant_roles each role sees its own rows, and this one has none.
    assert [row["oid"] for row in tables] == ["tenant_roles"]
    async with roles.login("requester") as requester:
        assert await requester.fetch("SELECT * FROM riskflow.tenant_roles") == []
        job_id = await requester.fetchval("SELECT riskflow.request('probability')")
    row = await owner.fetchrow("SELECT topic, job_id, value FROM outbox")
    assert (row["topic"], row["job_id"]) == ("risk.triggers.v1", job_id)
    assert f"request by {roles.name('requester')}".encode() in row["value"]


async def test_no_function_is_everybodys(roles: ServiceRoles, owner: asyncpg.Connection) -> None:
    """Of later migrations too: PostgreSQL lets everybody call a function unless that is taken back."""
    del roles
    assert await owner.fetch(ANYBODY, "public") == []


async def test_a_weekly_job_is_shown_to_those_who_may_see_all_tenants(
    roles: ServiceRoles, owner: asyncpg.Connection
) -> None:
    del owner
    allowed = {
        "batch_job_logs": {"producers", "worker", "sink", "reporter", "web", "reader"},
        "batch_job_chunks": {"producers", "worker", "sink", "web", "reader"},
        "batch_job_outcomes": {"producers", "sink", "web", "reader"},
    }
    for table, services in allowed.items():
        for service in services:
            async with roles.login(service) as connection:
                rows = await connection.fetch(f"SELECT job_id FROM {table} ORDER BY job_id")  # noqa: S608 - own names
            expected = ["job"] if service == "reader" else ["job", "week"]
            assert [row["job_id"] for row in rows] == expected, (table, service)


async def test_what_was_granted_can_be_taken_back(roles: ServiceRoles, owner: asyncpg.Connection) -> None:
    for service in SERVICES:
        await owner.execute("SELECT riskflow.revoke_service($1, $2)", roles.name(service), service)
    left = await owner.fetch(
        "SELECT table_name FROM information_schema.role_table_grants WHERE grantee = ANY ($1::text[])",
        [roles.name(service) for service in SERVICES],
    )
    assert {row["table_name"] for row in left} == {"tenant_roles"}, "a role may see that it has no tenant"
    assert await owner.fetchval("SELECT count(*) FROM riskflow.tenant_roles") == 0
    columns = await owner.fetch(
        "SELECT FROM information_schema.role_column_grants "
        "WHERE grantee = ANY ($1::text[]) AND table_name <> 'tenant_roles'",
        [roles.name(service) for service in SERVICES],
    )
    assert columns == []
    async with roles.login("requester") as requester:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await requester.fetchval("SELECT riskflow.request('probability')")


async def test_granting_twice_changes_nothing_and_a_wrong_name_is_told(
    roles: ServiceRoles, owner: asyncpg.Connection
) -> None:
    await owner.execute("SELECT riskflow.grant_service($1, 'sink')", roles.name("sink"))
    with pytest.raises(asyncpg.InvalidParameterValueError, match="there are producers, worker, sink"):
        await owner.execute("SELECT riskflow.grant_service($1, 'cook')", roles.name("sink"))
    with pytest.raises(asyncpg.InvalidParameterValueError, match="there are producers, worker, sink"):
        await owner.execute("SELECT riskflow.revoke_service($1, 'cook')", roles.name("sink"))
    with pytest.raises(asyncpg.UndefinedObjectError, match="nobody_here"):
        await owner.execute("SELECT riskflow.grant_service('nobody_here', 'sink')")
    with pytest.raises(asyncpg.RaiseError, match="may do more than any service"):
        await owner.execute("SELECT riskflow.grant_service(current_user::name, 'sink')")


async def test_another_systems_role_goes_on_with_the_climate_part_of_the_job_log(
    owner: asyncpg.Connection, roles: ServiceRoles
):
    role = roles.name("requester")
    await owner.execute(f"GRANT SELECT, INSERT ON batch_job_logs TO {role}")
    await owner.execute(f"GRANT USAGE ON SEQUENCE batch_job_logs_id_seq TO {role}")
    async with roles.login("requester") as other:
        assert [row["job_id"] for row in await other.fetch("SELECT job_id FROM batch_job_logs")] == ["job"]
        await other.execute(
            "INSERT INTO batch_job_logs (job_id, job_type, status) VALUES ('o', 'hazard', 'x')"
        )
    await owner.execute(f"REVOKE ALL ON batch_job_logs FROM {role}")
    await owner.execute(f"REVOKE ALL ON SEQUENCE batch_job_logs_id_seq FROM {role}")


async def test_a_web_page_forgets_refused_jobs_and_no_others(
    roles: ServiceRoles, owner: asyncpg.Connection
) -> None:
    await owner.execute(
        "INSERT INTO batch_job_logs (job_id, job_type, status) VALUES "
        "('refused', 'hazard', 'failed'), ('before-riskflow-1', 'hazard', 'failed')"
    )
    async with roles.login("web") as web:
        await web.execute("DELETE FROM batch_job_logs")
    left = await owner.fetch("SELECT job_id FROM batch_job_logs ORDER BY job_id")
    assert [row["job_id"] for row in left] == ["before-riskflow-1", "job", "week"]
