"""Three of the faults on Apache Kafka, over a small grid; `make faults` performs them all."""

from __future__ import annotations

import shutil
from functools import partial

import pytest
from faults import strikes
from faults.performance import perform
from faults.processes import struck_at
from faults.registry import Fault
from faults.stage import Stage
from faults.verdict import Verdict

from ops.stack.jars import why_missing

CELLS = 60
PACE = 0.1

pytestmark = pytest.mark.skipif(why_missing() is not None, reason=f"no Apache Kafka: {why_missing()}")


@pytest.fixture(scope="module")
async def stage():
    async with Stage() as stage:
        yield stage


@pytest.mark.parametrize(
    "strike",
    [
        strikes.worker_killed,
        strikes.sink_killed_before_commit,
        partial(strikes.broker_killed, seconds=1.0),
    ],
    ids=["worker killed", "sink killed before its commit", "broker killed"],
)
async def test_nothing_is_lost_and_nothing_doubled(stage: Stage, strike: strikes.Act):
    fault = Fault("selected", "", lambda run: struck_at(run, strike, 0.3), pace=PACE)
    verdict = await perform(stage, fault, "kafka", lambda _: None, CELLS)
    assert (verdict.lost, verdict.doubled, verdict.problems) == (0, 0, []), stage.kept
    assert verdict.recovered is not None


async def test_a_verdict_tells_of_rows_that_are_gone_changed_or_too_many(stage: Stage):
    """The judge itself: what it is there to find is put into an undisturbed run's tables."""

    async def tamper(run):
        await struck_at(run, strikes.worker_killed)
        await run.ledger.fetch("DELETE FROM hazard_results WHERE id = (SELECT min(id) FROM hazard_results)")
        await run.ledger.fetch(
            "UPDATE probability_results SET aal = coalesce(aal, 0) + 1 "
            "WHERE id = (SELECT min(id) FROM probability_results WHERE aal IS NOT NULL)"
        )
        await run.ledger.fetch(
            "INSERT INTO hazard_results (latitude, longitude, risk_type, scenario, window_start, window_end, "
            "job_seq, job_id) SELECT 1, 1, 'drought', scenario, window_start, window_end, job_seq, job_id "
            "FROM hazard_results LIMIT 1"
        )
        await run.ledger.fetch("UPDATE batch_job_logs SET processed_grids = processed_grids + 2")

    verdict = await perform(stage, Fault("tampered", "", tamper, pace=0), "embedded", lambda _: None, CELLS)
    shutil.rmtree(stage.kept.pop())
    assert (verdict.lost, verdict.doubled) == (2, 3)
    assert any("processed_grids is 62, must be 60" in problem for problem in verdict.problems)


def test_a_verdict_with_a_problem_is_not_good():
    assert Verdict().good
    assert not Verdict(problems=["the worker ended with 3 when it was stopped"]).good
