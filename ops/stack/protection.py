"""How clients must speak to a KafkaBroker: SASL users, TLS, both or neither."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LISTENER = "CLIENTS"
INTERNAL = "INTERNAL"
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
PLAIN_WORD = re.compile(r"[A-Za-z0-9._~-]+")
KEYS, TRUSTED = "keystore.pem", "truststore.pem"
OWNER_ONLY = 0o600
MODULES = "org.apache.kafka.common.security"


@dataclass(frozen=True, slots=True)
class Protection:
    """The client listener of a KafkaBroker; without any field it takes plain text and no login.

    For tests and trials on one machine: the listeners that the broker uses for itself stay in plain text,
    on 127.0.0.1.

    Args:
        users: Passwords by name, both of letters, digits and `._~-`; each may log in by PLAIN,
            SCRAM-SHA-256 and SCRAM-SHA-512. SCRAM's are written when the broker's log is made, so later
            changes reach PLAIN alone.
        certificate: PEM chain of the broker, with TLS.
        key: Its key, PEM in PKCS #8 ("BEGIN PRIVATE KEY"), not encrypted.
        authorities: PEM of those whose certificates clients must show; without them, clients show none.
            The broker's own certificate must come from one of them: it shows it when it asks itself.

    Raises:
        ValueError: a name or password of other characters, or a certificate without its key.
    """

    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    certificate: Path | None = None
    key: Path | None = None
    authorities: Path | None = None

    def __post_init__(self) -> None:
        # Kafka's option for SCRAM users has no way to quote what its own grammar uses.
        if not all(PLAIN_WORD.fullmatch(word) for pair in self.users.items() for word in pair):
            raise ValueError("names and passwords of users may hold letters, digits and ._~- only")
        if bool(self.certificate) != bool(self.key):
            raise ValueError("certificate and key: give both or neither")

    @property
    def protocol(self) -> str:
        """Kafka's name of it, a client's security_protocol."""
        cover = "SSL" if self.certificate else "PLAINTEXT"
        if self.users:
            return f"SASL_{cover}"
        return cover

    def format_options(self) -> list[str]:
        """Options of `kafka-storage format` that make the users of SCRAM."""
        return [
            f"--add-scram={mechanism}=[name={name},password={password}]"
            for mechanism in MECHANISMS
            if mechanism != "PLAIN"
            for name, password in self.users.items()
        ]

    def settings(self, home: Path) -> dict[str, str]:
        """The broker's properties, for a process that runs in `home`; key and certificates go there."""
        protocols = {LISTENER: self.protocol, INTERNAL: "PLAINTEXT", "CONTROLLER": "PLAINTEXT"}
        table = {
            "listener.security.protocol.map": ",".join(f"{name}:{how}" for name, how in protocols.items())
        }
        return table | self._login_settings() | self._cover_settings(home)

    def own_client(self) -> dict[str, Any]:
        """Arguments by which the broker's own aiokafka client is let in."""
        options: dict[str, Any] = {"security_protocol": self.protocol}
        if self.users:
            name, password = next(iter(self.users.items()))
            options |= {
                "sasl_mechanism": MECHANISMS[0],
                "sasl_plain_username": name,
                "sasl_plain_password": password,
            }
        if self.certificate:
            options["ssl_context"] = self._own_context(self.certificate)
        return options

    def _login_settings(self) -> dict[str, str]:
        if not self.users:
            return {}
        prefix = f"listener.name.{LISTENER.lower()}"
        known = " ".join(f'user_{name}="{password}"' for name, password in self.users.items())
        scram = f"{MODULES}.scram.ScramLoginModule required;"
        modules = {
            "plain": f"{MODULES}.plain.PlainLoginModule required {known};",
            "scram-sha-256": scram,
            "scram-sha-512": scram,
        }
        return {f"{prefix}.sasl.enabled.mechanisms": ",".join(MECHANISMS)} | {
            f"{prefix}.{mechanism}.sasl.jaas.config": module for mechanism, module in modules.items()
        }

    def _cover_settings(self, home: Path) -> dict[str, str]:
        if not self.certificate or not self.key:
            return {}
        prefix = f"listener.name.{LISTENER.lower()}.ssl"
        write_owned(home / KEYS, f"{self.key.read_text()}\n{self.certificate.read_text()}")
        settings = {f"{prefix}.keystore.type": "PEM", f"{prefix}.keystore.location": KEYS}
        if self.authorities:
            write_owned(home / TRUSTED, self.authorities.read_text())
            settings |= {
                f"{prefix}.truststore.type": "PEM",
                f"{prefix}.truststore.location": TRUSTED,
                f"{prefix}.client.auth": "required",
            }
        return settings

    def _own_context(self, certificate: Path) -> ssl.SSLContext:
        """Trusts this very certificate, for whatever name it was issued."""
        context = ssl.create_default_context(cafile=str(certificate))
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        if self.authorities and self.key:
            context.load_cert_chain(certificate, self.key)
        return context


def write_owned(path: Path, text: str) -> None:
    """Write a file that may hold passwords, for its owner's eyes."""
    with open(path, "w", opener=lambda name, flags: os.open(name, flags, OWNER_ONLY)) as file:
        file.write(text)
