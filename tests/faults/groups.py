"""Consumer groups of the broker."""

from __future__ import annotations

import asyncio

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupIdNotFound, KafkaError, NoError, NonEmptyGroup, for_code
from aiokafka.protocol.admin import DeleteGroupsRequest

from schemas.broker import client_options
from schemas.settings import Settings

PAUSE = 0.2


async def forget(settings: Settings, *groups: str) -> None:
    """Delete groups, as soon as their last member has left: who joins next is the first, without offsets.

    Raises:
        KafkaError: A group cannot be deleted.
    """
    admin = AIOKafkaAdminClient(**client_options(settings, "faults"))
    await admin.start()
    try:
        for group in groups:
            while not await _deleted(admin, group):  # noqa: ASYNC110 - the broker tells nobody
                await asyncio.sleep(PAUSE)
    finally:
        await admin.close()


async def _deleted(admin: AIOKafkaAdminClient, group: str) -> bool:
    try:
        node = await admin.find_coordinator(group)
    except KafkaError as error:
        if error.retriable:
            return False
        raise
    # The library has the request, but no method for it.
    answer = await admin._send_request(DeleteGroupsRequest([group]), node)
    ((_, code),) = answer.results
    fault = for_code(code)
    if fault not in {NoError, GroupIdNotFound, NonEmptyGroup} and not fault.retriable:
        raise fault(f"group {group} was not deleted")
    return fault in {NoError, GroupIdNotFound}
