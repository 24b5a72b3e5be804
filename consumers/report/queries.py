"""SQL of the report; every statement reads one tenant: $1 org_id, $2 report date."""

from __future__ import annotations

from consumers.report.tables import METRICS

SUMMARY = "SELECT * FROM tenant_risk_summary WHERE org_id = $1 AND report_date = $2"
# Parts of a newer job have come in, and others will.
IS_BEING_REPLACED = """
    SELECT EXISTS (
        SELECT FROM batch_job_tenants t JOIN batch_job_logs j USING (job_id)
        WHERE t.org_id = $1 AND t.report_date = $2 AND t.state = 'pending' AND t.ended_at IS NULL
          AND j.status IN ('pending', 'running')
          AND EXISTS (SELECT FROM student_risk_metrics m
                      WHERE m.org_id = t.org_id AND m.report_date = t.report_date AND m.job_id = t.job_id))
"""
BEFORE = """
    SELECT * FROM tenant_risk_summary WHERE org_id = $1 AND report_date < $2
    ORDER BY report_date DESC LIMIT 1
"""
# $3: days up to the report date.
TREND = """
    SELECT * FROM tenant_risk_summary
    WHERE org_id = $1 AND report_date <= $2 AND report_date > $2::date - $3::integer
    ORDER BY report_date
"""
# Students with a value of each metric; $3: job_seq of the summary. A newer job that is not through
# yet may have replaced rows of students already.
COVERAGE = f"""
    SELECT {", ".join(f"count({metric}) AS {metric}" for metric in METRICS)},
           count(*) FILTER (WHERE theta_basis = 'eap') AS from_responses,
           count(*) FILTER (WHERE job_seq > $3) AS newer
    FROM student_risk_metrics WHERE org_id = $1 AND report_date = $2
"""  # noqa: S608 - column names of this package only
# $3: most rows.
AT_RISK = """
    SELECT m.*, s.display_name, s.class_name
    FROM student_risk_metrics m LEFT JOIN students s USING (org_id, student_id)
    WHERE m.org_id = $1 AND m.report_date = $2 AND m.level IN ('CRIT', 'WARN')
    ORDER BY m.rank NULLS LAST, m.student_id LIMIT $3
"""
WITHOUT_DATA = """
    SELECT student_id FROM student_risk_metrics
    WHERE org_id = $1 AND report_date = $2 AND level = 'NO_DATA' ORDER BY student_id LIMIT $3
"""
# $2 and $3: first and last day; $4: whether an excused session counts as missed.
ATTENDANCE = """
    SELECT class_date AS day, count(*) AS sessions,
           count(*) FILTER (WHERE status = 'absent' OR status = 'excused' AND $4::boolean) AS missed
    FROM attendance
    WHERE org_id = $1 AND class_date BETWEEN $2 AND $3 AND status IS NOT NULL
    GROUP BY class_date ORDER BY class_date
"""
CLASSES = """
    SELECT s.class_name, count(*) FILTER (WHERE m.level <> 'NO_DATA') AS students,
           count(*) FILTER (WHERE m.level = 'CRIT') AS crit, count(*) FILTER (WHERE m.level = 'WARN') AS warn
    FROM student_risk_metrics m LEFT JOIN students s USING (org_id, student_id)
    WHERE m.org_id = $1 AND m.report_date = $2
    GROUP BY s.class_name ORDER BY s.class_name NULLS LAST
"""
# $3: ascending edges; bin 0 lies below the first, the last one from the last edge on.
FALLS = """
    SELECT width_bucket(delta_theta_7d, $3::float8[]) AS bin, count(*) AS students
    FROM student_risk_metrics WHERE org_id = $1 AND report_date = $2 AND delta_theta_7d IS NOT NULL
    GROUP BY bin
"""
