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


OLD_LEARNING = """
CREATE TYPE presence AS ENUM ('present', 'late', 'absent', 'excused');
CREATE TABLE fact_assessment (
    id bigserial PRIMARY KEY, org_id varchar(50), student_id varchar(50), assessed_at timestamptz,
    theta numeric(6,3), items smallint, omitted bigint, teacher text);
CREATE TABLE fact_assessment_item (
    org_id varchar(50), student_id integer, assessed_at timestamptz, item_id integer, response boolean,
    a real, b numeric);
CREATE TABLE attendance (
    org_id varchar(50), student_id varchar(50), class_date timestamp DEFAULT now(), session smallint,
    status presence DEFAULT 'present', CONSTRAINT attendance_status CHECK (session IS NOT NULL));
CREATE INDEX attendance_date ON attendance (class_date);
CREATE TABLE students (org_id varchar(50) NOT NULL, student_id varchar(50) NOT NULL, grade integer,
    PRIMARY KEY (org_id, student_id));
INSERT INTO fact_assessment (org_id, student_id, assessed_at, theta, items, omitted, teacher) VALUES
    ('a', 'b', '2026-11-20 09:00+09', 0.125, 20, 1, 'first'),
    ('a', 'B', '2026-11-20 09:00+09', 1, 20, 0, 'x'),
    ('a', 'b', '2026-11-20 00:00+00', 0.25, 20, 2, 'second'),
    ('a', 'c', '2026-11-20 09:00+09', 99, 5, 9, 'y');
INSERT INTO fact_assessment_item VALUES ('a', 7, '2026-11-20 09:00+09', 12, true, 0.5, -1.5),
    ('a', 7, '2026-11-20 09:00+09', 13, null, 1, 0);
INSERT INTO attendance VALUES ('a', 'b', '2026-11-20 09:00', 1, 'present'),
    ('a', 'b', '2026-11-20 11:00', 1, 'absent');
INSERT INTO students VALUES ('a', 'b', 3);
"""

COLUMNS = """
SELECT relname || '.' || attname || ' ' || format_type(atttypid, atttypmod) || coalesce(' ' || collname, '')
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND attnum > 0 AND NOT attisdropped
LEFT JOIN pg_collation k ON k.oid = attcollation AND collname <> 'default'
WHERE c.relkind IN ('r', 'v') AND relnamespace IN ('public'::regnamespace, 'riskflow'::regnamespace)
"""


REFUSAL = """
the tables of learning data cannot be taken over:
  fact_assessment has 1 rows without student_id, which is part of its key: fill or delete them
  fact_assessment.assessed_at is timestamp without time zone, needed is timestamp with time zone: \
change it and say how, for example ALTER TABLE fact_assessment ALTER COLUMN assessed_at \
TYPE timestamp with time zone USING assessed_at AT TIME ZONE 'Asia/Seoul'
  fact_assessment.items is numeric, needed is integer: change it and say how, for example \
ALTER TABLE fact_assessment ALTER COLUMN items TYPE integer USING items::integer
  attendance.class_date is timestamp with time zone, needed is date: change it and say how, for example \
ALTER TABLE attendance ALTER COLUMN class_date TYPE date USING (class_date AT TIME ZONE 'Asia/Seoul')::date
  attendance has no column session, which is part of its key: add and fill it
  irt_snapshot.student_id is integer and cannot become text: operator does not exist: text > integer; \
look at the table's checks, keys and values
  students.student_id must become text COLLATE "C", but pupils reads it: \
drop that view, migrate, create it again
"""


@pytest.fixture
async def empty_database(empty_database_url):
    connection = await asyncpg.connect(empty_database_url)
    yield empty_database_url, connection
    await connection.close()


async def test_learning_data_of_another_system_are_taken_over(empty_database):
    url, connection = empty_database
    await connection.execute(OLD_LEARNING)
    await migrate(url)
    assert await migrate(url) == []
    rows = await connection.fetch(
        "SELECT student_id, theta, items, omitted, c_hat, teacher FROM fact_assessment ORDER BY student_id"
    )
    # By code point capitals come first; what the checks would refuse stays as it was.
    assert [tuple(row) for row in rows] == [
        ("B", 1.0, 20, 0, None, "x"),
        ("b", 0.25, 20, 2, None, "second"),
        ("c", 99.0, 5, 9, None, "y"),
    ]
    assert await connection.fetchval("SELECT teacher FROM fact_assessment_superseded") == "first"
    items = await connection.fetch("SELECT student_id, item_id, response, a, b, c FROM fact_assessment_item")
    assert [tuple(row) for row in items] == [
        ("7", "12", 1, 0.5, -1.5, None),
        ("7", "13", None, 1.0, 0.0, None),
    ]
    day = await connection.fetchrow("SELECT class_date::text, session, status FROM attendance")
    assert tuple(day) == ("2026-11-20", "1", "absent")
    assert await connection.fetchval("SELECT status FROM attendance_superseded") == "present"
    assert tuple(await connection.fetchrow("SELECT * FROM students")) == ("a", "b", 3, None, None)
    with pytest.raises(asyncpg.CheckViolationError, match="riskflow_items"):
        await connection.execute("INSERT INTO fact_assessment VALUES (9, 'a', 'd', now(), 0, 5, 9)")


async def test_a_taken_over_database_has_every_column_of_an_empty_one(
    old_database, connection: asyncpg.Connection
):
    url, old = old_database
    await old.execute(OLD_LEARNING)
    await migrate(url)
    fresh = {row[0] for row in await connection.fetch(COLUMNS)}
    taken = {row[0] for row in await old.fetch(COLUMNS)}
    assert len(fresh) > 150
    assert {each.split()[0] for each in fresh} - {each.split()[0] for each in taken} == set()
    # Climate tables may keep their types; those of learning data are read by ranges of ids.
    learning = ("fact_assessment", "attendance", "irt_snapshot", "students")
    assert {each for each in fresh - taken if each.startswith(learning)} == set()


async def test_an_empty_table_with_other_types_gets_the_right_ones(empty_database):
    url, connection = empty_database
    await connection.execute(
        "CREATE TABLE irt_snapshot (org_id text, student_id text, snapshot_date text, theta text);"
        "CREATE TABLE fact_assessment (org_id text, student_id text, assessed_at timestamp)"
    )
    await migrate(url)
    columns = {row[0] for row in await connection.fetch(COLUMNS)}
    assert {
        "irt_snapshot.snapshot_date date",
        "irt_snapshot.theta double precision",
        "irt_snapshot.student_id text C",
        "fact_assessment.assessed_at timestamp with time zone",
    } <= columns


async def test_what_a_table_of_learning_data_does_not_tell_is_refused_all_at_once(empty_database):
    url, connection = empty_database
    await connection.execute(
        """
        CREATE TABLE fact_assessment (org_id text, student_id text, assessed_at timestamp, items numeric);
        INSERT INTO fact_assessment VALUES ('a', 'b', '2026-11-20 09:00', 20), ('a', NULL, now(), 20);
        CREATE TABLE attendance (org_id text, student_id text, class_date timestamptz, status text);
        INSERT INTO attendance VALUES ('a', 'b', now(), 'absent');
        CREATE TABLE irt_snapshot (
            org_id text, student_id integer CHECK (student_id > 0), snapshot_date date);
        INSERT INTO irt_snapshot VALUES ('a', 7, '2026-11-20');
        CREATE TABLE students (org_id text, student_id text);
        CREATE VIEW pupils AS SELECT student_id FROM students;
        """
    )
    with pytest.raises(asyncpg.RaiseError) as refused:
        await migrate(url)
    assert str(refused.value).splitlines() == REFUSAL.strip().splitlines()
    # The advice is what makes it go.
    await connection.execute(
        """
        DELETE FROM fact_assessment WHERE student_id IS NULL;
        ALTER TABLE fact_assessment ALTER COLUMN assessed_at TYPE timestamp with time zone
            USING assessed_at AT TIME ZONE 'Asia/Seoul';
        ALTER TABLE fact_assessment ALTER COLUMN items TYPE integer USING items::integer;
        ALTER TABLE attendance ALTER COLUMN class_date TYPE date
            USING (class_date AT TIME ZONE 'Asia/Seoul')::date;
        ALTER TABLE attendance ADD COLUMN session text DEFAULT '1';
        ALTER TABLE irt_snapshot DROP CONSTRAINT irt_snapshot_student_id_check;
        DROP VIEW pupils;
        """
    )
    await migrate(url)
    assert await connection.fetchval("SELECT assessed_at = '2026-11-20 00:00Z' FROM fact_assessment")


@pytest.mark.parametrize(
    "made",
    [
        "CREATE VIEW students AS SELECT 'a'::text AS org_id, 'b'::text AS student_id",
        "CREATE TABLE students (org_id text, student_id text) PARTITION BY LIST (org_id)",
        "CREATE TABLE pupils (org_id text, student_id text); CREATE TABLE students () INHERITS (pupils)",
    ],
)
async def test_only_a_plain_table_is_taken_over(empty_database, made):
    url, connection = empty_database
    await connection.execute(made)
    with pytest.raises(asyncpg.RaiseError, match="students cannot be taken over: each must be a plain table"):
        await migrate(url)
