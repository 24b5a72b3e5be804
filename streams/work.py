"""What an agent is given to do: one kind of chunk, from its message to its results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

import orjson

from schemas.codec import Record
from schemas.errors import RiskflowError
from schemas.topics import Topic
from streams.ledger import Start
from streams.results import MAX_RESULT_BYTES

Compute = Callable[[], list[Record]]
"""Makes the result records of what was read; runs in a thread.

Raises UncomputableChunk or pydantic's ValidationError where trying again would not help.
"""


class UncomputableChunk(RiskflowError):  # noqa: N818 - named by what is wrong, as all errors here
    """The chunk can be read but not computed, and trying again would not help."""


class Chunk(Protocol):
    """The message of a chunk of any kind."""

    @property
    def chunk(self) -> int:
        """Which chunk of its job, from 1."""

    @property
    def chunk_id(self) -> str:
        """Which chunk of all jobs."""

    @property
    def job_seq(self) -> int:
        """Which run of the job it was sent for."""


C = TypeVar("C", bound=Chunk)


class Work(Protocol[C]):
    """One kind of chunks: where they come from, how they are computed, how they fail."""

    name: str
    """Of the agent, in logs."""
    topic: Topic
    """Where the chunks come from; their ledger rows name the same topic."""

    def read_message(self, value: bytes | None) -> C:
        """The chunk that a record asks for.

        Raises:
            RiskflowError: It cannot be decoded, or asks for what this version does not know.
        """

    async def prepare(self, chunk: C, start: Start, traceparent: str | None) -> Compute:
        """Read what the chunk needs, patiently.

        Raises:
            UncomputableChunk: It asks for what cannot be read; so does asyncpg.DataError.
        """

    async def failures(
        self, key: bytes | None, value: bytes | None, error: Exception, traceparent: str | None
    ) -> list[Record]:
        """Failure results of a refused record, if the ledger knows which open chunk it was.

        None for a record of an earlier run of its job: the chunk is sent again for the present one.
        """


def chunk_in_json(value: bytes | None) -> str | None:
    """The chunk_id that a record's JSON still names where it cannot be decoded."""
    named = _in_json(value, "chunk_id")
    return named if isinstance(named, str) else None


def is_of_other_run(value: bytes | None, job_seq: int) -> bool:
    """Whether a record's JSON names another run of its job than `job_seq`; not where it names none."""
    named = _in_json(value, "job_seq")
    return isinstance(named, int) and named != job_seq


def _in_json(value: bytes | None, field: str) -> object:
    try:
        document = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return None
    return document.get(field) if isinstance(document, dict) else None


def within_bytes(records: list[Record], content: str, setting: str) -> list[Record]:
    """The records as they are.

    Args:
        records: Results of a chunk.
        content: What they hold, for the error ("64 cells").
        setting: Which setting makes chunks smaller.

    Raises:
        UncomputableChunk: One is larger than MAX_RESULT_BYTES.
    """
    largest = max(len(record.value or b"") for record in records)
    if largest > MAX_RESULT_BYTES:
        raise UncomputableChunk(
            f"a result of {largest} bytes for {content}; at most {MAX_RESULT_BYTES} are sent: lower {setting}"
        )
    return records
