"""The intake: which deliveries a report that is ready brings, and what a repeat changes."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import orjson
import pytest
from deliveries_samples import (
    DAY,
    VARIABLE,
    deliveries,
    ready_of,
    rendered,
    settings_of,
    tenant_of,
    tenant_states,
)
from flow_samples import running
from waiting import until

from consumers.deliveries import Intake
from consumers.reader import Reader
from consumers.reporter import run
from ops.demo.receivers import SlackCatcher
from schemas.codec import encode
from schemas.topics import REPORTS

BOTH = {"email": ["principal@example.org", "deputy@example.org"], "slack_webhook_env": VARIABLE}


def as_read(message, **changes):
    record = encode(REPORTS, message, source="test", traceparent=f"00-{'a' * 32}-{'b' * 16}-01")
    fields = {"topic": record.topic, "key": record.key, "value": record.value, "headers": record.headers}
    return SimpleNamespace(**(fields | {"partition": 0, "offset": 7, "timestamp": 0} | changes))


@pytest.fixture
def take_in(connection, tmp_path):
    """What the loop does with a batch of reports."""
    reader = Reader(settings_of(tmp_path), Intake(settings_of(tmp_path)))

    async def taken(*records):
        await reader._store(connection, records)

    return taken


async def test_each_channel_of_the_tenant_gets_a_delivery(connection, tmp_path, take_in):
    await rendered(connection, tmp_path, tenant_of(**BOTH))
    await take_in(as_read(ready_of()))
    files = (f"{DAY}/seoul-hs_report.html", f"{DAY}/seoul-hs_metrics.csv", "week")
    columns = ("channel", "state", "attempts", "address", "html", "csv", "job_id")
    assert await deliveries(connection, *columns) == [
        ("email", "pending", 0, BOTH["email"], *files),
        ("slack", "pending", 0, [VARIABLE], *files),
    ]
    ((trace,), _) = await deliveries(connection, "traceparent")
    assert trace.split("-")[1] == "a" * 32
    assert await tenant_states(connection) == [("seoul-hs", "rendered", None)]


async def test_without_a_channel_the_report_is_kept_and_the_row_says_where(connection, tmp_path, take_in):
    await rendered(connection, tmp_path, tenant_of())
    await take_in(as_read(ready_of()))
    assert await deliveries(connection, "channel", "state", "detail") == [
        ("folder", "kept", str(tmp_path / f"{DAY}" / "seoul-hs_report.html"))
    ]
    assert await tenant_states(connection) == [("seoul-hs", "delivered", None)]
    assert await connection.fetchval("SELECT status FROM batch_job_logs") == "completed"


async def test_a_tenant_whose_students_all_lack_data_gets_nothing(connection, tmp_path, take_in):
    tenants = (tenant_of(**BOTH), tenant_of(org_id="busan-ms"))
    await rendered(connection, tmp_path, *tenants, without_data=120)
    await take_in(as_read(ready_of()), as_read(ready_of("busan-ms")))
    assert await deliveries(connection, "org_id", "channel", "state") == [
        ("busan-ms", "folder", "no_data"),
        ("seoul-hs", "email", "no_data"),
        ("seoul-hs", "slack", "no_data"),
    ]
    assert await tenant_states(connection) == [("busan-ms", "no_data", None), ("seoul-hs", "no_data", None)]


async def test_a_tenant_without_a_summary_gets_nothing(connection, tmp_path, take_in):
    await rendered(connection, tmp_path, tenant_of(**BOTH))
    await connection.execute("DELETE FROM tenant_risk_summary")
    await take_in(as_read(ready_of()))
    assert await deliveries(connection, "state") == [("no_data",), ("no_data",)]


async def test_a_repeated_message_changes_nothing(connection, tmp_path, take_in):
    await rendered(connection, tmp_path, tenant_of(**BOTH))
    await take_in(as_read(ready_of()))
    await connection.execute(
        "UPDATE report_deliveries SET state = 'refused', detail = 'no' WHERE channel = 'email'"
    )
    before = await deliveries(connection, "*")
    await take_in(as_read(ready_of()), as_read(ready_of()))
    assert await deliveries(connection, "*") == before


async def test_a_report_of_a_tenant_that_has_ended_is_left_out(connection, tmp_path, take_in):
    await rendered(connection, tmp_path, tenant_of(**BOTH))
    await connection.execute("UPDATE batch_job_tenants SET state = 'failed', ended_at = now()")
    await take_in(as_read(ready_of()), as_read(ready_of(job_id="another")))
    assert await deliveries(connection, "channel") == []


async def test_a_second_job_of_the_day_sends_only_what_was_surely_not_sent(connection, tmp_path, take_in):
    kept = ["pending", "retrying", "sending", "sent", "unknown"]
    anew = ["failed", "no_data", "refused"]
    states = sorted(kept + anew)
    await rendered(connection, tmp_path, *(tenant_of(org_id=state, email=["old@x.org"]) for state in states))
    await take_in(*(as_read(ready_of(state)) for state in states))
    await connection.execute("UPDATE report_deliveries SET state = org_id, attempts = 2, detail = 'words'")
    tenants = [tenant_of(org_id=state, email=["new@x.org"]) for state in states]
    await rendered(connection, tmp_path, *tenants, job_id="again")
    await take_in(*(as_read(ready_of(state, "again")) for state in states))
    rows = await deliveries(connection, "org_id", "state", "attempts", "address", "detail", "job_id")
    assert rows == [
        (state, "pending", 0, ["new@x.org"], None, "again")
        if state in anew
        else (state, state, 2, ["old@x.org"], "words", "week")
        for state in states
    ]


async def test_a_channel_that_the_tenant_no_longer_has_is_no_part_of_a_second_job(
    connection, tmp_path, take_in
):
    await rendered(connection, tmp_path, tenant_of(**BOTH))
    await take_in(as_read(ready_of()))
    await connection.execute("UPDATE report_deliveries SET state = 'sent' WHERE channel = 'email'")
    await connection.execute("UPDATE report_deliveries SET state = 'refused' WHERE channel = 'slack'")
    await rendered(connection, tmp_path, tenant_of(email=["principal@example.org"]), job_id="again")
    await take_in(as_read(ready_of(job_id="again")))
    assert await deliveries(connection, "channel", "state") == [("email", "sent")]
    assert (await tenant_states(connection))[0][1] == "delivered"


async def test_what_is_no_report_becomes_a_dead_letter_and_the_others_go_on(connection, tmp_path, take_in):
    await rendered(connection, tmp_path, tenant_of(), tenant_of(org_id="busan-ms"))
    reasons = {
        orjson.dumps(ready_of().model_dump(mode="json") | change): reason
        for change, reason in [
            ({"report_date": "tomorrow"}, "report_date"),
            ({"html": "../../etc/passwd"}, f"html: must be {DAY}/seoul-hs_report.html"),
            ({"csv": "/etc/passwd"}, f"csv: must be {DAY}/seoul-hs_metrics.csv"),
            ({"html": f"{DAY}/busan-ms_report.html"}, f"html: must be {DAY}/seoul-hs_report.html"),
            ({"csv": "2026-11-16/seoul-hs_metrics.csv"}, f"csv: must be {DAY}/seoul-hs_metrics.csv"),
        ]
    }
    bad = [as_read(ready_of(), value=value) for value in reasons]
    await take_in(*bad, as_read(ready_of("busan-ms")))
    assert await deliveries(connection, "org_id", "state") == [("busan-ms", "kept")]
    rows = await connection.fetch("SELECT * FROM outbox WHERE topic = $1 ORDER BY id", f"{REPORTS.name}.dlq")
    assert [row["value"] for row in rows] == list(reasons)
    for row in rows:
        headers = dict(zip(row["header_names"], row["header_values"], strict=True))
        assert reasons[row["value"]] in headers["dlq-reason"].decode()


async def test_a_report_that_cannot_be_taken_in_fails_its_tenant(connection, tmp_path, take_in):
    await rendered(connection, tmp_path, tenant_of())
    bad = orjson.dumps(ready_of().model_dump(mode="json") | {"html": "a\x00b"})
    await take_in(as_read(ready_of(), value=bad))
    ((_, state, error),) = await tenant_states(connection)
    assert state == "failed"
    assert error.startswith("delivery: ")


@pytest.mark.parametrize(
    ("state", "change"),
    [
        ("pending", {}),
        ("stored", {}),
        ("rendered", {"job_id": "another"}),
        ("rendered", {"org_id": "busan-ms"}),
        ("rendered", {"report_date": "2026-11-16"}),
    ],
)
async def test_a_bad_report_fails_nobody_who_does_not_wait_for_it(
    connection, tmp_path, take_in, state, change
):
    await rendered(connection, tmp_path, tenant_of())
    await connection.execute("UPDATE batch_job_tenants SET state = $1", state)
    values = ready_of().model_dump(mode="json") | {"html": "../elsewhere"} | change
    await take_in(as_read(ready_of(), value=orjson.dumps(values)))
    assert await tenant_states(connection) == [("seoul-hs", state, None)]
    assert (
        await connection.fetchval("SELECT count(*) FROM outbox WHERE topic = $1", f"{REPORTS.name}.dlq") == 1
    )


async def test_the_reporters_process_takes_in_what_is_published_and_sends_it(
    connection, settings, publisher, tmp_path
):
    slack = SlackCatcher()
    await slack.start()
    await rendered(connection, tmp_path, tenant_of(slack_webhook_env=VARIABLE))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, f"{slack.url}/services/T/B/x")
        async with running(partial(run, settings.model_copy(update={"reports_dir": tmp_path}))):
            await publisher.send(encode(REPORTS, ready_of(), source="test"))

            async def ended():
                return await connection.fetchval("SELECT state FROM batch_job_tenants") == "delivered"

            await until(ended, "the end of the tenant")
    await slack.stop()
    assert [post.path for post in slack.received] == ["/services/T/B/x"]
    assert await deliveries(connection, "channel", "state") == [("slack", "sent")]
