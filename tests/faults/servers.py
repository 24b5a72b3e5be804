"""Faults of the broker and of PostgreSQL."""

from __future__ import annotations

from faults import strikes
from faults.processes import struck_at
from faults.registry import fault
from faults.run import Run
from faults.strikes import KAFKA


@fault("broker-kill", "broker kill -9, back after 10 s", brokers=KAFKA)
async def broker_killed(run: Run) -> None:
    await struck_at(run, strikes.broker_killed, 0.3)


@fault("broker-restart", "broker stopped by SIGTERM and started", brokers=KAFKA)
async def broker_restarted(run: Run) -> None:
    await struck_at(run, strikes.broker_restarted, 0.3)


@fault("broker-stall", "broker SIGSTOP 20 s")
async def broker_stalled(run: Run) -> None:
    await struck_at(run, strikes.broker_stalled, 0.3)


@fault("postgres-stop", "PostgreSQL stopped for 30 s")
async def postgres_stopped(run: Run) -> None:
    await struck_at(run, strikes.postgres_stopped, 0.3)


@fault("postgres-crash", "PostgreSQL crash (immediate mode), twice")
async def postgres_crashed(run: Run) -> None:
    await struck_at(run, strikes.postgres_crashed, 0.2, 0.6)


@fault("up-broker-kill", "embedded broker kill -9 under `up`", brokers=("embedded",), under_up=True)
async def broker_killed_under_up(run: Run) -> None:
    """`up` stops the broker's clients, starts it, makes its topics and has what is unreported sent again."""
    await run.start()
    await run.trigger()
    await run.progress(0.3)
    async with run.outage():
        run.broker.kill()
        await run.broker.wait_exit()
    await run.ended()
