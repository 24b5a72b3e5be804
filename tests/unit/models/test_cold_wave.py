from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import norm

from streams.models.assess import assess_risk
from streams.models.inputs import CellInputs
from streams.models.risks import RISKS
from streams.models.tables import builtin_tables

RISK = RISKS["cold_wave"]


def test_probabilities_are_those_of_kernels_reflected_at_five_and_a_half_days(
    make_inputs: Callable[..., CellInputs],
) -> None:
    spells = np.array([6.0, 6.0, 7.0, 9.0, 13.0, 18.0])
    csdi = np.concatenate([np.zeros(18), spells])[None, :]
    csdi = np.concatenate([csdi, np.full((1, 6), np.nan)], axis=1)
    found = assess_risk(make_inputs({"csdi": csdi}), RISK, builtin_tables())

    excess = spells - 5.5
    iqr = np.subtract(*np.percentile(excess, [75, 25]))
    width = 0.9 * min(excess.std(ddof=1), iqr / 1.349) * 6**-0.2
    shrink = (1 + width**2 / np.mean(excess**2)) ** -0.5
    kernels = norm(shrink * np.concatenate([excess, -excess]), shrink * width)
    inside = [2 * np.mean(kernels.cdf(edge - 6.0) - kernels.cdf(0.0)) for edge in (7, 15, 30)]
    expected = [0.75, *(0.25 * np.diff([0.0, *inside, 1.0]))]
    np.testing.assert_allclose(found.probability, [expected], atol=1e-12)
    assert found.aal[0] == pytest.approx(np.dot(expected, [0, 0.002, 0.006, 0.015, 0.025]))


def test_cold_spells_do_not_read_the_warm_ones(make_inputs: Callable[..., CellInputs]) -> None:
    found = assess_risk(make_inputs({"wsdi": np.zeros((1, 30))}), RISK, builtin_tables())
    assert found.reason.tolist() == ["no_data: csdi"]


def test_years_without_a_spell_lose_nothing(make_inputs: Callable[..., CellInputs]) -> None:
    found = assess_risk(make_inputs({"csdi": np.zeros((1, 30))}), RISK, builtin_tables())
    np.testing.assert_array_equal(found.probability, [[1, 0, 0, 0, 0]])
    assert found.aal[0] == 0.0
    assert found.hazard_level[0] == "Very Low"
