"""Servers that are spoken to by TLS and by logins: certificates, an Apache Kafka, a front for PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import trustme

from ops.stack.endpoint import HOST
from ops.stack.kafka import KafkaBroker
from ops.stack.protection import Protection
from schemas.settings import Settings

USER, PASSWORD = "riskflow", "open-sesame-4711"
SSL_REQUEST = struct.pack("!ii", 8, 80877103)  # PostgreSQL documentation, "Message Formats"


class Certificates:
    """PEM files of an authority, of servers and a client that it vouches for, and of another authority."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority = trustme.CA()
        self.authority = self._written("authority", self._authority.cert_pem)
        self.stranger = self._written("stranger", trustme.CA().cert_pem)
        self.server, self.server_key = self.issued("server", HOST)
        self.elsewhere, self.elsewhere_key = self.issued("elsewhere", "broker.example.org")
        self.client, self.client_key = self.issued("client", "client@example.org")

    def issued(self, name: str, identity: str) -> tuple[Path, Path]:
        """Certificate and key in PKCS #8."""
        issued = self._authority.issue_cert(identity)
        key = self._written(f"{name}-key", issued.private_key_pem)
        return self._written(name, *issued.cert_chain_pems), pkcs8(key)

    def context(self) -> ssl.SSLContext:
        """What a server shows."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.server, self.server_key)
        return context

    def _written(self, name: str, *blobs: trustme.Blob) -> Path:
        path = self._folder / f"{name}.pem"
        path.write_bytes(b"".join(blob.bytes() for blob in blobs))
        return path


def pkcs8(path: Path) -> Path:
    """The key file, rewritten in the form that Kafka reads."""
    from cryptography.hazmat.primitives import serialization as form  # noqa: PLC0415 - heavy, and only here

    key = form.load_pem_private_key(path.read_bytes(), None)
    path.write_bytes(key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()))
    return path


@asynccontextmanager
async def guarded_kafka(home: Path, protection: Protection) -> AsyncIterator[KafkaBroker]:
    """An Apache Kafka of its own for one module's tests."""
    broker = KafkaBroker(home, protection=protection)
    try:
        await broker.start()
        await broker.wait_ready()
        yield broker
    finally:
        await broker.stop()


def guarded_settings(broker: KafkaBroker, **changes: Any) -> Settings:
    """Settings that let one in at a broker of SASL without TLS; `changes` add the rest."""
    return Settings(
        _env_file=None,
        **{
            "kafka_bootstrap_servers": broker.address,
            "kafka_security_protocol": "SASL_PLAINTEXT",
            "kafka_sasl_username": USER,
            "kafka_sasl_password": PASSWORD,
            "start_timeout": 20,
        }
        | changes,
    )


class TlsFront:
    """A port that speaks PostgreSQL's TLS and hands the rest on; the embedded server is built without it.

    Who does not ask for TLS is hung up on, so that nothing passes in the clear.
    """

    def __init__(self, port_behind: int, context: ssl.SSLContext) -> None:
        self._behind = port_behind
        self._context = context
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self.passed = 0
        self.refused = 0

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, HOST, 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            self.refused += 1
        finally:
            self._open.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readexactly(len(SSL_REQUEST)) != SSL_REQUEST:
            self.refused += 1
            return
        writer.write(b"S")
        await writer.start_tls(self._context)
        self.passed += 1
        behind_reader, behind_writer = await asyncio.open_connection(HOST, self._behind)
        async with asyncio.TaskGroup() as pumps:
            pumps.create_task(_pump(reader, behind_writer))
            pumps.create_task(_pump(behind_reader, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()
