"""What chance and the messages of faults are made of: repeated by their seed, each message another one."""

from __future__ import annotations

from collections import Counter

from faults.chance import FIRST, LAST, LENGTH, drawn
from faults.flow import shared_ids
from faults.messages import poison
from faults.mishaps import MISHAPS

from schemas.codec import json_object
from schemas.topics import GRID_CHUNKS, TRIGGERS

SEEDS = range(200)


def test_a_seed_always_draws_the_same_sequence():
    assert [drawn(seed) for seed in SEEDS] == [drawn(seed) for seed in SEEDS]
    assert len({str(drawn(seed)).partition(":")[2] for seed in SEEDS}) == len(SEEDS)


def test_two_hundred_seeds_draw_every_disturbance_and_within_the_job():
    names = Counter(mishap.name for seed in SEEDS for _, mishap in drawn(seed).moments)
    assert names.keys() == {mishap.name for mishap in MISHAPS}
    assert names.total() == LENGTH * len(SEEDS)
    shares = [share for seed in SEEDS for share, _ in drawn(seed).moments]
    assert FIRST <= min(shares) <= max(shares) <= LAST


def test_no_two_messages_of_the_poison_are_the_same_on_one_topic():
    bad = poison("poison")
    assert len({(each.topic.name, each.key, each.value) for each in bad}) == len(bad) == 4 * 11
    left_out = [each for each in bad if not each.to_letters]
    assert {json_object(each.value)["job_id"] for each in left_out} == {"poison-unknown"}
    assert not [each for each in left_out if each.topic in {TRIGGERS, GRID_CHUNKS}]


def test_ids_of_jobs_that_two_sinks_share_are_as_many_as_asked_for():
    assert len(set(shared_ids(100))) == 100
