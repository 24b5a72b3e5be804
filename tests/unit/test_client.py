"""The client for other services: it says the same as the trigger's model, and needs nothing of riskflow."""

import subprocess
import sys
from datetime import date
from typing import get_args

import orjson
import pytest

from producers.client import JobType, Options, request_arguments
from schemas import messages
from schemas.messages import Trigger


def test_it_knows_the_job_types_and_fields_of_the_trigger():
    assert get_args(JobType) == get_args(messages.JobType)
    assert Options.__annotations__.keys() | {"job_type"} == Trigger.model_fields.keys()


def test_its_arguments_are_a_trigger():
    job_type, options = request_arguments(
        "climate",
        job_id="plan-1",
        window={"start": 2021, "end": 2050},
        risks=("drought", "typhoon"),
        bbox={"min_latitude": 33, "min_longitude": 124, "max_latitude": 39, "max_longitude": 132},
        uncertainty=True,
        requested_by="계획",
    )
    trigger = Trigger.model_validate({"job_type": job_type} | orjson.loads(options))
    assert (trigger.job_id, trigger.risks, trigger.uncertainty) == ("plan-1", ["drought", "typhoon"], True)
    assert (trigger.window.end, trigger.bbox.max_longitude, trigger.requested_by) == (2050, 132, "계획")
    weekly = request_arguments("weekly", report_date=date(2026, 11, 16), tenants=["a"])
    assert orjson.loads(weekly[1]) == {"report_date": "2026-11-16", "tenants": ["a"]}
    assert request_arguments("hazard", job_id=None) == ("hazard", "{}")


def test_what_was_mistyped_is_an_error_at_the_caller():
    with pytest.raises(ValueError, match="'hazrd' is not known; allowed: probability, hazard, climate"):
        request_arguments("hazrd")
    with pytest.raises(TypeError, match="unknown option risk; allowed: job_id, scenario, window, risks"):
        request_arguments("hazard", risk="drought")
    with pytest.raises(TypeError, match="set cannot be part of a request"):
        request_arguments("hazard", risks={"drought"})


def test_it_imports_nothing_but_the_standard_library():
    program = (
        "import sys; import producers.client; "
        "print(sorted({'asyncpg', 'aiokafka', 'pydantic', 'schemas', 'structlog'} & sys.modules.keys()))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
