"""Storm tracks, read once for a job and not once for each of its chunks."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import asyncpg
import numpy as np

from streams.models.inputs import HourlyTracks, StormFixes, Years
from streams.models.storms import hourly_tracks
from streams.packed import FLOAT

JOBS_KEPT = 2
"""Jobs whose tracks are kept: two may be interleaved, a world of storms takes 50 MB (expert assumption)."""

# A storm that crosses the turn of the year begins in the year before.
_FIXES = """
SELECT string_agg(
           float8send(storm) || float8send(hours) || float8send(latitude) || float8send(longitude)
        || float8send(coalesce(wind_ms, 'NaN')) || float8send(coalesce(pressure_hpa, 'NaN'))
        || float8send(coalesce(rmw_km, 'NaN')), '' ORDER BY storm, hours)
FROM (SELECT dense_rank() OVER (ORDER BY storm_id) - 1 AS storm,
             extract(epoch FROM time)::float8 / 3600 AS hours,
             latitude, longitude, wind_ms, pressure_hpa, rmw_km
      FROM storm_fixes
      WHERE time >= make_timestamptz($1, 1, 1, 0, 0, 0, 'UTC') - interval '1 day') AS fix
"""


async def read_fixes(connection: asyncpg.Connection, first_year: int) -> StormFixes:
    """Best-track fixes of all storms from the day before `first_year` on."""
    packed = await connection.fetchval(_FIXES, first_year)
    fixes = np.frombuffer(packed or b"", FLOAT).astype(np.float64).reshape(-1, 7)
    storm, *columns = (np.ascontiguousarray(column) for column in fixes.T)
    return StormFixes(storm.astype(np.int64), *columns)


async def read_tracks(connection: asyncpg.Connection, window: Years, baseline: Years) -> HourlyTracks:
    """Hourly tracks from the first year of window and baseline to the last fix.

    The last fix tells whether the storms reach the window's end, so nothing is cut there.
    """
    return hourly_tracks(await read_fixes(connection, min(window.start, baseline.start)))


class JobTracks:
    """The tracks of the last few jobs; concurrent chunks of a job share one read."""

    def __init__(self, read: Callable[[Years, Years], Awaitable[HourlyTracks]]) -> None:
        self._read = read
        self._kept: OrderedDict[tuple[str, int], HourlyTracks] = OrderedDict()
        self._reading = asyncio.Lock()

    async def of_job(self, job_id: str, job_seq: int, window: Years, baseline: Years) -> HourlyTracks:
        """Tracks as they were when the job's first chunk asked for them."""
        async with self._reading:
            if (job_id, job_seq) not in self._kept:
                self._kept[job_id, job_seq] = await self._read(window, baseline)
                while len(self._kept) > JOBS_KEPT:
                    self._kept.popitem(last=False)
            return self._kept[job_id, job_seq]
