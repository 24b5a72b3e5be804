"""Work of the ledger that waits to be sent, whatever its kind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from schemas.codec import Record, encode
from schemas.messages import GridChunk
from schemas.tenant_messages import TenantChunk
from schemas.topics import Topic

SOURCE = "dispatcher"
M = TypeVar("M", GridChunk, TenantChunk)


@dataclass(frozen=True, slots=True)
class Work(ABC, Generic[M]):
    """A chunk of an open job that lacks an outcome; `losses` is how often it was proved lost."""

    topic: ClassVar[Topic]
    message: M
    traceparent: str | None
    losses: int

    @property
    def chunk_id(self) -> str:
        """Its key in the ledger."""
        return self.message.chunk_id

    @property
    def job_id(self) -> str:
        """Job that it belongs to."""
        return self.message.job_id

    def record(self) -> Record:
        """What the dispatcher publishes."""
        return encode(self.topic, self.message, source=SOURCE, traceparent=self.traceparent)

    @abstractmethod
    def failures(self, reason: str) -> list[Record]:
        """The failed results that end it."""
