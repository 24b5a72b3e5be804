"""A tenant to draw: who it is, how many students, which weeks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnTenant:
    """What is drawn of a tenant.

    Attributes:
        org_id: The tenant; part of the seed.
        students: How many.
        report_date: The last week drawn ends on the day before it.
        weeks: Weeks drawn, 8 or more for a report without gaps.
        seed: The generator's seed.
        language: Of the invented names.
        timezone: Of the lessons.
        item_responses: Items of each assessment that are stored with 3PL parameters; 0 for none. A student
            has the same luck at an item every week, so that the difference of two weeks' EAPs is no noise.
    """

    org_id: str
    students: int
    report_date: date
    weeks: int = 8
    seed: int = 1
    language: Literal["ko", "en"] = "en"
    timezone: str = "Asia/Seoul"
    item_responses: int = 0

    def day(self, week: int, weekday: int) -> date:
        """A weekday (0 = Monday) of a week from 0; weeks are those of seven days up to the report date."""
        start = self.report_date - timedelta(days=7 * (self.weeks - week))
        return start + timedelta(days=(weekday - start.weekday()) % 7)

    def days(self, weekdays: tuple[int, ...]) -> list[date]:
        """These weekdays of all weeks, ascending."""
        return sorted(self.day(week, weekday) for week in range(self.weeks) for weekday in weekdays)

    def ids(self, first: int, count: int) -> list[str | None]:
        """Ids of the students from place `first` on, counted from 0."""
        return [f"S{self.number(place)}" for place in range(first, first + count)]

    def number(self, place: int) -> str:
        """Number of the student at a place, counted from 1, as wide as the last one's."""
        return f"{place + 1:0{max(len(str(self.students)), 3)}d}"
