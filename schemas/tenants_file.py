"""TENANTS_FILE and THRESHOLDS_FILE: the tenants of the weekly report, validated as a whole."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args
from zoneinfo import available_timezones

from pydantic import BaseModel, ValidationError

from schemas.errors import InvalidFile
from schemas.marked_yaml import Fault, MarkedYaml, Place, refuse
from schemas.settings import Settings
from schemas.tenants import Tenant, Thresholds

LONGEST_SHOWN = 60
"""Characters of a wrong value in a sentence."""

Details = Mapping[str, Any]
"""One error of pydantic."""


def load_tenants(settings: Settings) -> list[Tenant]:
    """All tenants in the file's order, inactive ones too.

    A tenant's thresholds lie over those of THRESHOLDS_FILE, which lie over the defaults; a logo is an
    absolute path.

    Raises:
        InvalidFile: Names every fault (of many the first): file, line, field and what is allowed.
    """
    if settings.tenants_file is None:
        raise InvalidFile("TENANTS_FILE is not set; name the YAML file with the tenants of the weekly report")
    document = MarkedYaml(settings.tenants_file)
    common = None if settings.thresholds_file is None else MarkedYaml(settings.thresholds_file)
    thresholds, faults = _common_thresholds(common)
    reading = _Reading(document, thresholds, source="the defaults" if common is None else common.name)
    reading.common_is_sound = not faults
    tenants = reading.tenants(settings.tenants_file.resolve().parent)
    refuse([*document.faults, *faults, *reading.faults])
    return tenants


def _common_thresholds(document: MarkedYaml | None) -> tuple[Thresholds, list[Fault]]:
    if document is None:
        return Thresholds(), []
    try:
        value = {} if document.value is None else document.value
        return Thresholds.model_validate(value, strict=True), document.faults
    except ValidationError as error:
        faults = [
            document.fault(
                details["loc"], _labelled("", details["loc"], _reason(details, document, (), Thresholds))
            )
            for details in error.errors()
        ]
        return Thresholds(), [*document.faults, *faults]


class _Reading:
    """Reads the entries of one tenants file and notes what is wrong with them."""

    def __init__(self, document: MarkedYaml, common: Thresholds, *, source: str) -> None:
        self.faults: list[Fault] = []
        self.common_is_sound = True
        self._document = document
        self._common = common.model_dump()
        self._source = source

    def tenants(self, folder: Path) -> list[Tenant]:
        entries = list(enumerate(self._entries()))
        self._check_unique(entries)
        found = (self._tenant(entry, ("tenants", number), folder) for number, entry in entries)
        return [tenant for tenant in found if tenant is not None]

    def _entries(self) -> list[object]:
        value = self._document.value
        if not isinstance(value, dict) or "tenants" not in value:
            self._fault((), "must begin with the line 'tenants:', below it one entry per tenant")
            return []
        for name in value:
            if name != "tenants":
                self._fault((name,), f"{name} is not a field here; the file holds one field, tenants")
        entries = value["tenants"]
        if not isinstance(entries, list) or not entries:
            self._fault(("tenants",), "tenants must be a list with at least one entry that begins with '-'")
            return []
        return entries

    def _check_unique(self, entries: list[tuple[int, object]]) -> None:
        known: dict[str, Place] = {}
        for number, entry in entries:
            org_id = entry.get("org_id") if isinstance(entry, dict) else None
            if not isinstance(org_id, str):
                continue
            place = ("tenants", number, "org_id")
            # The id names files, and some file systems do not tell cases apart.
            first = known.setdefault(org_id.casefold(), place)
            if first != place:
                line = self._document.line(first)
                self._fault(
                    place,
                    f"org_id {org_id} is taken by the entry in line {line} (cases of letters do not count)",
                )

    def _tenant(self, entry: object, place: Place, folder: Path) -> Tenant | None:
        laid = entry
        if isinstance(entry, dict):
            laid = {**entry, "thresholds": _overlaid(self._common, entry.get("thresholds", {}))}
        try:
            tenant = Tenant.model_validate(laid, strict=True)
        except ValidationError as error:
            for details in error.errors():
                self._note(details, place, entry)
            return None
        return self._with_logo(tenant, place, folder)

    def _with_logo(self, tenant: Tenant, place: Place, folder: Path) -> Tenant:
        if tenant.logo is None:
            return tenant
        logo = folder / tenant.logo
        if not logo.is_file() or not os.access(logo, os.R_OK):
            self._fault((*place, "logo"), f"{tenant.org_id}: logo: there is no readable file {logo}")
        return tenant.model_copy(update={"logo": str(logo)})

    def _note(self, details: Details, place: Place, entry: object) -> None:
        within = details["loc"]
        reason = _reason(details, self._document, place, Tenant)
        if details["type"] == "value_error" and within[:1] == ("thresholds",):
            # Out of order with a common threshold that is at fault itself: that fault is told already.
            if not self.common_is_sound:
                return
            within, reason = self._disorder(within, reason, entry)
        self._fault((*place, *within), _labelled(_label(entry, place), within, reason))

    def _disorder(self, within: Place, reason: str, entry: Any) -> tuple[Place, str]:
        """The tenant's own threshold among those that are out of order, and where the others come from."""
        group = str(within[-1])
        own = entry["thresholds"][group]
        named = [name for name in re.findall(r"[a-z_0-9]+", reason) if name in self._common[group]]
        inherited = [name for name in named if name not in own]
        if inherited:
            reason += f" ({', '.join(inherited)}: from {self._source})"
        return (*within, next(name for name in reversed(named) if name in own)), reason

    def _fault(self, place: Place, text: str) -> None:
        self.faults.append(self._document.fault(place, text))


def _overlaid(common: Mapping[str, Any], own: object) -> object:
    """Thresholds of a tenant over the common ones; what is no mapping stays, so that it is refused."""
    if not isinstance(own, dict):
        return own
    laid = dict(common)
    for group, values in own.items():
        mappings = isinstance(values, dict) and group in common
        laid[group] = {**common[group], **values} if mappings else values
    return laid


def _reason(details: Details, document: MarkedYaml, place: Place, model: type[BaseModel]) -> str:
    within: Place = details["loc"]
    kind, value = details["type"], details["input"]
    if kind == "value_error":
        return str(details["msg"]).removeprefix("Value error, ") + _zone_hint(within, value)
    if kind == "extra_forbidden":
        return _unknown(str(within[-1]), _fields(model, within[:-1]))
    if kind in {"model_type", "dict_type"}:
        return f"must hold fields, each on its line: {', '.join(_fields(model, within))}"
    allowed = f"allowed: {_allowed(model, within)}"
    if kind == "missing":
        return f"is missing; {allowed}"
    if value is None:
        return f"is empty; {allowed}{_comment_hint(within)}"
    written = document.written((*place, *within))
    shown = _shown(value if written is None else written, within)
    return f"{shown} is not allowed; {allowed}{_quote_hint(kind, value, written)}"


def _fields(model: type[BaseModel], within: Place) -> list[str]:
    for name in within:
        model = next(kind for kind in _kinds(model, name) if issubclass(kind, BaseModel))
    return list(model.model_fields)


def _allowed(model: type[BaseModel], within: Place) -> str:
    *groups, name = [step for step in within if isinstance(step, str)]
    for group in groups:
        model = next(kind for kind in _kinds(model, group) if issubclass(kind, BaseModel))
    return model.model_fields[name].description or "what docs/tenants.md says"


def _kinds(model: type[BaseModel], name: str | int) -> Iterator[type[Any]]:
    annotation = model.model_fields[str(name)].annotation
    return (kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type))


def _unknown(name: str, fields: list[str]) -> str:
    close = get_close_matches(name, fields, n=1)
    meant = f"; did you mean {close[0]}?" if close else ""
    return f"is not a field here{meant} (fields: {', '.join(fields)})"


def _zone_hint(within: Place, value: object) -> str:
    if within != ("timezone",) or not isinstance(value, str):
        return ""
    close = get_close_matches(value, available_timezones(), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _comment_hint(within: Place) -> str:
    return "; '#' begins a comment unless it is in quotes" if within[:1] == ("colors",) else ""


def _quote_hint(kind: str, value: object, written: str | None) -> str:
    text_wanted = kind in {"string_type", "literal_error"}
    if not text_wanted or written is None or isinstance(value, str):
        return ""
    read = {True: "true", False: "false"}[value] if isinstance(value, bool) else value
    return f'; YAML reads it as {read}, write it in quotes: "{written}"'


def _shown(value: object, within: Place) -> str:
    """A wrong value for a sentence; of a webhook only that it is there."""
    if within == ("slack_webhook_env",):
        return "this value (not shown, it may be the webhook itself)"
    text = value if isinstance(value, str) else repr(value)
    return repr(text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "...").strip("'")


def _label(entry: object, place: Place) -> str:
    org_id = entry.get("org_id") if isinstance(entry, dict) else None
    return org_id if isinstance(org_id, str) and org_id else f"tenant {int(place[-1]) + 1}"


def _labelled(label: str, within: Place, reason: str) -> str:
    field = ".".join(str(step + 1 if isinstance(step, int) else step) for step in within)
    return ": ".join(part for part in (label, field, reason) if part)
