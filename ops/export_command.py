"""`riskflow export`: results as a file, or on standard output."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from ops.export.request import BINARY, Format
from ops.terminal import client, console
from schemas.errors import RiskflowError
from schemas.settings import Settings


def export(
    file_format: Annotated[Format, typer.Option("--format", help="docs/exports.md has what each holds.")],
    risk: Annotated[
        list[str] | None, typer.Option(help="Only this risk; may be given several times.")
    ] = None,
    scenario: Annotated[str | None, typer.Option(help="Default: setting SCENARIO.")] = None,
    window: Annotated[str | None, typer.Option(help="START-END. Default: settings.")] = None,
    bbox: Annotated[
        str | None, typer.Option(help="SOUTH,WEST,NORTH,EAST in degrees, edges included.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File to write; without it, standard output.")] = None,
) -> None:
    """Write results for other programs: probability and hazard of each cell and risk side by side."""
    if out is None and file_format in BINARY and sys.stdout.isatty():
        raise RiskflowError(f"{file_format.value} is not for a terminal; name a file: --out results.FILE")
    asyncio.run(_exported(client(), file_format, risk, scenario, window, bbox, out))


async def _exported(
    settings: Settings,
    file_format: Format,
    risks: list[str] | None,
    scenario: str | None,
    window: str | None,
    bbox: str | None,
    out: Path | None,
) -> None:
    from ops.context import database
    from ops.export.asked import export_request
    from ops.export.write import write_export
    from ops.trigger import bbox_of, window_of

    request = export_request(
        settings,
        file_format,
        risks=risks,
        scenario=scenario,
        window=window_of(window) if window else None,
        bbox=tuple(bbox_of(bbox).values()) if bbox else None,
    )
    async with database(settings, "export") as connection:
        try:
            rows = await write_export(connection, request, out or sys.stdout.buffer)
        except BrokenPipeError:
            # The reader has had enough, as `head` has; Python must not complain when it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return
        except OSError as error:
            if connection.is_closed():
                raise
            raise RiskflowError(f"{out or 'standard output'} cannot be written: {error}") from error
    if out is not None:
        console().print(f"{out}: {rows} rows of cell and risk", highlight=False, markup=False, soft_wrap=True)
