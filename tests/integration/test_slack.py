"""The request to a real webhook: what arrives, and what every answer means."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web
from deliveries_samples import DAY, VARIABLE, parcel_of, settings_of, tenant_of
from mail_server import DROP, HANG, FaultySlack

from consumers import slack
from consumers.verdict import CannotSend, NotHandedOver
from ops.stack.endpoint import free_port
from schemas.messages import now

PRIVATE = "T00000000/B00000000/k2mZqXw9LrT5vN8pYb3cHd7f"
PARCEL = parcel_of(tenant_of("en"), channel="slack", address=(VARIABLE,))


@pytest.fixture
async def hook():
    """A receiver that fails as told."""
    receiver = FaultySlack()
    await receiver.start()
    yield receiver
    await receiver.stop()


@pytest.fixture
def post(hook, tmp_path):
    async def posted(*answers, **settings):
        hook.answers[:] = answers
        environ = {VARIABLE: f"{hook.url}/services/{PRIVATE}"}
        return await slack.send(settings_of(tmp_path, **settings), environ, PARCEL)

    return posted


async def test_the_message_arrives_at_the_webhook(hook, post):
    verdict = await post()
    assert (verdict.state, verdict.detail) == ("sent", "200 ok")
    (caught,) = hook.received
    assert caught.path == f"/services/{PRIVATE}"
    assert [block["type"] for block in caught.body["blocks"]] == ["header", "section", "section", "section"]
    assert caught.body["blocks"][0]["text"]["text"] == f"Seoul High School · Weekly student risk report {DAY}"


@pytest.mark.parametrize(
    ("status", "text", "state"),
    [
        (500, "rollup_error", "passing"),
        (503, "", "passing"),
        (404, "no_service", "refused"),
        (403, "action_prohibited", "refused"),
        (400, "invalid_blocks", "refused"),
        (200, "<html>a proxy's page</html>", "unknown"),
        (204, "", "unknown"),
    ],
)
async def test_an_answer_decides_and_its_words_are_kept(hook, post, status, text, state):
    verdict = await post(web.Response(status=status, text=text or None))
    assert verdict.state == state
    assert verdict.detail == f"{status} {text}".strip()
    assert hook.asked == 1


async def test_a_limit_says_how_long_to_wait(post):
    async def asked(after):
        return await post(web.Response(status=429, headers={"Retry-After": after}))

    seconds = await asked("30")
    assert (seconds.state, seconds.wait) == ("passing", 30.0)
    at = await asked(format_datetime(now() + timedelta(seconds=100), usegmt=False))
    assert 95 <= at.wait <= 100
    assert (await asked("soon")).wait is None


async def test_another_place_is_not_gone_to(hook, post):
    verdict = await post(web.Response(status=302, headers={"Location": f"{hook.url}/elsewhere"}))
    assert verdict.state == "refused"
    assert verdict.detail.startswith("302: the webhook sends elsewhere")
    assert (hook.asked, hook.received) == (1, [])


@pytest.mark.parametrize("act", [HANG, DROP])
async def test_without_an_answer_it_may_have_come(hook, post, act):
    verdict = await post(act, delivery_timeout=0.3)
    assert verdict.state == "unknown"
    assert hook.asked == 1


async def test_one_cancelled_says_whether_it_was_handed_over(hook, post, tmp_path):
    hanging = asyncio.create_task(post(HANG))
    await hook.requested.wait()
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await hanging
    assert not isinstance(caught.value, NotHandedOver)

    # A server that takes the connection and never answers the greeting of TLS.
    accepted, leave = asyncio.Event(), asyncio.Event()

    async def silent(_, writer):
        accepted.set()
        await leave.wait()
        writer.close()

    async with await asyncio.start_server(silent, "localhost", 0) as server:
        port = server.sockets[0].getsockname()[1]
        environ = {VARIABLE: f"https://localhost:{port}/services/{PRIVATE}"}
        waiting = asyncio.create_task(slack.send(settings_of(tmp_path), environ, PARCEL))
        await accepted.wait()
        waiting.cancel()
        with pytest.raises(NotHandedOver):
            await waiting
        leave.set()


async def test_a_host_that_is_not_reached_may_come_back(tmp_path):
    environ = {VARIABLE: f"http://localhost:{free_port()}/services/{PRIVATE}"}
    verdict = await slack.send(settings_of(tmp_path), environ, PARCEL)
    assert verdict.state == "passing"
    assert verdict.detail.startswith("not reached: Cannot connect to host localhost")
    assert PRIVATE not in verdict.detail


@pytest.mark.parametrize(
    "webhook",
    ["http://hooks.slack.com/services/x", "hooks.slack.com", "https://", "ftp://localhost/x", "https://[x/", "https://a:99999/"],
)  # fmt: skip
async def test_a_webhook_must_be_https(tmp_path, webhook):
    with pytest.raises(CannotSend, match=f"{VARIABLE} holds no https:// address") as caught:
        await slack.send(settings_of(tmp_path), {VARIABLE: webhook}, PARCEL)
    assert webhook.removeprefix("https://") not in str(caught.value) or webhook == "https://"


@pytest.mark.parametrize("environ", [{}, {VARIABLE: " "}])
async def test_a_variable_that_is_not_set_is_named(tmp_path, environ):
    with pytest.raises(CannotSend, match=f"has no variable {VARIABLE} with the webhook"):
        await slack.send(settings_of(tmp_path), environ, PARCEL)


async def test_a_server_that_repeats_the_webhook_is_not_quoted_with_it(post):
    page = f"Cannot POST /services/{PRIVATE} (k2mZqXw9LrT5vN8pYb3cHd7f)"
    verdict = await post(web.Response(status=404, text=page))
    assert verdict.detail == "404 Cannot POST /(hidden) ((hidden))"
