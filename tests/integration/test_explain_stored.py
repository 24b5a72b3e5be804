"""What `riskflow explain` says of the stored number: whose it is, whether it holds, when a run failed."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import asyncpg
import orjson
import pytest
from climate_stage import fill
from flow_samples import accept, as_read, open_sink, sink
from rich.console import Console

from ops.explain import explain
from ops.printed_explanation import print_explanation
from producers.chunks import unsent
from schemas.codec import Record
from schemas.messages import ProbabilityResult, Trigger, Window
from schemas.settings import Settings
from streams.cells import Reading, read_cells
from streams.chunk import compute, origin_of
from streams.models.inputs import Years
from streams.models.tables import builtin_tables

CELL = (35.1, 129.03)
OTHER = (37.571, 126.966)
RISKS = ["drought", "cold_wave"]
WINDOW = Window(start=1991, end=2020)


@pytest.fixture
async def filled(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    await fill(connection, [CELL, OTHER])
    yield connection
    await connection.close()


async def run_job(connection: asyncpg.Connection, settings: Settings, job_id: str, **fields: Any) -> None:
    """Accept a climate job, compute its chunks as the worker does and store them as the sink does."""
    await accept(
        connection, settings, as_read(Trigger(job_id=job_id, job_type="climate", risks=RISKS, **fields))
    )
    session = await open_sink(settings)
    for work in await unsent(connection, 10):
        chunk = work.message
        if chunk.job_id != job_id:
            continue
        years = Years(chunk.window.start, chunk.window.end)
        inputs = await read_cells(
            connection,
            chunk.cells,
            scenario=chunk.scenario,
            window=years,
            baseline=Years(chunk.baseline.start, chunk.baseline.end),
            risks=chunk.risks,
        )
        origin = origin_of(chunk, chunk.job_seq)
        for record in compute(chunk, origin, Reading(inputs, {}), builtin_tables()):
            await sink(session, settings, read(record))
    await session.close()


def read(record: Record) -> SimpleNamespace:
    place = {"topic": record.topic, "partition": 0, "offset": 0, "timestamp": 1_700_000_000_000}
    return SimpleNamespace(key=record.key, value=record.value, headers=tuple(record.headers), **place)


async def fail_cell(connection: asyncpg.Connection, settings: Settings, job_id: str, reason: str) -> None:
    """A job whose probability of drought failed for CELL and nothing else; its hazard never came."""
    await accept(connection, settings, as_read(Trigger(job_id=job_id, job_type="climate", risks=RISKS)))
    session = await open_sink(settings)
    [work] = [each for each in await unsent(connection, 10) if each.job_id == job_id]
    chunk = work.message
    place = chunk.cells.index(CELL)
    inputs = await read_cells(
        connection,
        chunk.cells,
        scenario="historical",
        window=Years(1991, 2020),
        baseline=Years(1991, 2020),
        risks=RISKS,
    )
    records = compute(chunk, origin_of(chunk, chunk.job_seq), Reading(inputs, {}), builtin_tables())
    document = orjson.loads(records[0].value)
    [drought] = [each for each in document["risks"] if each["risk_type"] == "drought"]
    for column in ("probability", "aal", "basis"):
        drought[column][place] = None
    drought["failure"][place] = reason
    await sink(session, settings, as_read(ProbabilityResult.model_validate(document)))
    await session.close()


async def told(
    connection: asyncpg.Connection,
    settings: Settings,
    risk: str = "drought",
    cell: tuple[float, float] = CELL,
) -> dict[str, Any]:
    return await explain(connection, settings, latitude=cell[0], longitude=cell[1], risk=risk)


def printed(found: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=80)
    print_explanation(console, found)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    return " ".join(" ".join(lines).split())


async def test_a_cell_without_a_row_says_so(filled: asyncpg.Connection, flow_settings: Settings) -> None:
    found = await told(filled, flow_settings)
    assert (found["stored"], found["failures"]) == ({"probability": None, "hazard": None}, [])
    assert "stored probability: none, no job has stored it" in printed(found)


async def test_a_stored_number_names_its_job_and_is_what_is_computed_now(
    filled: asyncpg.Connection, flow_settings: Settings
) -> None:
    await run_job(filled, flow_settings, "yearly")
    for risk in RISKS:
        found = await told(filled, flow_settings, risk)
        assert found["reason"] is None
        for kind, table in (("probability", "probability_results"), ("hazard", "hazard_results")):
            row = found["stored"][kind]
            assert (row["job_id"], row["job_type"], row["job_seq"]) == ("yearly", "climate", 1)
            assert (row["same"], row["differs"], row["why"]) == (True, [], None)
            assert row["calculated_at"] == await filled.fetchval(
                f"SELECT calculated_at FROM {table} WHERE (latitude, risk_type) = ($1::float8::numeric, $2)",  # noqa: S608
                CELL[0],
                risk,
            )
        assert found["stored"]["probability"]["aal"] == pytest.approx(found["aal"], rel=1e-12)
        assert found["failures"] == []
    assert "stored hazard: of job yearly (climate, number 1)," in printed(found)
    assert "the same as computed now" in printed(found)
    orjson.dumps(found)


async def test_inputs_that_changed_since_are_told(
    filled: asyncpg.Connection, flow_settings: Settings
) -> None:
    await run_job(filled, flow_settings, "yearly")
    await filled.execute(
        "UPDATE climate_data SET rn = rn * 0.4 WHERE year > 2010 AND latitude = $1::float8::numeric", CELL[0]
    )
    await filled.execute("SELECT riskflow.repack()")
    found = await told(filled, flow_settings)
    row = found["stored"]["probability"]
    assert row["same"] is False
    assert {"probability", "aal"} <= set(row["differs"])
    assert row["why"] == "its input data or riskflow have changed since"
    assert "NOT what is computed now (" in printed(found)
    assert (await told(filled, flow_settings, cell=OTHER))["stored"]["probability"]["same"] is True

    other = flow_settings.model_copy(update={"baseline_start": 1995})
    why = (await told(filled, other))["stored"]["hazard"]["why"]
    assert why == "its baseline was 1991-2020, now it is 1995-2020"


async def test_a_row_of_the_system_before_riskflow_is_told_as_such(
    filled: asyncpg.Connection, flow_settings: Settings
) -> None:
    await filled.execute(
        "INSERT INTO probability_results (latitude, longitude, risk_type, probability, bin_data, scenario, "
        "window_start, window_end, job_seq) "
        "VALUES ($1::float8, $2::float8, 'drought', '[1]', '{\"other\": 1}', 'historical', 1991, 2020, 0)",
        *CELL,
    )
    found = await told(filled, flow_settings)
    row = found["stored"]["probability"]
    assert (row["job_id"], row["same"], row["why"]) == (None, False, "it was there before riskflow")
    assert "stored probability: of the system before riskflow" in printed(found)


async def test_the_latest_run_that_failed_is_named_with_its_reason(
    filled: asyncpg.Connection, flow_settings: Settings
) -> None:
    await run_job(filled, flow_settings, "good")
    await fail_cell(filled, flow_settings, "bad", "no convergence")
    found = await told(filled, flow_settings)
    [failure] = found["failures"]
    assert (failure["kind"], failure["job_id"], failure["job_seq"]) == ("probability", "bad", 2)
    assert failure["reason"] == f"drought at {CELL[0]:g}, {CELL[1]:g}: no convergence"
    assert failure["failed_at"] == await filled.fetchval(
        "SELECT recorded_at FROM batch_job_outcomes WHERE job_id = 'bad'"
    )
    assert found["stored"]["probability"]["job_id"] == "good", "a failed cell keeps its last row"
    assert "its latest run failed (probability, job bad, " in printed(found)
    assert "no convergence" in printed(found)

    # Neither the cell's other risk nor the other cell of the chunk has failed.
    assert (await told(filled, flow_settings, "cold_wave"))["failures"] == []
    assert (await told(filled, flow_settings, cell=OTHER))["failures"] == []

    await run_job(filled, flow_settings, "mended")
    found = await told(filled, flow_settings)
    assert (found["failures"], found["stored"]["probability"]["job_id"]) == ([], "mended")
