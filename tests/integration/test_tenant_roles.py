"""Row-level security: two roles that log in, each of one tenant, and a service role that owns nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from secrets import token_hex
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from weekly_samples import weekly

from consumers.weekly import plan_weekly
from schemas.database import connect
from schemas.errors import RefusedTrigger
from schemas.messages import Trigger
from schemas.settings import Settings

TENANT_TABLES = """
SELECT c.oid::regclass::text AS name, relrowsecurity AS guarded FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND attname = 'org_id' AND NOT attisdropped
WHERE relkind IN ('r', 'p', 'v', 'm') AND relnamespace IN ('public'::regnamespace, 'riskflow'::regnamespace)
ORDER BY 1
"""
"""Every table and view that says whose its rows are; a later one is found too."""

READERS = {"a": "school-a", "b": "school-b"}


class Database:
    """A test's database and its roles, which the whole server shares."""

    def __init__(self, url: str, owner: asyncpg.Connection) -> None:
        self.owner = owner
        self._url = url
        self._suffix = token_hex(4)
        self.roles: list[str] = []

    def name(self, role: str) -> str:
        return f"{role}_{self._suffix}"

    async def create(self, role: str) -> None:
        await self.owner.execute(f"CREATE ROLE {self.name(role)} LOGIN PASSWORD 'secret'")
        self.roles.append(self.name(role))

    async def drop_roles(self) -> None:
        for role in self.roles:
            await self.owner.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")

    @asynccontextmanager
    async def login(self, role: str) -> AsyncIterator[asyncpg.Connection]:
        parts = urlsplit(self._url)
        place = parts._replace(netloc=f"{self.name(role)}:secret@{parts.hostname}:{parts.port}")
        connection = await asyncpg.connect(urlunsplit(place))
        try:
            yield connection
        finally:
            await connection.close()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    owner = await connect(database_url, application="test")
    database = Database(database_url, owner)
    try:
        await _fill(owner)
        for role, org_id in READERS.items():
            await database.create(role)
            await owner.execute(f"SELECT riskflow.grant_tenant('{database.name(role)}', '{org_id}')")
        yield database
    finally:
        await database.drop_roles()
        await owner.close()


async def _fill(owner: asyncpg.Connection) -> None:
    """A row of each tenant in every table with org_id, whatever its other columns are."""
    await owner.execute(
        "INSERT INTO batch_job_logs (job_id, job_type, status) VALUES ('job', 'weekly', 'running')"
    )
    for table in await tenant_tables(owner):
        columns = await owner.fetch(
            """
            SELECT attname, format_type(atttypid, atttypmod) AS type FROM pg_attribute
            WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped AND attidentity = ''
              AND attgenerated = '' AND attnotnull AND (NOT atthasdef OR attname = 'topic')
            """,
            table,
        )
        for place, org_id in enumerate(READERS.values(), 1):
            values = {row["attname"]: _value(row["attname"], row["type"], org_id, place) for row in columns}
            values["org_id"] = f"'{org_id}'"
            names = ", ".join(values)
            await owner.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join(values.values())})")  # noqa: S608 - own names


def _value(name: str, kind: str, org_id: str, place: int) -> str:
    known = {
        "job_id": "'job'",
        "channel": "'email'",
        "state": "'pending'",
        "kind": "'metrics'",
        "role": f"'x{place}'",
    }
    if name in known:
        return known[name]
    by_type = {
        "text": f"'{org_id}-secret'",
        "date": "'2026-11-23'",
        "timestamp with time zone": "'2026-11-20 00:00Z'",
        "jsonb": f"""'{{"name": "{org_id}-secret"}}'""",
        "text[]": f"ARRAY['{org_id}-secret']",
        "double precision[]": "'{}'",
    }
    return by_type.get(kind, str(place))


async def tenant_tables(owner: asyncpg.Connection) -> list[str]:
    return [row["name"] for row in await owner.fetch(TENANT_TABLES)]


async def allow_all(database: Database, role: str) -> None:
    """What a careless administrator may grant; row-level security is what is left."""
    for schema in ("public", "riskflow"):
        await database.owner.execute(f"GRANT USAGE ON SCHEMA {schema} TO {database.name(role)}")
        await database.owner.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {database.name(role)}")


async def test_every_table_that_names_a_tenant_is_guarded(database: Database) -> None:
    found = await database.owner.fetch(TENANT_TABLES)
    assert {"students", "attendance_superseded", "report_deliveries", "batch_job_chunks"} <= {
        row["name"] for row in found
    }
    assert [row["name"] for row in found if not row["guarded"]] == []


@pytest.mark.parametrize("role", READERS)
async def test_a_role_sees_the_rows_of_its_tenant_only_in_every_table(database: Database, role: str) -> None:
    await allow_all(database, role)
    tables = await tenant_tables(database.owner)
    async with database.login(role) as reader:
        for table in tables:
            if table == "riskflow.tenant_roles":
                seen = await reader.fetch("SELECT role, org_id FROM riskflow.tenant_roles")
                assert [tuple(row) for row in seen] == [(database.name(role), READERS[role])]
                continue
            seen = await reader.fetch(f"SELECT org_id FROM {table}")  # noqa: S608 - own names
            assert [row[0] for row in seen] == [READERS[role]], table
            total = await database.owner.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608 - own names
            assert total == 2, table


async def test_what_is_granted_is_reading_inputs_and_reports_and_nothing_else(database: Database) -> None:
    readable = {
        "fact_assessment", "fact_assessment_item", "attendance", "irt_snapshot", "students",
        "student_risk_metrics", "tenant_risk_summary", "report_deliveries", "riskflow.tenant_roles",
    }  # fmt: skip
    async with database.login("a") as reader:
        for table in await tenant_tables(database.owner):
            allowed = await reader.fetchrow(
                "SELECT has_table_privilege($1, 'SELECT') AS reading, "
                "has_table_privilege($1, 'INSERT, UPDATE, DELETE, TRUNCATE') AS writing",
                table,
            )
            assert tuple(allowed) == (table in readable, False), table
        for statement in (
            "INSERT INTO students VALUES ('school-a', 'new')",
            "UPDATE students SET display_name = 'x'",
            "DELETE FROM attendance",
            "INSERT INTO riskflow.tenant_roles VALUES (current_user, 'school-b')",
            "SELECT riskflow.grant_tenant(current_user, 'school-b')",
            "SELECT count(*) FROM batch_job_logs",
            "SELECT count(*) FROM outbox",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await reader.execute(statement)


async def test_no_setting_role_or_view_shows_the_other_tenant(database: Database) -> None:
    other, owner = database.name("b"), await database.owner.fetchval("SELECT current_user")
    async with database.login("a") as reader:
        for statement in (
            f"SET ROLE {other}",
            f'SET ROLE "{owner}"',
            f"SET SESSION AUTHORIZATION {other}",
            f"SELECT set_config('role', '{other}', false)",
            f"SELECT set_config('session_authorization', '{other}', false)",
            "ALTER TABLE students DISABLE ROW LEVEL SECURITY",
            "DROP POLICY riskflow_own_tenant ON students",
            "ALTER ROLE CURRENT_USER BYPASSRLS",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await reader.execute(statement)
        await reader.execute("SET row_security = off")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await reader.fetch("SELECT * FROM students")
        await reader.execute("RESET row_security; SELECT set_config('riskflow.org_id', 'school-b', false)")
        await reader.execute("CREATE TEMPORARY VIEW mine AS SELECT * FROM students")
        for query in (
            "SELECT student_id FROM mine",
            "SELECT (SELECT string_agg(student_id, ',') FROM students)",
            "SELECT student_id FROM students WHERE org_id = 'school-b' OR true",
            "WITH all_of AS MATERIALIZED (SELECT * FROM students) SELECT student_id FROM all_of",
            "SELECT s.student_id FROM students s RIGHT JOIN generate_series(1, 1) ON true",
        ):
            assert [row[0] for row in await reader.fetch(query)] == ["school-a-secret"], query


async def test_a_view_with_the_rights_of_its_reader_is_guarded(database: Database) -> None:
    await database.owner.execute(
        "CREATE VIEW pupils WITH (security_invoker = true) AS SELECT org_id, student_id FROM students"
    )
    await database.owner.execute(f"GRANT SELECT ON pupils TO {database.name('a')}")
    async with database.login("a") as reader:
        assert [row[0] for row in await reader.fetch("SELECT org_id FROM pupils")] == ["school-a"]


async def test_neither_a_plan_nor_a_function_in_a_filter_tells_of_the_other_tenant(
    database: Database,
) -> None:
    notices: list[str] = []
    async with database.login("a") as reader:
        reader.add_log_listener(lambda _, message: notices.append(message.message))
        await reader.execute(
            """
            CREATE FUNCTION pg_temp.spy(value text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
            BEGIN RAISE NOTICE '%', value; RETURN true; END $$
            """
        )
        await reader.fetch("SELECT * FROM students WHERE pg_temp.spy(student_id)")
        plan = await reader.fetch(
            "EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM students WHERE pg_temp.spy(student_id)"
        )
        hints = await reader.fetch("SELECT most_common_vals::text FROM pg_stats WHERE tablename = 'students'")
    assert notices == ["school-a-secret"] * 2
    assert "school-b" not in "\n".join(row[0] for row in plan)
    assert hints == []


async def test_a_service_role_that_owns_nothing_does_what_the_services_do(database: Database) -> None:
    await database.create("service")
    role = database.name("service")
    await allow_all(database, "service")
    async with database.login("service") as service:
        assert await service.fetchval("SELECT count(*) FROM students") == 0
        # Chunks of climate jobs belong to no tenant and need no mapping.
        await service.execute(
            "INSERT INTO batch_job_chunks (job_id, chunk, chunk_id, cells, kinds_left) "
            "VALUES ('job', 9, 'job:9', 1, 1)"
        )
        assert await service.fetchval("SELECT count(*) FROM batch_job_chunks") == 1
    await database.owner.execute(f"SELECT riskflow.grant_tenant('{role}', '*')")
    async with database.login("service") as service:
        assert await service.fetchval("SELECT count(*) FROM batch_job_chunks") == 3
        await service.execute(
            "INSERT INTO students VALUES ('school-c', 'S1') ON CONFLICT (org_id, student_id) DO NOTHING"
        )
        assert await service.execute("UPDATE students SET class_name = '1-1'") == "UPDATE 3"
        assert await service.execute("UPDATE report_deliveries SET state = 'sending'") == "UPDATE 2"
        assert (
            await service.execute("DELETE FROM student_risk_metrics WHERE org_id = 'school-b'") == "DELETE 1"
        )


async def test_a_weekly_trigger_is_refused_by_a_service_that_may_not_see_all_tenants(
    database: Database, flow_settings: Settings, tmp_path: Path
) -> None:
    await database.create("blind")
    await allow_all(database, "blind")
    settings = weekly(flow_settings, tmp_path, "school-a", "school-b")
    trigger = Trigger(job_type="weekly", report_date=date(2026, 1, 5))
    async with database.login("blind") as service:
        with pytest.raises(RefusedTrigger) as refused:
            await plan_weekly(service, trigger, settings)
    told = f"SELECT riskflow.grant_tenant('{database.name('blind')}', '*')"
    assert f"{refused.value}".endswith(f"have the owner of the tables run: {told}")


async def test_a_role_without_a_tenant_sees_nothing_and_one_that_lost_it_no_longer(
    database: Database,
) -> None:
    await database.create("stranger")
    await database.owner.execute(f"GRANT SELECT ON students TO {database.name('stranger')}")
    async with database.login("stranger") as stranger:
        assert await stranger.fetch("SELECT * FROM students") == []
    await allow_all(database, "stranger")
    async with database.login("stranger") as stranger:
        assert await stranger.fetch("SELECT * FROM students") == []
    await database.owner.execute(f"SELECT riskflow.revoke_tenant('{database.name('a')}', 'school-a')")
    async with database.login("a") as reader:
        assert await reader.fetch("SELECT * FROM students") == []


async def test_a_role_that_no_policy_binds_gets_no_tenant(database: Database) -> None:
    await database.create("member")
    owner = await database.owner.fetchval("SELECT current_user")
    await database.owner.execute(f'GRANT "{owner}" TO {database.name("member")}')
    with pytest.raises(asyncpg.RaiseError, match="sees every tenant whatever is granted"):
        await database.owner.execute(f"SELECT riskflow.grant_tenant('{database.name('member')}', 'school-a')")
