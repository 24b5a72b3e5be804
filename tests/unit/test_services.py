"""What `riskflow up` gives its services."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from ops.services import _check_risks_file, services
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
    )
    started = services(settings)
    assert [(each.name, each.count) for each in started] == [
        ("sink", 1),
        ("producers", 1),
        ("reporter", 1),
        ("worker", 3),
    ]
    for each in started:
        assert each.argv[-1] == each.name
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
    _, _, reporter, _ = services(settings)
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


def test_up_says_once_that_the_file_of_edges_cannot_be_used(tmp_path):
    file = tmp_path / "risks.toml"
    file.write_text("[flood]\nedges = [1]\n")
    with pytest.raises(InvalidSettings, match=r"RISKS_FILE: .*flood"):
        _check_risks_file(Settings(_env_file=None, risks_file=file))
    with pytest.raises(InvalidSettings, match=r"RISKS_FILE: .*nosuch"):
        _check_risks_file(Settings(_env_file=None, risks_file=tmp_path / "nosuch.toml"))
    _check_risks_file(Settings(_env_file=None))
