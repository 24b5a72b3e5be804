"""What a person asks to export, checked as a trigger is; defaults come from the settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ops.export.request import ExportRequest, Format
from schemas.codec import validated
from schemas.messages import Trigger
from schemas.settings import Settings

CORNERS = ("min_latitude", "min_longitude", "max_latitude", "max_longitude")


def export_request(  # noqa: PLR0913 - what can be asked
    settings: Settings,
    kind: Format,
    *,
    risks: Sequence[str] | None = None,
    scenario: str | None = None,
    window: Mapping[str, int] | None = None,
    bbox: Sequence[float] | None = None,
) -> ExportRequest:
    """The request; what is None comes from the settings.

    Args:
        settings: With the default scenario and window.
        kind: The format.
        risks: Names; None or none for all.
        scenario: The scenario.
        window: `start` and `end`, years.
        bbox: South, west, north, east [degrees].

    Raises:
        InvalidMessage: A field is wrong; the sentence names it and what is allowed.
    """
    corners = None if bbox is None else dict(zip(CORNERS, bbox, strict=False))
    asked = validated(
        Trigger,
        {
            "job_type": "climate",
            "scenario": scenario,
            "window": window,
            "risks": list(risks) if risks else None,
            "bbox": corners,
        },
    )
    return ExportRequest(
        format=kind,
        scenario=asked.scenario or settings.scenario,
        window=asked.window or settings.default_window,
        risks=tuple(dict.fromkeys(asked.risks or ())),
        bbox=asked.bbox,
    )
