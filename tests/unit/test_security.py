"""TLS and logins in the settings: what goes together, which files are taken, what clients are given."""

import ssl

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from ops.ui import client_properties
from schemas.broker import client_options
from schemas.errors import InvalidSettings
from schemas.settings import Settings, load_settings

SECRET = "hush-hush-1"  # noqa: S105 - looked for in what is said
SASL = {
    "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "KAFKA_SASL_USERNAME": "riskflow",
    "KAFKA_SASL_PASSWORD": SECRET,
}


@pytest.fixture(scope="module")
def pems(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pems")
    authority = trustme.CA()
    client = authority.issue_cert("client@example.org")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    client.cert_chain_pems[0].write_to_path(folder / "client.pem")
    client.private_key_pem.write_to_path(folder / "client.key")
    trustme.CA().issue_cert("x@example.org").private_key_pem.write_to_path(folder / "other.key")
    locked = load_pem_private_key(client.private_key_pem.bytes(), None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(SECRET.encode())
    )
    (folder / "locked.key").write_bytes(locked)
    (folder / "empty.pem").write_text("no certificate\n")
    return folder


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch, pems):
    """A folder with certificates, and no setting in the environment."""
    monkeypatch.chdir(pems)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def loaded(monkeypatch, **variables) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return load_settings()


def refusal(monkeypatch, **variables) -> str:
    with pytest.raises(InvalidSettings) as caught:
        loaded(monkeypatch, **variables)
    return str(caught.value)


def test_a_login_by_tls_reaches_every_client(monkeypatch):
    settings = loaded(monkeypatch, **SASL, KAFKA_SSL_CAFILE="ca.pem")
    options = client_options(settings, "test")
    context = options.pop("ssl_context")
    assert options == {
        "bootstrap_servers": "localhost:9092",
        "client_id": "riskflow-test",
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "riskflow",
        "sasl_plain_password": SECRET,
    }
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)
    assert len(context.get_ca_certs()) == 1, "with a file of authorities the system's are not trusted"
    assert client_options(settings, "test")["ssl_context"] is not context


def test_a_client_certificate_with_an_encrypted_key_is_loaded(monkeypatch):
    settings = loaded(
        monkeypatch,
        KAFKA_SECURITY_PROTOCOL="SSL",
        KAFKA_SSL_CERTFILE="client.pem",
        KAFKA_SSL_KEYFILE="locked.key",
        KAFKA_SSL_KEY_PASSWORD=SECRET,
    )
    options = client_options(settings, "test")
    assert options["security_protocol"] == "SSL"
    assert options["ssl_context"].check_hostname
    assert not [name for name in options if name.startswith("sasl")]


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        (
            {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"},
            "KAFKA_SASL_USERNAME/KAFKA_SASL_PASSWORD: KAFKA_SECURITY_PROTOCOL=SASL_SSL needs both",
        ),
        (SASL | {"KAFKA_SASL_PASSWORD": ""}, "KAFKA_SECURITY_PROTOCOL=SASL_SSL needs both"),
        (
            SASL | {"KAFKA_SECURITY_PROTOCOL": "PLAINTEXT"},
            "KAFKA_SECURITY_PROTOCOL=PLAINTEXT does not log in",
        ),
        (SASL | {"KAFKA_SECURITY_PROTOCOL": "SSL"}, "KAFKA_SECURITY_PROTOCOL=SSL does not log in"),
        (
            SASL | {"KAFKA_SASL_MECHANISM": "GSSAPI"},
            "KAFKA_SASL_MECHANISM: Input should be 'PLAIN', 'SCRAM-SHA-256' or 'SCRAM-SHA-512'",
        ),
        (
            {"KAFKA_SSL_CAFILE": "ca.pem"},
            "KAFKA_SSL_CAFILE: KAFKA_SECURITY_PROTOCOL=PLAINTEXT does not hide the connection",
        ),
        (
            SASL | {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_SSL_CAFILE": "ca.pem"},
            "KAFKA_SSL_CAFILE: KAFKA_SECURITY_PROTOCOL=SASL_PLAINTEXT does not hide",
        ),
        (
            SASL | {"KAFKA_SSL_CAFILE": "nosuch.pem"},
            "KAFKA_SSL_CAFILE: nosuch.pem cannot be read: No such file or directory",
        ),
        (
            SASL | {"KAFKA_SSL_CAFILE": "empty.pem"},
            "KAFKA_SSL_CAFILE: empty.pem holds no certificate in PEM form",
        ),
        (
            SASL | {"KAFKA_SSL_CERTFILE": "client.pem"},
            "KAFKA_SSL_CERTFILE/KAFKA_SSL_KEYFILE: set both or neither",
        ),
        (
            SASL | {"KAFKA_SSL_KEYFILE": "client.key"},
            "KAFKA_SSL_CERTFILE/KAFKA_SSL_KEYFILE: set both or neither",
        ),
        (SASL | {"KAFKA_SSL_KEY_PASSWORD": SECRET}, "KAFKA_SSL_KEY_PASSWORD: there is no KAFKA_SSL_KEYFILE"),
        (
            SASL | {"KAFKA_SSL_CERTFILE": "client.pem", "KAFKA_SSL_KEYFILE": "other.key"},
            "cannot be used together: key values mismatch",
        ),
        (
            SASL | {"KAFKA_SSL_CERTFILE": "client.pem", "KAFKA_SSL_KEYFILE": "locked.key"},
            "cannot be used together",
        ),
        (
            SASL
            | {
                "KAFKA_SSL_CERTFILE": "client.pem",
                "KAFKA_SSL_KEYFILE": "locked.key",
                "KAFKA_SSL_KEY_PASSWORD": "wrong",
            },
            "cannot be used together",
        ),
        (
            SASL | {"KAFKA_SSL_CERTFILE": "empty.pem", "KAFKA_SSL_KEYFILE": "client.key"},
            "cannot be used together",
        ),
        (
            {"DATABASE_SSLMODE": "verify-full"},
            "DATABASE_SSLROOTCERT: DATABASE_SSLMODE=verify-full needs the PEM",
        ),
        (
            {"DATABASE_SSLROOTCERT": "ca.pem"},
            "DATABASE_SSLROOTCERT: set DATABASE_SSLMODE=verify-full with it",
        ),
        (
            {"DATABASE_SSLMODE": "prefer", "DATABASE_SSLROOTCERT": "ca.pem"},
            "DATABASE_SSLROOTCERT: set DATABASE_SSLMODE",
        ),
        (
            {"DATABASE_SSLMODE": "verify-full", "DATABASE_SSLROOTCERT": "nosuch.pem"},
            "DATABASE_SSLROOTCERT: nosuch.pem cannot be read",
        ),
        (
            {"DATABASE_SSLMODE": "verify-full", "DATABASE_SSLROOTCERT": "empty.pem"},
            "DATABASE_SSLROOTCERT: empty.pem holds no certificate",
        ),
        (
            {"DATABASE_SSLMODE": "require", "DATABASE_SSLCERT": "client.pem"},
            "DATABASE_SSLCERT/DATABASE_SSLKEY: set both or neither",
        ),
        (
            {"DATABASE_SSLMODE": "verify", "DATABASE_SSLROOTCERT": "ca.pem"},
            "DATABASE_SSLMODE: Input should be 'disable', 'allow'",
        ),
        (
            {"DATABASE_URL": "postgresql://u@h/d", "DATABASE_SSLMODE": "verify-full"},
            "DATABASE_SSLMODE: with DATABASE_URL this stands in the URL",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_without_its_secret(monkeypatch, variables, said):
    sentence = refusal(monkeypatch, **variables)
    assert said in sentence
    assert SECRET not in sentence


def test_the_parts_of_the_database_make_one_connection_string(monkeypatch, pems):
    settings = loaded(
        monkeypatch,
        DATABASE_HOST="db.example.org",
        DATABASE_PASSWORD="p@ss",  # noqa: S106 - no secret
        DATABASE_SSLMODE="verify-full",
        DATABASE_SSLROOTCERT=str(pems / "ca.pem"),
        DATABASE_SSLCERT="client.pem",
        DATABASE_SSLKEY="client.key",
    )
    quoted = str(pems / "ca.pem").replace("/", "%2F")
    assert settings.dsn == (
        "postgresql://riskflow:p%40ss@db.example.org:5432/riskflow"
        f"?sslmode=verify-full&sslrootcert={quoted}&sslcert=client.pem&sslkey=client.key"
    )
    assert settings.database_label == "db.example.org:5432/riskflow"


def test_no_secret_is_shown_by_the_settings_themselves(monkeypatch):
    settings = loaded(
        monkeypatch,
        **SASL,
        KAFKA_SSL_CERTFILE="client.pem",
        KAFKA_SSL_KEYFILE="locked.key",
        KAFKA_SSL_KEY_PASSWORD=SECRET,
    )
    assert SECRET not in f"{settings!r} {settings} {settings.model_dump()}"


def test_an_empty_variable_takes_back_what_the_file_sets(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    lines = [f"{name}={value}" for name, value in SASL.items()]
    (tmp_path / ".env").write_text("\n".join([*lines, "BATCH_SIZE=32"]) + "\n")
    assert load_settings().kafka_sasl_username == "riskflow"
    settings = loaded(monkeypatch, **dict.fromkeys(SASL, ""))
    assert (settings.kafka_security_protocol, settings.kafka_sasl_username) == ("PLAINTEXT", None)
    assert settings.batch_size == 32


def test_kaskade_is_told_how_to_log_in_by_a_file(monkeypatch):
    settings = loaded(monkeypatch, **SASL, KAFKA_SSL_CAFILE="ca.pem")
    assert client_properties(settings) == (
        "[kafka]\nbootstrap.servers=localhost:9092\nsecurity.protocol=SASL_SSL\nsasl.mechanism=SCRAM-SHA-512\n"
        f"sasl.username=riskflow\nsasl.password={SECRET}\nssl.ca.location=ca.pem\n"
    )
    monkeypatch.undo()
    plain = client_properties(Settings(_env_file=None))
    assert plain == "[kafka]\nbootstrap.servers=localhost:9092\nsecurity.protocol=PLAINTEXT\n"
