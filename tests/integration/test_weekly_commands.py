"""What the command line takes, refuses and shows of weekly jobs."""

from __future__ import annotations

import asyncio
import io
import re
from pathlib import Path

import asyncpg
import pytest
from flow_samples import read_topic, running
from rich.console import Console
from waiting import until
from weekly_rows import REPORT_DATE, weekly_job

from consumers.acceptor import Acceptor, request_hash
from consumers.reader import Reader
from ops import jobs
from ops.progress import JobBars
from ops.show import show_job, show_latest
from ops.trigger import send, send_and_show, trigger_of
from producers.publisher import Publisher
from schemas.codec import encode
from schemas.errors import InvalidMessage, RefusedTrigger, RiskflowError
from schemas.messages import JobEvent, RiskProgress
from schemas.settings import Settings
from schemas.topics import JOB_EVENTS, TRIGGERS


def page(width: int = 140) -> Console:
    return Console(file=io.StringIO(), width=width)


def lines(console: Console) -> list[str]:
    return [re.sub(r" +", " ", line.strip()) for line in console.file.getvalue().splitlines()]


def test_the_message_says_what_was_typed():
    asked = trigger_of("weekly", report_date="2026-11-23", tenants=["seoul-hs", "busan-ms"])
    assert (asked.job_type, asked.report_date, asked.tenants) == (
        "weekly",
        REPORT_DATE,
        ["seoul-hs", "busan-ms"],
    )
    assert re.fullmatch(r"weekly-20261123-[0-9a-f]{6}", asked.job_id)
    asked = trigger_of("weekly")
    assert (asked.report_date, asked.tenants) == (None, None)
    assert re.fullmatch(r"weekly-\d{8}T\d{6}-[0-9a-f]{6}", asked.job_id)


@pytest.mark.parametrize(
    ("job_type", "options", "sentence"),
    [
        ("weekly", {"window": "1991-2020"}, "weekly does not take --window; it takes --date, --tenant"),
        (
            "weekly",
            {"scenario": "x", "risks": ["drought"], "bbox": "1,2,3,4", "uncertainty": True},
            "weekly does not take --scenario, --risk, --bbox, --uncertainty; it takes --date, --tenant",
        ),
        (
            "climate",
            {"report_date": "2026-11-23"},
            "climate does not take --date; it takes --scenario, --window, --risk, --bbox, --uncertainty",
        ),
        (
            "hazard",
            {"tenants": ["seoul-hs"]},
            "hazard does not take --tenant; it takes --scenario, --window, --risk, --bbox, --uncertainty",
        ),
        ("weekly", {"report_date": "2026-02-30"}, "date '2026-02-30': write YYYY-MM-DD, such as 2026-11-23"),
    ],
)
def test_an_option_that_cannot_be_meant_is_refused_by_its_name(job_type, options, sentence):
    with pytest.raises(RefusedTrigger) as caught:
        trigger_of(job_type, **options)
    assert str(caught.value) == sentence


def test_a_tenant_that_cannot_be_an_org_id_is_refused():
    with pytest.raises(InvalidMessage, match=r"tenants\.1: "):
        trigger_of("weekly", tenants=["seoul-hs", "no blank"])


async def test_the_list_counts_tenants_of_weekly_jobs_and_cells_of_the_others(
    connection: asyncpg.Connection, settings: Settings
) -> None:
    await connection.execute(
        "INSERT INTO batch_job_logs (job_id, job_seq, job_type, status, scenario, window_start, window_end, "
        "total_grids, processed_grids, failed_grids) "
        "VALUES ('grid', 1, 'hazard', 'completed', 'historical', 1991, 2020, 61, 61, 0)"
    )
    await weekly_job(connection, "week", ("seoul-hs", 2), ("busan-ms", 1), ("jeju-es", 1), status="running")
    await connection.execute(
        "UPDATE batch_job_logs SET processed_grids = 2, failed_grids = 1 WHERE job_id = 'week'"
    )
    console = page()
    await show_latest(settings, 20, console)
    week, grid = (line for line in lines(console) if line.startswith(("week", "grid")))
    assert week.startswith("week weekly 2026-11-23 running 2/3 tenants 1 ")
    assert grid.startswith("grid hazard historical 1991-2020 completed 61/61 cells 0 ")
    narrow = page(80)
    await show_latest(settings, 20, narrow)
    assert max(map(len, narrow.file.getvalue().splitlines())) <= 80
    assert "2/3 tenants" in narrow.file.getvalue()


async def test_one_weekly_job_lists_its_tenants_and_their_deliveries(
    connection: asyncpg.Connection, settings: Settings
) -> None:
    await weekly_job(connection, "week", ("seoul-hs", 3), ("busan-ms", 1), status="running")
    await weekly_job(connection, "other", ("jeju-es", 1))
    await connection.execute(
        "UPDATE batch_job_tenants SET parts_left = 1, students = 2500 WHERE org_id = 'seoul-hs'"
    )
    await connection.execute(
        "UPDATE batch_job_tenants SET parts_left = 0, state = 'failed', ended_at = now(), "
        "error = 'slack: refused [404]' WHERE org_id = 'busan-ms'"
    )
    await connection.executemany(
        "INSERT INTO report_deliveries (org_id, report_date, channel, state, html, csv, job_id) "
        "VALUES ('busan-ms', $1::date - $2::integer, $3, $4, '', '', 'week')",
        [
            (REPORT_DATE, 0, "slack", "refused"),
            (REPORT_DATE, 0, "email", "sent"),
            (REPORT_DATE, 7, "folder", "kept"),
        ],
    )
    await connection.execute(
        "UPDATE batch_job_logs SET processed_grids = 1, failed_grids = 1, chunks_done = 3, "
        "error_message = 'busan-ms: slack: refused [404]' WHERE job_id = 'week'"
    )
    console = page()
    await show_job(settings, "week", console)
    shown = lines(console)
    assert {
        "type weekly",
        "report date 2026-11-23",
        "tenants 1 of 2, 1 failed",
        "parts 3 of 4",
        "first error busan-ms: slack: refused [404]",
    } <= set(shown)
    assert shown[shown.index("tenant state students parts delivery error") + 2 :] == [
        "busan-ms failed 1 1/1 email sent slack: refused [404]",
        "slack refused",
        "seoul-hs pending 2500 2/3",
        "",
    ]


async def test_with_the_tenants_at_hand_a_trigger_is_refused_before_it_is_sent(
    connection: asyncpg.Connection, settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "tenants.yaml"
    file.write_text("tenants:\n  - {org_id: seoul-hs, name: Seoul, timezone: Asia/Seoul, language: ko}\n")
    settings = settings.model_copy(update={"tenants_file": file})
    await connection.execute(
        "INSERT INTO attendance (org_id, student_id, class_date, session, status) "
        "VALUES ('seoul-hs', 's1', '2024-11-11', '1', 'present')"
    )
    with pytest.raises(RefusedTrigger, match="unknown tenant busan-ms; known: seoul-hs"):
        await send(settings, trigger_of("weekly", report_date="2024-11-18", tenants=["busan-ms"]))
    assert await read_topic(settings, TRIGGERS.name) == []
    job_id = await send(settings, trigger_of("weekly", report_date="2024-11-18", tenants=["seoul-hs"]))
    assert [each.key.decode() for each in await read_topic(settings, TRIGGERS.name)] == [job_id]


async def test_a_refusal_is_shown_with_its_reason_and_exit_code_1(
    connection: asyncpg.Connection, settings: Settings
) -> None:
    """Without TENANTS_FILE the command leaves the check to the acceptor."""
    assert settings.tenants_file is None
    console = page()
    asked = trigger_of("weekly", report_date="2024-11-18", job_id="week")
    async with running(Reader(settings, Acceptor(settings)).run):
        assert await send_and_show(settings, asked, console, 20) == 1
    reason = await connection.fetchval("SELECT error_message FROM batch_job_logs WHERE job_id = 'week'")
    assert "TENANTS_FILE" in reason
    assert " ".join(f"refused {reason}".split()) in " ".join(console.file.getvalue().split())
    assert "status failed" in lines(console)
    assert not any(line.startswith(("tenants", "parts")) for line in lines(console))


@pytest.mark.parametrize(
    ("status", "code"), [("completed", 0), ("completed_with_failures", 1), ("failed", 1)]
)
async def test_waiting_ends_with_the_job_row_and_its_exit_code(
    connection: asyncpg.Connection, settings: Settings, status: str, code: int
) -> None:
    console = page()
    waiting = asyncio.create_task(send_and_show(settings, trigger_of("weekly", job_id="week"), console, 20))

    async def sent() -> bool:
        return waiting.done() or bool(await read_topic(settings, TRIGGERS.name))

    await until(sent, "the trigger")
    await weekly_job(connection, "week", ("seoul-hs", 1))
    await connection.execute(
        "UPDATE batch_job_logs SET status = $1, completed_at = now(), processed_grids = 1", status
    )
    assert await waiting == code
    assert "tenants 1 of 1, 0 failed" in lines(console)


async def test_waiting_longer_than_the_limit_says_how_far_the_job_is(
    connection: asyncpg.Connection, settings: Settings
) -> None:
    with pytest.raises(
        RiskflowError, match=r"job week was not accepted after 0\.1 s; look again: riskflow jobs"
    ):
        await send_and_show(settings, trigger_of("weekly", job_id="week"), page(), 0.1)
    await weekly_job(connection, "again", ("seoul-hs", 1), status="running")
    await connection.execute(
        "UPDATE batch_job_logs SET request_hash = $1", request_hash(trigger_of("weekly"))
    )
    with pytest.raises(RiskflowError, match=r"job again is running after 0\.1 s"):
        await send_and_show(settings, trigger_of("weekly", job_id="again"), page(), 0.1)


async def test_one_bar_over_the_tenants_moves_with_the_events(
    connection: asyncpg.Connection, settings: Settings, publisher: Publisher
) -> None:
    await weekly_job(connection, "week", ("seoul-hs", 2), ("busan-ms", 1), ("jeju-es", 1))
    terminal = Console(file=io.StringIO(), width=80, force_terminal=True)
    bars = JobBars(terminal, settings, "week")
    async with bars:
        bars.show(await jobs.find(connection, "week"))
        (bar,) = bars._progress.tasks
        assert (bar.description, bar.completed, bar.total) == ("tenants", 0, 3)
        for job_id, done in (("other", 3), ("week", 2)):
            event = JobEvent(
                job_id=job_id, job_type="weekly", state="progress", total_grids=3, processed_grids=done
            )
            await publisher.send(encode(JOB_EVENTS, event, source="test"))

        async def moved() -> bool:
            return bar.completed == 2

        await until(moved, "the bar's move")
        await connection.execute(
            "UPDATE batch_job_logs SET status = 'completed_with_failures', processed_grids = 3"
        )
        bars.show(await jobs.find(connection, "week"))
        assert bar.completed == 3


async def test_bars_of_a_climate_job_are_its_risks(
    connection: asyncpg.Connection, settings: Settings
) -> None:
    await connection.execute(
        "INSERT INTO batch_job_logs (job_id, job_seq, job_type, status, kinds, risks, total_grids) "
        "VALUES ('grid', 1, 'climate', 'running', '{probability,hazard}', '{drought,typhoon}', 5)"
    )
    bars = JobBars(page(), settings, "grid")
    bars.show(await jobs.find(connection, "grid"))
    bars._move(
        JobEvent(
            job_id="grid",
            job_type="climate",
            state="progress",
            processed_grids=5,
            risks={"drought": RiskProgress(reported=7)},
        )
    )
    assert [(bar.description, bar.completed, bar.total) for bar in bars._progress.tasks] == [
        ("drought", 7, 10),
        ("typhoon", 0, 10),
    ]
