"""Draws daily weather of one cell into a CSV for `riskflow load daily`; for trials, not for conclusions.

python docs/samples/weather.py FILE [--scenario NAME] [--years FIRST-LAST] [--warmer DEGREES]
"""

import argparse
import csv
import math
import random
from datetime import date, timedelta
from pathlib import Path

CELL = ("37.5714", "126.9658")
COLUMNS = ("latitude", "longitude", "date", "tmax", "tmin", "precip", "rh", "wind", "scenario")
MEAN, SWING, HOTTEST_DAY = 12.5, 14.5, 205
"""Mean and yearly swing of the temperature [degC], and the day of the year at its top."""
RAIN_DRY, RAIN_WET = 3.0, 17.0
"""Mean of a wet day in winter and in summer [mm]."""


def days(first: int, last: int) -> list[date]:
    """Every day of the years, both ends included."""
    start = date(first, 1, 1)
    return [start + timedelta(days=n) for n in range((date(last + 1, 1, 1) - start).days)]


def weather(day: date, chance: random.Random, warmer: float) -> list[str]:
    """Highest and lowest temperature [degC], rain [mm], humidity [%] and wind [m/s] of a day."""
    season = math.cos(2 * math.pi * (day.timetuple().tm_yday - HOTTEST_DAY) / 365.25)
    mean = MEAN + SWING * season + warmer + chance.gauss(0, 3)
    width = chance.uniform(6, 12)
    wet = chance.random() < 0.22 + 0.18 * season
    rain = chance.expovariate(1 / (RAIN_DRY + RAIN_WET * max(season, 0))) if wet else 0.0
    humidity = min(98.0, max(20.0, 58 + 12 * season + 20 * wet + chance.gauss(0, 8)))
    numbers = (mean + width / 2, mean - width / 2, rain, humidity, chance.gammavariate(5, 0.5))
    return [f"{number:.1f}" for number in numbers]


def main() -> None:
    """Write the file that the command line names; the same arguments give the same file."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("file", type=Path)
    options.add_argument("--scenario", default="historical")
    options.add_argument("--years", default="1991-2020")
    options.add_argument("--warmer", type=float, default=0.0)
    asked = options.parse_args()
    first, last = map(int, asked.years.split("-"))
    chance = random.Random(f"{asked.scenario} {asked.years}")  # noqa: S311 - weather, no secret
    with asked.file.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        for day in days(first, last):
            rows.writerow([*CELL, day, *weather(day, chance, asked.warmer), asked.scenario])


if __name__ == "__main__":
    main()
