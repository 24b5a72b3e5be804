"""The tables of riskflow: the migrations that made them, and what the role of the settings may do there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from ops.doctor.finding import Finding, not_checked, ok, warning, wrong
from schemas.database import Migration, migrations

MIGRATE = "riskflow migrate, as the owner of the tables"
PARTS_OF_WEB = {"reader", "requester"}

_TABLE = """
    SELECT has_table_privilege(c.oid, 'SELECT') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'riskflow' AND c.relname = 'migrations'
"""
_ROLE = """
    SELECT current_user AS name, rolsuper AS super,
           has_database_privilege(current_database(), 'CREATE')
               AND has_schema_privilege('public', 'CREATE') AS creates,
           coalesce((
               SELECT pg_has_role(c.relowner, 'USAGE')
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE (n.nspname, c.relname) = ('public', 'outbox')), false) AS owns
    FROM pg_roles WHERE rolname = current_user
"""
# What each service may do that no other may (riskflow.service_rights).
_SERVICES = """
    SELECT service FROM (VALUES
        ('producers', has_table_privilege('riskflow.schedules', 'INSERT')),
        ('worker', has_column_privilege('public.batch_job_chunks', 'starts', 'UPDATE')
                   AND has_table_privilege('public.fact_assessment_item', 'SELECT')),
        ('sink', has_table_privilege('public.batch_job_outcomes', 'INSERT')),
        ('reporter', has_table_privilege('public.report_deliveries', 'INSERT')),
        ('web', has_table_privilege('public.dead_letter_marks', 'INSERT')),
        ('reader', has_table_privilege('riskflow.schedule_runs', 'SELECT')
                   AND has_table_privilege('public.climate_data', 'SELECT')),
        ('requester', has_function_privilege('riskflow.request(text, jsonb)', 'EXECUTE'))
    ) AS rights (service, may) WHERE may
"""


@dataclass(frozen=True, slots=True)
class Role:
    """What a role may do; `services` are those of `riskflow.grant_service`."""

    name: str
    is_super: bool
    owns: bool
    creates: bool
    services: tuple[str, ...] = ()


async def look_at_tables(connection: asyncpg.Connection) -> list[Finding]:
    """Migrations and role."""
    readable = await connection.fetchval(_TABLE)
    role = await _role(connection, migrated=readable is not None)
    if readable is None:
        return [judged_migrations(None, migrations()), judged_role(role, migrated=False)]
    if not readable:
        unread = not_checked(
            "migrations",
            f"role {role.name} may not read riskflow.migrations",
            "ask as the owner of the tables",
        )
        return [unread, judged_role(role, migrated=True)]
    rows = await connection.fetch("SELECT number, digest FROM riskflow.migrations")
    known = {row["number"]: row["digest"] for row in rows}
    return [judged_migrations(known, migrations()), judged_role(role, migrated=True)]


async def _role(connection: asyncpg.Connection, *, migrated: bool) -> Role:
    row = await connection.fetchrow(_ROLE)
    services: tuple[str, ...] = ()
    if migrated and not row["owns"]:
        try:
            services = _largest([each["service"] for each in await connection.fetch(_SERVICES)])
        except (
            asyncpg.InsufficientPrivilegeError,
            asyncpg.UndefinedObjectError,
            asyncpg.UndefinedTableError,
        ):
            # It may not even look into the schema, or an older version has not made all of it.
            services = ()
    return Role(row["name"], row["super"], row["owns"], row["creates"], services)


def _largest(services: Sequence[str]) -> tuple[str, ...]:
    """Without those whose rights another one has too."""
    return tuple(each for each in services if "web" not in services or each not in PARTS_OF_WEB)


def judged_migrations(known: Mapping[int, str] | None, ours: Sequence[Migration]) -> Finding:
    """Migrations of the database, number to digest, against this version's; None is no table of them."""
    if known is None:
        return wrong("migrations", "the database has no tables of riskflow", MIGRATE)
    changed = [each.name for each in ours if known.get(each.number, each.digest) != each.digest]
    if changed:
        return wrong(
            "migrations",
            f"applied with another text: {', '.join(changed)}",
            "use the riskflow that applied them, or restore their files",
        )
    newer = sorted(set(known) - {each.number for each in ours})
    if newer:
        return wrong(
            "migrations",
            f"the database is newer than this riskflow: it has {', '.join(map(str, newer))}",
            "pip install --upgrade riskflow, or use the version that the services have",
        )
    missing = [each.name for each in ours if each.number not in known]
    if missing:
        return wrong("migrations", f"missing: {', '.join(missing)}", MIGRATE)
    return ok("migrations", f"all {len(ours)} are applied, the last is {ours[-1].name}")


def judged_role(role: Role, *, migrated: bool) -> Finding:
    """What the role of the settings may do."""
    if role.owns or role.is_super:
        return ok("role", f"{role.name} " + ("is a superuser" if role.is_super else "owns the tables"))
    if not migrated:
        if role.creates:
            return ok("role", f"{role.name} may make the tables")
        return warning(
            "role", f"{role.name} may not make tables", "riskflow migrate with the role that shall own them"
        )
    if role.services:
        return ok("role", f"{role.name} has the rights of: {', '.join(role.services)}")
    return wrong(
        "role",
        f"{role.name} has no right on riskflow's tables",
        f"as the owner: SELECT riskflow.grant_service('{role.name}', 'sink') (docs/operations.md, Roles)",
    )
