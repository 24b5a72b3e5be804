"""A tenant and the thresholds of its students' risks, as tenants.yaml and thresholds.yaml say them.

Source of the rules and of the default thresholds: METHODS, section 3.
"""

from __future__ import annotations

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

Fall = Annotated[float, Field(lt=0, ge=-12)]
"""A change of theta (standard deviations of ability); the scale reaches from -6 to 6."""
Colour = Annotated[str, StringConstraints(pattern=r"^#[0-9a-fA-F]{6}$")]
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
    decline_weeks_warn: Annotated[int, Field(ge=1, le=6)] = 3

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for days in ("7d", "14d"):
            warn, crit = getattr(self, f"delta_{days}_warn"), getattr(self, f"delta_{days}_crit")
            if crit > warn:
                raise ValueError(f"delta_{days}_crit {crit:g} must not be above delta_{days}_warn {warn:g}")
        return self


class OmitThresholds(_Strict):
    """Shares of omitted items from which a student is at risk."""

    warn: Share = 0.08
    crit: Share = 0.15

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        return _not_below(self, ("warn", "crit"))


class GuessThresholds(_Strict):
    """Guessing estimates from which a student is at risk."""

    warn: Share = 0.30
    crit: Share = 0.40

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        return _not_below(self, ("warn", "crit"))


class AttendanceThresholds(_Strict):
    """Shares of absent sessions and days of absence in a row from which a student is at risk."""

    absence_7d_warn: Share = 0.10
    absence_7d_crit: Share = 0.20
    absence_14d_warn: Share = 0.15
    absence_14d_crit: Share = 0.30
    consecutive_days_crit: Annotated[int, Field(ge=1, le=DAYS)] = 5
    excused_is_absent: bool = False

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

    org_id: Identifier
    name: Name
    timezone: str
    language: Literal["ko", "en"]
    active: bool = True
    colors: Colours = Colours()
    logo: str | None = None
    email: list[Address] = Field(default_factory=list)
    slack_webhook_env: EnvironmentName | None = None
    irt_scaling: Annotated[float, Field(ge=1, le=2)] = 1.7
    thresholds: Thresholds = Thresholds()

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (OSError, ValueError) as error:
            raise ValueError("must be a time zone of the IANA database, such as Asia/Seoul") from error
        return name
