"""What every request must be and every answer says, so that no other site can act for a person."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from starlette.middleware.base import RequestResponseEndpoint
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from ops.web.problems import problem
from schemas.settings import Settings

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
OWN = frozenset({"same-origin", "none"})
"""Values of Sec-Fetch-Site of a request that no other site has caused."""
HERE = ("localhost", "127.0.0.1", "[::1]")
EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, not listened on
MAX_BODY = 1 << 20
"""Bytes of a request's body; a trigger of all risks and a thousand tenants has 100 kB (expert assumption)."""
COMPRESS_LEVEL = 4
"""A map of 50,000 cells takes a third of the time of level 9 and 6 % more bytes (expert assumption)."""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; worker-src 'self' blob:; "
        "style-src 'self' 'unsafe-inline'; connect-src 'self'; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def guard(app: FastAPI, settings: Settings) -> None:
    """Have every request looked at before it reaches a page."""
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=COMPRESS_LEVEL)

    @app.middleware("http")
    async def watched(request: Request, call_next: RequestResponseEndpoint) -> Response:
        answer = refused(request) or await call_next(request)
        if request.url.path.startswith("/static/"):
            # A browser asks whether a file has changed, so that no page mixes files of two versions.
            answer.headers["Cache-Control"] = "no-cache"
        for name, value in HEADERS.items():
            answer.headers.setdefault(name, value)
        return answer

    # Outermost: a name that another site has pointed at this address must not get as far as a page.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts(settings), www_redirect=False)


def hosts(settings: Settings) -> list[str]:
    """Host names under which requests are answered; all where neither WEB_URL nor WEB_HOST names one."""
    named = urlsplit(settings.web_url).hostname if settings.web_url else None
    if settings.web_host in EVERYWHERE and named is None:
        return ["*"]
    return sorted({*HERE, *filter(None, [named]), *({settings.web_host} - EVERYWHERE)})


def refused(request: Request) -> Response | None:
    """Why a request that may change something is not let in; None where it is."""
    if request.method in SAFE:
        return None
    if _is_foreign(request):
        return problem(
            HTTPStatus.FORBIDDEN,
            "the request comes from another site; use the page itself, or a program that sends a token",
        )
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send Content-Type: application/json")
    length = request.headers.get("content-length", "")
    if not length.isdigit() or int(length) > MAX_BODY:
        return problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"send Content-Length, at most {MAX_BODY:,} bytes"
        )
    return None


def _is_foreign(request: Request) -> bool:
    """Whether a browser says that another site caused the request."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in OWN
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != request.headers.get("host")
