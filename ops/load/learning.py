"""The columns of the tables of learning data, and every table whose rows are stored as they stand.

Source: METHODS, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping

from ops.load.columns import SMALL, Column, Sheet

ORG_ID = Column(
    "org_id",
    "id",
    pattern=r"[A-Za-z0-9][A-Za-z0-9._:+@-]{0,199}",
    allowed="letters, digits and . _ : + @ -, beginning with a letter or digit, at most 200",
)
# A message with the metrics of a part of a tenant is bounded by bytes, and so are the ids in it.
STUDENT_ID = Column("student_id", "id", longest=100)
STUDENT = ("org_id", "student_id")
# Ability runs from -6 to 6 in METHODS; twice that is no estimate. Discrimination falls below 0 for an item
# with a wrong key, and beyond 10 it is a step; difficulties of items that nearly all get right lie far
# out (expert assumptions).
THETA_BOUND, STEEPEST, HARDEST = 12.0, 10.0, 20.0
MANY_ITEMS = 100_000


def _theta(*, empty: bool) -> Column:
    return Column("theta", "number", "", -THETA_BOUND, THETA_BOUND, empty=empty)


ASSESSMENTS = Sheet(
    (
        ORG_ID,
        STUDENT_ID,
        Column("assessed_at", "moment"),
        _theta(empty=True),
        Column("items", "integer", "", 0, MANY_ITEMS),
        Column("omitted", "integer", "", 0, MANY_ITEMS),
        Column("c_hat", "number", "", 0, 1, empty=True),
    ),
    (*STUDENT, "assessed_at"),
)

ITEMS = Sheet(
    (
        ORG_ID,
        STUDENT_ID,
        Column("assessed_at", "moment"),
        Column("item_id", "id", longest=100),
        # Empty means omitted, which is an answer: an impossible value must not become one.
        Column("response", "integer", "", 0, 1, empty=True, strict=True),
        Column("a", "number", "", 0, STEEPEST, above_low=True, optional=True, empty=True),
        Column("b", "number", "", -HARDEST, HARDEST, optional=True, empty=True),
        Column("c", "number", "", 0, 1, below_high=True, optional=True, empty=True),
    ),
    (*STUDENT, "assessed_at", "item_id"),
)

ATTENDANCE = Sheet(
    (
        ORG_ID,
        STUDENT_ID,
        Column("class_date", "date"),
        Column("session", "id", longest=100),
        Column("status", "text", choices=("present", "late", "absent", "excused")),
    ),
    (*STUDENT, "class_date", "session"),
)

SNAPSHOTS = Sheet(
    (ORG_ID, STUDENT_ID, Column("snapshot_date", "date"), _theta(empty=False)), (*STUDENT, "snapshot_date")
)

STUDENTS = Sheet(
    (
        ORG_ID,
        STUDENT_ID,
        Column("display_name", "text", optional=True, empty=True, longest=200),
        Column("class_name", "text", optional=True, empty=True, longest=200),
    ),
    STUDENT,
)

LEARNING: Mapping[str, tuple[str, Sheet]] = {
    "assessments": ("fact_assessment", ASSESSMENTS),
    "items": ("fact_assessment_item", ITEMS),
    "attendance": ("attendance", ATTENDANCE),
    "snapshots": ("irt_snapshot", SNAPSHOTS),
    "students": ("students", STUDENTS),
}
"""As SMALL: the database's table and the file's columns."""

STORED: Mapping[str, tuple[str, Sheet]] = {**SMALL, **LEARNING}
"""Every table whose rows are stored as they stand."""
