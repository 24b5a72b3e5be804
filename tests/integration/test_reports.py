"""`riskflow reports`: the list a person reads, and sending again."""

from __future__ import annotations

from datetime import date

import pytest
from deliveries_samples import DAY, VARIABLE, add_delivery, deliveries, parcel_of, settings_of, tenant_of
from pydantic import SecretStr
from rich.console import Console

from ops.deliveries import send_again, show_deliveries
from schemas.errors import RiskflowError

TENANTS = """
tenants:
  - org_id: seoul-hs
    name: Seoul High School
    timezone: Asia/Seoul
    language: ko
    email: [new@example.org]
"""


@pytest.fixture
def settings(database_url, tmp_path):
    return settings_of(tmp_path, database_url=SecretStr(database_url))


@pytest.fixture
def add(connection):
    async def added(channel, state, org_id="seoul-hs", detail=None, address=("old@example.org",)):
        parcel = parcel_of(tenant_of(org_id=org_id), channel=channel, address=address, attempts=3)
        await add_delivery(connection, parcel, state)
        await connection.execute(
            "UPDATE report_deliveries SET detail = $1, changed_at = '2026-11-22 21:05:07Z' "
            "WHERE (org_id, channel) = ($2, $3)",
            detail,
            org_id,
            channel,
        )

    return added


@pytest.fixture
def screen():
    """A terminal of 80 columns."""
    return Console(width=80, record=True, force_terminal=False)


async def listed(settings, screen, *, day=None, tenant=None, limit=40):
    await show_deliveries(settings, screen, day=day, tenant=tenant, limit=limit)
    return screen.export_text().splitlines()


async def test_the_list_fits_80_columns(settings, screen, add):
    words = "a@example.org: 550 5.1.1 [x] no such user here, and much more that the server said about it"
    await add("email", "refused", detail=words)
    await add("slack", "sent", detail="200 ok", address=(VARIABLE,))
    await add("folder", "no_data", org_id="busan-ms")
    lines = await listed(settings, screen)
    assert [line.rstrip() for line in lines] == [
        "tenant    date        channel  state    tries  changed",
        "busan-ms  2026-11-23  folder   no data  2      2026-11-22 21:05:07Z",
        "seoul-hs  2026-11-23  email    refused  2      2026-11-22 21:05:07Z",
        "    a@example.org: 550 5.1.1 [x] no such user here, and much more that the",
        "    server said about it",
        "seoul-hs  2026-11-23  slack    sent     2      2026-11-22 21:05:07Z",
        "    200 ok",
    ]
    assert len(await listed(settings, screen, tenant="busan-ms", day=DAY)) == 2
    assert (await listed(settings, screen, day=date(2026, 11, 16)))[0].startswith("no deliveries yet")


async def test_what_is_final_is_sent_again_and_the_rest_is_told(settings, screen, add, connection):
    await add("email", "unknown", detail="interrupted")
    await add("slack", "retrying", address=(VARIABLE,))
    await send_again(settings, screen, "seoul-hs", DAY, None)
    said = screen.export_text()
    assert "email: was unknown, is sent again to old@example.org" in said
    assert "slack: is retrying, so it is on its way already" in said
    assert await deliveries(connection, "channel", "state", "attempts", "detail") == [
        ("email", "pending", 0, None),
        ("slack", "retrying", 2, None),
    ]


async def test_it_goes_where_the_tenants_file_says_now(settings, screen, add, connection, tmp_path):
    await add("email", "sent")
    await add("slack", "refused", address=(VARIABLE,))
    (tmp_path / "tenants.yaml").write_text(TENANTS)
    known = settings.model_copy(update={"tenants_file": tmp_path / "tenants.yaml"})
    await send_again(known, screen, "seoul-hs", DAY, None)
    assert await deliveries(connection, "state", "address") == [
        ("pending", ["new@example.org"]),
        ("refused", [VARIABLE]),
    ]
    assert "slack: TENANTS_FILE no longer gives the tenant this channel" in screen.export_text()
    await add("email", "sent", org_id="busan-ms")
    with pytest.raises(RiskflowError, match=r"tenants\.yaml has no tenant busan-ms"):
        await send_again(known, screen, "busan-ms", DAY, None)


async def test_what_is_not_there_is_a_sentence(settings, screen, add):
    with pytest.raises(RiskflowError, match="nor of any other tenant; riskflow trigger weekly"):
        await send_again(settings, screen, "seoul-hs", DAY, None)
    await add("email", "sent")
    with pytest.raises(RiskflowError, match=r"tenant jeju-es was ever ready .*: seoul-hs"):
        await send_again(settings, screen, "jeju-es", DAY, None)
    with pytest.raises(RiskflowError, match="no report of 2026-11-16; its latest: 2026-11-23"):
        await send_again(settings, screen, "seoul-hs", date(2026, 11, 16), None)
    with pytest.raises(RiskflowError, match="no delivery by slack of 2026-11-23; it has: email"):
        await send_again(settings, screen, "seoul-hs", DAY, "slack")


async def test_nothing_is_sent_where_there_is_nobody_or_nothing(settings, screen, add, connection):
    await add("folder", "kept", org_id="busan-ms")
    await add("email", "no_data", org_id="jeju-es")
    await add("email", "sending")
    for tenant, words in [
        ("busan-ms", "riskflow trigger weekly --date 2026-11-23 --tenant busan-ms"),
        ("jeju-es", "no student of the tenant has data"),
        ("seoul-hs", "email: is sending"),
    ]:
        with pytest.raises(RiskflowError, match=f"nothing of {tenant} of 2026-11-23 is sent again"):
            await send_again(settings, screen, tenant, DAY, None)
        assert words in screen.export_text().replace("\n", " ")
    assert await deliveries(connection, "state") == [("kept",), ("no_data",), ("sending",)]
