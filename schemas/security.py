"""What TLS and logins need of the settings, for the broker and for PostgreSQL: checked, then built.

Every fault is a ValueError whose sentence names the variable; none holds a secret.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

if TYPE_CHECKING:
    from schemas.settings import Settings

VERIFYING = ("verify-ca", "verify-full")
"""Modes in which the database's certificate must be signed by a trusted authority."""
UNHIDDEN = (None, "disable", "allow", "prefer")
"""Modes in which the connection may be in the clear, so that a certificate would promise too much."""


def check_broker(settings: Settings) -> None:
    """Look at every KAFKA_ setting beside the others, and load the files they name.

    Raises:
        ValueError: Two do not go together, or a file cannot be used.
    """
    _check_login(settings)
    named = {
        "KAFKA_SSL_CAFILE": settings.kafka_ssl_cafile,
        "KAFKA_SSL_CERTFILE": settings.kafka_ssl_certfile,
        "KAFKA_SSL_KEYFILE": settings.kafka_ssl_keyfile,
        "KAFKA_SSL_KEY_PASSWORD": settings.kafka_ssl_key_password,
    }
    given = [name for name, value in named.items() if value is not None]
    if given and "SSL" not in settings.kafka_security_protocol.split("_"):
        raise ValueError(
            f"{'/'.join(given)}: KAFKA_SECURITY_PROTOCOL={settings.kafka_security_protocol} does not hide "
            "the connection; set it to SSL or SASL_SSL, or leave these out"
        )
    _check_pair(
        "KAFKA_SSL_CERTFILE", settings.kafka_ssl_certfile, "KAFKA_SSL_KEYFILE", settings.kafka_ssl_keyfile
    )
    if settings.kafka_ssl_key_password is not None and settings.kafka_ssl_keyfile is None:
        raise ValueError("KAFKA_SSL_KEY_PASSWORD: there is no KAFKA_SSL_KEYFILE that it could open")
    broker_context(settings)


def _check_login(settings: Settings) -> None:
    username, password = settings.kafka_sasl_username, settings.kafka_sasl_password
    if settings.kafka_security_protocol.startswith("SASL_"):
        if username is None or password is None:
            raise ValueError(
                "KAFKA_SASL_USERNAME/KAFKA_SASL_PASSWORD: "
                f"KAFKA_SECURITY_PROTOCOL={settings.kafka_security_protocol} needs both"
            )
    elif username is not None or password is not None:
        raise ValueError(
            f"KAFKA_SASL_USERNAME/KAFKA_SASL_PASSWORD: KAFKA_SECURITY_PROTOCOL="
            f"{settings.kafka_security_protocol} does not log in; set it to SASL_SSL or SASL_PLAINTEXT, "
            "or leave these out"
        )


def broker_context(settings: Settings) -> ssl.SSLContext | None:
    """TLS to the broker with its host name always checked; None where the protocol has no TLS.

    Raises:
        ValueError: A file is not there, holds no PEM, or cannot be opened with the password.
    """
    if "SSL" not in settings.kafka_security_protocol.split("_"):
        return None
    authorities = settings.kafka_ssl_cafile
    # Without a file the system's authorities are trusted, with one only those in it.
    context = (
        ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
        if authorities is None
        else _trusting("KAFKA_SSL_CAFILE", authorities)
    )
    if settings.kafka_ssl_certfile is not None and settings.kafka_ssl_keyfile is not None:
        secret = settings.kafka_ssl_key_password
        _present(
            context,
            ("KAFKA_SSL_CERTFILE", settings.kafka_ssl_certfile),
            ("KAFKA_SSL_KEYFILE", settings.kafka_ssl_keyfile),
            password="" if secret is None else secret.get_secret_value(),
        )
    return context


def check_database(settings: Settings) -> None:
    """Look at every DATABASE_SSL setting beside the others, and load the files they name.

    Raises:
        ValueError: Two do not go together, or a file cannot be used.
    """
    given = [f"DATABASE_{name.upper()}" for name in database_options(settings)]
    if not given:
        return
    if settings.database_url is not None:
        raise ValueError(
            f"{'/'.join(given)}: with DATABASE_URL this stands in the URL, such as "
            "?sslmode=verify-full&sslrootcert=authorities.pem"
        )
    mode, authorities = settings.database_sslmode, settings.database_sslrootcert
    if mode in UNHIDDEN and given != ["DATABASE_SSLMODE"]:
        files = "/".join(name for name in given if name != "DATABASE_SSLMODE")
        raise ValueError(f"{files}: set DATABASE_SSLMODE=verify-full with it, or leave it out")
    if mode in VERIFYING and authorities is None:
        raise ValueError(
            f"DATABASE_SSLROOTCERT: DATABASE_SSLMODE={mode} needs the PEM of the authorities to trust"
        )
    cert, key = settings.database_sslcert, settings.database_sslkey
    _check_pair("DATABASE_SSLCERT", cert, "DATABASE_SSLKEY", key)
    context = (
        ssl.create_default_context()
        if authorities is None
        else _trusting("DATABASE_SSLROOTCERT", authorities)
    )
    if cert is not None and key is not None:
        _present(context, ("DATABASE_SSLCERT", cert), ("DATABASE_SSLKEY", key), password="")


def database_options(settings: Settings) -> dict[str, str]:
    """The parameters of a connection string that the DATABASE_SSL settings stand for."""
    options = {
        "sslmode": settings.database_sslmode,
        "sslrootcert": settings.database_sslrootcert,
        "sslcert": settings.database_sslcert,
        "sslkey": settings.database_sslkey,
    }
    return {name: str(value) for name, value in options.items() if value is not None}


def database_query(settings: Settings) -> str:
    """The same as a connection string ends, `?` included; empty where nothing is set."""
    options = database_options(settings)
    return f"?{urlencode(options)}" if options else ""


def _check_pair(cert_name: str, cert: Path | None, key_name: str, key: Path | None) -> None:
    if (cert is None) != (key is None):
        raise ValueError(f"{cert_name}/{key_name}: set both or neither; one file with both is named twice")


def _trusting(name: str, authorities: Path) -> ssl.SSLContext:
    _check_readable(name, authorities)
    try:
        return ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=authorities)
    except ssl.SSLError:
        raise ValueError(f"{name}: {authorities} holds no certificate in PEM form") from None


def _present(context: ssl.SSLContext, cert: tuple[str, Path], key: tuple[str, Path], password: str) -> None:
    for name, path in (cert, key):
        _check_readable(name, path)
    try:
        # A function, since OpenSSL would otherwise ask on the terminal for the password of an encrypted key.
        context.load_cert_chain(cert[1], key[1], password=lambda: password)
    except ssl.SSLError as error:
        reason = (
            error.reason or "no PEM of a certificate and its key, or a key that needs a password"
        ).lower()
        raise ValueError(
            f"{cert[0]}/{key[0]}: {cert[1]} and {key[1]} cannot be used together: {reason.replace('_', ' ')}"
        ) from None


def _check_readable(name: str, path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise ValueError(f"{name}: {path} cannot be read: {error.strerror}") from None
