from dataclasses import fields

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from student_rows import NAN, inputs, metrics

from streams.models.students import StudentMetrics

STUDENTS = st.integers(0, 3)
THETAS = st.one_of(st.just(NAN), st.integers(-300, 300).map(lambda hundredths: hundredths / 100))
SHARES = st.one_of(st.just(NAN), st.floats(0, 1))
ROWS = st.fixed_dictionaries(
    {
        "estimates": st.lists(
            st.tuples(STUDENTS, st.integers(-49, -1), st.integers(0, 10**6), st.booleans(), THETAS),
            max_size=40,
            unique_by=lambda row: row[:4] if row[3] else (row[0], row[1], "snapshot"),
        ),
        "assessments": st.lists(
            st.tuples(STUDENTS, st.integers(-14, -1), st.just(20), st.integers(0, 20), SHARES), max_size=20
        ),
        "attendance": st.lists(st.tuples(STUDENTS, st.integers(-14, -1), st.integers(0, 3)), max_size=40),
        "responses": st.lists(
            st.tuples(
                STUDENTS,
                st.sampled_from([-1, -8]),
                st.integers(0, 1),
                st.sampled_from([0.8, 1.5]),
                st.integers(-2, 2),
                st.sampled_from([0.0, 0.25]),
            ),
            max_size=60,
        ),
    }
)


def assert_same(found, expected, chosen=slice(None)) -> None:
    """Equal, but for the rounding of sums that theta by EAP may keep."""
    for field in fields(StudentMetrics):
        near = 1e-11 if "theta" in field.name else 0
        np.testing.assert_allclose(
            getattr(found, field.name), getattr(expected, field.name)[chosen], atol=near, rtol=0
        )


@settings(deadline=None, max_examples=60)
@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows, random) -> None:
    shuffled = {name: random.sample(listed, len(listed)) for name, listed in rows.items()}
    assert_same(metrics(inputs(4, **shuffled)), metrics(inputs(4, **rows)))


@settings(deadline=None, max_examples=60)
@given(ROWS)
def test_a_student_is_the_same_with_and_without_others(rows) -> None:
    together = metrics(inputs(4, **rows))
    for student in range(4):
        own = {name: [(0, *row[1:]) for row in listed if row[0] == student] for name, listed in rows.items()}
        assert_same(metrics(inputs(1, **own)), together, slice(student, student + 1))
