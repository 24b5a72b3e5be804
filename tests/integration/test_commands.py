"""What commands say where the database, the broker, a right or a job id is not as it should be."""

from urllib.parse import urlsplit

import asyncpg
import pytest
from pydantic import SecretStr
from rich.console import Console

from ops import trigger as triggers
from ops.context import database
from ops.explain import explain
from ops.progress import JobBars
from ops.setup import migrated
from ops.stack.endpoint import free_port
from ops.trigger import trigger_of
from schemas.errors import RefusedTrigger, RiskflowError, Unavailable
from schemas.settings import Settings

pytestmark = pytest.mark.usefixtures("postgres")


def settings_of(dsn: str) -> Settings:
    return Settings(
        _env_file=None,
        database_url=SecretStr(dsn),
        kafka_bootstrap_servers=f"127.0.0.1:{free_port()}",
        start_timeout=0.5,
    )


@pytest.fixture
async def stranger(database_url):
    """DSN of a role without any right on the tables."""
    owner = await asyncpg.connect(database_url)
    await owner.execute("CREATE ROLE stranger LOGIN PASSWORD 'stranger'")
    url = urlsplit(database_url)
    yield f"postgresql://stranger:stranger@{url.hostname}:{url.port}{url.path}"
    await owner.execute("DROP ROLE stranger")
    await owner.close()


async def test_migrate_brings_an_empty_database_up_and_then_has_nothing_to_do(empty_database_url):
    settings = settings_of(empty_database_url)
    applied = await migrated(settings)
    assert applied[0] == "0001_climate_inputs"
    assert await migrated(settings) == []


async def test_migrate_says_that_the_database_does_not_answer():
    settings = settings_of(f"postgresql://me:hidden@127.0.0.1:{free_port()}/db")
    with pytest.raises(Unavailable, match=r"database 127.0.0.1:\d+/db did not answer within 0.5 s") as caught:
        await migrated(settings)
    assert "hidden" not in str(caught.value)


async def test_migrate_says_that_the_role_may_not(stranger):
    with pytest.raises(RiskflowError, match="cannot be brought to this version: permission denied"):
        await migrated(settings_of(stranger))


async def test_a_command_says_that_the_role_may_not(stranger):
    with pytest.raises(RiskflowError, match="permission denied for table batch_job_logs; use the role"):
        async with database(settings_of(stranger), "test") as connection:
            await connection.fetch("SELECT * FROM batch_job_logs")


async def test_a_command_says_that_the_database_went_away(database_url):
    owner = await asyncpg.connect(database_url)

    async def interrupted():
        async with database(settings_of(database_url), "test") as connection:
            await owner.fetch("SELECT pg_terminate_backend($1)", connection.get_server_pid())
            await connection.fetch("SELECT 1")

    with pytest.raises(Unavailable, match="went away"):
        await interrupted()
    await owner.close()


async def test_a_fault_of_the_command_itself_stays_what_it_is(database_url):
    with pytest.raises(FileNotFoundError):
        async with database(settings_of(database_url), "test"):
            raise FileNotFoundError


async def test_a_job_id_of_another_request_is_refused_before_anything_is_sent(database_url, connection):
    asked = trigger_of("hazard", job_id="twice")
    await connection.execute(
        "INSERT INTO batch_job_logs (job_type, status, job_id, request_hash) "
        "VALUES ('hazard', 'completed', 'twice', $1)",
        triggers.request_hash(asked),
    )
    settings = settings_of(database_url)
    other = trigger_of("hazard", job_id="twice", risks=["drought"])
    with pytest.raises(RefusedTrigger, match="job_id twice belongs to another request"):
        await triggers.send(settings, other)
    with pytest.raises(Unavailable, match="broker"):  # the same request again gets as far as the broker
        await triggers.send(settings, asked)


async def test_waiting_without_a_broker_says_so():
    settings = settings_of("postgresql://unused/db")
    with pytest.raises(Unavailable, match=r"broker 127.0.0.1:\d+ does not answer"):
        async with JobBars(Console(), settings, "job"):
            pass


async def test_explain_names_the_nearest_cells_so_that_they_can_be_asked_for(database_url, connection):
    await connection.execute("INSERT INTO grid_cells (latitude, longitude) VALUES (37.571412, 126.965834)")
    with pytest.raises(RiskflowError, match=r"nearest are 37\.571412, 126\.965834"):
        await explain(
            connection, settings_of(database_url), latitude=37.5714, longitude=126.9658, risk="drought"
        )
