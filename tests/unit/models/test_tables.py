import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.models.assess import assess
from streams.models.inputs import CellInputs
from streams.models.risks import RISKS
from streams.models.tables import InvalidRiskTable, RiskTables, builtin_tables, load_tables


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], RiskTables]:
    def load_text(text: str) -> RiskTables:
        path = tmp_path / "risks.toml"
        path.write_text(text)
        return load_tables(path)

    return load_text


def test_the_built_in_table_is_the_printed_one() -> None:
    tables = builtin_tables()
    assert tables.name == "built-in"
    printed = {name: (tables.bins(risk).edges, tables.bins(risk).damage) for name, risk in RISKS.items()}
    depths, jrc = (0, 0.1, 0.3, 0.5, 1.0), (0, 0.03266, 0.13064, 0.26128, 0.41035, 0.61200)
    assert printed == {
        "high_temperature": ((3, 8, 20, 40), (0, 0.003, 0.010, 0.020, 0.035)),
        "cold_wave": ((3, 7, 15, 30), (0, 0.002, 0.006, 0.015, 0.025)),
        "drought": ((1, 1.5, 2), (0, 0.002, 0.007, 0.020)),
        "wildfire": ((1, 5, 15, 30), (0, 0.0005, 0.001, 0.003, 0.010)),
        "inland_flood": ((5, 20, 100), (0, 0, 0.01, 0.05)),
        "urban_flood": (depths, tuple(pytest.approx(rate / 10) for rate in jrc)),
        "coastal_flood": (depths, jrc),
        "typhoon": ((17, 25, 33, 44, 54), (0, 0, 0.000266, 0.003888, 0.017108, 0.045826)),
        "water_scarcity": ((0.25, 0.50, 0.75, 1.00), (0, 0.001, 0.003, 0.007, 0.015)),
    }


def test_every_row_has_a_rate_per_bin_and_its_own_name() -> None:
    for name, risk in RISKS.items():
        assert risk.name == name
        assert len(risk.damage) == len(risk.edges) + 1
        assert risk.edges[0] >= risk.edge_minimum
        assert list(risk.edges) == sorted(set(risk.edges))


def test_a_file_replaces_what_it_names_and_leaves_the_rest(load: Callable[[str], RiskTables]) -> None:
    tables = load(
        "[wildfire]\nedges = [2, 10]\ndamage = [0, 0.25, 1]\n"
        "[drought]\ndamage = [0, 0.1, 0.2, 0.3]\n"
        "[cold_wave]\nedges = [1, 2, 3, 4]\n"
    )
    wildfire, drought, cold = (tables.bins(RISKS[name]) for name in ("wildfire", "drought", "cold_wave"))
    assert (wildfire.edges, wildfire.damage) == ((2.0, 10.0), (0.0, 0.25, 1.0))
    assert (drought.edges, drought.damage) == ((1, 1.5, 2), (0, 0.1, 0.2, 0.3))
    assert (cold.edges, cold.damage) == ((1, 2, 3, 4), RISKS["cold_wave"].damage)
    assert tables.bins(RISKS["typhoon"]).edges == RISKS["typhoon"].edges


def test_the_name_tells_file_and_content(load: Callable[[str], RiskTables]) -> None:
    text = "[drought]\nedges = [1, 1.6, 2]\n"
    digest = hashlib.blake2b(text.encode()).hexdigest()
    assert load(text).name == f"risks.toml@{digest[:12]}"
    assert load(text + "\n").name != load(text).name


def test_results_are_made_with_the_tables_bins(
    load: Callable[[str], RiskTables], make_inputs: Callable[..., CellInputs]
) -> None:
    tables = load("[high_temperature]\nedges = [5]\ndamage = [0.1, 0.6]\n")
    wsdi = np.array([[0.0] * 20 + [10.0] * 10])
    found = assess(make_inputs({"wsdi": wsdi}), ["high_temperature"], tables)["high_temperature"]
    np.testing.assert_allclose(found.probability, [[2 / 3, 1 / 3]])
    assert found.aal[0] == pytest.approx(0.2 / 3 + 0.6 / 3)
    np.testing.assert_array_equal(found.damage, [0.1, 0.6])


def test_replaced_return_periods_cut_the_baseline_there(
    load: Callable[[str], RiskTables], make_inputs: Callable[..., CellInputs]
) -> None:
    tables = load("[inland_flood]\nedges = [2, 50]\ndamage = [0, 0, 0.1]\n")
    rx1day = np.random.default_rng(1).gumbel(100, 30, (2, 30))
    found = assess(make_inputs({"rx1day": rx1day}), ["inland_flood"], tables)["inland_flood"]
    np.testing.assert_allclose(found.probability, [[0.5, 0.48, 0.02]] * 2, atol=1e-12)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[flood]\nedges = [1]", r"\[flood\]: no such risk; allowed are high_temperature, .*water_scarcity"),
        ("[drought]\nedge = [1]", r"\[drought\]: unknown key 'edge'; allowed are edges, damage"),
        ("[drought]", r"\[drought\]: must be a table with edges and/or damage"),
        ("drought = 3", r"\[drought\]: must be a table with edges and/or damage"),
        ("[drought]\nedges = 3", r"\[drought\] edges: must be a list of numbers, not 3"),
        ("[drought]\nedges = []", r"\[drought\] edges: must be a list of numbers, not \[\]"),
        ("[drought]\nedges = [1, 'a', 2]", r"\[drought\] edges: 'a' is not a finite number"),
        ("[drought]\nedges = [1, true, 2]", r"\[drought\] edges: True is not a finite number"),
        ("[drought]\nedges = [1, nan, 2]", r"\[drought\] edges: nan is not a finite number"),
        ("[drought]\nedges = [1, 2, inf]", r"\[drought\] edges: inf is not a finite number"),
        (f"[drought]\nedges = [1, 2, 1{'0' * 400}]", r"\[drought\] edges: 10+ is not a finite number"),
        ("[drought]\nedges = [1, 2, 2]", r"\[drought\] edges: must ascend strictly, but 2 follows 2"),
        ("[drought]\nedges = [2, 1, 3]", r"\[drought\] edges: must ascend strictly, but 1 follows 2"),
        ("[drought]\nedges = [1, 2]", r"\[drought\] damage: 4 rates for 3 bins; 2 edges need exactly 3"),
        ("[drought]\ndamage = [0, 1]", r"\[drought\] damage: 2 rates for 4 bins; 3 edges need exactly 4"),
        ("[drought]\ndamage = [0, 0, 0, 1.5]", r"\[drought\] damage: 1.5 is outside 0..1"),
        ("[drought]\ndamage = [-0.1, 0, 0, 1]", r"\[drought\] damage: -0.1 is outside 0..1"),
        (
            "[inland_flood]\nedges = [1, 5, 20]",
            r"\[inland_flood\] edges: 1 is too low; at least 1.01 \(years\)",
        ),
        (
            "[urban_flood]\nedges = [-1, 0.1, 0.3, 0.5, 1]",
            r"\[urban_flood\] edges: -1 is too low; at least 0 \(m\)",
        ),
        ("[drought\nedges", r"not a TOML file: .*line 1"),
    ],
)
def test_a_bad_file_is_refused_with_its_place_and_what_is_allowed(
    load: Callable[[str], RiskTables], text: str, sentence: str
) -> None:
    with pytest.raises(InvalidRiskTable, match=rf"risks\.toml: {sentence}"):
        load(text)


def test_one_bad_table_refuses_the_good_ones_too(load: Callable[[str], RiskTables]) -> None:
    with pytest.raises(InvalidRiskTable, match=r"\[drought\] damage: 2 rates for 4 bins"):
        load("[wildfire]\nedges = [2, 5, 15, 30]\n[drought]\ndamage = [0, 1]\n")


def test_bytes_that_are_not_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "risks.toml"
    path.write_bytes(b"\xff\xfe[drought]")
    with pytest.raises(InvalidRiskTable, match="not a TOML file"):
        load_tables(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    st.lists(st.floats(0, 300), min_size=1, max_size=8, unique=True).map(sorted),
    st.data(),
)
def test_any_ascending_edges_with_a_rate_per_bin_are_taken(
    tmp_path: Path, edges: list[float], data: st.DataObject
) -> None:
    damage = data.draw(st.lists(st.floats(0, 1), min_size=len(edges) + 1, max_size=len(edges) + 1))
    path = tmp_path / "own.toml"
    path.write_text(f"[typhoon]\nedges = {edges}\ndamage = {damage}\n")
    bins = load_tables(path).bins(RISKS["typhoon"])
    assert (list(bins.edges), list(bins.damage)) == (edges, damage)
