"""Settings: the environment's names, and a sentence for each that is not allowed."""

import pytest

from schemas.errors import InvalidSettings
from schemas.settings import Settings, environment, load_settings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def refusal(monkeypatch, **environment) -> str:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSettings) as caught:
        load_settings()
    return str(caught.value)


def test_defaults_are_those_of_the_example_file(request):
    example = (request.config.rootpath / ".env.example").read_text().splitlines()
    pairs = dict(line.split("=", 1) for line in example if line and not line.startswith("#"))
    assert len(pairs) > 20
    assert Settings(_env_file=request.config.rootpath / ".env.example") == Settings(_env_file=None)
    assert {name.lower() for name in pairs} <= set(Settings.model_fields)


def test_the_names_people_already_have_are_read(monkeypatch):
    monkeypatch.setenv("DATABASE_HOST", "db.example.org")
    monkeypatch.setenv("DATABASE_PASSWORD", "p@ss/word")
    monkeypatch.setenv("BATCH_SIZE", "100")
    monkeypatch.setenv("HAZARD_SCHEDULE_HOUR", "5")
    settings = load_settings()
    assert settings.dsn == "postgresql://riskflow:p%40ss%2Fword@db.example.org:5432/riskflow"
    assert (settings.batch_size, settings.hazard_schedule_hour) == (100, 5)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("BATCH_SIZE", "0", "BATCH_SIZE: Input should be greater than or equal to 1"),
        ("BATCH_SIZE", "many", "BATCH_SIZE: Input should be a valid integer"),
        ("DATABASE_URL", "mysql://x", "DATABASE_URL: must start with postgresql://"),
        ("KAFKA_BOOTSTRAP_SERVERS", "broker", "KAFKA_BOOTSTRAP_SERVERS: must be host:port"),
        ("SCHEDULE_TIMEZONE", "Asia/Atlantis", "SCHEDULE_TIMEZONE: must be a time zone of the IANA database"),
        (
            "PROBABILITY_SCHEDULE_MONTH",
            "13",
            "PROBABILITY_SCHEDULE_MONTH: Input should be less than",
        ),
        ("NOTIFY_CHANNEL", "a b", "NOTIFY_CHANNEL: String should match pattern"),
        ("WINDOW_END", "2030", "WINDOW_START/WINDOW_END: window 1991-2030 has 40 years"),
        ("BASELINE_START", "2021", "BASELINE_START/BASELINE_END: window 2021-2020 ends before it starts"),
        ("LOG_LEVEL", "LOUD", "LOG_LEVEL: Input should be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_allowed(monkeypatch, name, value, said):
    assert said in refusal(monkeypatch, **{name: value})


@pytest.mark.parametrize(("month", "day", "days"), [("2", "30", 29), ("2", "31", 29), ("4", "31", 30)])
def test_a_schedule_on_a_day_that_no_year_has_is_refused(monkeypatch, month, day, days):
    said = refusal(monkeypatch, HAZARD_SCHEDULE_MONTH=month, HAZARD_SCHEDULE_DAY=day)
    assert f"HAZARD_SCHEDULE_MONTH/HAZARD_SCHEDULE_DAY: month {month} never has a day {day}" in said
    assert f"allowed are days 1 to {days}" in said


def test_a_schedule_may_be_on_the_day_of_leap_years(monkeypatch):
    monkeypatch.setenv("PROBABILITY_SCHEDULE_MONTH", "2")
    monkeypatch.setenv("PROBABILITY_SCHEDULE_DAY", "29")
    assert load_settings().probability_schedule_day == 29


def test_every_wrong_setting_is_named_at_once(monkeypatch):
    said = refusal(monkeypatch, BATCH_SIZE="0", DATABASE_PORT="99999")
    assert "BATCH_SIZE" in said
    assert "DATABASE_PORT" in said


def test_a_password_is_shown_by_nothing_but_the_connection_string(monkeypatch):
    monkeypatch.setenv("DATABASE_PASSWORD", "hush-hush")
    monkeypatch.setenv("DATABASE_URL", "postgresql://someone:hush-hush@h:1/d")
    settings = load_settings()
    assert "hush-hush" not in repr(settings) + str(settings) + settings.database_label
    assert settings.database_label == "h:1/d"
    assert "hush-hush" not in refusal(monkeypatch, DATABASE_PORT="0", DATABASE_URL="mysql://u:hush-hush@h/d")


def test_a_variable_that_settings_only_name_is_found_in_the_file_and_first_in_the_environment(
    monkeypatch, tmp_path
):
    (tmp_path / ".env").write_text("A_WEBHOOK=https://example.org/file\nB_WEBHOOK=https://example.org/file\n")
    monkeypatch.setenv("B_WEBHOOK", "https://example.org/environment")
    found = environment()
    assert found["A_WEBHOOK"] == "https://example.org/file"
    assert found["B_WEBHOOK"] == "https://example.org/environment"


def test_a_mail_server_needs_a_sender_and_a_login_both_its_parts(monkeypatch):
    assert "SMTP_FROM: must be set" in refusal(monkeypatch, SMTP_HOST="mail.example.org")
    said = refusal(monkeypatch, SMTP_FROM="a@example.org", SMTP_PASSWORD="hidden")  # noqa: S106 - no secret
    assert "SMTP_USER/SMTP_PASSWORD: set both or neither" in said
    assert "hidden" not in said
