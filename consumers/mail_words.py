"""What mails and Slack messages say, in the tenant's language.

Numbers stand after a colon, so that no sentence needs a plural. Levels and risks are called as in the
report.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MailWords:
    """Texts of one language; those with braces are formats."""

    subject: str
    title: str
    students: str
    at_risk: str
    crit: str
    warn: str
    ok: str
    without_data: str
    look_at: str
    nobody: str
    risks: dict[str, str]
    counted: str
    attached: str
    too_large: str
    lies: str
    open: str
    confidential: str


WORDS = {
    "en": MailWords(
        subject="{name}: weekly risk report {date}, critical {crit}, warning {warn} of {students}",
        title="Weekly student risk report",
        students="Students",
        at_risk="At risk",
        crit="Critical",
        warn="Warning",
        ok="No concern",
        without_data="Insufficient data",
        look_at="What to look at first",
        nobody="No student is at risk by the thresholds that are set.",
        risks={
            "theta": "Ability",
            "omit": "Omitted items",
            "guess": "Guessing",
            "attendance": "Attendance",
        },
        counted="critical {crit}, warning {warn}",
        attached="The report (HTML) and the metrics of every student (CSV) are attached.",
        too_large="Too large to attach: {name}",
        lies="The report lies in the folder of reports under:",
        open="Open the report",
        confidential="The attachments name students. Please keep them confidential.",
    ),
    "ko": MailWords(
        subject="{name}: 주간 위험 보고서 {date}, 학생 {students}명 중 심각 {crit}명, 주의 {warn}명",
        title="주간 학생 위험 보고서",
        students="학생 수",
        at_risk="위험 학생",
        crit="심각",
        warn="주의",
        ok="양호",
        without_data="자료 부족",
        look_at="먼저 살펴볼 것",
        nobody="설정된 기준값을 넘은 학생이 없습니다.",
        risks={
            "theta": "학업 능력",
            "omit": "무응답",
            "guess": "추측 응답",
            "attendance": "출결",
        },
        counted="심각 {crit}명, 주의 {warn}명",
        attached="보고서(HTML)와 학생별 지표(CSV)를 첨부합니다.",
        too_large="너무 커서 첨부하지 못한 파일: {name}",
        lies="보고서는 보고서 폴더의 다음 위치에 있습니다:",
        open="보고서 열기",
        confidential="첨부 파일에는 학생의 이름이 있습니다. 외부에 공개하지 마십시오.",
    ),
}
