"""Workers, sinks and databases as queues: where throughput bends when machines are added.

A discrete-event simulation of the flow of chunks with the costs of `benchmarks.capacity`; the tables it
gives are those of docs/scaling.md. Times are seconds.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from benchmarks.capacity import Costs, Table

WINDOW = 3
"""Chunks that a worker has in hand (streams.agent)."""
BATCH = 32
"""Chunks of one transaction at most: 64 results of two kinds (consumers.reader)."""
SPREAD = 0.25
"""Standard deviation of the logarithm of a service time (expert assumption)."""
LOCK_SECONDS = 0.002
"""How long a transaction holds the job's row, its commit included (expert assumption)."""
COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
SHARDS = (1, 2, 4, 8)
DATABASE_CORES = 16
SEED = 17

Then = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Setup:
    """What runs. A shard is a database with its own range of cells, its jobs and its sinks."""

    workers: int
    partitions: int = 256
    shards: int = 1
    database_cores: int = DATABASE_CORES
    sinks: int = 16
    """Per shard."""
    machine_cores: int = 0
    """All processes share so many cores; 0 where each worker and sink has one and a database its own."""
    ahead: int = 8
    """Chunks in flight per partition (CHUNKS_AHEAD)."""
    chunk: int = 64
    daily: bool = False
    hashed: bool = False
    """Chunks go to partitions by a hash of their key at once, instead of to the one with fewest in flight."""


class Cores:
    """So many cores that serve tasks in the order in which they come."""

    def __init__(self, clock: Clock, count: int) -> None:
        self._clock = clock
        self._free = count
        self._waiting: deque[tuple[float, Then]] = deque()

    def serve(self, seconds: float, then: Then) -> None:
        """Take a core for so long, at once or when one is free."""
        if not self._free:
            self._waiting.append((seconds, then))
            return
        self._free -= 1
        self._clock.after(seconds, lambda: self._served(then))

    def _served(self, then: Then) -> None:
        self._free += 1
        if self._waiting:
            self.serve(*self._waiting.popleft())
        then()


class Clock:
    """Events in order of time."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Then]] = []
        self._number = 0

    def after(self, seconds: float, then: Then) -> None:
        """Have something happen later."""
        self._number += 1
        heapq.heappush(self._events, (self.now + seconds, self._number, then))

    def run(self) -> None:
        """Until nothing happens any more."""
        while self._events:
            self.now, _, then = heapq.heappop(self._events)
            then()


@dataclass(slots=True)
class _Worker:
    core: Cores
    waiting: deque[int] = field(default_factory=deque)
    computing: deque[tuple[float, Then]] = field(default_factory=deque)
    held: int = 0


@dataclass(slots=True)
class _Sink:
    core: Cores
    waiting: deque[int] = field(default_factory=deque)
    busy: bool = False


class Flow:
    """One run: chunks are sent, read, computed and stored."""

    def __init__(self, setup: Setup, costs: Costs, chunks: int, seed: int = SEED) -> None:
        self.clock = Clock()
        self.stored: list[float] = []
        self._setup, self._costs = setup, costs
        self._random = np.random.default_rng(seed)
        self._shard = self._random.integers(setup.shards, size=chunks)
        # The key's hash chooses the partition of the results and with it the sink.
        self._sink_of = self._shard * setup.sinks + self._random.integers(setup.sinks, size=chunks)
        self._unsent = iter(range(chunks))
        self._place = [0] * chunks
        machine = Cores(self.clock, setup.machine_cores) if setup.machine_cores else None
        self._databases = [machine or Cores(self.clock, setup.database_cores) for _ in range(setup.shards)]
        self._ledgers = [Cores(self.clock, 1) for _ in range(setup.shards)]
        self._workers = [_Worker(machine or Cores(self.clock, 1)) for _ in range(setup.workers)]
        self._sinks = [_Sink(machine or Cores(self.clock, 1)) for _ in range(setup.shards * setup.sinks)]
        self._rest = machine
        self._noise = self._drawn()

    def run(self) -> float:
        """Cells a second between the first fifth and the last tenth of the chunks."""
        if self._setup.hashed:
            for partition in self._random.integers(self._setup.partitions, size=len(self._place)).tolist():
                self._send(partition)
        else:
            for _ in range(self._setup.ahead):
                for partition in range(self._setup.partitions):
                    self._send(partition)
        self.clock.run()
        count = len(self.stored)
        first, last = count // 5, count - count // 10 - 1
        return (last - first) * self._setup.chunk / (self.stored[last] - self.stored[first])

    def _send(self, partition: int) -> None:
        chunk = next(self._unsent, None)
        if chunk is None:
            return
        self._place[chunk] = partition
        worker = partition % self._setup.workers
        self._workers[worker].waiting.append(chunk)
        self._take(worker)

    def _take(self, number: int) -> None:
        worker = self._workers[number]
        while worker.waiting and worker.held < WINDOW:
            chunk = worker.waiting.popleft()
            worker.held += 1
            self._databases[self._shard[chunk]].serve(
                self._seconds(self._costs.database_read), self._computes(number, chunk)
            )

    def _computes(self, number: int, chunk: int) -> Then:
        cost = self._costs.worker_daily if self._setup.daily else self._costs.worker_annual

        def sent() -> None:
            self._workers[number].held -= 1
            self._take(number)
            if self._rest:
                self._rest.serve(self._seconds(self._costs.broker + self._costs.producers), lambda: None)
            self._arrives(chunk)

        def compute() -> None:
            # One core at a time however many cores the machine has.
            self._alone(number, self._seconds(cost), sent)

        return compute

    def _alone(self, number: int, seconds: float, then: Then) -> None:
        worker = self._workers[number]
        worker.computing.append((seconds, then))
        if len(worker.computing) == 1:
            self._next(worker)

    def _next(self, worker: _Worker) -> None:
        seconds, then = worker.computing[0]

        def computed() -> None:
            worker.computing.popleft()
            if worker.computing:
                self._next(worker)
            then()

        worker.core.serve(seconds, computed)

    def _arrives(self, chunk: int) -> None:
        sink = self._sinks[self._sink_of[chunk]]
        sink.waiting.append(chunk)
        self._store(sink)

    def _store(self, sink: _Sink) -> None:
        if sink.busy or not sink.waiting:
            return
        sink.busy = True
        batch = [sink.waiting.popleft() for _ in range(min(BATCH, len(sink.waiting)))]
        shard = int(self._shard[batch[0]])

        def committed() -> None:
            sink.busy = False
            for chunk in batch:
                self.stored.append(self.clock.now)
                self._send(self._place[chunk])
            self._store(sink)

        def written() -> None:
            self._ledgers[shard].serve(LOCK_SECONDS, committed)

        def decoded() -> None:
            self._databases[shard].serve(self._seconds(self._costs.database_write, len(batch)), written)

        sink.core.serve(self._seconds(self._costs.sink, len(batch)), decoded)

    def _seconds(self, milliseconds: float, chunks: int = 1) -> float:
        return milliseconds / 1e3 * self._setup.chunk * chunks * next(self._noise)

    def _drawn(self) -> Iterator[float]:
        while True:
            yield from self._random.lognormal(-(SPREAD**2) / 2, SPREAD, 4096).tolist()


def throughput(setup: Setup, costs: Costs) -> float:
    """Cells a second of a long job; the same for the same arguments."""
    in_flight = setup.partitions * setup.ahead
    return Flow(setup, costs, max(600, 6 * in_flight)).run()


def tables(costs: Costs) -> list[Table]:
    """All tables of the page that are simulated."""
    return [growth(costs), parts(costs), sinks(costs), placement(costs), here(costs)]


def growth(costs: Costs) -> Table:
    """Throughput by workers and shards."""
    rows = [
        (f"{workers}", *(_rate(throughput(Setup(workers, shards=shards), costs)) for shards in SHARDS))
        for workers in COUNTS
    ]
    header = ("workers", *(f"{count} database{'s' * (count > 1)}" for count in SHARDS))
    return Table("growth", header, tuple(rows))


def parts(costs: Costs) -> Table:
    """Throughput of 24 workers by partitions."""
    rows = [
        (f"{partitions}", _rate(throughput(Setup(24, partitions), costs)))
        for partitions in (8, 16, 24, 32, 48, 64)
    ]
    return Table("parts", ("partitions", "24 workers, cells/s"), tuple(rows))


def sinks(costs: Costs) -> Table:
    """Throughput of 24 workers by sinks of one database."""
    rows = [(f"{count}", _rate(throughput(Setup(24, sinks=count), costs))) for count in (1, 2, 4, 8, 16, 32)]
    return Table("sinks", ("sinks", "24 workers, cells/s"), tuple(rows))


def placement(costs: Costs) -> Table:
    """Seconds of whole jobs on 64 workers: chunks placed by load, as the dispatcher does, and by hash."""
    rows = []
    for chunks in (640, 6_400, 64_000):
        ends = []
        for hashed in (False, True):
            flow = Flow(Setup(64, partitions=64, shards=4, daily=True, hashed=hashed), costs, chunks)
            flow.run()
            ends.append(max(flow.stored))
        rows.append(
            (f"{chunks:,}", f"{ends[0]:,.1f}", f"{ends[1]:,.1f}", f"{100 * (ends[1] / ends[0] - 1):.0f} %")
        )
    header = ("chunks of the job", "by load, s", "by hash, s", "longer by")
    return Table("placement", header, tuple(rows))


def here(costs: Costs) -> Table:
    """One machine of two cores, as simulated and as measured."""
    rows = []
    for label, daily in (("annual indices loaded", False), ("daily weather drawn", True)):
        for workers in (1, 2):
            setup = Setup(workers, partitions=8, machine_cores=2, sinks=1, daily=daily)
            measured = MEASURED.get((daily, workers))
            rows.append(
                (
                    f"{label}, {workers} worker{'s' * (workers > 1)}",
                    _rate(throughput(setup, costs)),
                    "-" if measured is None else _rate(measured),
                )
            )
    return Table(
        "here", ("2 cores, everything on them", "simulated, cells/s", "measured, cells/s"), tuple(rows)
    )


MEASURED: dict[tuple[bool, int], float] = {(False, 2): 1317, (True, 1): 371, (True, 2): 507}
"""Cells a second by (daily weather drawn, workers): docs/benchmarks.md, job-annual and scaling."""


def _rate(value: float) -> str:
    return f"{float(f'{value:.3g}'):,.0f}"
