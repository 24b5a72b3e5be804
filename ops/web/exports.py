"""Results as a file, over HTTP."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from ops.export.asked import export_request
from ops.export.request import Format
from ops.export.write import write_export
from ops.web.office import Here, Who
from ops.web.results import Box, End, Scenario, Start, box_of, years_of

router = APIRouter(tags=["results"])


@router.get("/export", response_class=FileResponse)
async def export(
    here: Here,
    _who: Who,
    kind: Annotated[Format, Query(alias="format", description="Of the file.")] = Format.csv,
    risk: Annotated[list[str] | None, Query(description="May be given several times. Default: all.")] = None,
    scenario: Scenario = None,
    start: Start = None,
    end: End = None,
    bbox: Box = None,
) -> FileResponse:
    """The file that `riskflow export` writes."""
    window = years_of(here.settings, start, end)
    box = box_of(bbox)
    request = export_request(
        here.settings,
        kind,
        risks=risk,
        scenario=scenario,
        window=window.model_dump(),
        bbox=tuple(box.model_dump().values()) if box else None,
    )
    path = _new_file()
    try:
        async with here.database() as connection:
            await write_export(connection, request, path)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    gone = BackgroundTask(path.unlink, missing_ok=True)
    return FileResponse(path, media_type=request.media_type, filename=request.file_name, background=gone)


def _new_file() -> Path:
    with tempfile.NamedTemporaryFile(prefix="riskflow-export-", delete=False) as file:
        return Path(file.name)
