"""Logging in and out, and what the caller may do."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from ops.web.access import Caller, Role
from ops.web.office import COOKIE, Here, Who
from ops.web.problems import NotLoggedIn

router = APIRouter(prefix="/session", tags=["session"])

DAYS = 30
"""How long a browser keeps the login (expert assumption)."""


class May(BaseModel):
    """What the caller may do or see."""

    trigger: bool
    letters: bool
    tenants: bool


class Session(BaseModel):
    """Who is logged in."""

    name: str
    role: Role
    tenants: list[str] = Field(description="org_ids, or `*` for all")
    may: May


class Login(BaseModel):
    """What one logs in with."""

    token: str = Field(min_length=1, max_length=1000)


@router.get("")
async def session(who: Who) -> Session:
    """Who asks, and what they may."""
    return session_of(who)


@router.post("")
async def log_in(login: Login, request: Request, response: Response, here: Here) -> Session:
    """Take a token and keep it in a cookie that no script can read."""
    caller = here.access.caller(login.token.strip())
    if caller is None:
        raise NotLoggedIn(
            "this token is not known; WEB_TOKEN or WEB_ACCESS_FILE of the server holds those that are"
        )
    is_hidden = (here.settings.web_url or str(request.url)).startswith("https://")
    response.set_cookie(
        COOKIE, login.token.strip(), max_age=DAYS * 86_400, httponly=True, samesite="strict", secure=is_hidden
    )
    return session_of(caller)


@router.delete("", status_code=204)
async def log_out(response: Response) -> None:
    """Forget the cookie."""
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")


def session_of(caller: Caller) -> Session:
    """The caller as the page needs them."""
    may = May(trigger=caller.may_trigger, letters=caller.may_see_letters, tenants=bool(caller.tenants))
    return Session(name=caller.name, role=caller.role, tenants=list(caller.tenants), may=may)
