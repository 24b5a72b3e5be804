"""docs/scaling.md is what benchmarks/capacity.py works out, and the simulation agrees with plain division."""

from pathlib import Path

import pytest

from benchmarks.capacity import Costs, Plan, core_hours, placed, tables, workers_needed
from benchmarks.simulation import Setup, throughput

PAGE = Path(__file__).parents[2] / "docs" / "scaling.md"


@pytest.mark.parametrize("table", tables(Costs(), Plan()), ids=lambda table: table.name)
def test_the_page_has_the_table(table) -> None:
    assert f"<!-- table: {table.name} -->\n{table.markdown()}\n<!-- end of table -->" in PAGE.read_text()


def test_core_hours_are_cells_times_their_cost() -> None:
    plan = Plan(cells=1_000_000, scenarios=2, windows=2)
    hours = core_hours(Costs(worker_daily=3.6), plan, daily=True)
    assert hours["workers"] == pytest.approx(4.0)
    assert workers_needed(4.0, within=1.0, partitions=8) == 5
    assert workers_needed(4.0, within=0.1, partitions=8) == 8


def test_tables_take_the_place_of_those_before_and_a_page_without_place_is_refused() -> None:
    table = tables(Costs(), Plan())[0]
    page = f"above\n<!-- table: {table.name} -->\nold\n<!-- end of table -->\nbelow\n"
    once = placed(page, [table])
    assert once.startswith("above\n")
    assert once.endswith("below\n")
    assert "old" not in once
    assert placed(once, [table]) == once
    with pytest.raises(ValueError, match=f"no place for the table '{table.name}'"):
        placed("nothing", [table])


def test_one_worker_computes_as_fast_as_its_cost_allows() -> None:
    assert throughput(Setup(1), Costs(worker_annual=2.0)) == pytest.approx(500, rel=0.05)


def test_one_database_bounds_many_workers() -> None:
    costs = Costs(worker_annual=0.5, database_read=1.0, database_write=1.0)
    bound = 1000 / costs.database
    assert throughput(Setup(16, partitions=32, database_cores=1), costs) == pytest.approx(bound, rel=0.05)
