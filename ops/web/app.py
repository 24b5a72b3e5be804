"""The application: routes under /api/v1, the page, and what stands around both."""

from __future__ import annotations

import mimetypes
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from ops.web import (
    events,
    explain,
    exports,
    health,
    jobs,
    letters,
    meta,
    results,
    scenarios,
    session,
    tenants,
)
from ops.web.guard import guard
from ops.web.office import POOL_SIZE, Office
from ops.web.problems import PROBLEMS, tell_problems
from schemas.start import open_pool
from schemas.version import riskflow_version

# What a system registers for these endings may be something that a browser does not run.
for ending in (".js", ".mjs"):
    mimetypes.add_type("text/javascript", ending)

STATIC = Path(__file__).with_name("static")
ROUTERS = (
    session.router,
    meta.router,
    jobs.router,
    events.router,
    results.router,
    explain.router,
    exports.router,
    scenarios.router,
    tenants.router,
    health.router,
    letters.router,
)
ABOUT = """\
Climate risk of grid cells and weekly reports of tenants: what there is, and asking for more.

Send a token of WEB_TOKEN or WEB_ACCESS_FILE as `Authorization: Bearer ...`. An error is a problem
(RFC 9457) whose `detail` is the sentence that the command line says. Lists come in pages: `next` is the
`cursor` of the following one.
"""


def create_app(office: Office) -> FastAPI:
    """The application of this office; it opens and closes what the office needs with its life."""
    app = FastAPI(
        title="riskflow",
        version=riskflow_version(),
        description=ABOUT,
        openapi_url="/api/openapi.json",
        # Those pages load their scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        lifespan=_life(office),
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    app.state.office = office
    tell_problems(app)
    guard(app, office.settings)
    api = APIRouter(prefix="/api/v1", responses=PROBLEMS)
    for router in ROUTERS:
        api.include_router(router)
    app.include_router(api)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})

    return app


def _life(office: Office) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        pool = await open_pool(office.settings, "web", POOL_SIZE, office.stop)
        office.open(pool)
        try:
            yield
        finally:
            await office.close()

    return life
