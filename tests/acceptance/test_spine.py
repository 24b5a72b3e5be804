"""The whole with real processes: nothing is lost and nothing doubled when a worker dies or a group is new."""

import asyncio

import asyncpg
import pytest
from waiting import until
from whole import Whole, draw_grid, running

CELLS = 240
TRIALS = 20
SIDE_BY_SIDE = 4
RISKS = 9


@pytest.fixture
async def grid(whole):
    await draw_grid(whole.connection, CELLS)
    return whole


async def counts(whole: Whole, job_id: str) -> tuple:
    row = await whole.connection.fetchrow(
        """
        SELECT status, total_grids, processed_grids, failed_grids, success_rate, error_message,
               chunks_done = chunks_total
        FROM batch_job_logs WHERE job_id = $1
        """,
        job_id,
    )
    return tuple(row)


async def test_a_worker_killed_three_times_ends_in_the_rows_of_an_undisturbed_run(grid):
    await grid.services.start()
    await grid.trigger("climate", "undisturbed")
    await grid.ended("undisturbed")
    undisturbed = await grid.rows()
    await grid.connection.execute("TRUNCATE probability_results, hazard_results")

    await grid.trigger("climate", "disturbed")
    done = "SELECT chunks_done >= $2 FROM batch_job_logs WHERE job_id = $1"
    for share in (1, 8, 16):
        await grid.until(done, "disturbed", share)
        await grid.services.kill("worker")
        await grid.services.start("worker")
    await grid.ended("disturbed")

    assert await grid.rows() == undisturbed
    assert {table: len(rows) for table, rows in undisturbed.items()} == {
        "probability_results": RISKS * CELLS,
        "hazard_results": RISKS * CELLS,
    }
    assert await counts(grid, "disturbed") == ("completed", CELLS, CELLS, 0, 100.0, None, True)
    reported = await grid.connection.fetch(
        "SELECT reported, failed FROM batch_job_risks WHERE job_id = 'disturbed'"
    )
    assert [tuple(row) for row in reported] == [(2 * CELLS, 0)] * RISKS
    twice = "SELECT max(starts) FROM batch_job_chunks WHERE job_id = 'disturbed'"
    assert await grid.connection.fetchval(twice) >= 2, "no chunk was interrupted, so nothing was shown"


async def test_a_job_triggered_while_a_new_group_is_assigned_ends_whole_every_time(
    postgres, migrated_template, tmp_path
):
    """Twenty brokers, so twenty groups that nobody has ever joined; the trigger comes earlier or later."""
    await administer(postgres, f"CREATE DATABASE spine_template TEMPLATE {migrated_template}")
    connection = await asyncpg.connect(postgres.database_url("spine_template"))
    await draw_grid(connection, 60)
    await connection.close()
    # Most of a trial is the broker's wait for further members, so several may run side by side.
    places = asyncio.Semaphore(SIDE_BY_SIDE)
    ends = await asyncio.gather(*(one_trial(postgres, tmp_path, places, trial) for trial in range(TRIALS)))
    assert ends == [("completed", 60, 60, 0, 100.0, None, True, RISKS * 60)] * TRIALS


async def one_trial(postgres, tmp_path, places, trial: int) -> tuple:
    name, folder = f"spine_{trial}", tmp_path / str(trial)
    folder.mkdir()
    async with places:
        await administer(postgres, f"CREATE DATABASE {name} TEMPLATE spine_template")
        async with running(postgres.database_url(name), folder, batch_size=4) as whole:
            end = await trigger_and_end(whole, trial)
        await administer(postgres, f"DROP DATABASE {name} WITH (FORCE)")
    return end


async def trigger_and_end(whole: Whole, trial: int) -> tuple:
    """Start everything and trigger at a moment between `before the worker` and `while it joins`."""
    starting = asyncio.create_task(whole.services.start())
    if trial % 2:
        # The odd trials trigger when the worker is about to join, the even ones before it has started.
        await starting
        log = whole.logs / "worker.log"

        async def about_to_join() -> bool:
            return log.exists() and "kernels ready" in log.read_text()

        await until(about_to_join, "the worker's kernels")
    await whole.trigger("probability", f"trial-{trial}")
    await starting
    await whole.ended(f"trial-{trial}")
    rows = await whole.connection.fetchval("SELECT count(*) FROM probability_results")
    return (*await counts(whole, f"trial-{trial}"), rows)


async def administer(postgres, statement):
    connection = await asyncpg.connect(postgres.database_url("postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def test_services_stop_on_sigterm_within_their_time_and_with_code_zero(grid):
    await grid.services.start()
    await grid.trigger("hazard", "before-stop")
    await grid.ended("before-stop")
    await grid.services.stop()
    codes = {name: instance.exit_code for name, instance in grid.services.instances.items()}
    assert codes == dict.fromkeys(codes, 0)


async def test_services_stop_within_their_time_though_the_broker_is_gone(grid):
    await grid.services.start()
    await grid.trigger("climate", "cut-off")
    await grid.until("SELECT chunks_done >= 1 FROM batch_job_logs WHERE job_id = 'cut-off'")
    grid.broker.kill()
    await grid.broker.wait_exit()
    await grid.services.stop()
    codes = {name: instance.exit_code for name, instance in grid.services.instances.items()}
    # The worker says with 3 that it could not send what it held; a supervisor's SIGKILL would be -9.
    assert codes["sink"] == codes["producers"] == 0
    assert codes["worker"] in {0, 3}
    logged = [len(path.read_text().splitlines()) for path in grid.logs.glob("*.log")]
    assert max(logged) < 100
