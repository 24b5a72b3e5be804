"""Assessments as messages: a value per cell, never NaN, one cell failing alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest

from schemas.codec import encode
from schemas.messages import GridChunk, Window
from schemas.topics import HAZARDS, PROBABILITIES
from streams.cells import Reading
from streams.chunk import UncomputableChunk, compute, origin_of
from streams.isolation import Outcome, assess_apart, take
from streams.models.assess import assess_risk
from streams.models.frame import Annual
from streams.models.inputs import (
    ANNUAL_INDICES,
    SITE_NUMBERS,
    AnnualSeries,
    CellInputs,
    MonthlySeries,
    Years,
)
from streams.models.risks import RISKS
from streams.models.tables import Bins, RiskTables, builtin_tables
from streams.results import Origin, failed_chunk, result

CELLS = 8
YEARS = Years(1991, 2020)
BUILT_IN = builtin_tables()


@pytest.fixture
def inputs() -> CellInputs:
    """Annual indices of eight cells; the last has none."""
    random = np.random.default_rng(3)
    values = {name: np.zeros((CELLS, len(YEARS))) for name in ANNUAL_INDICES}
    values["rx1day"][:] = random.gumbel(110, 35, (CELLS, len(YEARS))).clip(20)
    values["wsdi"][:, ::3] = 6.0 + random.integers(0, 20, (CELLS, 10))
    for column in values.values():
        column[-1] = np.nan
    indices = AnnualSeries(YEARS.start, values)
    months = MonthlySeries(YEARS.start, {})
    site = {name: np.full(CELLS, 0.5) for name in SITE_NUMBERS} | {"slope": np.full(CELLS, 0.02)}
    return CellInputs(
        latitude=np.linspace(33, 38, CELLS),
        longitude=np.full(CELLS, 127.0),
        scenario="historical",
        window=YEARS,
        baseline=YEARS,
        baseline_months=months,
        months=months,
        baseline_indices=indices,
        indices=indices,
        site=site,
        land_cover=np.full(CELLS, None, dtype=object),
    )


@pytest.fixture
def origin(inputs: CellInputs) -> Origin:
    cells = list(zip(inputs.latitude.tolist(), inputs.longitude.tolist(), strict=True))
    return Origin("job", 4, "job:2", 2, "historical", Window(start=1991, end=2020), cells)


def outcome(inputs: CellInputs, risk: str, **changes: Any) -> Outcome:
    """The outcome of a risk, its row of the table changed."""
    return assess_apart(inputs, replace(RISKS[risk], **changes), BUILT_IN, uncertainty=False, unreadable={})


def raising_where(inputs: CellInputs, risk: str, places: set[int]) -> Any:
    """The risk's `annual`, raising when any of the places is among the cells that it is given."""
    bad = {float(inputs.latitude[place]) for place in places}

    def annual(given: CellInputs) -> Annual:
        if bad & set(given.latitude.tolist()):
            raise FloatingPointError("overflow in the fit\n[1 2 3]")
        return RISKS[risk].annual(given)

    return annual


def test_shared_edges_stand_once_and_own_edges_per_cell(inputs: CellInputs, origin: Origin) -> None:
    names = ["high_temperature", "inland_flood", "urban_flood"]
    message = result("probability", origin, [outcome(inputs, name) for name in names], BUILT_IN)
    document = orjson.loads(encode(PROBABILITIES, message, source="test").value)
    warm, inland, urban = document["risks"]

    assert warm["edges"] == [3, 8, 20, 40]
    assert warm["unit"] == "days"
    assert "cell_edges" not in warm
    for own, bins in ((inland, 4), (urban, 6)):
        assert "edges" not in own
        assert own["unit"] == "mm"
        assert [edges and len(edges) for edges in own["cell_edges"]] == [bins - 1] * 7 + [None]
    assert inland["probability"][0] == pytest.approx([0.8, 0.15, 0.04, 0.01], abs=1e-9)
    assert inland["aal"][0] == pytest.approx(0.0009, abs=1e-12)


def test_a_cell_has_numbers_or_a_reason_and_json_holds_no_nan(inputs: CellInputs, origin: Origin) -> None:
    warm = outcome(inputs, "high_temperature")
    probability = result("probability", origin, [warm], BUILT_IN)
    hazard = result("hazard", origin, [warm], BUILT_IN)

    told = probability.risks[0].model_dump()
    assert told["reason"] == [None] * 7 + ["no_data: wsdi"]
    assert told["failure"] == [None] * 8
    assert told["probability"][7] is None
    assert told["aal"][7] is None
    assert told["aal_p05"] is None
    assert sum(told["probability"][0]) == pytest.approx(1, abs=1e-12)
    assert told["aal"][0] == pytest.approx(
        np.dot(told["probability"][0], told["base_damage_rate"]), abs=1e-15
    )
    scores = hazard.risks[0].model_dump()
    assert scores["hazard_score"][7] is None
    assert scores["hazard_level"][7] is None
    assert scores["reason"] == told["reason"]
    for topic, message in ((PROBABILITIES, probability), (HAZARDS, hazard)):
        assert b"NaN" not in encode(topic, message, source="test").value


@pytest.mark.parametrize("bad", [{0}, {6}, {2, 3}, {0, 5, 7}, set(range(CELLS))])
def test_cells_that_make_a_model_raise_fail_alone(inputs: CellInputs, origin: Origin, bad: set[int]) -> None:
    sound = result("probability", origin, [outcome(inputs, "inland_flood")], BUILT_IN).risks[0].model_dump()
    faulty = outcome(inputs, "inland_flood", annual=raising_where(inputs, "inland_flood", bad))
    told = result("probability", origin, [faulty], BUILT_IN).risks[0].model_dump()

    for place in range(CELLS):
        if place in bad:
            assert told["failure"][place] == "FloatingPointError: overflow in the fit"
            assert told["probability"][place] is None
            assert told["reason"][place] is None
        else:
            assert told["failure"][place] is None
            assert told["probability"][place] == sound["probability"][place]
            assert told["reason"][place] == sound["reason"][place]


def test_a_model_that_fails_only_for_many_cells_fails_them_all_with_its_reason(inputs: CellInputs) -> None:
    def annual(given: CellInputs) -> Annual:
        if len(given.latitude) > 1:
            raise ValueError("shapes do not agree")
        return RISKS["inland_flood"].annual(given)

    faulty = outcome(inputs, "inland_flood", annual=annual)
    assert faulty.assessment is None
    assert faulty.failures == dict.fromkeys(range(CELLS), "ValueError: shapes do not agree")


def test_a_row_that_is_no_distribution_is_a_failure_and_not_a_lack_of_data(
    inputs: CellInputs, origin: Origin
) -> None:
    def estimate(*arguments: Any) -> Any:
        sound = RISKS["inland_flood"].estimate(*arguments)
        sound.probability[3] = [0.9, 0.9, 0.0, 0.0]
        return sound

    hazard = result("hazard", origin, [outcome(inputs, "inland_flood", estimate=estimate)], BUILT_IN)
    told = hazard.risks[0].model_dump()
    assert told["failure"][3] == "the estimate is not a probability distribution"
    assert told["hazard_score"][3] is None
    assert told["reason"][3] is None
    assert told["failure"][2] is None


def test_a_cell_that_would_say_nothing_fails(inputs: CellInputs, origin: Origin) -> None:
    def susceptibility(given: CellInputs) -> Any:
        return np.where(given.latitude == inputs.latitude[2], np.nan, 1.0)

    faulty = outcome(inputs, "inland_flood", susceptibility=susceptibility)
    hazard = result("hazard", origin, [faulty], BUILT_IN).risks[0].model_dump()
    probability = result("probability", origin, [faulty], BUILT_IN).risks[0].model_dump()
    assert hazard["failure"] == [None] * 2 + ["the model gave no finite number and no reason"] + [None] * 5
    assert hazard["hazard_score"][2] is None
    assert hazard["reason"][7] == "no_data: rx1day"
    assert probability["failure"] == [None] * 8


def test_a_rounding_error_above_one_is_taken_as_one(inputs: CellInputs, origin: Origin) -> None:
    dry = outcome(inputs, "high_temperature")
    assert dry.assessment is not None
    dry.assessment.probability[0] = [1 + 2e-16, 0, 0, 0, 0]
    told = result("probability", origin, [dry], BUILT_IN).risks[0].model_dump()
    assert told["probability"][0] == [1, 0, 0, 0, 0]


def test_a_users_table_is_named_and_its_numbers_are_sent(inputs: CellInputs, origin: Origin) -> None:
    own = RiskTables("risks.toml@0123", {"high_temperature": Bins((5, 9), (0, 0.5, 1))})
    warm = assess_apart(inputs, RISKS["high_temperature"], own, uncertainty=False, unreadable={})
    message = result("probability", origin, [warm], own)

    assert message.risk_table == "risks.toml@0123"
    told = message.risks[0].model_dump()
    assert told["edges"] == [5, 9]
    assert told["base_damage_rate"] == [0, 0.5, 1]
    assert [len(row) for row in told["probability"][:7]] == [3] * 7


def test_cells_whose_input_could_not_be_read_are_not_assessed(inputs: CellInputs) -> None:
    found = assess_apart(
        inputs, RISKS["inland_flood"], BUILT_IN, uncertainty=False, unreadable={1: "torn bytes"}
    )
    assert found.failures == {1: "torn bytes"}
    assert found.places.tolist() == [0, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("risk", ["high_temperature", "inland_flood", "urban_flood"])
def test_part_of_the_cells_is_assessed_as_in_the_whole(inputs: CellInputs, risk: str) -> None:
    places = np.array([6, 1, 4])
    whole = assess_risk(inputs, RISKS[risk], BUILT_IN)
    part = assess_risk(take(inputs, places), RISKS[risk], BUILT_IN)
    np.testing.assert_array_equal(part.probability, whole.probability[places])
    np.testing.assert_array_equal(part.hazard_score, whole.hazard_score[places])


def test_a_result_that_would_be_too_large_is_refused_with_its_size(inputs: CellInputs) -> None:
    cells = 3000
    many = take(inputs, np.arange(cells) % CELLS)
    chunk = GridChunk(
        job_id="job",
        job_seq=1,
        chunk_id="job:1",
        chunk=1,
        chunks=1,
        kinds=["probability"],
        risks=["high_temperature", "inland_flood", "urban_flood"],
        scenario="historical",
        window=Window(start=1991, end=2020),
        baseline=Window(start=1991, end=2020),
        cells=list(zip(many.latitude.tolist(), many.longitude.tolist(), strict=True)),
    )
    with pytest.raises(UncomputableChunk, match=r"\d{7} bytes for 3000 cells; .* lower BATCH_SIZE"):
        compute(chunk, origin_of(chunk, 1), Reading(many, {}), BUILT_IN)


@pytest.mark.parametrize("kind", ["probability", "hazard"])
def test_a_failed_chunk_names_its_cells_and_says_why(origin: Origin, kind: Any) -> None:
    message = failed_chunk(kind, origin, "chunk 2: not JSON", BUILT_IN)
    assert message.failure == "chunk 2: not JSON"
    assert message.risks == []
    assert message.cells == origin.cells
    assert (message.kind, message.job_seq, message.chunk) == (kind, 4, 2)
