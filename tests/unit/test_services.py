"""What `riskflow up` gives its services."""

import pytest

from ops.services import _check_risks_file, services
from schemas.errors import InvalidSettings
from schemas.settings import Settings


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
    assert [(each.name, each.count) for each in started] == [("sink", 1), ("producers", 1), ("worker", 3)]
    for each in started:
        assert each.env == {"BATCH_SIZE": "32", "PARALLEL_WORKERS": "3"}


def test_up_says_once_that_the_file_of_edges_cannot_be_used(tmp_path):
    file = tmp_path / "risks.toml"
    file.write_text("[flood]\nedges = [1]\n")
    with pytest.raises(InvalidSettings, match=r"RISKS_FILE: .*flood"):
        _check_risks_file(Settings(_env_file=None, risks_file=file))
    with pytest.raises(InvalidSettings, match=r"RISKS_FILE: .*nosuch"):
        _check_risks_file(Settings(_env_file=None, risks_file=tmp_path / "nosuch.toml"))
    _check_risks_file(Settings(_env_file=None))
