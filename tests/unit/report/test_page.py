"""What the page says, and what of it is never markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import jinja2
import pytest
from report_pages import counts_of, page, report_data
from report_samples import BRIGHTON, NOTHING, SEOUL, drawn_students

from consumers.report.data import MAX_LISTED, ClassRisk, Student
from consumers.report.faults import sentence
from consumers.report.page import TEMPLATE, Pages
from schemas.tenants import Thresholds

STUDENTS = list(drawn_students(120))
CRITICAL = {"student_id": "a", **NOTHING, "absence_rate_7d": 0.25, "absence_rate_14d": 0.1}


class Text(HTMLParser):
    """The words of a page, without its style and script."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self._skipped = 0
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, _attributes):
        self._skipped += tag in {"style", "script"}

    def handle_endtag(self, tag):
        self._skipped -= tag in {"style", "script"}

    def handle_data(self, data):
        if not self._skipped:
            self.words += data.split()

    def __str__(self) -> str:
        return " ".join(self.words)


def text(html: str) -> str:
    return str(Text(html))


def test_headline_counts_shares_and_changes():
    before = counts_of(BRIGHTON, [], 1)
    students = [CRITICAL, {**CRITICAL, "student_id": "b"}, {"student_id": "c", **NOTHING, "omit_rate": 0.1}]
    students += [{"student_id": f"d{place}", **NOTHING, "omit_rate": 0.0} for place in range(5)]
    students.append({"student_id": "e", **NOTHING})
    said = text(page(BRIGHTON, report_data(BRIGHTON, students, before=before)))
    assert "Critical: 2 of 8 students with data (25.0%)" in said
    assert "Warning: 1 (12.5%)" in said
    assert "▲ Critical 2 25.0% of those with data +2 since November 16, 2026" in said
    assert "○ Insufficient data 1 no rule could be evaluated +1 since" in said
    assert "Students 9 Students with data: 8 +9 since" in said
    assert "Attendance 2 0" in said
    assert "Students with insufficient data (1) e" in said


def test_a_student_at_risk_has_the_reasons_in_words():
    student = {**CRITICAL, "name": "Isla Ember", "class_name": "Year 10 A"}
    said = text(page(BRIGHTON, report_data(BRIGHTON, [student])))
    assert "1 Isla Ember a Year 10 A ▲ Critical 7-day absence 25.0% (from 20%: critical)" in said


def test_a_first_report_says_so_instead_of_a_trend():
    data = report_data(SEOUL, STUDENTS)
    said = text(page(SEOUL, report_data(SEOUL, STUDENTS, before=None, trend=data.trend[-1:])))
    assert "저장된 첫 보고서입니다" in said
    assert "비교할 이전 값이 없습니다" in said


def test_what_cannot_be_drawn_is_a_sentence():
    said = text(page(BRIGHTON, report_data(BRIGHTON, STUDENTS, classes=[], falls=[], days=[])))
    assert "The classes of the students are not known" in said
    assert "the change cannot be shown" in said
    assert "No attendance was recorded" in said


def test_many_classes_are_all_in_the_table_and_the_worst_in_the_chart():
    classes = [ClassRisk(f"Class {place:02d}", 30, place, 0) for place in range(30)]
    html = page(BRIGHTON, report_data(BRIGHTON, STUDENTS, classes=classes))
    assert "The chart shows the 20 of 30 classes" in html
    drawing = re.search(r"<svg[^>]*Students at risk by class.*?</svg>", html, re.DOTALL)
    assert drawing
    assert re.findall(r"Class (\d\d)</text>", drawing[0])[::-1] == [f"{place}" for place in range(10, 30)]
    assert all(f'<th scope="row">Class {place:02d}</th>' in html for place in range(30))


def test_a_long_list_tells_where_the_rest_is():
    one = Student(1, "x", None, None, "WARN", from_responses=False, reasons=[])
    data = report_data(BRIGHTON, [{"student_id": f"{n}", **NOTHING, "omit_rate": 0.1} for n in range(2500)])
    said = text(page(BRIGHTON, report_data(BRIGHTON, [], counts=data.counts, at_risk=[one] * MAX_LISTED)))
    assert "first 2,000 of 2,500 students at risk; the file brighton_metrics.csv has all" in said


def test_a_tenant_without_data_gets_a_page_that_says_so():
    nobody = text(page(BRIGHTON, report_data(BRIGHTON, [], days=[], classes=[], falls=[])))
    assert "No data for this report" in nobody
    assert "for November 9, 2026 to November 22, 2026" in nobody
    assert "Students at risk" not in nobody
    listed = text(page(SEOUL, report_data(SEOUL, [{"student_id": "a", **NOTHING}])))
    assert "학생 1명이 등록되어 있으나" in listed
    assert "자료가 부족한 학생 (1) a" in listed


def test_thresholds_in_force_and_how_excused_counts():
    thresholds = Thresholds.model_validate({"omit": {"warn": 0.1}, "attendance": {"excused_is_absent": True}})
    tenant = BRIGHTON.model_copy(update={"thresholds": thresholds})
    said = text(page(tenant, report_data(tenant, STUDENTS)))
    assert "Omitted items from 10% from 15%" in said
    assert "Weeks of decline in a row from 3 weeks none" in said
    assert "An excused session counts as missed." in said
    assert "counts as present. Absent in a row" not in said


def test_notes_on_item_responses_newer_rows_and_the_logo():
    data = report_data(BRIGHTON, STUDENTS, from_responses=1, being_replaced=3)
    said = text(page(BRIGHTON, data, notes=["logo school.gif: neither SVG nor PNG nor JPEG"]))
    assert "For 1 student the ability and its 7-day change come from the item responses" in said
    assert "3 students are shown from it already" in said
    assert "could not be shown: logo school.gif: neither SVG nor PNG nor JPEG." in said
    assert "<img" not in page(BRIGHTON, data)


def test_names_are_text_everywhere():
    evil = '"><script>alert(1)</script>'
    student = {**CRITICAL, "student_id": f"id{evil}", "name": evil, "class_name": evil}
    missing = {"student_id": f"none{evil}", **NOTHING}
    tenant = BRIGHTON.model_copy(update={"name": evil})
    data = report_data(tenant, [student, missing], classes=[ClassRisk(evil, 1, 1, 0)])
    html = page(tenant, data)
    assert html.count("<script>") == 1
    assert "alert(1)</script>" not in html
    assert html.count(evil.replace("<", "&lt;").replace(">", "&gt;").replace('"', "&#34;")) >= 7


def test_the_page_asks_nobody_for_anything():
    html = page(SEOUL, report_data(SEOUL, STUDENTS), logo="data:image/png;base64,AAAA")
    addresses = set(re.findall(r'(?:https?:)?//[^\s"\'<>)]+', html))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert re.findall(r"<(?:link|iframe|object|embed|base)\b", html) == []
    assert re.findall(r'src="(\w+):', html) == ["data"]


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        ("one\ntwo {{ tenant.name }}\nthree {{ nobody.name }}\n", "line 3: 'nobody' is undefined"),
        ("one\n{% for each in tenant %}\n", "line 2: Unexpected end of template"),
        ("one\n\n\n{% include 'missing.css' %}", "line 4: missing.css not found"),
        ("{% macro m() %}\n{{ t('no.key') }}{% endmacro %}\n{{ m() }}", "line 2: KeyError: 'no.key'"),
        ("{{ ''.__class__.__mro__ }}", "line 1: access to attribute '__class__' of 'str' object is unsafe"),
        ("\n{{ counts.students / 0 }}", "line 2: ZeroDivisionError: division by zero"),
    ],
)
def test_a_broken_template_is_told_with_its_line(tmp_path: Path, template: str, fault: str):
    (tmp_path / TEMPLATE).write_text(template)
    with pytest.raises((jinja2.TemplateError, KeyError, ZeroDivisionError)) as caught:
        Pages(tmp_path).render(report_data(SEOUL, STUDENTS), SEOUL, logo=None, notes=[])
    assert sentence(caught.value).startswith(f"template {TEMPLATE} {fault}")


def test_a_template_of_the_folder_replaces_ours_and_may_use_the_others(tmp_path: Path):
    (tmp_path / TEMPLATE).write_text("<style>{% include 'style.css' %}</style>{{ tenant.name }}")
    html = Pages(tmp_path).render(report_data(SEOUL, STUDENTS), SEOUL, logo=None, notes=[])
    assert html.startswith("<style>* { box-sizing")
    assert html.endswith("표본고등학교")


def test_a_template_that_is_new_or_changed_is_used_at_once(tmp_path: Path):
    data = report_data(SEOUL, STUDENTS)
    for template in (None, "first", "second"):
        if template:
            (tmp_path / TEMPLATE).write_text(template)
        html = Pages(tmp_path).render(data, SEOUL, logo=None, notes=[])
        assert html == template if template else html.startswith("<!DOCTYPE html>")
