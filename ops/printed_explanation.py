"""What `riskflow explain` prints."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.printed import moment, plain


def print_explanation(console: Console, found: dict[str, Any]) -> None:
    """What is behind one cell's number, for reading, and what became of it in the tables."""
    _print_computed(console, found)
    for kind, row in found["stored"].items():
        _print_stored(console, f"stored {kind}", row)
    for failure in found["failures"]:
        console.print(
            f"[bold red]its latest run failed[/bold red] ({failure['kind']}, job {failure['job_id']}, "
            f"{moment(failure['failed_at'])}):",
            plain(failure["reason"] or "no reason was recorded"),
            highlight=False,
        )


def _print_stored(console: Console, what: str, row: dict[str, Any] | None) -> None:
    if row is None:
        console.print(f"{what}: none, no job has stored it", highlight=False)
        return
    whose = f"job {row['job_id']} ({row['job_type'] or 'no more in the log'}, number {row['job_seq']})"
    whose = whose if row["job_seq"] else "the system before riskflow"
    if row["same"]:
        verdict = "the same as computed now"
    else:
        verdict = f"NOT what is computed now ({', '.join(row['differs'])}): {row['why']}"
    console.print(
        f"{what}: of {whose}, {moment(row['calculated_at'])}; {verdict}", highlight=False, markup=False
    )


def _print_computed(console: Console, found: dict[str, Any]) -> None:
    window = found["window"]
    place = f" at {found['latitude']:.9g}, {found['longitude']:.9g}, "
    asked = plain(f"scenario {found['scenario']}, {window['start']}-{window['end']}")
    console.print(Text(found["risk_type"], style="bold") + Text(place) + asked, highlight=False)
    console.print(f"intensity: {found['intensity_meaning']} \\[{found['unit']}]", highlight=False)
    _print_years(console, found)
    if found["basis"]:
        console.print(plain(f"rests on: {found['basis']}"), highlight=False)
    if found["reason"]:
        console.print(plain(f"no number: {found['reason']}"), style="bold", highlight=False)
        return
    parameters = ", ".join(f"{name} {_short(value)}" for name, value in found["parameters"].items())
    console.print(f"estimator: {found['estimator']}  {parameters}", highlight=False)
    _print_bins(console, found)
    band = ""
    if found["aal_p05"] is not None:
        band = f" (5-95 %: {found['aal_p05']:.6f} to {found['aal_p95']:.6f})"
    console.print(f"expected annual loss: {found['aal']:.8f} of the asset's value{band}", highlight=False)
    console.print(f"hazard score: {found['hazard_score']:.6f}, {found['hazard_level']}", highlight=False)


def _print_years(console: Console, found: dict[str, Any]) -> None:
    table = Table(show_header=False, box=None, padding=(0, 1))
    pairs = list(zip(found["years"], found["intensity"], strict=True))
    for start in range(0, len(pairs), 6):
        table.add_row(*[f"{year}: {_short(value)}" for year, value in pairs[start : start + 6]])
    console.print(table)


def _print_bins(console: Console, found: dict[str, Any]) -> None:
    edges = [None, *found["edges"], None]
    table = Table(header_style="bold")
    table.add_column("bin", justify="right")
    table.add_column(f"from \\[{found['edge_unit']}]", justify="right")
    table.add_column("below", justify="right")
    table.add_column("probability", justify="right")
    table.add_column("base damage rate", justify="right")
    for place, (chance, rate) in enumerate(
        zip(found["probability"], found["base_damage_rate"], strict=True), start=1
    ):
        lower, upper = edges[place - 1], edges[place]
        table.add_row(str(place), _bound(lower), _bound(upper), f"{chance:.6f}", f"{rate:g}")
    console.print(table)


def _bound(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _short(value: Any) -> str:
    if value is None:
        return "missing"
    if isinstance(value, list):
        return "(" + ", ".join(_short(item) for item in value) + ")"
    return f"{value:.6g}"
