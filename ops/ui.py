"""`riskflow ui`: the terminal Kafka UI kaskade on the broker of the settings."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from schemas.errors import RiskflowError
from schemas.settings import Settings


def open_ui(settings: Settings, topic: str | None = None) -> None:
    """Turn into kaskade; comes back only as an error.

    Args:
        settings: Name the broker, and how to log in there.
        topic: Show its messages; without it, all topics.

    Raises:
        RiskflowError: kaskade is not installed.
    """
    beside = Path(sys.executable).with_name("kaskade")
    program = str(beside) if beside.exists() else shutil.which("kaskade")
    if program is None:
        raise RiskflowError("the Kafka UI is not installed; install it with: pip install 'riskflow[ui]'")
    mode = (
        ["admin"] if topic is None else ["consumer", "-t", topic, "--earliest", "-k", "string", "-v", "json"]
    )
    # The broker's password stands in a file that has no name, since arguments are everybody's to see.
    file = tempfile.TemporaryFile("w+")  # noqa: SIM115 - kaskade reads it
    file.write(client_properties(settings))
    file.flush()
    file.seek(0)
    os.set_inheritable(file.fileno(), True)  # noqa: FBT003 - the library's argument has no name
    os.execv(program, [program, *mode, "--config-file", f"/dev/fd/{file.fileno()}"])  # noqa: S606 - found above


def client_properties(settings: Settings) -> str:
    """The broker of the settings as kaskade's configuration file names it; it holds the password."""
    secret, key_secret = settings.kafka_sasl_password, settings.kafka_ssl_key_password
    properties = {
        "bootstrap.servers": settings.kafka_bootstrap_servers,
        "security.protocol": settings.kafka_security_protocol,
        "sasl.mechanism": settings.kafka_sasl_mechanism if secret else None,
        "sasl.username": settings.kafka_sasl_username,
        "sasl.password": secret.get_secret_value() if secret else None,
        "ssl.ca.location": settings.kafka_ssl_cafile,
        "ssl.certificate.location": settings.kafka_ssl_certfile,
        "ssl.key.location": settings.kafka_ssl_keyfile,
        "ssl.key.password": key_secret.get_secret_value() if key_secret else None,
    }
    return "[kafka]\n" + "".join(
        f"{name}={value}\n" for name, value in properties.items() if value is not None
    )
