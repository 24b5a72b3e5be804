"""The courier: each delivery once, whatever dies; what passes is tried again, what is refused is told."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import asyncpg
import pytest
from aiohttp import web
from deliveries_samples import (
    VARIABLE,
    add_delivery,
    deliveries,
    parcel_of,
    rendered,
    settings_of,
    tenant_of,
    tenant_states,
)
from flow_samples import running
from mail_server import DROP, HANG, Fault, FaultyMailServer, FaultySlack
from pydantic import SecretStr
from waiting import until

from consumers import courier as courier_module
from consumers.courier import LEADER_LOCK, Courier, backoff
from consumers.parcel import end, take
from schemas import stop as stop_module
from schemas.database import session
from schemas.faults import is_passing
from schemas.leadership import leads
from schemas.settings import Settings
from schemas.stop import until_stopped

WEBHOOK_PATH = "/services/T00000000/B00000000/k2mZqXw9LrT5vN8pYb3cHd7f"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(courier_module, "POLL_SECONDS", 0.05)


@dataclass
class Office:
    """A mail server in the clear and a webhook, which fail as told, and the database of a courier."""

    connection: asyncpg.Connection
    settings: Settings
    environ: dict[str, str]
    mail: FaultyMailServer
    slack: FaultySlack

    def courier(self, **changes):
        return Courier(self.settings.model_copy(update=changes), self.environ)

    async def add(self, *org_ids, slack=False, job_id="week"):
        """Tenants of a job with their deliveries; each has an address of its own."""
        tenants = [tenant_of(org_id=org_id, email=[f"{org_id}@example.org"]) for org_id in org_ids]
        await rendered(self.connection, self.settings.reports_dir, *tenants, job_id=job_id)
        for tenant in tenants:
            await self.put(parcel_of(tenant, address=tuple(tenant.email)), job_id)
            if slack:
                await self.put(parcel_of(tenant, channel="slack", address=(VARIABLE,)), job_id)

    async def put(self, parcel, job_id):
        await add_delivery(self.connection, parcel, job_id=job_id)

    async def rows(self, *columns):
        return await deliveries(self.connection, *columns)

    async def until(self, *states):
        """Wait until the deliveries have these states, in the order of tenants and channels."""

        async def there():
            return [state for (state,) in await self.rows("state")] == list(states)

        try:
            await until(there, limit=10)
        except AssertionError:
            raise AssertionError(await self.rows("state", "detail")) from None

    def recipients(self):
        return sorted(address for caught in self.mail.received for address in caught.recipients)


@pytest.fixture
async def office(database_url, tmp_path):
    mail, slack = FaultyMailServer(), FaultySlack()
    await mail.start()
    await slack.start()
    connection = await asyncpg.connect(database_url)
    settings = settings_of(
        tmp_path,
        database_url=SecretStr(database_url),
        smtp_host="localhost",
        smtp_port=mail.port,
        smtp_from="riskflow@example.org",
        smtp_security="none",
    )
    yield Office(connection, settings, {VARIABLE: f"{slack.url}{WEBHOOK_PATH}"}, mail, slack)
    await connection.close()
    await slack.stop()
    await mail.stop()


@asynccontextmanager
async def killed_at_end(courier):
    """Runs a courier that at the end of the block is gone without having written anything more."""
    task = asyncio.create_task(courier.run(asyncio.Event()))
    try:
        yield
    finally:
        # A cancelled courier gives what it is sending some time; a killed one has none.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(courier_module, "STOP_SECONDS", 0)
            task.cancel()
            await asyncio.wait({task})


async def test_every_channel_is_delivered_once_and_the_job_completes(office):
    await office.add("a", "b", slack=True)
    async with running(office.courier().run):
        await office.until("sent", "sent", "sent", "sent")
    assert office.recipients() == ["a@example.org", "b@example.org"]
    assert [caught.path for caught in office.slack.received] == [WEBHOOK_PATH, WEBHOOK_PATH]
    rows = await office.rows("attempts", "detail", "sent_at IS NOT NULL", "next_try_at")
    assert {row[1] for row in rows} == {"200 ok", "250 2.0.0 OK: queued as 1", "250 2.0.0 OK: queued as 2"}
    assert {(row[0], *row[2:]) for row in rows} == {(1, True, None)}
    assert await tenant_states(office.connection) == [("a", "delivered", None), ("b", "delivered", None)]
    job = await office.connection.fetchrow("SELECT * FROM batch_job_logs")
    assert (job["status"], job["processed_grids"], job["failed_grids"]) == ("completed", 2, 0)


async def test_what_fails_for_the_moment_is_tried_again(office):
    office.mail.faults = [Fault("MAIL", "451 4.3.0 come back later", times=2)]
    office.slack.answers = [web.Response(status=429, headers={"Retry-After": "0"}, text="rate_limited")]
    await office.add("a", slack=True)
    async with running(office.courier().run):
        await office.until("sent", "sent")
    assert await office.rows("channel", "attempts") == [("email", 3), ("slack", 2)]
    assert len(office.mail.received) == len(office.slack.received) == 1


async def test_between_tries_the_row_says_why_and_when(office):
    await office.add("a")
    async with running(office.courier(delivery_pause=600.0, smtp_port=1).run):
        await office.until("retrying")
    ((detail, seconds),) = await deliveries(
        office.connection, "detail", "extract(epoch FROM next_try_at - changed_at)::float8"
    )
    assert "Error connecting to localhost on port 1" in detail
    assert seconds == pytest.approx(600, abs=1)
    assert await tenant_states(office.connection) == [("a", "rendered", None)]


async def test_it_gives_up_in_the_end_and_the_others_go_on(office):
    office.mail.faults = [Fault("RCPT", "450 4.2.1 mailbox busy", address="a@example.org")]
    await office.add("a", "b")
    async with running(office.courier().run):
        await office.until("failed", "sent")
    words = "given up after 3 tries: a@example.org: 450 4.2.1 mailbox busy"
    assert (await office.rows("attempts", "detail"))[0] == (3, words)
    assert await tenant_states(office.connection) == [
        ("a", "failed", f"email: {words}"),
        ("b", "delivered", None),
    ]
    job = await office.connection.fetchrow("SELECT status, error_message FROM batch_job_logs")
    assert tuple(job) == ("completed_with_failures", f"a: email: {words}")


async def test_a_refusal_and_a_missing_variable_are_told_and_not_repeated(office):
    office.mail.faults = [Fault("RCPT", "550 5.1.1 no such user")]
    await office.add("a", slack=True)
    async with running(Courier(office.settings, {}).run):
        await office.until("refused", "refused")
    (email, slack_row) = await office.rows("attempts", "detail")
    assert email == (1, "a@example.org: 550 5.1.1 no such user")
    assert slack_row[1].startswith(f"the environment of `riskflow reporter` has no variable {VARIABLE}")
    assert slack_row[1].endswith("then: riskflow reports resend --tenant a --date 2026-11-23 --channel slack")
    assert (office.mail.reached.count("MAIL"), office.slack.asked) == (1, 0)


async def test_a_doubt_is_a_persons_matter(office):
    office.mail.faults = [Fault("BODY", DROP)]
    office.slack.answers = [DROP]
    await office.add("a", slack=True)
    async with running(office.courier().run):
        await office.until("unknown", "unknown")
    details = [detail for (detail,) in await office.rows("detail")]
    for detail, channel in zip(details, ("email", "slack"), strict=True):
        command = f"riskflow reports resend --tenant a --date 2026-11-23 --channel {channel}"
        assert detail.endswith(f"; look whether it came, then: {command}")
    assert len(office.mail.received) == office.slack.asked == 1
    assert (await tenant_states(office.connection))[0][1] == "failed"


async def test_one_killed_between_two_tenants_leaves_the_second_to_the_next(office):
    await office.add("a")
    async with killed_at_end(office.courier()):
        await office.until("sent")
    await office.add("b", job_id="another")
    async with running(office.courier().run):
        await office.until("sent", "sent")
    assert office.recipients() == ["a@example.org", "b@example.org"]
    assert [state for _, state, _ in await tenant_states(office.connection)] == ["delivered", "delivered"]


async def test_one_killed_in_the_middle_leaves_a_doubt_and_no_second_mail(office):
    office.mail.faults = [Fault("BODY", HANG, times=1)]
    await office.add("a")
    async with killed_at_end(office.courier()):
        await office.mail.until("BODY")
        await office.until("sending")
    await office.until("sending")
    await office.add("b", job_id="another")
    async with running(office.courier().run):
        await office.until("unknown", "sent")
    assert office.recipients() == ["a@example.org", "b@example.org"]
    ((detail, attempts), _) = await office.rows("detail", "attempts")
    assert detail == (
        "interrupted while sending; look whether it came, then: "
        "riskflow reports resend --tenant a --date 2026-11-23 --channel email"
    )
    assert attempts == 1
    assert (await tenant_states(office.connection))[1] == ("a", "failed", f"email: {detail}")


async def test_two_couriers_send_once(office):
    names = [f"tenant-{number}" for number in range(6)]
    async with running(office.courier().run, office.courier().run):
        await office.add(*names)
        await office.until(*["sent"] * 6)
    assert office.recipients() == [f"{name}@example.org" for name in names]


async def test_the_one_who_waits_leaves_alone_what_the_leader_is_sending(office):
    office.mail.faults = [Fault("BODY", HANG, times=1)]
    await office.add("a")
    async with running(office.courier().run):
        await office.mail.until("BODY")
        async with running(office.courier().run):

            async def waits():
                return await office.connection.fetchval(
                    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'riskflow courier' "
                    "AND datname = current_database() AND query LIKE '%pg_try_advisory_lock%'"
                )

            await until(waits, "a second courier that waits")
            assert await office.rows("state") == [("sending",)]
            office.mail.release.set()
            await office.until("sent")
    assert len(office.mail.received) == 1


async def test_one_that_was_taken_for_dead_still_tells_the_truth(office):
    office.mail.faults = [Fault("MAIL", HANG, times=1)]
    await office.add("a")
    async with running(office.courier().run):
        await office.mail.until("MAIL")
        # Its session breaks, and another takes the lead meanwhile.
        await office.connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'riskflow courier' AND datname = current_database()"
        )
        async with running(office.courier().run):
            await office.until("unknown")
        office.mail.release.set()
        await office.until("sent")
    assert len(office.mail.received) == 1
    # The tenant and its job have ended meanwhile, and an end is final.
    ((_, state, error),) = await tenant_states(office.connection)
    assert (state, error.partition(";")[0]) == ("failed", "email: interrupted while sending")
    assert await office.connection.fetchval("SELECT status FROM batch_job_logs") == "failed"


async def test_a_leader_that_is_stopped_loses_its_place(office):
    await office.add("a")
    async with session(office.settings.dsn, application="stopped") as stopped:
        assert await leads(stopped, LEADER_LOCK, asyncio.Event(), "100ms")
        async with running(office.courier().run):
            await office.until("sent")
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)) as caught:
            await stopped.execute("SELECT")
        assert is_passing(caught.value)


async def test_a_leader_with_no_room_for_more_is_not_idle(office, monkeypatch):
    monkeypatch.setattr(courier_module, "AT_ONCE", 1)
    office.mail.faults = [Fault("MAIL", HANG, times=1)]
    await office.add("a")
    async with running(office.courier().run):
        await office.mail.until("MAIL")

        async def asked():
            return await office.connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity a, report_deliveries d "
                "WHERE a.application_name = 'riskflow courier' AND a.datname = current_database() "
                "AND a.query_start > d.changed_at"
            )

        await until(asked, "a statement of the leader", limit=5)
        assert await office.rows("state") == [("sending",)]
        office.mail.release.set()
        await office.until("sent")


async def test_an_end_that_cannot_be_written_is_written_later(office, monkeypatch):
    monkeypatch.setattr(courier_module, "FIRST_PAUSE", 0.01)
    await office.add("a")
    await office.connection.execute(
        """
        CREATE SEQUENCE public.tries;
        CREATE FUNCTION public.conflict() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.state = 'sent' AND nextval('public.tries') < 3 THEN
                RAISE EXCEPTION 'not now' USING ERRCODE = 'serialization_failure';
            END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER conflict BEFORE UPDATE ON report_deliveries
            FOR EACH ROW EXECUTE FUNCTION public.conflict();
        """
    )
    async with running(office.courier().run):
        await office.until("sent")
    assert await office.connection.fetchval("SELECT last_value FROM public.tries") == 3
    assert len(office.mail.received) == 1


async def test_the_webhook_is_in_no_row_and_in_no_line(office, capfd, caplog):
    office.slack.answers = [
        web.Response(status=500, text=f"POST {office.environ[VARIABLE]} failed"),
        web.Response(status=404, text=f"no {WEBHOOK_PATH}"),
    ]
    await office.add("a", slack=True)
    async with running(office.courier().run):
        await office.until("sent", "refused")
    rows = await office.connection.fetch("SELECT d::text AS row FROM report_deliveries d")
    rows += await office.connection.fetch("SELECT o::text AS row FROM outbox o")
    rows += await office.connection.fetch("SELECT t::text AS row FROM batch_job_tenants t")
    output = capfd.readouterr()
    said = "".join(row["row"] for row in rows) + output.out + output.err + caplog.text
    assert "delivery refused" in said
    assert "k2mZqXw9LrT5vN8pYb3cHd7f" not in said
    assert (await office.rows("detail"))[1] == ("404 no /(hidden)",)


async def test_what_is_being_sent_is_ended_before_a_stop(office):
    office.mail.faults = [Fault("BODY", HANG, times=1)]
    await office.add("a")
    async with running(office.courier().run):
        await office.mail.until("BODY")
        office.mail.release.set()
    await office.until("sent")


async def stopped_at(office, step, monkeypatch, before_stop="SELECT"):
    """A courier that a stop cuts off while the server hangs at this step."""
    monkeypatch.setattr(stop_module, "STOP_SECONDS", 0.1)
    office.mail.faults = [Fault(step, HANG, times=1)]
    await office.add("a")
    stop = asyncio.Event()
    service = asyncio.create_task(until_stopped(office.courier().run(stop), stop))
    await office.mail.until(step)
    await office.connection.execute(before_stop)
    stop.set()
    await service


async def test_what_takes_longer_than_a_stop_may_stays_sending(office, monkeypatch):
    await stopped_at(office, "BODY", monkeypatch)
    assert await office.rows("state", "attempts") == [("sending", 1)]


@pytest.mark.parametrize("step", ["MAIL", "DATA"])
async def test_what_was_not_handed_over_before_a_stop_is_sent_by_the_next(office, monkeypatch, step):
    await stopped_at(office, step, monkeypatch)
    assert await office.rows("state", "attempts", "next_try_at") == [("pending", 0, None)]
    async with running(office.courier().run):
        await office.until("sent")
    assert await office.rows("attempts") == [(1,)]
    assert len(office.mail.received) == 1


async def test_a_stop_does_not_wait_for_a_database_that_takes_nothing_back(office, monkeypatch):
    monkeypatch.setattr(courier_module, "GIVE_BACK_SECONDS", 0.1)
    async with asyncio.timeout(5):
        await stopped_at(office, "MAIL", monkeypatch, "BEGIN; SELECT FROM report_deliveries FOR UPDATE")
    assert await office.rows("state", "attempts") == [("sending", 1)]
    await office.connection.execute("ROLLBACK")


def test_each_pause_is_twice_the_one_before_and_no_shorter_than_asked(tmp_path):
    settings = settings_of(tmp_path, delivery_pause=30)
    assert [backoff(settings, attempt) for attempt in (1, 2, 3, 8, 20)] == [30, 60, 120, 3600, 3600]
    assert backoff(settings, 1, asked=90.0) == 90
    assert backoff(settings, 3, asked=90.0) == 120
    assert backoff(settings, 1, asked=1e12) == 86_400


async def test_a_resend_is_not_ended_by_the_try_before_it(office):
    await office.add("a")
    (first,) = await take(office.connection, 4)
    await office.connection.execute(
        "UPDATE report_deliveries SET state = 'pending', attempts = 0, created_at = clock_timestamp()"
    )
    (second,) = await take(office.connection, 4)
    assert (first.attempts, second.attempts) == (1, 1)
    assert not await end(office.connection, first, "sent", "250 OK", None)
    assert not await end(office.connection, replace(second, attempts=2), "sent", "250 OK", None)
    assert await office.rows("state") == [("sending",)]
    assert await end(office.connection, second, "refused", "550 no", None)
    assert await office.rows("state", "address") == [("refused", ["a@example.org"])]
