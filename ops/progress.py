"""The progress bars of `--wait`: one per risk, or one over the tenants; the job row decides the end."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from ops.jobs import Job
from schemas import topics
from schemas.broker import client_options, why_refused
from schemas.codec import decode
from schemas.errors import InvalidMessage, Unavailable
from schemas.messages import JobEvent
from schemas.settings import Settings

TENANTS = "tenants"
"""Name of the one bar of a weekly job."""


class JobBars:
    """Bars on a terminal, moved by job events; on a pipe nothing is drawn."""

    def __init__(self, console: Console, settings: Settings, job_id: str) -> None:
        self._progress = Progress(
            TextColumn("{task.description:18}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._settings = settings
        self._job_id = job_id
        self._bars: dict[str, TaskID] = {}
        self._events: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start to listen before the trigger is sent, so that no event is missed.

        Raises:
            Unavailable: The broker does not answer.
        """
        consumer = AIOKafkaConsumer(
            topics.JOB_EVENTS.name, **client_options(self._settings, "progress"), auto_offset_reset="latest"
        )
        try:
            await consumer.start()
            await consumer.seek_to_end()
        except KafkaError as error:
            await consumer.stop()
            said = await why_refused(self._settings)
            raise Unavailable(
                said or f"broker {self._settings.kafka_bootstrap_servers} does not answer: {error}"
            ) from error
        self._progress.start()
        self._events = asyncio.create_task(self._follow(consumer))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening; the bars stay as they are."""
        if self._events is not None:
            self._events.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._events
        self._progress.stop()

    def show(self, job: Job) -> None:
        """Make the bars when the job's size is known; fill them when it has completed."""
        if not self._bars:
            for name, total in bars_of(job).items():
                self._bars[name] = self._progress.add_task(name, total=total)
        if job.status.startswith("completed"):
            for name, total in bars_of(job).items():
                self._progress.update(self._bars[name], completed=total)

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        try:
            async for record in consumer:
                with contextlib.suppress(InvalidMessage):
                    self._move(decode(JobEvent, record.value))
        except KafkaError:
            return
        finally:
            await consumer.stop()

    def _move(self, event: JobEvent) -> None:
        if event.job_id != self._job_id:
            return
        done = {risk: counts.reported for risk, counts in event.risks.items()}
        for name, count in (done | {TENANTS: event.processed_grids}).items():
            if name in self._bars:
                self._progress.update(self._bars[name], completed=count)


def bars_of(job: Job) -> dict[str, int]:
    """Name and length of each bar: reports of a risk, or tenants; none while the size is unknown."""
    if job.is_weekly:
        return {TENANTS: job.total_grids} if job.total_grids else {}
    return dict.fromkeys(job.risks, job.reports_per_risk) if job.reports_per_risk else {}
