"""Work that ends when told to, in time."""

from __future__ import annotations

import asyncio

import pytest

from schemas import stop as stopping
from schemas.errors import Unavailable
from schemas.stop import closed, serve, until_stopped


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "STOP_SECONDS", 0.05)
    monkeypatch.setattr(stopping, "CLOSE_SECONDS", 0.05)


async def test_work_without_a_stop_is_never_cut_short() -> None:
    done = []

    async def work() -> None:
        await asyncio.sleep(0.2)
        done.append("all")

    await until_stopped(work(), asyncio.Event())
    assert done == ["all"]


async def test_work_that_outlasts_a_stop_is_cancelled() -> None:
    stop, seen = asyncio.Event(), []

    async def work() -> None:
        stop.set()
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("cancelled")

    await asyncio.wait_for(until_stopped(work(), stop), 5)
    assert seen == ["cancelled"]


async def test_the_fault_of_the_work_is_raised() -> None:
    async def work() -> None:
        raise ValueError("its own")

    with pytest.raises(ValueError, match="its own"):
        await until_stopped(work(), asyncio.Event())


async def test_a_goodbye_is_waited_for_only_so_long() -> None:
    said = []

    async def goodbye(seconds: float) -> None:
        await asyncio.sleep(seconds)
        said.append(seconds)

    await closed(goodbye(0))
    await asyncio.wait_for(closed(goodbye(60)), 5)
    assert said == [0]


async def _group(*faults: Exception) -> None:
    async with asyncio.TaskGroup() as tasks:
        for fault in faults:
            tasks.create_task(_raise(fault))


async def _raise(fault: Exception) -> None:
    raise fault


async def test_of_a_group_the_one_sentence_that_somebody_is_away_comes_through_bare() -> None:
    away = Unavailable("database x did not answer within 1 s")
    with pytest.raises(Unavailable, match="did not answer"):
        await serve(_group(away, away), asyncio.Event())
    with pytest.raises(Unavailable, match="did not answer"):
        await serve(_raise(away), asyncio.Event())


async def test_after_a_stop_nobody_is_told_that_somebody_was_away() -> None:
    stop = asyncio.Event()
    stop.set()
    await serve(_group(Unavailable("away")), stop)
    await serve(_raise(Unavailable("away")), stop)


async def test_another_fault_beside_it_is_not_hidden() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        await serve(_group(Unavailable("away"), ValueError("its own")), asyncio.Event())
    assert caught.group_contains(ValueError, match="its own")
