"""Charts as inline SVG without script, style or fonts of their own; the page's style sheet dresses them."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

import pygal
from markupsafe import Markup
from pygal.etree import etree
from pygal.style import Style

from consumers.report.data import ClassRisk, Counts, Day, FallBin
from consumers.report.words import Words
from schemas.tenants import ThetaThresholds

WIDTH, HEIGHT = 440, 260
"""Of a chart, in user units: small enough that a phone shows its text at three quarters of its size."""
FONT = 13
ROW_HEIGHT = 30
MOST_CLASSES = 20
"""Classes in the chart; its table has more (expert assumption)."""
LABEL_CHARACTERS = 16
LEVEL_COLOURS = {"CRIT": "#a61b1b", "WARN": "#c27803", "OK": "#2f7d5b", "NO_DATA": "#7a8594"}
"""Each has a contrast of 3 or more to paper (WCAG 2.2, 1.4.11), and no level is told by colour alone."""
NEUTRAL = "#5f7387"

_STYLE = Style(font_family="inherit", label_font_size=FONT, major_label_font_size=FONT, value_font_size=FONT)
# pygal puts a finder for its plug-ins into the interpreter, which answers every later import that
# fails elsewhere with a warning.
sys.meta_path[:] = [each for each in sys.meta_path if not isinstance(each, pygal.PluginImportFixer)]
_DROPPED = ("script", "style", "title", "desc")


def level_split(counts: Counts, words: Words) -> Markup:
    """A bar per level."""
    levels = ("CRIT", "WARN", "OK", "NO_DATA")
    numbers = (counts.crit, counts.warn, counts.ok, counts.no_data)
    labels = [words(f"level.{level}") for level in levels]
    chart = _horizontal(pygal.HorizontalBar, labels, words)
    chart.height = HEIGHT
    chart.print_values_position = "top"
    # A horizontal axis starts at the bottom.
    chart.x_labels = labels[::-1]
    pairs = list(zip(numbers, levels, strict=True))[::-1]
    chart.add("", [_bar(number, LEVEL_COLOURS[level]) for number, level in pairs])
    return _svg(chart, words("chart.levels"))


def trend(points: Sequence[Counts], words: Words) -> Markup:
    """Students at CRIT (whole line) and WARN (dashed) per report date."""
    chart = _chart(pygal.Line, words.number, dots_size=4)
    chart.x_labels = [words.short_day(point.report_date) for point in points]
    chart.add("", [point.crit for point in points])
    chart.add("", [point.warn for point in points])
    chart.range = (0, max(max(point.crit, point.warn) for point in points) or 1)
    return _svg(chart, words("chart.trend"), "trend")


def falls(bins: Sequence[FallBin], thresholds: ThetaThresholds, words: Words) -> Markup:
    """Students per bin of delta theta, coloured where the whole bin lies below a threshold."""
    chart = _chart(pygal.Bar, words.number, print_values=True, print_values_position="top")
    chart.x_labels = [_edge(each, words) for each in bins]
    chart.x_label_rotation = 35
    chart.add("", [_bar(each.students, _fall_colour(each, thresholds)) for each in bins])
    return _svg(chart, words("chart.falls"))


def absence(days: Sequence[Day], words: Words) -> Markup:
    """Share of missed sessions per day with sessions."""
    chart = _chart(pygal.Bar, lambda share: words.percent(share, 0))
    chart.x_labels = [words.short_day(each.day) for each in days]
    chart.x_label_rotation = 35
    chart.range = (0, max(0.1, *(each.share for each in days)))
    chart.add("", [_bar(each.share, NEUTRAL) for each in days])
    return _svg(chart, words("chart.absence"))


def classes(rows: Sequence[ClassRisk], words: Words) -> Markup:
    """Students at CRIT, then WARN, per class; at most MOST_CLASSES, those with most at risk."""
    shown = most_at_risk(rows)
    names = [_short(each.name or words("page.no_class")) for each in shown]
    chart = _horizontal(pygal.HorizontalStackedBar, names, words)
    chart.x_labels = names[::-1]
    chart.print_zeroes = False
    chart.add("", [_bar(each.crit, LEVEL_COLOURS["CRIT"]) for each in shown[::-1]])
    chart.add("", [_bar(each.warn, LEVEL_COLOURS["WARN"]) for each in shown[::-1]])
    return _svg(chart, words("chart.classes"), "stacked")


def most_at_risk(rows: Sequence[ClassRisk]) -> list[ClassRisk]:
    """The classes of the chart, in the order of the rows."""
    worst = sorted(rows, key=lambda each: (-each.crit - each.warn, -each.crit))[:MOST_CLASSES]
    return [each for each in rows if each in worst]


def _bar(value: float, colour: str) -> dict[str, Any]:
    return {"value": value, "color": colour}


def _edge(each: FallBin, words: Words) -> str:
    if each.lower is None:
        return f"< {words.threshold('theta', each.upper or 0)}"
    return f"\N{GREATER-THAN OR EQUAL TO} {words.threshold('theta', each.lower)}"


def _fall_colour(each: FallBin, thresholds: ThetaThresholds) -> str:
    if each.upper is None:
        return NEUTRAL
    if each.upper <= thresholds.delta_7d_crit:
        return LEVEL_COLOURS["CRIT"]
    return LEVEL_COLOURS["WARN"] if each.upper <= thresholds.delta_7d_warn else NEUTRAL


def _chart(kind: type[Any], formatter: Callable[[float], str], **options: Any) -> Any:
    return kind(
        width=WIDTH,
        height=HEIGHT,
        style=_STYLE,
        js=(),
        css=(),
        show_legend=False,
        margin=12,
        value_formatter=formatter,
        max_scale=5,
        truncate_label=-1,
        **options,
    )


def _horizontal(kind: type[Any], labels: Sequence[str], words: Words) -> Any:
    chart = _chart(kind, words.number, print_values=True)
    chart.height = 60 + ROW_HEIGHT * len(labels)
    # pygal measures every character as a narrow one.
    chart.margin_left = 12 + round(FONT * 0.45 * max(_wide(label) for label in labels))
    chart.margin_right = 30
    return chart


def _wide(text: str) -> int:
    return sum(unicodedata.east_asian_width(character) in "WF" for character in text)


def _short(name: str) -> str:
    return name if len(name) <= LABEL_CHARACTERS else name[: LABEL_CHARACTERS - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _svg(chart: Any, name: str, kind: str = "bars") -> Markup:
    """The chart with an accessible name, without what only pygal's own script and style would use."""
    root = chart.render_tree()
    for parent in list(root.iter()):
        for child in list(parent):
            if not isinstance(child.tag, str) or child.tag.rpartition("}")[2] in _DROPPED:
                parent.remove(child)
    for tooltip in root.findall(".//*[@class='plot tooltip-overlay']/.."):
        tooltip.remove(tooltip.find("./*[@class='plot tooltip-overlay']"))
    del root.attrib["id"]
    root.attrib.update({"class": f"chart {kind}", "role": "img", "aria-label": name})
    return Markup(etree.tostring(root, encoding="unicode"))  # noqa: S704 - the tree was serialised, so its texts are escaped
