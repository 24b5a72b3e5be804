"""Faults of the weekly reports: a folder that cannot be written, and a mail server that refuses."""

from __future__ import annotations

import re
import resource
import shutil
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
import psutil
from acceptance.schools import REPORT_DATE, SUMMARY, TENANTS, write_files
from faults.fleet import give
from faults.registry import fault
from faults.run import Run
from mail_server import DROP, Fault, FaultyMailServer

from ops.load.loader import load
from ops.load.options import LoadOptions
from streams.models.inputs import Years

MAILS = {"seoul-hs": 1, "hudson-ms": 1}
"""Who has students, and so gets a mail, and how many."""
FILES = {f"{org_id}_{name}" for org_id in SUMMARY for name in ("metrics.csv", "report.html")} | {
    "summary.csv"
}
DISK_BYTES = 8_192
REFUSALS = 2
"""Tries of each mail that are refused before the server accepts."""
JOB = "weekly"


@fault("reports-folder", "reports folder: a file in its place, then a full disk", pace=0)
async def folder_unwritable(run: Run) -> None:
    """The renderer waits, and says so in its log, until the folder is mended."""
    folder = run.settings.reports_dir
    folder.write_text("in the way")
    async with _school(run) as mail:
        await run.start()
        await _ask(run)
        await _complains(run, "")
        with _full_disk(run, folder) as mend:
            await _complains(run, "No space left|File too large")
            if await run.ledger.value("SELECT count(*) FROM report_deliveries"):
                run.problems.append("a report was announced that could not be written")
            mend()
            await run.ended(JOB)
            await _judge(run, mail, folder)


@fault(
    "smtp-refuses",
    "mail server refuses and hangs up, then accepts",
    pace=0,
    settings={"delivery_pause": 1, "delivery_attempts": 10},
)
async def mail_refused(run: Run) -> None:
    async with _school(run) as mail:
        mail.faults = [Fault("RCPT", DROP, times=REFUSALS), Fault("MAIL", "451 4.3.0 come back later")]
        mail.faults += [Fault("RCPT", "421 4.3.2 closing down")]
        await run.start()
        await _ask(run)
        await run.until_value(
            "SELECT count(*) = $1 FROM report_deliveries WHERE state = 'retrying' AND attempts >= $2",
            len(MAILS),
            REFUSALS,
        )
        mail.faults.pop(1)
        await run.until_value(
            "SELECT count(*) = $1 FROM report_deliveries WHERE state = 'retrying' AND attempts > $2",
            len(MAILS),
            REFUSALS,
        )
        mail.faults = []
        await run.ended(JOB)
        await _judge(run, mail, run.settings.reports_dir)


@asynccontextmanager
async def _school(run: Run) -> AsyncIterator[FaultyMailServer]:
    """Three tenants with two weeks of data, and the server that gets their mails."""
    tenants = run.folder / "schools.yaml"
    tenants.write_text(re.sub(r"    slack_webhook_env: .*\n", "", TENANTS))
    mail = FaultyMailServer()
    await mail.start()
    give(run, TENANTS_FILE=tenants, SMTP_HOST="localhost", SMTP_PORT=mail.port, SMTP_SECURITY="none")
    give(run, SMTP_FROM="riskflow@example.org")
    connection = await asyncpg.connect(run.ledger.dsn)
    try:
        for table, path in write_files(run.folder).items():
            await load(table, [path], connection, LoadOptions(baseline=Years(1991, 2020)))
        yield mail
    finally:
        await connection.close()
        await mail.stop()


async def _ask(run: Run) -> None:
    run.apart.add(JOB)
    await run.ledger.fetch(
        "SELECT riskflow.request('weekly', jsonb_build_object('job_id', $1::text, 'report_date', $2::text))",
        JOB,
        REPORT_DATE.isoformat(),
    )


async def _complains(run: Run, words: str) -> None:
    """Return when the reporter has told of a batch that it tries again, for a reason with these words."""
    log = run.logs / "reporter.log"

    async def told() -> bool:
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return any("trying again" in line and re.search(words, line) for line in lines)

    await run.until(told)


@contextmanager
def _full_disk(run: Run, folder: Path) -> Iterator[Callable[[], object]]:
    """A folder in the file's place, on a disk too small for a report; gives what makes it large enough.

    Where no disk may be mounted, a limit on the size of files takes its part.
    """
    folder.unlink()
    folder.mkdir()
    if _mount(folder, f"size={DISK_BYTES}"):
        try:
            yield lambda: _mount(folder, "remount,size=16m")
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
    else:
        _limit_files(run, DISK_BYTES)
        yield lambda: _limit_files(run, resource.RLIM_INFINITY)


def _mount(folder: Path, options: str) -> bool:
    mount = shutil.which("mount")
    if mount is None:
        return False
    told = [mount, "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return subprocess.run(told, check=False, capture_output=True).returncode == 0


def _limit_files(run: Run, size: int) -> None:
    reporter = psutil.Process(run.pid("reporter"))
    for process in (reporter, *reporter.children(recursive=True)):
        hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, hard))


async def _judge(run: Run, mail: FaultyMailServer, folder: Path) -> None:
    """Every file and every mail is there once; the job says so too."""
    row = (await run.ledger.fetch("SELECT * FROM batch_job_logs WHERE job_id = $1", JOB))[0]
    counts = (row["status"], row["total_grids"], row["processed_grids"], row["failed_grids"])
    if counts != ("completed", len(SUMMARY), len(SUMMARY), 0):
        run.problems.append(f"the job is {counts}: {row['error_message']}")
    names = Counter(path.name for path in (folder / REPORT_DATE.isoformat()).iterdir())
    run.lost += len(FILES - names.keys())
    run.doubled += len(names.keys() - FILES)
    sent = Counter(each.message["Message-ID"].split(".")[1] for each in mail.received)
    run.lost += (Counter(MAILS) - sent).total()
    run.doubled += (sent - Counter(MAILS)).total()
    states = await run.ledger.fetch("SELECT org_id, channel, state FROM report_deliveries ORDER BY org_id")
    found = [tuple(state) for state in states]
    wanted = [(org_id, "email", "sent" if org_id in MAILS else "no_data") for org_id in sorted(SUMMARY)]
    if found != wanted or names.keys() != FILES:
        run.problems.append(f"deliveries are {found}, files {sorted(names)}")
