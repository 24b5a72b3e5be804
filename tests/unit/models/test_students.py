from dataclasses import fields

import numpy as np
import pytest
from student_rows import (
    NAN,
    absences,
    answers,
    attended,
    inputs,
    metrics,
    one_student,
    snapshots,
    table,
)

from streams.models.eap import eap
from streams.models.students import (
    ABSENT,
    EAP,
    ESTIMATE,
    EXCUSED,
    LATE,
    NONE,
    PRESENT,
    Responses,
    StudentMetrics,
)


def test_theta_is_the_latest_estimate_wherever_its_row_stands() -> None:
    assert one_student((-3, 0.4), (-1, 0.7), (-20, 0.1)).theta == [0.7]
    assert one_student((-49, -1.1)).theta == [-1.1]


def test_an_assessment_counts_over_a_snapshot_of_its_day_and_the_later_of_two_assessments() -> None:
    rows = [
        (0, -2, 100, True, 0.1),
        (0, -2, 200, True, 0.2),
        (0, -2, 150, True, 0.3),
        (0, -2, 999, False, 0.9),
    ]
    assert metrics(inputs(estimates=rows)).theta == [0.2]
    assert metrics(inputs(estimates=[*rows, (0, -1, 0, False, 0.5)])).theta == [0.5]


def test_an_assessment_without_theta_is_no_estimate() -> None:
    rows = [(0, -2, 100, True, NAN), (0, -2, 0, False, 0.4), (1, -2, 100, True, NAN)]
    found = metrics(inputs(2, estimates=rows))
    np.testing.assert_array_equal(found.theta, [0.4, NAN])
    np.testing.assert_array_equal(found.theta_basis, [ESTIMATE, NONE])


def test_seven_days_ago_goes_by_date_not_by_row() -> None:
    # Eight estimates within the last week: the row seven places up is of R-7, not of the week before.
    daily = [(-7, 0.9), (-6, 0.8), (-5, 0.7), (-4, 0.6), (-3, 0.5), (-2, 0.4), (-1, 0.3)]
    assert np.isnan(one_student(*daily).delta_theta_7d[0])
    assert one_student((-8, 1.0), *daily).delta_theta_7d == [-0.7]
    assert one_student((-30, 0.1), (-1, 0.3)).delta_theta_7d == [0.2]


def test_the_earlier_estimates_are_dated_r_8_and_r_15_or_before() -> None:
    found = one_student((-15, 0.5), (-14, 9.0), (-9, 8.0), (-8, 0.75), (-7, 7.0), (-1, 1.0))
    assert found.delta_theta_7d == [0.25]
    assert found.delta_theta_14d == [0.5]
    recent = one_student((-14, 9.0), (-7, 7.0))
    assert recent.delta_theta_7d == [-2.0]
    assert np.isnan(recent.delta_theta_14d[0])


def test_a_delta_is_null_when_theta_itself_is_as_old() -> None:
    found = one_student((-20, 0.5), (-8, 0.25))
    assert np.isnan(found.delta_theta_7d[0])
    assert found.delta_theta_14d == [-0.25]
    old = one_student((-30, 0.5), (-15, 0.25))
    assert np.isnan(old.delta_theta_14d[0])
    assert old.theta == [0.25]


def test_deltas_of_decimals_are_decimals() -> None:
    # 0.35 - 0.5 is -0.15000000000000002 in doubles, which would be below a threshold of -0.15.
    for theta in np.arange(-300, 301) / 100:
        found = one_student((-1, theta), (-8, round(theta + 0.15, 2)), (-15, round(theta + 0.25, 2)))
        assert found.delta_theta_7d == [-0.15]
        assert found.delta_theta_14d == [-0.25]


def test_omit_rate_is_of_sums_and_leaves_out_rows_without_counts() -> None:
    rows = [
        (0, -1, 10, 3, NAN),
        (0, -14, 40, 1, NAN),
        (0, -2, NAN, 7, NAN),
        (0, -3, 5, NAN, NAN),
        (1, -1, 0, 0, NAN),
        (2, -1, NAN, NAN, 0.5),
    ]
    np.testing.assert_array_equal(metrics(inputs(3, assessments=rows)).omit_rate, [0.08, NAN, NAN])


def test_c_hat_is_the_mean_of_the_estimates_there_are() -> None:
    rows = [(0, -1, NAN, NAN, 0.2), (0, -9, 5, 0, 0.5), (0, -2, 5, 0, NAN), (1, -1, 5, 0, NAN)]
    np.testing.assert_array_equal(metrics(inputs(2, assessments=rows)).c_hat, [0.35, NAN])


@pytest.mark.parametrize("count", range(1, 15))
def test_the_mean_of_equal_guessing_estimates_is_that_estimate(count) -> None:
    for c_hat in (0.1, 0.3, 0.4):
        rows = [(0, -1 - day % 14, NAN, NAN, c_hat) for day in range(count)]
        assert metrics(inputs(assessments=rows)).c_hat == [c_hat]


def test_absence_rates_are_of_sessions_of_seven_and_fourteen_days() -> None:
    week = attended((-1, ABSENT), (-1, PRESENT), (-7, ABSENT), (-7, LATE), (-7, EXCUSED))
    found = absences(week + attended((-8, ABSENT), (-14, PRESENT)))
    assert found.absence_rate_7d == [0.4]
    assert found.absence_rate_14d == [3 / 7]


def test_no_sessions_have_no_rate_and_no_absences() -> None:
    found = metrics(inputs(2, attendance=attended((-8, ABSENT))))
    np.testing.assert_array_equal(found.absence_rate_7d, [NAN, NAN])
    np.testing.assert_array_equal(found.absence_rate_14d, [1.0, NAN])
    np.testing.assert_array_equal(found.consecutive_absences, [1.0, NAN])


def test_excused_sessions_are_absences_only_where_the_thresholds_say_so() -> None:
    rows = attended((-1, EXCUSED), (-2, EXCUSED), (-2, ABSENT), (-3, LATE))
    found = absences(rows)
    assert (found.absence_rate_7d, found.consecutive_absences) == ([0.25], [0])
    turned = absences(rows, excused_is_absent=True)
    assert (turned.absence_rate_7d, turned.consecutive_absences) == ([0.75], [2])


def test_three_of_fifteen_is_the_threshold_of_a_fifth() -> None:
    rows = [(0, -1 - session % 7, ABSENT if session < 3 else PRESENT) for session in range(15)]
    assert absences(rows).absence_rate_7d == [0.2]


def test_days_of_absence_are_school_days_with_every_session_missed() -> None:
    # Friday R-3 back to Monday R-7, the weekend without sessions, and Friday R-10.
    week = [(day, ABSENT) for day in (-3, -4, -5, -6, -7, -10)]
    assert absences(attended(*week)).consecutive_absences == [6]
    assert absences(attended(*week, (-5, LATE))).consecutive_absences == [2]
    assert absences(attended(*week, (-3, PRESENT))).consecutive_absences == [0]
    assert absences(attended(*week, (-3, ABSENT))).consecutive_absences == [6]
    assert absences(attended((-14, ABSENT), (-13, PRESENT))).consecutive_absences == [0]
    assert absences(attended(*((day, ABSENT) for day in range(-14, 0)))).consecutive_absences == [14]


def test_decline_weeks_count_back_from_the_last_week() -> None:
    # The last day of each of the seven weeks; the week k = 7 has nothing before it.
    falling = [(-7 * week + 6, 0.1 * week) for week in range(1, 8)]
    assert one_student(*falling).decline_weeks == [6]
    assert one_student(*falling[:4]).decline_weeks == [3]
    assert one_student(*falling[:1]).decline_weeks == [0]
    assert one_student(falling[0], falling[2], falling[3]).decline_weeks == [0]
    assert one_student(*falling[:2], falling[3]).decline_weeks == [1]
    assert np.isnan(one_student(*falling[1:]).decline_weeks[0])


def test_a_week_that_does_not_fall_ends_the_run() -> None:
    assert one_student((-1, 0.1), (-8, 0.2), (-15, 0.2), (-22, 0.9)).decline_weeks == [1]
    assert one_student((-1, 0.3), (-8, 0.2), (-15, 0.5)).decline_weeks == [0]


def test_a_weeks_theta_is_its_last_estimate() -> None:
    # Weeks end on and begin on.
    assert one_student((-7, 0.9), (-1, 0.1), (-14, 0.0), (-8, 0.5), (-15, 0.6)).decline_weeks == [2]
    assert one_student((-7, 0.4), (-8, 0.5)).decline_weeks == [1]


def test_three_weeks_of_decline_show_with_estimates_of_four_weeks() -> None:
    assert one_student((-2, -0.3), (-9, -0.2), (-16, -0.1), (-23, 0.0)).decline_weeks == [3]


def test_item_responses_of_two_weeks_give_theta_and_the_earlier_estimate() -> None:
    responses = answers(-1, 1, 2) + answers(-7, 0, 2) + answers(-8, 3, 1) + answers(-14, 1, 0, b=0.5)
    stored = snapshots((-1, 2.0), (-8, 2.1), (-15, 0.5))
    found = metrics(inputs(estimates=stored, responses=responses))
    expected = []
    for rows in (responses[:5], responses[5:]):
        one = table(Responses, rows)
        theta, _ = eap(one.student, one.response, one.a, one.b, one.c, students=1, scaling=1.7)
        expected.append(theta[0])
    assert found.theta_basis == [EAP]
    np.testing.assert_allclose(found.theta, expected[0], atol=1e-12)
    np.testing.assert_allclose(found.delta_theta_7d, expected[0] - expected[1], atol=1e-11)
    assert found.delta_theta_14d == [1.5], "a stored estimate is held against stored ones"
    assert found.decline_weeks == [1]


def test_item_responses_alone_are_enough_for_theta() -> None:
    found = metrics(inputs(responses=answers(-7, 3, 2) + answers(-8, 2, 3)))
    assert found.delta_theta_7d[0] > 0
    assert np.isnan(found.delta_theta_14d[0])
    assert np.isnan(found.decline_weeks[0])


@pytest.mark.parametrize(("this_week", "week_before"), [(4, 5), (5, 4), (9, 0), (0, 9)])
def test_fewer_than_five_responses_in_either_week_leave_the_stored_estimates(this_week, week_before) -> None:
    responses = answers(-1, this_week, 0) + answers(-8, week_before, 0)
    found = metrics(inputs(estimates=snapshots((-1, 0.5), (-8, 0.75)), responses=responses))
    assert found.theta_basis == [ESTIMATE]
    assert (found.theta, found.delta_theta_7d) == ([0.5], [-0.25])


def test_a_tenant_without_students_has_empty_metrics() -> None:
    found = metrics(inputs(0))
    assert all(getattr(found, field.name).shape == (0,) for field in fields(StudentMetrics))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"attendance": [(0, -15, ABSENT)]}, r"attendance: day lies in -15..-15, allowed are -14..-1"),
        ({"attendance": [(0, 0, ABSENT)]}, "attendance: day"),
        ({"attendance": [(1, -1, ABSENT)]}, "attendance: student"),
        ({"attendance": [(0, -1, 4)]}, "attendance: status"),
        ({"estimates": snapshots((-50, 0.1))}, "estimates: day"),
        ({"estimates": snapshots((-5, 0.1), student=-1)}, "estimates: student"),
        ({"assessments": [(0, -15, 1, 1, 0)]}, "assessments: day"),
        ({"responses": answers(-15, 1, 0)}, "responses: day"),
    ],
)
def test_rows_outside_the_students_or_days_are_refused(rows, message) -> None:
    with pytest.raises(ValueError, match=message):
        metrics(inputs(**rows))


def test_inputs_are_left_as_they_were() -> None:
    rows = inputs(
        attendance=attended((-1, EXCUSED), (-2, ABSENT)), estimates=snapshots((-1, 0.5), (-8, 0.75))
    )
    metrics(rows, excused_is_absent=True)
    assert rows.attendance.status.tolist() == [EXCUSED, ABSENT]
    assert rows.attendance.day.tolist() == [-1, -2]
    assert rows.estimates.theta.tolist() == [0.5, 0.75]
