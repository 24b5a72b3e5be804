"""Who may do and see what on the web page: WEB_TOKEN, or the tokens of WEB_ACCESS_FILE."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from schemas.errors import InvalidFile, InvalidSettings
from schemas.marked_yaml import Fault, MarkedYaml, refuse
from schemas.messages import Identifier
from schemas.settings import Settings, environment
from schemas.tenants import EnvironmentName

ALL = "*"
"""In a list of tenants: every one."""
MIN_TOKEN = 16
"""Characters of a token; shorter ones can be guessed (expert assumption)."""

Role = Literal["viewer", "operator"]


class Entry(BaseModel):
    """One person or group in WEB_ACCESS_FILE; without `token_env` it is every visitor."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=100)]
    role: Role
    token_env: EnvironmentName | None = None
    tenants: list[Identifier | Literal["*"]] = []

    @model_validator(mode="after")
    def _visitors_only_look(self) -> Self:
        if self.token_env is None and (self.role != "viewer" or self.tenants):
            raise ValueError(
                "an entry without token_env is every visitor: its role is viewer, without tenants"
            )
        return self


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who is let in."""

    name: str
    role: Role
    tenants: tuple[str, ...] = ()

    @property
    def may_trigger(self) -> bool:
        """Trigger, cancel and resume jobs, derive scenarios."""
        return self.role == "operator"

    @property
    def sees_all_tenants(self) -> bool:
        """Also weekly jobs, which name their tenants."""
        return ALL in self.tenants

    @property
    def may_see_letters(self) -> bool:
        """Dead letters hold whatever a message held, so they are for those who may see all."""
        return self.may_trigger and self.sees_all_tenants

    def sees(self, org_id: str) -> bool:
        """Whether this tenant is theirs to see."""
        return self.sees_all_tenants or org_id in self.tenants


class Access:
    """The tokens that are known, by digest, and what visitors without one may do."""

    def __init__(self, callers: Mapping[bytes, Caller], visitor: Caller | None = None) -> None:
        self._callers = dict(callers)
        self.visitor = visitor

    def caller(self, token: str | None) -> Caller | None:
        """Who presents this token; the visitor without one, None where nobody is meant."""
        if token is None:
            return self.visitor
        asked, found = digest(token), None
        # Every digest is compared, so that the time taken tells nothing.
        for known, caller in self._callers.items():
            if hmac.compare_digest(known, asked):
                found = caller
        return found


def digest(token: str) -> bytes:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).digest()


def load_access(settings: Settings) -> Access:
    """The access that the settings give.

    Raises:
        InvalidSettings: Neither WEB_TOKEN nor WEB_ACCESS_FILE is set, or both are.
        InvalidFile: Names every fault of the file: line, field and what is allowed.
    """
    if settings.web_token is not None and settings.web_access_file is not None:
        raise InvalidSettings(
            "WEB_TOKEN/WEB_ACCESS_FILE: set one of them; the file holds every token's entry"
        )
    if settings.web_access_file is not None:
        return _from_file(settings.web_access_file)
    if settings.web_token is None:
        raise InvalidSettings(
            "WEB_TOKEN or WEB_ACCESS_FILE must be set, so that not everybody may trigger jobs; a token of "
            "your own: python3 -c 'import secrets; print(secrets.token_urlsafe())'"
        )
    operator = Caller("operator", "operator", (ALL,))
    return Access({digest(settings.web_token.get_secret_value()): operator})


def _from_file(path: Path) -> Access:
    reading = _Reading(MarkedYaml(path))
    entries = reading.entries()
    refuse(reading.faults)
    access = reading.access(entries, environment())
    refuse(reading.faults)
    return access


class _Reading:
    """Reads the entries of one access file and notes what is wrong with them."""

    def __init__(self, document: MarkedYaml) -> None:
        self.faults: list[Fault] = list(document.faults)
        self._document = document

    def entries(self) -> list[Entry]:
        """Those that are sound."""
        return [
            entry
            for place, each in enumerate(self._listed())
            if (entry := self._entry(place, each)) is not None
        ]

    def access(self, entries: Sequence[Entry], variables: Mapping[str, str]) -> Access:
        """Callers by the tokens that these variables hold."""
        callers: dict[bytes, Caller] = {}
        visitor: Caller | None = None
        for place, entry in enumerate(entries):
            caller = Caller(entry.name, entry.role, tuple(entry.tenants))
            if entry.token_env is None:
                visitor = caller
                continue
            token = variables.get(entry.token_env)
            self._check_token(place, entry.token_env, token, callers)
            callers[digest(token or "")] = caller
        return Access(callers, visitor)

    def _listed(self) -> list[object]:
        value = self._document.value
        listed = value.get("access") if isinstance(value, dict) and set(value) == {"access"} else None
        if not isinstance(listed, list) or not listed:
            raise InvalidFile(
                f"{self._document.name}: must begin with the line 'access:', below it one entry per token, "
                "each with name, role (viewer or operator), token_env and tenants"
            )
        return listed

    def _entry(self, place: int, value: object) -> Entry | None:
        try:
            return Entry.model_validate(value, strict=True)
        except ValidationError as error:
            for details in error.errors():
                field = ".".join(map(str, details["loc"]))
                text = details["msg"].removeprefix("Value error, ")
                sentence = ": ".join(part for part in (f"entry {place + 1}", field, text) if part)
                self._fault(place, details["loc"], sentence)
            return None

    def _check_token(self, place: int, name: str, token: str | None, known: Container[bytes]) -> None:
        if token is None:
            self._fault(
                place, ("token_env",), f"the environment variable {name} is not set; put the token there"
            )
        elif len(token) < MIN_TOKEN:
            self._fault(place, ("token_env",), f"the token in {name} has less than {MIN_TOKEN} characters")
        elif digest(token) in known:
            self._fault(place, ("token_env",), f"{name}: another entry has the same token")

    def _fault(self, place: int, within: tuple[str | int, ...], text: str) -> None:
        self.faults.append(self._document.fault(("access", place, *within), text))
