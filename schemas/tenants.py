"""A tenant and the thresholds of its students' risks, as tenants.yaml and thresholds.yaml say them.

Source of the rules and of the default thresholds: METHODS, section 3.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Self, TypeVar
from zoneinfo import ZoneInfo

from pydantic import ConfigDict, Field, StringConstraints, field_validator, model_validator

from schemas.messages import Identifier, Message, Name, Share

Level = Literal["OK", "WARN", "CRIT", "NO_DATA"]
"""Of a risk and of a student; NO_DATA where no rule could be evaluated."""

STUDENT_RISKS = ("theta", "omit", "guess", "attendance")
"""The four risks of a student, in the order of every table."""

DAYS = 14
WEEK_DAYS = 7
ESTIMATE_DAYS = 49
"""Days before the report date that metrics, weekly metrics and ability estimates look back."""

FIRST_REPORT, LAST_REPORT = date(1900, 1, 1), date(2999, 12, 31)
"""Report dates that are possible; nobody has data of others (expert assumption)."""

ReportDate = Annotated[date, Field(ge=FIRST_REPORT, le=LAST_REPORT)]
Scaling = Annotated[float, Field(ge=1, le=2)]
"""D of the 3PL: 1.7 for parameters on the normal scale, 1.0 for the logistic one."""
Fall = Annotated[float, Field(lt=0, ge=-12, description="a fall of theta: less than 0, at least -12")]
"""A change of theta (standard deviations of ability); the scale reaches from -6 to 6."""
Part = Annotated[Share, Field(description="a share from 0 to 1")]
Colour = Annotated[
    str,
    StringConstraints(pattern=r"^#[0-9a-fA-F]{6}$"),
    Field(description='six hexadecimal digits after #, in quotes, such as "#0b5394"'),
]
Address = Annotated[
    str,
    StringConstraints(pattern=r"^[^@\s<>,;:\"()\[\]\\]+@[A-Za-z0-9.-]+[A-Za-z0-9]$", max_length=254),
]
EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[A-Z_][A-Z0-9_]{0,199}$")]


class _Strict(Message):
    """What people write by hand: a misspelt field must not pass."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


T = TypeVar("T", bound=_Strict)


def _not_below(thresholds: T, names: tuple[str, str]) -> T:
    lower, upper = names
    if getattr(thresholds, upper) < getattr(thresholds, lower):
        raise ValueError(
            f"{upper} {getattr(thresholds, upper):g} must not be below {lower} {getattr(thresholds, lower):g}"
        )
    return thresholds


class ThetaThresholds(_Strict):
    """Falls of ability over 7 and 14 days below which a student is at risk, and weeks of decline."""

    delta_7d_warn: Fall = -0.15
    delta_7d_crit: Fall = -0.30
    delta_14d_warn: Fall = -0.25
    delta_14d_crit: Fall = -0.50
    decline_weeks_warn: Annotated[int, Field(ge=1, le=6, description="whole weeks from 1 to 6")] = 3

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for days in ("7d", "14d"):
            warn, crit = getattr(self, f"delta_{days}_warn"), getattr(self, f"delta_{days}_crit")
            if crit > warn:
                raise ValueError(f"delta_{days}_crit {crit:g} must not be above delta_{days}_warn {warn:g}")
        return self


class OmitThresholds(_Strict):
    """Shares of omitted items from which a student is at risk."""

    warn: Part = 0.08
    crit: Part = 0.15

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        return _not_below(self, ("warn", "crit"))


class GuessThresholds(_Strict):
    """Guessing estimates from which a student is at risk."""

    warn: Part = 0.30
    crit: Part = 0.40

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        return _not_below(self, ("warn", "crit"))


class AttendanceThresholds(_Strict):
    """Shares of absent sessions and days of absence in a row from which a student is at risk."""

    absence_7d_warn: Part = 0.10
    absence_7d_crit: Part = 0.20
    absence_14d_warn: Part = 0.15
    absence_14d_crit: Part = 0.30
    consecutive_days_crit: Annotated[
        int, Field(ge=1, le=DAYS, description=f"whole days from 1 to {DAYS}")
    ] = 5
    excused_is_absent: bool = Field(default=False, description="true or false")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _not_below(self, ("absence_7d_warn", "absence_7d_crit"))
        return _not_below(self, ("absence_14d_warn", "absence_14d_crit"))


class Thresholds(_Strict):
    """When a student is at risk; the defaults are those of METHODS."""

    theta: ThetaThresholds = ThetaThresholds()
    omit: OmitThresholds = OmitThresholds()
    guess: GuessThresholds = GuessThresholds()
    attendance: AttendanceThresholds = AttendanceThresholds()


class Colours(_Strict):
    """Colours of a tenant's report, as #rrggbb."""

    primary: Colour = "#1f4e79"
    accent: Colour = "#c55a11"


class Tenant(_Strict):
    """One tenant as tenants.yaml describes it, its thresholds already laid over the common ones."""

    org_id: Identifier = Field(
        description="letters, digits and . _ : + @ -, beginning with a letter or digit, at most 200"
    )
    name: Name = Field(description="printable text of 1 to 200 characters")
    timezone: str = Field(description="a time zone of the IANA database, such as Asia/Seoul")
    language: Literal["ko", "en"] = Field(description="ko or en")
    active: bool = Field(default=True, description="true or false")
    colors: Colours = Colours()
    logo: str | None = Field(None, description="path of an image file, relative to the tenants file's folder")
    email: list[Address] = Field(
        default_factory=list, description="a list of mail addresses, such as [principal@example.org]"
    )
    slack_webhook_env: EnvironmentName | None = Field(
        None,
        description="the NAME of an environment variable in upper case, such as SEOUL_HS_SLACK_WEBHOOK; "
        "the webhook itself belongs into that variable",
    )
    irt_scaling: Scaling = Field(1.7, description="a number from 1 to 2")
    thresholds: Thresholds = Thresholds()

    @field_validator("name")
    @classmethod
    def _is_printable(cls, name: str) -> str:
        if not name.isprintable():
            raise ValueError("must hold no line breaks or other characters that cannot be printed")
        return name

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, OSError, ValueError) as error:
            raise ValueError(f"{name} is not a time zone of the IANA database, such as Asia/Seoul") from error
        return name
