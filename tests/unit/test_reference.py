"""The generated pages of the documentation are those of the code."""

import pytest
from pydantic import SecretStr

from ops.reference import settings_page
from ops.reference.command_page import commands
from ops.reference.http_page import of_openapi
from ops.reference.metrics_page import own_metrics
from ops.reference.pages import pages
from schemas.metrics import REGISTRY
from schemas.settings import Settings


@pytest.mark.parametrize("name", pages())
def test_a_reference_page_is_what_the_code_says(request, name):
    written = (request.config.rootpath / "docs" / "reference" / name).read_text(encoding="utf-8")
    assert written == pages()[name], "run: python -m ops.reference docs/reference"


def test_every_setting_has_a_meaning_and_a_kind_and_no_secret_has_a_default():
    for name, field in Settings.model_fields.items():
        assert field.description, name
        allowed = settings_page.allowed(field)
        assert allowed, name
        if SecretStr in (field.annotation, *getattr(field.annotation, "__args__", ())):
            assert (allowed.split(",")[0], settings_page.default(field)) == ("secret", ""), name


def test_bounds_are_told_in_words():
    fields = Settings.model_fields
    assert settings_page.allowed(fields["batch_size"]) == "whole number, at least 1 and at most 400"
    assert settings_page.allowed(fields["delivery_timeout"]) == "number, above 0 and at most 600"
    assert settings_page.allowed(fields["smtp_security"]) == "`starttls`, `tls`, `none`"
    assert settings_page.default(fields["weekly_schedule_enabled"]) == "`true`"


def test_every_command_and_subcommand_is_listed():
    paths = [path for path, _ in commands()]
    assert {"riskflow up", "riskflow jobs", "riskflow jobs show", "riskflow dlq replay"} <= set(paths)
    assert len(paths) == len(set(paths))


def test_every_metric_that_is_served_under_our_name_is_listed():
    served = {family.name for family in REGISTRY.collect() if family.name.startswith("riskflow_")}
    assert len(served) > 10
    assert served <= {metric.describe()[0].name for metric in own_metrics()}


def test_an_openapi_document_becomes_a_page():
    answer = {"description": "The job", "content": {"application/json": {"schema": {"$ref": "#/x/Job"}}}}
    missing = {"description": "No such job"}
    text = of_openapi(
        {
            "components": {"schemas": {"Job": {"properties": {"job_id": {"type": "string"}}}}},
            "paths": {
                "/api/v1/jobs/{job_id}": {
                    "get": {
                        "summary": "One job",
                        "parameters": [
                            {"name": "job_id", "in": "path", "required": True, "schema": {"type": "string"}},
                            {"name": "limit", "in": "query", "schema": {"type": "integer", "default": 20}},
                        ],
                        "responses": {"200": answer, "404": missing},
                    }
                }
            },
        }
    )
    assert "## GET /api/v1/jobs/{job_id}\n\nOne job\n" in text
    assert "| `job_id` | path | string | yes |  |  |" in text
    assert "| `limit` | query | integer |  | `20` |  |" in text
    assert "| `200` | `application/json` [Job](#job) | The job |" in text
    assert "### Job\n\n| field | type | required | what |\n" in text
    assert "| `404` |  | No such job |" in text
