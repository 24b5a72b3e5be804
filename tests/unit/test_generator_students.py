"""Drawn students: the same in every block, plausible, and at risk in the intended shares."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from ops.generator.students import TenantBlock, draw_tenant
from ops.generator.tenant import DrawnTenant
from ops.generator.tenant_tables import NOTE, write_tenant
from ops.load.fields import Coded

TENANT = DrawnTenant(
    org_id="seoul-hs", students=60, report_date=date(2026, 11, 23), weeks=8, item_responses=3
)
MANY = replace(TENANT, students=20_000, item_responses=0)


def rows(blocks: list[TenantBlock]) -> dict[str, list[tuple[object, ...]]]:
    """All rows of each table."""
    found: dict[str, list[tuple[object, ...]]] = {}
    for block in blocks:
        for name, table in block.tables().items():
            columns = [
                values.rows() if isinstance(values, Coded) else values.tolist() for values in table.values()
            ]
            found.setdefault(name, []).extend(tuple(map(str, row)) for row in zip(*columns, strict=True))
    return found


@pytest.fixture(scope="module")
def whole() -> TenantBlock:
    [block] = draw_tenant(MANY, block=MANY.students)
    return block


def days(block: TenantBlock, table: str, column: str) -> np.ndarray:
    """Days of a table's rows less the report date, in Seoul."""
    values = getattr(block, table)[column].astype("datetime64[us]")
    local = values + np.timedelta64(9, "h") if table == "assessments" else values
    return (local.astype("datetime64[D]") - np.datetime64(MANY.report_date)).astype(int)


def share(block: TenantBlock, table: str, chosen: np.ndarray) -> np.ndarray:
    """Rows among the chosen, per student."""
    student = getattr(block, table)["student_id"].codes
    return np.bincount(student, weights=chosen, minlength=MANY.students)


def test_a_student_is_the_same_in_blocks_of_any_size() -> None:
    first = rows(list(draw_tenant(TENANT, block=60)))
    assert rows(list(draw_tenant(TENANT, block=7))) == first
    assert {name: len(table) for name, table in first.items()}.keys() == {
        "students", "assessments", "items", "attendance", "snapshots",
    }  # fmt: skip


def test_another_seed_and_another_tenant_are_other_students() -> None:
    first, seed, tenant = (
        rows(list(draw_tenant(each)))["snapshots"]
        for each in (TENANT, replace(TENANT, seed=2), replace(TENANT, org_id="other"))
    )
    thetas = [[row[-1] for row in table] for table in (first, seed, tenant)]
    assert thetas[0] != thetas[1] != thetas[2] != thetas[0]


def test_names_say_that_they_are_invented() -> None:
    english = rows(list(draw_tenant(TENANT)))["students"]
    korean = rows(list(draw_tenant(replace(TENANT, language="ko"))))["students"]
    assert english[16] == ("seoul-hs", "S017", "Student 017", "1-1")
    assert korean[16][2] == "학생 017"
    assert len({row[3] for row in english}) == 3


def test_rows_lie_on_school_days_of_the_weeks_before_the_report(whole: TenantBlock) -> None:
    for table, column in (
        ("attendance", "class_date"),
        ("assessments", "assessed_at"),
        ("snapshots", "snapshot_date"),
    ):
        found = days(whole, table, column)
        assert (found.min() >= -56, found.max() <= -1) == (True, True)
        # R is a Monday: -1 is a Sunday, -2 a Saturday.
        assert not np.isin(found % 7, (5, 6)).any()


def test_a_report_date_in_the_middle_of_a_week_ends_the_day_before() -> None:
    wednesday = replace(TENANT, report_date=date(2026, 11, 25))
    found = [date.fromisoformat(row[2]) for row in rows(list(draw_tenant(wednesday)))["attendance"]]
    assert max(found) == date(2026, 11, 24)
    assert min(found) == date(2026, 9, 30)


def test_absences_come_in_spells(whole: TenantBlock) -> None:
    status = whole.attendance["status"].codes
    shares = np.bincount(status, minlength=4) / status.size
    assert shares[0] == pytest.approx(0.97, abs=0.01)
    assert 0.004 < shares[2] < 0.02
    assert 0.001 < shares[3] < 0.01
    absent = status == 2
    after = absent[1:][absent[:-1]]
    assert after.mean() > 20 * absent.mean()


def test_some_students_are_at_risk_in_each_way(whole: TenantBlock) -> None:
    fortnight = days(whole, "assessments", "assessed_at") >= -14
    items = share(whole, "assessments", fortnight * whole.assessments["items"])
    omitted = share(whole, "assessments", fortnight * whole.assessments["omitted"])
    with np.errstate(invalid="ignore"):
        omit_rate = omitted / items
        known = fortnight & ~np.isnan(whole.assessments["c_hat"])
        c_hat = share(whole, "assessments", np.where(known, whole.assessments["c_hat"], 0)) / share(
            whole, "assessments", known
        )
    week = days(whole, "attendance", "class_date") >= -7
    sessions = share(whole, "attendance", week)
    absent = share(whole, "attendance", week & (whole.attendance["status"].codes == 2))
    theta = whole.snapshots["theta"]
    last = days(whole, "snapshots", "snapshot_date") >= -7
    before = (days(whole, "snapshots", "snapshot_date") >= -14) & ~last
    fall = share(whole, "snapshots", last * theta) - share(whole, "snapshots", before * theta)
    fall[share(whole, "snapshots", before) == 0] = 0
    with np.errstate(invalid="ignore"):
        crit = [omit_rate >= 0.15, c_hat >= 0.40, absent / sessions >= 0.20, fall < -0.30]
        warn = [omit_rate >= 0.08, c_hat >= 0.30, absent / sessions >= 0.10, fall < -0.15]
    assert [0.008 < each.mean() < 0.04 for each in crit] == [True] * 4
    anyone = np.any(crit, axis=0).mean()
    assert 0.05 < anyone < 0.10
    # Falls over 14 days and weeks of decline come on top.
    assert 0.08 < np.any(warn, axis=0).mean() - anyone < 0.18


def test_a_few_students_have_no_rows_and_a_few_are_new(whole: TenantBlock) -> None:
    sessions = share(whole, "attendance", np.ones(len(whole.attendance["status"].codes)))
    assert sorted(set(sessions.tolist())) == [0, 10, 80]
    assert (sessions == 0).mean() == pytest.approx(0.01, abs=0.003)
    assert (sessions == 10).mean() == pytest.approx(0.01, abs=0.003)


def test_files_say_that_they_are_drawn_and_hold_every_row(tmp_path: Path) -> None:
    paths = write_tenant(tmp_path, "seoul-hs", draw_tenant(TENANT, block=25))
    expected = rows(list(draw_tenant(TENANT)))
    assert paths["items"] == tmp_path / "seoul-hs_items.csv"
    for name, path in paths.items():
        text = path.read_text(encoding="utf-8")
        assert text.startswith(NOTE)
        header, *lines = csv.reader(text.removeprefix(NOTE).splitlines())
        assert header[:2] == ["org_id", "student_id"]
        assert len(lines) == len(expected[name])
