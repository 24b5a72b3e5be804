from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from streams.models.assess import assess_risk
from streams.models.inputs import CellInputs, Years
from streams.models.risks import RISKS
from streams.models.tables import builtin_tables

RISK = RISKS["high_temperature"]


def test_seoul_has_the_printed_spells_probabilities_loss_and_score(
    seoul_indices: dict[str, np.ndarray], make_inputs: Callable[..., CellInputs]
) -> None:
    wsdi = seoul_indices["wsdi"]
    year = {1991 + i: days for i, days in enumerate(wsdi[0])}
    assert [year[y] for y in (1994, 1998, 1999, 2000, 2002, 2003, 2018, 2020)] == [15, 6, 6, 7, 12, 0, 15, 11]
    assert wsdi.sum() == 117
    found = assess_risk(make_inputs({"wsdi": wsdi}), RISK, builtin_tables())
    np.testing.assert_allclose(found.probability, [[0.566667, 0.177528, 0.255688, 0.000117, 0]], atol=5e-7)
    assert found.aal[0] == pytest.approx(0.00309181, abs=5e-9)
    assert found.hazard_score[0] == pytest.approx(0.500147, abs=5e-7)
    assert found.hazard_level[0] == "Medium"
    np.testing.assert_array_equal(found.intensity, wsdi)


def test_printed_example_of_the_hurdle_is_the_one_of_warm_spells(
    make_inputs: Callable[..., CellInputs],
) -> None:
    wsdi = np.array([[0.0] * 20 + [6, 7, 8, 9, 10, 12, 15, 20, 25, 30]])
    found = assess_risk(make_inputs({"wsdi": wsdi}), RISK, builtin_tables())
    expected = [[0.666667, 0.057755, 0.194131, 0.081323, 0.000124]]
    np.testing.assert_allclose(found.probability, expected, atol=5e-7)
    assert found.hazard_score[0] == pytest.approx(0.601965, abs=5e-7)
    assert found.hazard_level[0] == "High"
    assert found.parameters["share_of_zeros"][0] == pytest.approx(2 / 3)
    assert found.parameters["positive_years"][0] == 10


def test_only_years_of_the_window_count(make_inputs: Callable[..., CellInputs]) -> None:
    wsdi = np.array([[30.0] * 10 + [0.0] * 20])
    inputs = make_inputs({"wsdi": wsdi})
    later = replace(inputs, window=Years(2001, 2020))
    found = assess_risk(later, RISK, builtin_tables())
    np.testing.assert_array_equal(found.probability, [[1, 0, 0, 0, 0]])
    assert found.years.tolist() == list(range(2001, 2021))
    assert found.hazard_score[0] == 0.0


def test_too_few_years_and_none_are_told_apart(make_inputs: Callable[..., CellInputs]) -> None:
    wsdi = np.zeros((3, 30))
    wsdi[0, 14:] = np.nan
    wsdi[1] = np.nan
    wsdi[2, 20:] = np.nan
    found = assess_risk(make_inputs({"wsdi": wsdi}), RISK, builtin_tables())
    assert found.reason.tolist() == ["too_short: 14 of 30 years", "no_data: wsdi", None]
    assert np.isnan(found.aal).tolist() == [True, True, False]
    assert np.isnan(found.hazard_score).tolist() == [True, True, False]
    assert found.hazard_level.tolist() == [None, None, "Very Low"]
    np.testing.assert_array_equal(found.probability[2], [1, 0, 0, 0, 0])


def test_a_window_beyond_the_records_is_no_data(make_inputs: Callable[..., CellInputs]) -> None:
    inputs = make_inputs({"wsdi": np.zeros((1, 30))})
    beyond = replace(inputs, window=Years(2031, 2060))
    assert assess_risk(beyond, RISK, builtin_tables()).reason.tolist() == ["no_data: wsdi"]
