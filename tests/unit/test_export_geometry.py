"""Which cells are a regular grid, where they lie on a map, and how the exported file is called."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ops.export.geojson_file import geometry
from ops.export.request import ExportRequest, Format, require
from ops.export.spacing import Spacing, spacing
from schemas.errors import RiskflowError
from schemas.messages import Window

WINDOW = Window(start=1991, end=2020)


def lattice(rows: int, columns: int, step: float) -> list[tuple[float, float]]:
    return [
        (round(-10 + step * i, 6), round(20 + 2 * step * j, 6)) for i in range(rows) for j in range(columns)
    ]


@given(
    rows=st.integers(2, 30),
    columns=st.integers(2, 30),
    step=st.sampled_from([0.01, 0.1, 0.25, 1 / 3, 0.05]),
    data=st.data(),
)
def test_a_grid_is_found_whatever_cells_the_sea_leaves_out(
    rows: int, columns: int, step: float, data: st.DataObject
):
    cells = lattice(rows, columns, step)
    # Two neighbours each way show the spacing, and the last cell how far the grid reaches.
    kept = {cells[0], cells[1], cells[columns], cells[columns + 1], cells[-1]}
    kept |= {cell for cell in cells if data.draw(st.booleans())}
    assume(len(kept) > max(0.1 * rows * columns, rows, columns))
    found = spacing(sorted(kept))
    assert found is not None
    assert (found.latitude, found.longitude) == pytest.approx((step, 2 * step), abs=1e-6)


@pytest.mark.parametrize(
    "cells",
    [
        [],
        [(35.0, 127.0)],
        [(35.0, 127.0), (35.1, 127.1)],
        [(35.0, 127.0 + 0.1 * place) for place in range(9)],
        [(37.571, 126.966), (35.105, 129.032), (33.514, 126.53), (37.902, 127.736), (37.751, 128.891)],
    ],
    ids=["none", "one", "two", "a line", "stations"],
)
def test_too_few_or_scattered_cells_are_no_grid(cells: list[tuple[float, float]]):
    assert spacing(cells) is None


def test_longitudes_beyond_180_are_written_west_of_greenwich():
    assert geometry(10, 350.5, None) == {"type": "Point", "coordinates": [-9.5, 10]}


def test_a_rectangle_on_the_antimeridian_is_cut_there():
    found = geometry(0, 180, Spacing(1, 1))
    assert found["type"] == "MultiPolygon"
    east, west = found["coordinates"]
    assert east == [[[179.5, -0.5], [180, -0.5], [180, 0.5], [179.5, 0.5], [179.5, -0.5]]]
    assert west == [[[-180, -0.5], [-179.5, -0.5], [-179.5, 0.5], [-180, 0.5], [-180, -0.5]]]


def test_no_rectangle_reaches_beyond_the_pole():
    [ring] = geometry(90, 0, Spacing(1, 1))["coordinates"]
    assert max(latitude for _, latitude in ring) == 90


@given(st.floats(-90, 90), st.floats(-180, 360), st.floats(0.01, 5))
def test_rings_are_closed_counterclockwise_and_on_the_globe(latitude: float, longitude: float, step: float):
    found = geometry(latitude, longitude, Spacing(step, step))
    polygons = found["coordinates"] if found["type"] == "MultiPolygon" else [found["coordinates"]]
    for [ring] in polygons:
        assert ring[0] == ring[-1]
        area = sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(ring))
        assert area > -1e-6
        assert all(-180 <= x <= 180 and -90 <= y <= 90 for x, y in ring)


def test_a_file_name_is_plain_whatever_the_scenario_is_called():
    request = ExportRequest(
        format=Format.netcdf, scenario='../a "b"\n기후', window=WINDOW, risks=("drought",)
    )
    assert request.file_name == "riskflow_drought_..-a-b-_1991-2020.nc"
    assert request.media_type == "application/x-netcdf"


def test_a_missing_library_is_named_with_the_extra_that_brings_it():
    with pytest.raises(
        RiskflowError, match=r"Parquet needs no_such_library; .*pip install 'riskflow\[export\]'"
    ):
        require(["orjson", "no_such_library"], "an export as Parquet")
