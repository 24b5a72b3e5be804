"""Seeded students for tests, benchmarks and the demo: ability, omissions, guessing and attendance.

A student's rows depend on the seed, the tenant's id and the student's number alone, never on the block
they come in. Of the students some 7 % are CRIT and some 15 % WARN under the default thresholds. All
figures here are expert assumptions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from ops.generator.noise import words
from ops.generator.tenant import DrawnTenant
from ops.load.fields import Coded
from streams.models.inputs import Array

Table = Mapping[str, Any]
"""A table's columns, (rows,) each: Coded texts, numbers (NaN is null), days [D] or times in UTC [us]."""

SCHOOL_DAYS = 5
CLASS_SIZE = 25
ITEMS_PER_ASSESSMENT = 20
ASSESSMENT_WEEKDAYS = (1, 3)
SNAPSHOT_WEEKDAY = 4
FIRST_LESSON = time(9, 0)
HOUR = 3_600_000_000
"""Between two lessons [microseconds]."""
STATUSES = ["present", "late", "absent", "excused"]
SESSIONS = ["am", "pm"]

WITHOUT_ROWS, NEW = 0.01, 0.02
"""Shares, cumulated: students that are listed only, and those that came in the last week."""
FALLING, SLIDING = 0.05, 0.10
"""Shares, cumulated: students whose ability falls by 0.2 to 0.5 in the last week, and by a little weekly."""
OMITTING = (0.012, 0.05)
GUESSING = (0.010, 0.045)
"""Shares, cumulated: students far above and a little above the thresholds of CRIT and of WARN."""
ESTIMATE_NOISE = 0.02
SPELL_STARTS = 0.004
"""Chance that absence begins on a school day; it lasts one to five days, and every third is excused."""
LATE, LONE_ABSENCE = 0.02, 0.002
NO_GUESSING_ESTIMATE, SKIPPED_ITEM = 0.05, 0.02
LONGEST_SPELL = 5


@dataclass(frozen=True, slots=True)
class TenantBlock:
    """Some students of a drawn tenant and all their rows, ordered as the tables' keys."""

    students: Table
    assessments: Table
    items: Table
    attendance: Table
    snapshots: Table

    def tables(self) -> dict[str, Table]:
        """The tables with rows, by the names of `riskflow load`."""
        named = {name: getattr(self, name) for name in self.__slots__}
        return {name: table for name, table in named.items() if table}


def draw_tenant(tenant: DrawnTenant, block: int = 2_000) -> Iterator[TenantBlock]:
    """The tenant's students, at most `block` at a time, with all their rows."""
    for first in range(0, tenant.students, block):
        yield _Draw(tenant, first, min(block, tenant.students - first)).block()


class _Draw:
    """The students from number `first` on."""

    def __init__(self, tenant: DrawnTenant, first: int, count: int) -> None:
        self._tenant = tenant
        self._first = first
        self._count = count
        self._kind = self._uniform("kind", 4)
        self._ids = tenant.ids(first, count)

    def block(self) -> TenantBlock:
        theta = self._abilities()
        return TenantBlock(
            self._students(),
            self._assessments(theta),
            self._items(theta),
            self._attendance(),
            self._snapshots(theta),
        )

    def _uniform(self, name: str, slots: int) -> Array:
        """Numbers between 0 and 1, (students, slots), the same for a student in every block."""
        label = f"{name},{self._tenant.seed},{self._tenant.org_id}"
        raw = words(label, self._first * slots, self._count * slots)
        uniform: Array = ((raw >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
        return uniform.reshape(self._count, slots)

    def _normal(self, name: str, slots: int) -> Array:
        normal: Array = ndtri(self._uniform(name, slots))
        return normal

    def _abilities(self) -> Array:
        """Ability at the end of each week, (students, weeks)."""
        weeks = self._tenant.weeks
        kind, depth = self._kind[:, 0], self._uniform("drift", 1)
        growth = np.where((kind >= FALLING) & (kind < SLIDING), -0.04 - 0.03 * depth[:, 0], 0.015)
        theta: Array = 0.9 * self._normal("ability", 1) + growth[:, None] * np.arange(weeks)
        theta[:, -1] -= np.where(kind < FALLING, 0.2 + 0.3 * depth[:, 0], 0.0)
        return theta

    def _students(self) -> Table:
        number = np.arange(self._first, self._first + self._count)
        word = {"ko": "학생", "en": "Student"}[self._tenant.language]
        names = [f"{word} {self._tenant.number(place)}" for place in number.tolist()]
        classes = [f"{each % 3 + 1}-{each // 3 + 1}" for each in (number // CLASS_SIZE).tolist()]
        rows = np.arange(self._count)
        return {
            **self._keys(rows),
            "display_name": Coded(list(names), rows),
            "class_name": _coded(classes),
        }

    def _assessments(self, theta: Array) -> Table:
        days = self._tenant.days(ASSESSMENT_WEEKDAYS)
        sitting = self._rows(days)
        student, at = np.nonzero(sitting)
        noisy = self._estimates("sitting", theta, days)
        rate = _rates(self._kind[:, 1], OMITTING, (0.22, 0.11, 0.012))
        # The nearest count to an even draw around the rate keeps two weeks close to it.
        omitted = np.floor(ITEMS_PER_ASSESSMENT * rate[:, None] + self._uniform("omitted", len(days)))
        guessing: Array = _rates(self._kind[:, 2], GUESSING, (0.46, 0.345, 0.18))[:, None]
        guessing = guessing + 0.02 * self._normal("guessing", len(days))
        guessing = np.where(self._uniform("no guessing", len(days)) < NO_GUESSING_ESTIMATE, np.nan, guessing)
        return {
            **self._keys(student),
            "assessed_at": self._times(days)[student, at],
            "theta": noisy[student, at],
            "items": np.full(len(student), ITEMS_PER_ASSESSMENT),
            "omitted": omitted[student, at].astype(np.int64),
            "c_hat": np.clip(guessing, 0.0, 1.0)[student, at].round(4),
        }

    def _items(self, theta: Array) -> Table:
        items = self._tenant.item_responses
        if not items:
            return {}
        days = self._tenant.days(ASSESSMENT_WEEKDAYS)
        a, b, c = _parameters(items)
        chance = self._uniform("item", items)[:, None, :]
        ability = self._estimates("sitting", theta, days)[:, :, None]
        response = (chance < c + (1 - c) / (1 + np.exp(-1.7 * a * (ability - b)))).astype(np.float64)
        response[
            np.broadcast_to(self._uniform("skipped", items)[:, None, :] < SKIPPED_ITEM, response.shape)
        ] = np.nan
        sitting = np.broadcast_to(self._rows(days)[:, :, None], response.shape)
        student, at, item = np.nonzero(sitting)
        return {
            **self._keys(student),
            "assessed_at": self._times(days)[student, at],
            "item_id": Coded([f"Q{number:03d}" for number in range(1, items + 1)], item),
            "response": response[student, at, item],
            "a": a[item],
            "b": b[item],
            "c": c[item],
        }

    def _attendance(self) -> Table:
        days = self._tenant.days(tuple(range(SCHOOL_DAYS)))
        absent, excused = self._spells(len(days))
        alone = self._uniform("sessions", len(days) * len(SESSIONS)).reshape(self._count, len(days), -1)
        status = np.where(alone < LATE, 1, 0)
        status[alone < LONE_ABSENCE] = 2
        status[absent] = 2
        status[absent & excused] = 3
        student, day, session = np.nonzero(np.broadcast_to(self._rows(days)[:, :, None], status.shape))
        return {
            **self._keys(student),
            "class_date": np.array(days, dtype="datetime64[D]")[day],
            "session": Coded(list(SESSIONS), session),
            "status": Coded(list(STATUSES), status[student, day, session]),
        }

    def _spells(self, days: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Days of absence, and whether they are excused, (students, days)."""
        starts = self._uniform("spells", days) < SPELL_STARTS
        nature = self._uniform("lengths", days)
        length = 1 + np.floor(LONGEST_SPELL * nature**2)
        absent = np.zeros(starts.shape, dtype=bool)
        excused = np.zeros(starts.shape, dtype=bool)
        for lag in range(LONGEST_SPELL):
            lasting = (starts & (length > lag))[:, : days - lag]
            absent[:, lag:] |= lasting
            excused[:, lag:] |= lasting & ((nature * 1000 % 3) < 1)[:, : days - lag]
        return absent, excused

    def _snapshots(self, theta: Array) -> Table:
        days = self._tenant.days((SNAPSHOT_WEEKDAY,))
        student, at = np.nonzero(self._rows(days))
        return {
            **self._keys(student),
            "snapshot_date": np.array(days, dtype="datetime64[D]")[at],
            "theta": self._estimates("snapshot", theta, days)[student, at],
        }

    def _estimates(self, name: str, theta: Array, days: list[date]) -> Array:
        """Estimates of ability on these days, (students, days)."""
        start = self._tenant.report_date - timedelta(days=7 * self._tenant.weeks)
        week = np.array([(day - start).days // 7 for day in days])
        return np.round(theta[:, week] + ESTIMATE_NOISE * self._normal(name, len(days)), 6)

    def _rows(self, days: list[date]) -> NDArray[np.bool_]:
        """On which of these days a student has rows, (students, days)."""
        last_week = np.array(days) >= self._tenant.report_date - timedelta(days=7)
        share = self._kind[:, 3, None]
        return (share >= NEW) | ((share >= WITHOUT_ROWS) & last_week)

    def _times(self, days: list[date]) -> NDArray[np.datetime64]:
        """When a student's class sits on these days, UTC [us], (students, days)."""
        zone = ZoneInfo(self._tenant.timezone)
        starts = [
            datetime.combine(day, FIRST_LESSON, zone).astimezone(UTC).replace(tzinfo=None) for day in days
        ]
        lesson = (np.arange(self._first, self._first + self._count) // CLASS_SIZE) % 6
        times = np.array(starts, dtype="datetime64[us]").view(np.int64) + lesson[:, None] * HOUR
        return times.view("datetime64[us]")

    def _keys(self, student: NDArray[np.intp]) -> dict[str, Any]:
        return {
            "org_id": Coded([self._tenant.org_id], np.zeros(len(student), dtype=np.intp)),
            "student_id": Coded(self._ids, student),
        }


def _coded(texts: list[str]) -> Coded:
    known = {text: code for code, text in enumerate(dict.fromkeys(texts))}
    return Coded(list(known), np.array([known[text] for text in texts], dtype=np.intp))


def _rates(kind: Array, shares: tuple[float, float], rates: tuple[float, float, float]) -> Array:
    """The rate of each student: far above, a little above, or ordinary."""
    far, above = shares
    rate: Array = np.select([kind < far, kind < above], rates[:2], rates[2])
    return rate


def _parameters(items: int) -> tuple[Array, Array, Array]:
    """Discrimination, difficulty and guessing of the items, each (items,)."""
    place = np.arange(items, dtype=np.float64)
    return (
        0.8 + 0.1 * (place % 8),
        np.round(-2 + 4 * ((place * 7) % items) / items, 3),
        0.1 + 0.05 * (place % 3),
    )
