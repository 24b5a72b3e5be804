"""What `riskflow up` gives its services."""

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from ops.services import _check_risks_file, services
from ops.stack.registry import ProcessMark, StackState, at_servers
from schemas.broker import client_options
from schemas.errors import InvalidSettings
from schemas.settings import Settings, load_settings


def test_services_of_the_embedded_stack_hear_of_no_other_server():
    settings = Settings(
        _env_file=None,
        database_url="postgresql://me:secret@elsewhere/db",
        database_host="elsewhere",
        database_port=6543,
        kafka_bootstrap_servers="elsewhere:9092",
        batch_size=32,
        parallel_workers=3,
        web_token=SecretStr("a-token-of-the-page"),
    )
    started = services(settings)
    assert [(each.name, each.count) for each in started] == [
        ("sink", 1),
        ("producers", 1),
        ("reporter", 1),
        ("worker", 3),
        ("web", 1),
    ]
    for each in started:
        assert each.argv[-1] == ("serve" if each.name == "web" else each.name)
        assert (each.env["BATCH_SIZE"], each.env["PARALLEL_WORKERS"]) == ("32", "3")
        assert each.env["REPORTS_DIR"] == str(Path.cwd() / "reports")
        assert each.env["SCENARIO"] == "historical", "a default of up goes before another in the environment"
        assert not [name for name in each.env if name.startswith(("DATABASE", "KAFKA"))]


def test_services_read_the_settings_of_up_again_wherever_they_run(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    settings = Settings(
        _env_file=None,
        tenants_file=Path("school/tenants.yaml"),
        reports_dir=Path("out"),
        smtp_host="mail.example.org",
        smtp_from="riskflow@example.org",
        smtp_user="reporter",
        smtp_password=SecretStr("open-sesame"),
        smtp_security="tls",
        delivery_pause=0.5,
    )
    reporter = next(each for each in services(settings) if each.name == "reporter")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in reporter.env.items():
        monkeypatch.setenv(name, value)
    places = {"tenants_file": tmp_path / "school/tenants.yaml", "reports_dir": tmp_path / "out"}
    assert load_settings() == settings.model_copy(update=places)
    assert "open-sesame" not in repr(reporter)


def test_what_a_stack_tells_its_services_takes_back_logins_and_certificates_of_other_servers(
    monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(
        "DATABASE_SSLMODE=require\nKAFKA_SSL_CAFILE=nosuch.pem\nKAFKA_SASL_MECHANISM=PLAIN\nBATCH_SIZE=7\n"
    )
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("KAFKA_SASL_USERNAME", "somebody")
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", "of another broker")
    url = "postgresql://riskflow:secret@127.0.0.1:2345/riskflow"
    stack = StackState(
        supervisor=ProcessMark.of(os.getpid()),
        processes={},
        data_dir=tmp_path,
        kafka_bootstrap_servers="127.0.0.1:1234",
        database_url=url,
    )
    for name, value in stack.environment().items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert client_options(settings, "test") == {
        "bootstrap_servers": "127.0.0.1:1234",
        "client_id": "riskflow-test",
        "security_protocol": "PLAINTEXT",
    }
    assert (settings.dsn, settings.batch_size) == (url, 7)


def test_a_stack_of_its_own_is_spoken_to_without_the_logins_of_another_server(tmp_path):
    other = Settings(
        _env_file=None,
        database_host="elsewhere",
        database_sslmode="require",
        kafka_security_protocol="SASL_PLAINTEXT",
        kafka_sasl_username="somebody",
        kafka_sasl_password=SecretStr("of another broker"),
        reports_dir=tmp_path,
    )
    here = at_servers(other, "127.0.0.1:1234", "postgresql://me@127.0.0.1/d")
    assert client_options(here, "test")["security_protocol"] == "PLAINTEXT"
    assert here.dsn == "postgresql://me@127.0.0.1/d"
    assert here.kafka_sasl_password is None
    assert here.reports_dir == tmp_path
    assert at_servers(other, "127.0.0.1:1234").dsn == other.dsn


def test_up_says_once_that_the_file_of_edges_cannot_be_used(tmp_path):
    file = tmp_path / "risks.toml"
    file.write_text("[flood]\nedges = [1]\n")
    with pytest.raises(InvalidSettings, match=r"RISKS_FILE: .*flood"):
        _check_risks_file(Settings(_env_file=None, risks_file=file))
    with pytest.raises(InvalidSettings, match=r"RISKS_FILE: .*nosuch"):
        _check_risks_file(Settings(_env_file=None, risks_file=tmp_path / "nosuch.toml"))
    _check_risks_file(Settings(_env_file=None))


def test_each_process_of_up_has_a_health_port_of_its_own():
    page = {"web_token": SecretStr("a-token-of-the-page")}
    started = services(Settings(_env_file=None, health_port=9464, parallel_workers=2, **page))
    ports = {name: each.environment(name)["HEALTH_PORT"] for each in started for name in each.instances()}
    assert ports == {
        "sink": "9464",
        "producers": "9465",
        "reporter": "9466",
        "worker-1": "9467",
        "worker-2": "9468",
        "web": "9469",
    }
    for each in services(Settings(_env_file=None, **page)):
        assert not each.health_ports()
        assert "HEALTH_PORT" not in each.environment(each.name)


def test_a_health_port_that_leaves_no_room_for_all_processes_is_refused():
    services(Settings(_env_file=None, health_port=65_531, parallel_workers=2))
    with pytest.raises(InvalidSettings, match="HEALTH_PORT: the services take the ports up to 65536"):
        services(Settings(_env_file=None, health_port=65_532, parallel_workers=2))


def test_a_page_that_lets_nobody_in_is_not_run():
    assert "web" not in [each.name for each in services(Settings(_env_file=None))]
    by_file = Settings(_env_file=None, web_access_file=Path("access.yaml"))
    assert [each.name for each in services(by_file)][-1] == "web"
