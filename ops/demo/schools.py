"""The demo's three invented schools: their entries of a tenants file, and their drawn students."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import asyncpg
import yaml

from ops.generator.students import draw_tenant
from ops.generator.tenant import DrawnTenant
from ops.generator.tenant_tables import copy_tenant
from schemas.settings import Settings
from schemas.tenants import Tenant
from schemas.tenants_file import load_tenants

TENANTS_FILE = Path(__file__).with_name("tenants.yaml")

SEED = 20
STUDENTS = {"gasang-hs": 300, "yesi-ms": 240, "sample-is": 180}
ITEMS = {"yesi-ms": 20}
"""Items of an assessment whose responses are stored, in place of ability estimates."""

_NOTE = "# Written by `riskflow demo`: invented schools, drawn students.\n"
_TABLES = (
    "fact_assessment", "fact_assessment_item", "attendance", "irt_snapshot", "students",
    "student_risk_metrics", "tenant_risk_summary", "report_deliveries",
)  # fmt: skip


def demo_schools() -> list[Tenant]:
    """The schools as ops/demo/tenants.yaml describes them, under the thresholds of METHODS."""
    return load_tenants(Settings(_env_file=None, tenants_file=TENANTS_FILE, thresholds_file=None))


def without_channels(school: Tenant) -> Tenant:
    """The school as one that wants its reports in the folder only."""
    return school.model_copy(update={"email": [], "slack_webhook_env": None})


def write_tenants(path: Path, schools: Sequence[Tenant]) -> None:
    """Write the schools as a tenants file that every riskflow reads."""
    entries = [school.model_dump(mode="json", exclude_defaults=True) for school in schools]
    text = yaml.safe_dump({"tenants": entries}, allow_unicode=True, sort_keys=False)
    path.write_text(_NOTE + text, encoding="utf-8")


async def draw_schools(
    connection: asyncpg.Connection, schools: Sequence[Tenant], report_date: date, weeks: int
) -> dict[str, int]:
    """Replace all that the database holds of the schools by drawn rows.

    Deliveries go too: what an earlier demo has sent about this date would not be sent again.

    Returns:
        Rows stored, by org_id.
    """
    for table in _TABLES:
        await connection.execute(
            f"DELETE FROM {table} WHERE org_id = ANY ($1)",  # noqa: S608 - own names
            [school.org_id for school in schools],
        )
    return {
        school.org_id: await copy_tenant(
            connection, school.org_id, draw_tenant(_drawn(school, report_date, weeks))
        )
        for school in schools
    }


def _drawn(school: Tenant, report_date: date, weeks: int) -> DrawnTenant:
    return DrawnTenant(
        org_id=school.org_id,
        students=STUDENTS[school.org_id],
        report_date=report_date,
        weeks=weeks,
        seed=SEED,
        language=school.language,
        timezone=school.timezone,
        item_responses=ITEMS.get(school.org_id, 0),
    )
