"""Every setting, read from the environment or from a `.env` file beside the program.

A setting that is not allowed stops the program before it does anything; the sentence names the
variable and what is allowed, and never the value of a secret.
"""

from __future__ import annotations

import os
from calendar import monthrange
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from schemas.env_file import Unnamed
from schemas.errors import InvalidSettings
from schemas.messages import Window, Year
from schemas.security import check_broker, check_database, database_query

Month = Annotated[int, Field(ge=1, le=12)]
Day = Annotated[int, Field(ge=1, le=31)]
Hour = Annotated[int, Field(ge=0, le=23)]
Minute = Annotated[int, Field(ge=0, le=59)]
Port = Annotated[int, Field(ge=1, le=65535)]

SslMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]

ENV_FILE = ".env"
LEAP_YEAR = 2000
"""A year with 29 February, on which a schedule may fire."""
MAX_STUDENTS_PER_PART = 1500
"""Students per chunk; with ids of 100 characters they take 420 bytes each, a result at most 700 kB."""
MAX_BATCH_SIZE = 400
"""Cells per chunk; nine risks with uncertainty take 1.63 kB a cell (measured), a result at most 700 kB."""


class Settings(BaseSettings):
    """What can be set, with the environment's names in upper case."""

    model_config = SettingsConfigDict(env_file=ENV_FILE, env_ignore_empty=True, extra="ignore", frozen=True)

    database_url: SecretStr | None = Field(None, description="postgresql://user:password@host:port/name")
    database_host: str = Field("localhost", description="host name of PostgreSQL")
    database_port: Port = Field(5432, description="port of PostgreSQL")
    database_name: str = Field("riskflow", description="name of the database")
    database_user: str = Field("riskflow", description="role that connects")
    database_password: SecretStr | None = Field(None, description="its password")
    database_sslmode: SslMode | None = Field(None, description="how the connection is hidden")
    database_sslrootcert: Path | None = Field(
        None, description="PEM of the authorities trusted for PostgreSQL"
    )
    database_sslcert: Path | None = Field(None, description="PEM of a client certificate for PostgreSQL")
    database_sslkey: Path | None = Field(None, description="its key")

    kafka_bootstrap_servers: str = Field("localhost:9092", description="host:port[,host:port...]")
    kafka_security_protocol: SecurityProtocol = Field("PLAINTEXT", description="how the broker is spoken to")
    kafka_sasl_mechanism: SaslMechanism = Field("SCRAM-SHA-512", description="how one logs in, with SASL_*")
    kafka_sasl_username: str | None = Field(None, description="login at the broker, with SASL_*")
    kafka_sasl_password: SecretStr | None = Field(None, description="its password")
    kafka_ssl_cafile: Path | None = Field(None, description="PEM of the authorities trusted for the broker")
    kafka_ssl_certfile: Path | None = Field(None, description="PEM of a client certificate for the broker")
    kafka_ssl_keyfile: Path | None = Field(None, description="its key")
    kafka_ssl_key_password: SecretStr | None = Field(None, description="the key's password")
    topic_replication: Annotated[int, Field(ge=1, le=10)] = Field(1, description="copies of each topic")

    scenario: str = Field("historical", min_length=1, description="scenario of a trigger that names none")
    window_start: Year = Field(1991, description="first year of the window of a trigger that names none")
    window_end: Year = Field(2020, description="its last year")
    baseline_start: Year = Field(1991, description="first year of the baseline")
    baseline_end: Year = Field(2020, description="last year of the baseline")
    risks_file: Path | None = Field(None, description="TOML that replaces edges and damage rates")

    schedule_timezone: str = Field("Asia/Seoul", description="time zone of the schedules")
    schedule_grace_hours: Annotated[float, Field(ge=0, le=24 * 366)] = Field(
        72, description="hours after which a due time that nobody saw is no more made up for"
    )
    probability_schedule_enabled: bool = Field(
        default=True, description="whether the yearly probability job fires"
    )
    probability_schedule_month: Month = Field(1, description="month of the yearly probability job")
    probability_schedule_day: Day = Field(1, description="its day")
    probability_schedule_hour: Hour = Field(2, description="its hour")
    probability_schedule_minute: Minute = Field(0, description="its minute")
    hazard_schedule_enabled: bool = Field(default=True, description="whether the yearly hazard job fires")
    hazard_schedule_month: Month = Field(1, description="month of the yearly hazard job")
    hazard_schedule_day: Day = Field(1, description="its day")
    hazard_schedule_hour: Hour = Field(4, description="its hour")
    hazard_schedule_minute: Minute = Field(0, description="its minute")

    weekly_schedule_enabled: bool = Field(default=True, description="whether the weekly tenant report fires")
    weekly_schedule_weekday: Weekday = Field("monday", description="weekday of the weekly tenant report")
    weekly_schedule_hour: Hour = Field(6, description="its hour")
    weekly_schedule_minute: Minute = Field(0, description="its minute")

    tenants_file: Path | None = Field(None, description="YAML with the tenants of the weekly report")
    thresholds_file: Path | None = Field(None, description="YAML that replaces the thresholds of METHODS")
    students_per_part: Annotated[int, Field(ge=1, le=MAX_STUDENTS_PER_PART)] = Field(
        1000, description="students per chunk of a weekly job"
    )
    reports_dir: Path = Field(Path("reports"), description="folder of the reports")
    reports_url: str | None = Field(None, description="address under which REPORTS_DIR is served, for links")
    report_templates: Path | None = Field(None, description="folder whose templates replace riskflow's own")

    smtp_host: str | None = Field(None, description="mail server; without one no mail is sent")
    smtp_port: Port = Field(587, description="its port")
    smtp_user: str | None = Field(None, description="login, where the server wants one")
    smtp_password: SecretStr | None = Field(None, description="its password")
    smtp_from: str | None = Field(None, description="sender of the mails")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="how the mail is hidden"
    )
    smtp_ca_file: Path | None = Field(None, description="PEM of the authorities trusted beside the system's")
    delivery_timeout: Annotated[float, Field(gt=0, le=600)] = Field(
        30, description="seconds that a mail server or Slack may take to answer"
    )
    delivery_attempts: Annotated[int, Field(ge=1, le=20)] = Field(
        6, description="tries of a delivery that fails for the moment"
    )
    delivery_pause: Annotated[float, Field(gt=0, le=3600)] = Field(
        30, description="seconds before the second try; each further one waits twice as long"
    )

    parallel_workers: Annotated[int, Field(ge=1, le=64)] = Field(2, description="worker processes of `up`")
    batch_size: Annotated[int, Field(ge=1, le=MAX_BATCH_SIZE)] = Field(64, description="cells per chunk")
    chunks_ahead: Annotated[int, Field(ge=1, le=1000)] = Field(
        8, description="chunks per partition sent ahead of the workers"
    )
    notify_channel: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}$")] = Field(
        "aiops_trigger", description="PostgreSQL channel that other systems NOTIFY"
    )
    dead_letters_in_a_row: Annotated[int, Field(ge=2, le=10_000)] = Field(
        20, description="dead letters without a good chunk between after which a worker ends with 78"
    )
    stalled_after_minutes: Annotated[float, Field(gt=0, le=100_000)] = Field(
        15, description="minutes without an outcome after which a job is shown as stalled"
    )
    health_host: str = Field("127.0.0.1", description="address of /health and /metrics")
    health_port: Port | None = Field(None, description="their port; without one they are not served")
    web_host: str = Field("127.0.0.1", description="address of the web page and the HTTP API")
    web_port: Port = Field(8420, description="their port")
    web_url: str | None = Field(None, description="address under which people reach the web page")
    web_token: SecretStr | None = Field(
        None, min_length=16, description="token of one operator who may do and see all"
    )
    web_access_file: Path | None = Field(
        None, description="YAML that says who may do and see what on the web page"
    )
    start_timeout: Annotated[float, Field(gt=0, le=3600)] = Field(
        60, description="seconds to wait at start for the database and the broker"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="least level logged")
    log_format: Literal["human", "json"] = Field("human", description="form of the log lines")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """As usual, but what the environment names, even empty, the file does not set."""
        del settings_cls, file_secret_settings
        return init_settings, env_settings, Unnamed(dotenv_settings)

    @field_validator("database_url")
    @classmethod
    def _is_postgres(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and urlsplit(url.get_secret_value()).scheme not in {"postgresql", "postgres"}:
            raise ValueError("must start with postgresql://")
        return url

    @field_validator("kafka_bootstrap_servers")
    @classmethod
    def _names_host_and_port(cls, servers: str) -> str:
        for server in servers.split(","):
            host, _, port = server.strip().rpartition(":")
            if not host or not port.isdigit():
                raise ValueError("must be host:port, several separated by commas")
        return servers

    @field_validator("reports_url", "web_url")
    @classmethod
    def _is_a_web_address(cls, url: str | None) -> str | None:
        if url is not None and urlsplit(url).scheme not in {"http", "https"}:
            raise ValueError("must start with http:// or https://")
        return url

    @field_validator("schedule_timezone")
    @classmethod
    def _is_a_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError) as error:
            raise ValueError("must be a time zone of the IANA database, such as Asia/Seoul") from error
        return name

    @model_validator(mode="after")
    def _mail_has_a_sender(self) -> Self:
        if self.smtp_host is not None and self.smtp_from is None:
            raise ValueError("SMTP_FROM: must be set where SMTP_HOST is, such as riskflow@example.org")
        if (self.smtp_user is None) != (self.smtp_password is None):
            raise ValueError("SMTP_USER/SMTP_PASSWORD: set both or neither")
        return self

    @model_validator(mode="after")
    def _connections_are_as_safe_as_they_say(self) -> Self:
        check_broker(self)
        check_database(self)
        return self

    @model_validator(mode="after")
    def _schedules_have_days(self) -> Self:
        for name in ("probability", "hazard"):
            month, day = getattr(self, f"{name}_schedule_month"), getattr(self, f"{name}_schedule_day")
            days = monthrange(LEAP_YEAR, month)[1]
            if day > days:
                variable = f"{name.upper()}_SCHEDULE"
                raise ValueError(
                    f"{variable}_MONTH/{variable}_DAY: month {month} never has a day {day}, so the job would "
                    f"never run; allowed are days 1 to {days}"
                )
        return self

    @model_validator(mode="after")
    def _years_make_windows(self) -> Self:
        for name, start, end in (
            ("WINDOW_START/WINDOW_END", self.window_start, self.window_end),
            ("BASELINE_START/BASELINE_END", self.baseline_start, self.baseline_end),
        ):
            try:
                Window(start=start, end=end)
            except ValidationError as error:
                fault = error.errors()[0]["msg"].removeprefix("Value error, ")
                raise ValueError(f"{name}: {fault}") from None
        return self

    @property
    def dsn(self) -> str:
        """Connection string, with the password: never to be logged."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        login = quote(self.database_user, safe="")
        if self.database_password is not None:
            login += ":" + quote(self.database_password.get_secret_value(), safe="")
        place = f"{self.database_host}:{self.database_port}/{quote(self.database_name)}"
        return f"postgresql://{login}@{place}{database_query(self)}"

    @property
    def database_label(self) -> str:
        """Where the database is, for logs and errors: host, port and name only."""
        parts = urlsplit(self.dsn)
        return f"{parts.hostname or 'local socket'}:{parts.port or 5432}{parts.path}"

    @property
    def default_window(self) -> Window:
        """Window of a trigger that names none."""
        return Window(start=self.window_start, end=self.window_end)

    @property
    def baseline(self) -> Window:
        """Baseline of every job."""
        return Window(start=self.baseline_start, end=self.baseline_end)


def load_settings() -> Settings:
    """Read the settings of this process.

    Raises:
        InvalidSettings: One sentence per wrong variable: its name, what is wrong, what it is for.
    """
    try:
        return Settings()
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        lines = [_sentence(str(fault["loc"][0]) if fault["loc"] else "", fault["msg"]) for fault in faults]
        raise InvalidSettings("wrong settings:\n  " + "\n  ".join(lines)) from None


def environment() -> dict[str, str]:
    """Variables that settings only name, such as a webhook's: the environment, then the `.env` file."""
    told = {name: value for name, value in dotenv_values(ENV_FILE).items() if value is not None}
    return told | dict(os.environ)


def _sentence(field: str, text: str) -> str:
    text = text.removeprefix("Value error, ")
    if not field:
        return text
    about = Settings.model_fields[field].description if field in Settings.model_fields else None
    return f"{field.upper()}: {text}" + (f" ({about})" if about else "")
