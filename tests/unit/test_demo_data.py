"""The demo's tables: their columns, their sources, and that they fit together."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict

import pytest

from ops.demo.sources import assumed_risks, demo_table

COLUMNS = {
    "stations": "station_id name name_ko latitude longitude elevation_m source",
    "sites": "latitude longitude elevation_m coast_km river_km imperviousness slope land_cover station basin"
    " source",
    "sea_level_stations": "station latitude longitude location_m scale_m shape source",
    "sea_level_rise": "station scenario year rise_mm source",
    "basins": "basin renewable_mcm withdrawal_mcm source",
    "demand": "scenario year ratio source",
    "warming": "scenario year dt_c source",
    "monthly_normals": "station_id name latitude longitude month ta tamax tamin rn rhm ws wet_days years"
    " source",
}
SCENARIOS = {"ssp126", "ssp245", "ssp370", "ssp585"}
ASSUMPTION = "assumption for the demonstration"
PUBLICATIONS = ("KMA ASOS", "GSHHG", "IPCC AR6 WG1", "FAO AQUASTAT", "the baseline itself")


def rows(table: str) -> list[dict[str, str]]:
    with demo_table(table).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("table", COLUMNS)
def test_columns_are_those_of_the_specification_and_a_source(table: str) -> None:
    with demo_table(table).open(encoding="utf-8") as file:
        assert file.readline().strip().split(",") == COLUMNS[table].split()


@pytest.mark.parametrize("table", COLUMNS)
def test_every_row_names_a_publication_or_says_that_it_is_an_assumption(table: str) -> None:
    unsourced = [
        row for row in rows(table) if not any(each in row["source"] for each in (*PUBLICATIONS, ASSUMPTION))
    ]
    assert unsourced == []


def test_there_are_61_stations_each_with_a_site_and_twelve_normals() -> None:
    def where(table: str) -> Counter[tuple[str, str]]:
        return Counter((row["latitude"], row["longitude"]) for row in rows(table))

    stations = where("stations")
    assert len(stations) == 61
    assert where("sites") == stations
    assert where("monthly_normals") == Counter(dict.fromkeys(stations, 12))
    assert len({row["name_ko"] for row in rows("stations")}) == 61


def test_sites_have_possible_attributes_and_the_elevation_of_their_station() -> None:
    elevation = {(row["latitude"], row["longitude"]): row["elevation_m"] for row in rows("stations")}
    for row in rows("sites"):
        assert row["elevation_m"] == elevation[row["latitude"], row["longitude"]]
        assert 0 <= float(row["imperviousness"]) <= 1
        assert 0 < float(row["slope"]) < 1
        assert float(row["river_km"]) > 0
        assert row["land_cover"] in {"forest", "grassland", "cropland", "urban", "water", "other"}


def test_every_coastal_site_has_a_sea_level_station_and_no_inland_site_has() -> None:
    ports = {row["station"] for row in rows("sea_level_stations")}
    for row in rows("sites"):
        assert (row["station"] in ports) == (float(row["coast_km"]) < 10)
        assert row["station"] in ports | {""}
    assert sum(float(row["coast_km"]) < 10 for row in rows("sites")) == 27


def test_every_site_has_a_basin_with_water() -> None:
    basins = {row["basin"]: row for row in rows("basins")}
    assert {row["basin"] for row in rows("sites")} == set(basins)
    for row in basins.values():
        assert 0.2 < float(row["withdrawal_mcm"]) / float(row["renewable_mcm"]) < 0.5


def test_basins_add_up_to_the_countrys_internal_renewable_water_and_its_withdrawal() -> None:
    # FAO AQUASTAT: 64.85 km3; Ministry of Environment: 24.4 km3 in 2018.
    assert sum(float(row["renewable_mcm"]) for row in rows("basins")) == pytest.approx(64850, abs=20)
    assert sum(float(row["withdrawal_mcm"]) for row in rows("basins")) == pytest.approx(24400, abs=20)


def test_sea_level_rises_in_every_scenario_at_every_station_as_ar6_has_it() -> None:
    rise: dict[tuple[str, str], dict[int, int]] = defaultdict(dict)
    for row in rows("sea_level_rise"):
        rise[row["station"], row["scenario"]][int(row["year"])] = int(row["rise_mm"])
    ports = {row["station"] for row in rows("sea_level_stations")}
    assert set(rise) == {(port, scenario) for port in ports for scenario in SCENARIOS}
    for decades in rise.values():
        assert list(decades) == list(range(2020, 2101, 10))
        assert list(decades.values()) == sorted(decades.values())
    assert rise["Busan", "ssp585"] == {
        2020: 53, 2030: 107, 2040: 172, 2050: 253, 2060: 336, 2070: 438, 2080: 556, 2090: 695, 2100: 846,
    }  # fmt: skip


def test_warming_is_the_ar6_best_estimate_less_that_of_the_baseline() -> None:
    best = {
        "ssp126": (1.5, 1.7, 1.8),
        "ssp245": (1.5, 2.0, 2.7),
        "ssp370": (1.5, 2.1, 3.6),
        "ssp585": (1.6, 2.4, 4.4),
    }
    baseline = round(0.85 + (2005.5 - 2004.5) / (2010.5 - 2004.5) * (0.99 - 0.85), 2)
    expected = {
        (scenario, year): value - baseline
        for scenario, values in best.items()
        for year, value in zip((2030, 2050, 2090), values, strict=True)
    } | {(scenario, 2005): 0.0 for scenario in best}
    table = {(row["scenario"], int(row["year"])): float(row["dt_c"]) for row in rows("warming")}
    assert table == pytest.approx(expected)


def test_demand_starts_at_the_baselines_withdrawal() -> None:
    first = {row["scenario"]: float(row["ratio"]) for row in rows("demand") if row["year"] == "2020"}
    assert first == dict.fromkeys(SCENARIOS, 1.0)


def test_normals_of_seoul_are_those_that_kma_publishes() -> None:
    seoul = [row for row in rows("monthly_normals") if row["station_id"] == "108"]
    # KMA, climatological normals 1991-2020: 12.8 degC, 1417.9 mm; January -2.0, August 26.1 degC.
    assert sum(float(row["ta"]) for row in seoul) / 12 == pytest.approx(12.8, abs=0.05)
    assert sum(float(row["rn"]) for row in seoul) == pytest.approx(1417.9, abs=1)
    assert (seoul[0]["ta"], seoul[7]["ta"]) == ("-2.0", "26.1")


def test_normals_are_ordered_and_rest_on_nearly_all_years() -> None:
    for row in rows("monthly_normals"):
        assert float(row["tamin"]) < float(row["ta"]) < float(row["tamax"])
        assert 28 <= int(row["years"]) <= 30
        assert 0 < float(row["wet_days"]) < float(row["rn"])


def test_risks_that_rest_on_an_assumption_are_known_with_their_tables() -> None:
    assert assumed_risks() == {
        "wildfire": ("sites",),
        "inland_flood": ("sites",),
        "urban_flood": ("sites",),
        "coastal_flood": ("sites", "sea_level_stations"),
        "water_scarcity": ("basins", "demand"),
    }


def test_an_unknown_table_is_refused_with_the_names_that_there_are() -> None:
    with pytest.raises(FileNotFoundError, match=r"'tides'; there are basins, demand, monthly_normals"):
        demo_table("tides")
