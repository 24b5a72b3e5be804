"""Two schools and an empty one: two weeks by hand, and what they come to, worked out beside each number.

The report date is Monday 9 March 2026, so the 14 days are 23 February to 8 March and the 7 days begin on
2 March. An estimate counts for delta_theta_7d when it is dated 1 March or earlier, for delta_theta_14d when
it is dated 22 February or earlier.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

REPORT_DATE = date(2026, 3, 9)

TENANTS = """\
tenants:
  - org_id: seoul-hs
    name: 서울고등학교
    timezone: Asia/Seoul
    language: ko
    colors: {primary: "#0b5394", accent: "#e69138"}
    email: [principal@seoul.example.org]
    slack_webhook_env: SEOUL_HS_SLACK_WEBHOOK
  - org_id: hudson-ms
    name: Hudson Middle School
    timezone: America/New_York
    language: en
    email: [office@hudson.example.org, head@hudson.example.org]
  - org_id: empty-hs
    name: Empty High School
    timezone: Asia/Seoul
    language: en
    email: [office@empty.example.org]
  - org_id: closed-hs
    name: Closed High School
    timezone: Asia/Seoul
    language: en
    active: false
"""

STUDENTS = """\
org_id,student_id,display_name,class_name
seoul-hs,s1,학생 001,1-1
seoul-hs,s2,학생 002,1-1
seoul-hs,s3,학생 003,1-1
seoul-hs,s4,<script>alert(4)</script>,1-2
seoul-hs,s5,학생 005,1-2
seoul-hs,s6,학생 006,1-2
hudson-ms,h1,Student 001,7A
hudson-ms,h2,Student 002,7A
"""

# h1's times are near midnight in New York: 21:00 on 1 March, 21:00 on 8 March (which still counts), and
# 01:00 on the 9th, the report date itself, which must not.
ASSESSMENTS = """\
org_id,student_id,assessed_at,theta,items,omitted,c_hat
seoul-hs,s1,2026-02-26T10:00:00+09:00,0.50,20,0,0.20
seoul-hs,s1,2026-03-05T10:00:00+09:00,0.10,20,2,0.10
seoul-hs,s2,2026-03-01T10:00:00+09:00,0.00,10,0,
seoul-hs,s2,2026-03-04T10:00:00+09:00,-0.20,10,1,
seoul-hs,s5,2026-02-25T10:00:00+09:00,0.20,20,0,0.10
seoul-hs,s5,2026-03-03T10:00:00+09:00,0.25,20,1,0.10
seoul-hs,s7,2026-02-24T10:00:00+09:00,0.31,10,0,
seoul-hs,s7,2026-03-04T10:00:00+09:00,0.90,10,0,
seoul-hs,s7,2026-03-05T10:00:00+09:00,0.90,10,0,
seoul-hs,s7,2026-03-06T10:00:00+09:00,0.30,10,0,
hudson-ms,h1,2026-03-02T02:00:00Z,1.0,10,1,0.3
hudson-ms,h1,2026-03-09T01:00:00Z,0.8,10,1,0.3
hudson-ms,h1,2026-03-09T05:00:00Z,-5.0,10,10,0.9
"""

SNAPSHOTS = """\
org_id,student_id,snapshot_date,theta
seoul-hs,s1,2026-02-20,0.45
seoul-hs,s2,2026-02-21,0.40
seoul-hs,s3,2026-02-10,0.12
seoul-hs,s3,2026-02-17,0.10
seoul-hs,s3,2026-02-24,0.05
seoul-hs,s3,2026-03-06,0.00
hudson-ms,h2,2026-02-25,0.5
hudson-ms,h2,2026-03-04,0.5
"""

SCHOOL_DAYS = ("02-23", "02-24", "02-25", "02-26", "02-27", "03-02", "03-03", "03-04", "03-05", "03-06")
ABSENT_DAYS = ("03-02", "03-03", "03-04", "03-05", "03-06")


def attendance() -> str:
    """Two sessions on ten days: s4 misses the whole second week, s5 one session of the first."""
    lines = ["org_id,student_id,class_date,session,status"]
    for day in SCHOOL_DAYS:
        for session in ("am", "pm"):
            s4 = "absent" if day in ABSENT_DAYS else "present"
            s5 = {("02-27", "pm"): "absent", ("03-02", "am"): "excused", ("03-03", "am"): "late"}
            lines.append(f"seoul-hs,s4,2026-{day},{session},{s4}")
            lines.append(f"seoul-hs,s5,2026-{day},{session},{s5.get((day, session), 'present')}")
    # The first row once more: a repeat counts once.
    return "\n".join([*lines, lines[1]]) + "\n"


def write_files(folder: Path) -> dict[str, Path]:
    """The input files, by the name that `riskflow load` uses."""
    texts = {
        "students": STUDENTS,
        "assessments": ASSESSMENTS,
        "snapshots": SNAPSHOTS,
        "attendance": attendance(),
    }
    for name, text in texts.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    (folder / "tenants.yaml").write_text(TENANTS, encoding="utf-8")
    return {name: folder / f"{name}.csv" for name in texts}


METRICS = {
    # Ability fell from 0.50 (26 February) to 0.10, from 0.45 (20 February) over two weeks; 2 of 40 items
    # omitted; no attendance. Weeks: 0.10 < 0.50, but 0.50 > 0.45, so one week of decline.
    "s1": {
        "theta": 0.10, "delta_theta_7d": -0.40, "delta_theta_14d": -0.35, "omit_rate": 2 / 40, "c_hat": 0.15,
        "absence_rate_7d": None, "absence_rate_14d": None, "consecutive_absences": None, "decline_weeks": 1,
        "theta_level": "CRIT", "omit_level": "OK", "guess_level": "OK", "attendance_level": "NO_DATA",
        "level": "CRIT", "rank": 2,  # 2 * 0.40 + 0.05 = 0.85
    },
    # 7 days: -0.20, a warning; 14 days: -0.60, critical, which the warning must not hide.
    "s2": {
        "theta": -0.20, "delta_theta_7d": -0.20, "delta_theta_14d": -0.60, "omit_rate": 1 / 20, "c_hat": None,
        "absence_rate_7d": None, "absence_rate_14d": None, "consecutive_absences": None, "decline_weeks": 2,
        "theta_level": "CRIT", "omit_level": "OK", "guess_level": "NO_DATA", "attendance_level": "NO_DATA",
        "level": "CRIT", "rank": 3,  # 2 * 0.20 + 0.05 = 0.45
    },
    # 0.00 < 0.05 < 0.10 < 0.12: three weeks of decline, which 14 days of data could not show.
    "s3": {
        "theta": 0.00, "delta_theta_7d": -0.05, "delta_theta_14d": -0.10, "omit_rate": None, "c_hat": None,
        "absence_rate_7d": None, "absence_rate_14d": None, "consecutive_absences": None, "decline_weeks": 3,
        "theta_level": "WARN", "omit_level": "NO_DATA", "guess_level": "NO_DATA",
        "attendance_level": "NO_DATA", "level": "WARN", "rank": 4,
    },
    # 10 of 10 sessions, 10 of 20, five days in a row.
    "s4": {
        "theta": None, "delta_theta_7d": None, "delta_theta_14d": None, "omit_rate": None, "c_hat": None,
        "absence_rate_7d": 1.0, "absence_rate_14d": 0.5, "consecutive_absences": 5, "decline_weeks": None,
        "theta_level": "NO_DATA", "omit_level": "NO_DATA", "guess_level": "NO_DATA",
        "attendance_level": "CRIT", "level": "CRIT", "rank": 1,  # 1.5 * 1.0 = 1.5
    },
    # Late and excused count as present: 0 of 10 and 1 of 20 sessions.
    "s5": {
        "theta": 0.25, "delta_theta_7d": 0.05, "delta_theta_14d": None, "omit_rate": 1 / 40, "c_hat": 0.10,
        "absence_rate_7d": 0.0, "absence_rate_14d": 0.05, "consecutive_absences": 0, "decline_weeks": 0,
        "theta_level": "OK", "omit_level": "OK", "guess_level": "OK", "attendance_level": "OK",
        "level": "OK", "rank": 6,  # -0.10 + 0.025 = -0.075
    },
    # In the list of students, and nothing else.
    "s6": {
        "theta": None, "delta_theta_7d": None, "delta_theta_14d": None, "omit_rate": None, "c_hat": None,
        "absence_rate_7d": None, "absence_rate_14d": None, "consecutive_absences": None,
        "decline_weeks": None, "theta_level": "NO_DATA", "omit_level": "NO_DATA", "guess_level": "NO_DATA",
        "attendance_level": "NO_DATA", "level": "NO_DATA", "rank": 7,
    },
    # Not in the list of students. Three assessments of the last week lie between theta and the estimate of
    # 24 February that it is held against: by date -0.01, by row -0.60.
    "s7": {
        "theta": 0.30, "delta_theta_7d": -0.01, "delta_theta_14d": None, "omit_rate": 0.0, "c_hat": None,
        "absence_rate_7d": None, "absence_rate_14d": None, "consecutive_absences": None, "decline_weeks": 1,
        "theta_level": "OK", "omit_level": "OK", "guess_level": "NO_DATA", "attendance_level": "NO_DATA",
        "level": "OK", "rank": 5,  # 0.02 + 0 = 0.02
    },
    # 1.0 at 21:00 on 1 March in New York, 0.8 at 21:00 on the 8th; 2 of 20 items; guessing on the threshold.
    "h1": {
        "theta": 0.8, "delta_theta_7d": -0.2, "delta_theta_14d": None, "omit_rate": 0.1, "c_hat": 0.3,
        "absence_rate_7d": None, "absence_rate_14d": None, "consecutive_absences": None, "decline_weeks": 1,
        "theta_level": "WARN", "omit_level": "WARN", "guess_level": "WARN", "attendance_level": "NO_DATA",
        "level": "WARN", "rank": 1,
    },
    "h2": {
        "theta": 0.5, "delta_theta_7d": 0.0, "delta_theta_14d": None, "omit_rate": None, "c_hat": None,
        "absence_rate_7d": None, "absence_rate_14d": None, "consecutive_absences": None, "decline_weeks": 0,
        "theta_level": "OK", "omit_level": "NO_DATA", "guess_level": "NO_DATA", "attendance_level": "NO_DATA",
        "level": "OK", "rank": 2,
    },
}  # fmt: skip

SUMMARY = {
    "seoul-hs": {
        "report_date": "2026-03-09", "org_id": "seoul-hs", "org_name": "서울고등학교",
        "total_students": 7, "crit_count": 3, "crit_pct": 50.0, "warn_count": 1, "warn_pct": 100 / 6,
        "ok_count": 2, "insufficient_data": 1,
        "theta_warn": 1, "theta_crit": 2, "omit_warn": 0, "omit_crit": 0, "guess_warn": 0, "guess_crit": 0,
        "attendance_warn": 0, "attendance_crit": 1,
        "mean_theta": (0.10 - 0.20 + 0.00 + 0.25 + 0.30) / 5,
        "mean_delta_theta_7d": (-0.40 - 0.20 - 0.05 + 0.05 - 0.01) / 5,
        "mean_omit_rate": (0.05 + 0.05 + 0.025 + 0.0) / 4, "mean_c_hat": (0.15 + 0.10) / 2,
        "mean_absence_rate_7d": (1.0 + 0.0) / 2, "mean_absence_rate_14d": (0.5 + 0.05) / 2,
    },
    "hudson-ms": {
        "report_date": "2026-03-09", "org_id": "hudson-ms", "org_name": "Hudson Middle School",
        "total_students": 2, "crit_count": 0, "crit_pct": 0.0, "warn_count": 1, "warn_pct": 50.0,
        "ok_count": 1, "insufficient_data": 0,
        "theta_warn": 1, "theta_crit": 0, "omit_warn": 1, "omit_crit": 0, "guess_warn": 1, "guess_crit": 0,
        "attendance_warn": 0, "attendance_crit": 0,
        "mean_theta": 0.65, "mean_delta_theta_7d": -0.1, "mean_omit_rate": 0.1, "mean_c_hat": 0.3,
        "mean_absence_rate_7d": None, "mean_absence_rate_14d": None,
    },
    "empty-hs": {
        "report_date": "2026-03-09", "org_id": "empty-hs", "org_name": "Empty High School",
        "total_students": 0, "crit_count": 0, "crit_pct": None, "warn_count": 0, "warn_pct": None,
        "ok_count": 0, "insufficient_data": 0,
        "theta_warn": 0, "theta_crit": 0, "omit_warn": 0, "omit_crit": 0, "guess_warn": 0, "guess_crit": 0,
        "attendance_warn": 0, "attendance_crit": 0,
        "mean_theta": None, "mean_delta_theta_7d": None, "mean_omit_rate": None, "mean_c_hat": None,
        "mean_absence_rate_7d": None, "mean_absence_rate_14d": None,
    },
}  # fmt: skip
