"""Migrations: twice, at the same time, and over the tables of the system that is being replaced."""

import asyncio

import asyncpg
import numpy as np
import pytest

from schemas.database import migrate, migrations
from schemas.settings import Settings

OLD_TABLES = """
CREATE TABLE climate_data (
    id serial PRIMARY KEY, latitude float8, longitude float8, year integer, month integer,
    ta real, tamax real, tamin real, rn real, rhm real, ws real, si real, note text);
CREATE TABLE probability_results (
    id serial PRIMARY KEY, latitude numeric(10,6), longitude numeric(10,6), risk_type varchar(50) NOT NULL,
    probability jsonb NOT NULL, bin_data jsonb NOT NULL, calculated_at timestamp NOT NULL DEFAULT now());
CREATE TABLE hazard_results (
    id serial PRIMARY KEY, latitude numeric(10,6), longitude numeric(10,6), risk_type varchar(50) NOT NULL,
    hazard_score double precision NOT NULL, hazard_score_100 double precision NOT NULL,
    hazard_level varchar(20) NOT NULL, calculated_at timestamp DEFAULT now());
CREATE TABLE batch_job_logs (
    id serial PRIMARY KEY, job_type varchar(50) NOT NULL, started_at timestamp NOT NULL,
    completed_at timestamp,
    status varchar(20) NOT NULL, total_grids integer, processed_grids integer, failed_grids integer,
    success_rate double precision, error_message text);
INSERT INTO climate_data (latitude, longitude, year, month, ta, rn)
    SELECT 37.5, 127.0, y, m, m, 100 FROM generate_series(2000, 2001) y, generate_series(1, 12) m;
INSERT INTO climate_data (latitude, longitude, year, month, ta, rn) VALUES (37.5, 127.0, 2000, 3, 99, 1);
INSERT INTO probability_results (latitude, longitude, risk_type, probability, bin_data, calculated_at) VALUES
    (37.5, 127, 'drought', '[1]', '[]', '2025-01-01'), (37.5, 127, 'drought', '[2]', '[]', '2026-01-01'),
    (37.5, 127, 'typhoon', '[3]', '[]', '2026-01-01'), (37.5, 127, 'drought', '[0]', '[]', '2024-01-01');
INSERT INTO hazard_results
    (latitude, longitude, risk_type, hazard_score, hazard_score_100, hazard_level) VALUES
    (37.5, 127, 'drought', 0.5, 50, 'Medium'), (37.5, 127, 'drought', 0.6, 60, 'High');
INSERT INTO batch_job_logs (job_type, started_at, status) VALUES ('probability', '2025-01-01', 'completed'),
    ('probability', '2026-01-01', 'completed');
"""


@pytest.fixture
async def old_database(empty_database_url):
    connection = await asyncpg.connect(empty_database_url)
    await connection.execute(OLD_TABLES)
    yield empty_database_url, connection
    await connection.close()


async def test_migrating_twice_applies_everything_once(empty_database_url):
    assert await migrate(empty_database_url) == [each.name for each in migrations()]
    assert await migrate(empty_database_url) == []


async def test_two_at_once_apply_everything_once(empty_database_url):
    applied = await asyncio.gather(*(migrate(empty_database_url) for _ in range(3)))
    assert sorted(len(names) for names in applied) == [0, 0, len(migrations())]


async def test_old_results_are_taken_over_and_older_duplicates_set_aside(old_database):
    url, connection = old_database
    await migrate(url, Settings(_env_file=None, scenario="ssp245", window_start=2021, window_end=2050))
    kept = await connection.fetch(
        "SELECT risk_type, probability::text, scenario, window_start, window_end, job_seq "
        "FROM probability_results ORDER BY risk_type"
    )
    assert [tuple(row) for row in kept] == [
        ("drought", "[2]", "ssp245", 2021, 2050, 0),
        ("typhoon", "[3]", "ssp245", 2021, 2050, 0),
    ]
    aside = await connection.fetch("SELECT probability::text FROM probability_results_superseded ORDER BY 1")
    assert [row[0] for row in aside] == ["[0]", "[1]"]
    assert await connection.fetchval("SELECT hazard_score FROM hazard_results") == 0.6
    jobs = await connection.fetch("SELECT job_id, job_seq FROM batch_job_logs ORDER BY id")
    assert [tuple(row) for row in jobs] == [("before-riskflow-1", 0), ("before-riskflow-2", 0)]


async def test_a_view_of_the_old_system_stays_and_does_not_stand_in_the_way(empty_database_url):
    connection = await asyncpg.connect(empty_database_url)
    await connection.execute(
        """
        CREATE TABLE hazard_results (
            id bigserial PRIMARY KEY, latitude numeric(10,6), longitude numeric(10,6), risk_type varchar(50),
            hazard_score float8, hazard_score_100 float8, hazard_level text, calculated_at timestamp);
        INSERT INTO hazard_results VALUES (1, 37.5, 127, 'drought', 0.5, 50, 'Medium', now());
        CREATE VIEW report AS SELECT latitude, longitude, risk_type, hazard_score FROM hazard_results;
        """
    )
    await migrate(empty_database_url)
    assert await connection.fetchval("SELECT risk_type FROM report") == "drought"
    await connection.close()


async def test_the_views_have_exactly_the_old_columns_and_the_default_window(old_database):
    url, connection = old_database
    await migrate(url)
    row = await connection.fetchrow("SELECT * FROM current_probability_results WHERE risk_type = 'typhoon'")
    assert list(row.keys()) == [
        "id", "latitude", "longitude", "risk_type", "probability", "bin_data", "calculated_at",
    ]  # fmt: skip
    hazard = await connection.fetchrow("SELECT * FROM current_hazard_results")
    assert list(hazard.keys()) == [
        "id", "latitude", "longitude", "risk_type", "hazard_score", "hazard_score_100", "hazard_level",
        "calculated_at",
    ]  # fmt: skip
    await migrate(url, Settings(_env_file=None, scenario="ssp585"))
    assert await connection.fetchval("SELECT count(*) FROM current_probability_results") == 0


async def test_old_months_are_packed_and_a_doubled_month_keeps_its_last_row(old_database):
    url, connection = old_database
    await migrate(url)
    row = await connection.fetchrow("SELECT * FROM climate_packed")
    months = np.frombuffer(row["months"], ">f8").reshape(-1, 8)
    assert (row["first_year"], row["scenario"], len(months)) == (2000, "historical", 24)
    assert months[:4, 0].tolist() == [1, 2, 99, 4]
    assert await connection.fetchval("SELECT count(*) FROM climate_data_superseded") == 1
    assert await connection.fetchval("SELECT count(*) FROM grid_cells") == 1


async def packed_ta(connection, latitude: float) -> list[float]:
    row = await connection.fetchrow(
        "SELECT first_year, months FROM climate_packed WHERE latitude = $1::float8::numeric(10,6)", latitude
    )
    return np.frombuffer(row["months"], ">f8").reshape(-1, 8)[:, 0].tolist() if row else []


@pytest.fixture
async def connection(database_url):
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def test_what_another_system_writes_by_plain_sql_is_stale_until_it_is_packed(connection):
    insert = "INSERT INTO climate_data (latitude, longitude, year, month, ta) VALUES (1, 2, 2000, $1, $2)"
    await connection.execute(insert, 1, 10.0)
    assert await connection.fetchval("SELECT riskflow.repack()") == 1
    assert (await packed_ta(connection, 1))[0] == 10.0

    await connection.execute("UPDATE climate_data SET ta = 11 WHERE month = 1")
    await connection.execute(insert, 3, 12.0)
    assert await connection.fetchval("SELECT riskflow.repack()") == 1
    assert (await packed_ta(connection, 1))[:3] == pytest.approx([11.0, float("nan"), 12.0], nan_ok=True)

    await connection.execute("DELETE FROM climate_data WHERE month = 3")
    await connection.execute("UPDATE climate_data SET latitude = 5")
    assert await connection.fetchval("SELECT riskflow.repack()") == 2
    assert await packed_ta(connection, 1) == []
    assert (await packed_ta(connection, 5))[0] == 11.0

    await connection.execute("TRUNCATE climate_data")
    assert await connection.fetchval("SELECT riskflow.repack()") == 1
    assert await connection.fetchval("SELECT count(*) FROM climate_packed") == 0
    assert await connection.fetchval("SELECT riskflow.repack()") == 0


async def test_a_writer_that_commits_during_a_repack_stays_stale(connection, database_url):
    writer = await asyncpg.connect(database_url)
    await connection.execute(
        "INSERT INTO climate_data (latitude, longitude, year, month, ta) VALUES (1, 2, 2000, 1, 1)"
    )
    async with writer.transaction():
        await writer.execute(
            "INSERT INTO climate_data (latitude, longitude, year, month, ta) VALUES (1, 2, 2000, 2, 2)"
        )
        assert await connection.fetchval("SELECT riskflow.repack()") == 1
        assert np.isnan((await packed_ta(connection, 1))[1])
    await writer.close()
    assert await connection.fetchval("SELECT riskflow.repack()") == 1
    assert (await packed_ta(connection, 1))[:2] == [1.0, 2.0]


async def test_a_request_is_one_outbox_row_per_job_id_and_needs_no_other_right(connection):
    await connection.execute("DROP ROLE IF EXISTS riskflow_test_caller")
    await connection.execute("CREATE ROLE riskflow_test_caller")
    await connection.execute("GRANT USAGE ON SCHEMA riskflow TO riskflow_test_caller")
    await connection.execute("GRANT EXECUTE ON FUNCTION riskflow.request TO riskflow_test_caller")
    await connection.execute("SET ROLE riskflow_test_caller")
    job_id = await connection.fetchval("SELECT riskflow.request('probability')")
    for _ in range(2):
        again = await connection.fetchval("""SELECT riskflow.request('hazard', '{"job_id": "mine"}')""")
        assert again == "mine"
    with pytest.raises(asyncpg.UniqueViolationError, match="asked for before with other options"):
        await connection.fetchval("""SELECT riskflow.request('probability', '{"job_id": "mine"}')""")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.fetchval("SELECT count(*) FROM outbox")
    await connection.execute("RESET ROLE")
    rows = await connection.fetch("SELECT job_id, topic FROM outbox ORDER BY id")
    assert [row["job_id"] for row in rows] == [job_id, "mine"]
    await connection.execute("DROP OWNED BY riskflow_test_caller")
    await connection.execute("DROP ROLE riskflow_test_caller")
