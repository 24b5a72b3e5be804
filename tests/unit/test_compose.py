"""docker-compose.yml, deploy/ and the Dockerfile: they fit their schemas, and the code has what they name."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer
import yaml

from ops.cli import app
from ops.stack.supervisor import STOP_SECONDS
from schemas import topics
from schemas.settings import Settings
from streams.worker import THREAD_LIMITS

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "Dockerfile"
DEPLOY = ROOT / "deploy"
ROLES = ("producers", "worker", "sink", "reporter", "web")
COMMAND = {"web": "serve"}
"""Commands of roles that have another name."""

PARTS = yaml.safe_load(COMPOSE.read_text())["services"]
OURS = {name: part for name, part in PARTS.items() if "RISKFLOW_IMAGE" in part["image"]}
COMMANDS = typer.main.get_command(app).commands
FIELDS = {name.upper() for name in Settings.model_fields}
PLACE = re.compile(r"\$\{([A-Z_]+)(?::-([^}]*))?(?::\?[^}]*)?\}")


def tool(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name(name)
    assert program.exists(), f"{name} is missing; `make install` brings it"
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False, cwd=ROOT)


def sample(name: str) -> dict[str, str]:
    """Assignments of an example file, those behind a # too."""
    return dict(re.findall(r"^#?([A-Z_]+)=(.*)$", (DEPLOY / name).read_text(), re.MULTILINE))


def instructions(word: str) -> list[str]:
    text = DOCKERFILE.read_text().replace("\\\n", " ")
    return re.findall(rf"^{word} +(.*)$", text, re.MULTILINE)


def test_compose_file_fits_the_compose_schema():
    found = tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE))
    assert found.returncode == 0, found.stdout + found.stderr


def test_dockerfile_passes_its_linter():
    found = tool("hadolint", str(DOCKERFILE))
    assert (found.returncode, found.stdout) == (0, "")


def test_every_variable_of_our_containers_is_a_setting():
    named = {name for part in OURS.values() for name in part["environment"]}
    assert len(named) > 10
    assert named <= FIELDS
    image = set(re.findall(r"(\w+)=", " ".join(instructions("ENV")))) - {
        "PIP_DISABLE_PIP_VERSION_CHECK",
        "PIP_ROOT_USER_ACTION",
    }
    assert image - FIELDS == {"PATH", "PYTHONUNBUFFERED", "NUMBA_CACHE_DIR"} | set(THREAD_LIMITS) - {
        "MKL_NUM_THREADS"
    }


@pytest.mark.parametrize("role", ROLES)
def test_settings_of_a_role_are_allowed_and_its_login_is_its_own(role):
    environment = {
        name.lower(): PLACE.sub(lambda found: found[2] or f"drawn-{found[1]}", value)
        for name, value in OURS[role]["environment"].items()
    }
    settings = Settings(_env_file=None, **environment)
    assert settings.database_user == f"riskflow_{role}"
    assert settings.database_password.get_secret_value() == f"drawn-RISKFLOW_{role.upper()}_PASSWORD"
    assert settings.kafka_sasl_password.get_secret_value() == "drawn-KAFKA_CLIENT_PASSWORD"


def test_the_page_is_reached_by_a_token_and_writes_no_report():
    part = OURS["web"]
    assert PLACE.fullmatch(part["environment"]["WEB_TOKEN"])[1] == "RISKFLOW_WEB_TOKEN"
    port = part["environment"]["WEB_PORT"]
    assert part["ports"] == [f"127.0.0.1:${{RISKFLOW_WEB_PORT:-{port}}}:{port}"]
    assert port in instructions("EXPOSE")[0].split()
    folder = part["environment"]["REPORTS_DIR"]
    assert f"reports:{folder}:ro" in part["volumes"]
    assert f"reports:{folder}" in OURS["reporter"]["volumes"]


def test_the_line_that_draws_secrets_draws_all(tmp_path):
    (line,) = re.findall(r"^#   (for name in .* > )\.env$", COMPOSE.read_text(), re.MULTILINE)
    assert f"{line}.env" in (ROOT / "docs" / "deployment.md").read_text()
    drawn = tmp_path / "drawn"
    subprocess.run(["bash", "-c", f"{line}{drawn}"], cwd=ROOT, check=True)
    names = dict(each.split("=") for each in drawn.read_text().split())
    assert set(names) == {name for name, default in PLACE.findall(COMPOSE.read_text()) if not default}
    assert {len(secret) for secret in names.values()} == {48}
    assert len(set(names.values())) == len(names)


def test_each_role_is_a_service_that_may_be_scaled():
    wrapped = {name for name, part in OURS.items() if part.get("entrypoint") == ["riskflow-service"]}
    assert wrapped == set(ROLES)
    for role in ROLES:
        part = OURS[role]
        command = COMMAND.get(role, role)
        assert part["command"] == [command]
        assert command in COMMANDS
        assert part["restart"] == "unless-stopped"
        assert float(part["stop_grace_period"].removesuffix("s")) > 2 * STOP_SECONDS
        # The page's port is on the machine, so there is one page.
        assert bool(part.get("ports")) == (role == "web")
        assert not {"container_name", "hostname"} & set(part)
        assert part["depends_on"]["grants"] == {"condition": "service_completed_successfully"}
        assert (
            part["depends_on"]["kafka"] == part["depends_on"]["postgres"] == {"condition": "service_healthy"}
        )


def test_commands_of_the_steps_before_and_of_the_health_check_are_ours():
    steps = PARTS["setup"]["command"][0].split(" && ")
    assert [step.split() for step in steps] == [["riskflow", "migrate"], ["riskflow", "topics"]]
    assert {"migrate", "topics"} <= set(COMMANDS)
    for role in ROLES:
        _, program, command, option = OURS[role]["healthcheck"]["test"]
        assert program == "riskflow"
        assert option in {name for parameter in COMMANDS[command].params for name in parameter.opts}
    assert str(["riskflow", "health", "--live"]).replace("'", '"') in instructions("HEALTHCHECK")[0]


def test_no_topic_and_no_group_is_named():
    text = "".join(path.read_text() for path in (COMPOSE, DOCKERFILE, *DEPLOY.rglob("*")) if path.is_file())
    groups = {value for name, value in vars(topics).items() if name.endswith("_GROUP")}
    assert len(groups) == 6
    assert [name for name in groups | set(topics.BY_NAME) if name in text] == []


def test_env_sample_has_what_the_compose_file_asks_for_and_no_setting():
    asked = dict(PLACE.findall(COMPOSE.read_text()))
    assert sample("env.example") == asked
    assert not FIELDS & set(asked)
    secrets = {name for name in asked if name.endswith(("_PASSWORD", "_TOKEN"))}
    assert {name for name, default in asked.items() if not default} == secrets


def test_settings_samples_name_settings():
    assert set(sample("riskflow.env.example")) <= FIELDS
    assert set(sample("reporter.env.example")) - FIELDS == {"SEOUL_HS_SLACK_WEBHOOK"}
    files = [entry["path"] for part in OURS.values() for entry in part["env_file"]]
    assert {f"{name}.example" for name in files} == {
        "deploy/riskflow.env.example",
        "deploy/reporter.env.example",
    }
    assert all((ROOT / f"{name}.example").is_file() for name in files)


def test_no_secret_stands_in_the_compose_file():
    for part in PARTS.values():
        for name, value in part.get("environment", {}).items():
            if "PASSWORD" in name or "JAAS" in name or "TOKEN" in name:
                assert PLACE.search(value), name
                assert not re.search(r'password="[^$]|user_\w+="[^$]', value), name


def test_roles_of_the_database_are_made_and_granted():
    made, granted = ((DEPLOY / "postgres" / name).read_text() for name in ("roles.sql", "grants.sql"))
    users = {part["environment"]["DATABASE_USER"] for part in OURS.values()}
    assert set(re.findall(r"ALTER ROLE (\w+) PASSWORD", made)) == users
    assert all(f"'{user}'" in made for user in users)
    assert set(re.findall(r"\\getenv \w+ (\w+)", made)) <= set(PARTS["roles"]["environment"])
    assert re.findall(r"grant_service\('riskflow_(\w+)', '(\w+)'\)", granted) == [
        (role, role) for role in ROLES
    ]
    for step, file in (("roles", "roles.sql"), ("grants", "grants.sql")):
        assert PARTS[step]["command"] == [f"/etc/riskflow/{file}"]
        assert "./deploy/postgres:/etc/riskflow:ro" in PARTS[step]["volumes"]


def test_every_part_is_bounded_and_gives_up_its_privileges():
    for name, part in PARTS.items():
        assert part["cap_drop"] == ["ALL"], name
        assert part["security_opt"] == ["no-new-privileges:true"], name
        assert {"mem_limit", "pids_limit"} <= set(part), name
        assert set(part["logging"]["options"]) == {"max-size", "max-file"}, name
        assert re.search(r":v?\d+\.\d+", part["image"]), name
        assert all(port.startswith("127.0.0.1:") for port in part.get("ports", [])), name
    writable = {name for name, part in PARTS.items() if not part.get("read_only")}
    assert writable == {"kafka", "kafka-ui"}


def test_image_holds_every_package_and_its_context_nothing_else():
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]
    copied = {
        word
        for line in instructions("COPY")
        if "--from=" not in line
        for word in line.split()[:-1]
        if not word.startswith("--")
    }
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert set(packages["wheel"]["packages"]) <= copied
    assert {line.removeprefix("!") for line in ignored if line.startswith("!")} == copied
    assert all((ROOT / path).exists() for path in copied)
    assert instructions("USER") == ["10001:10001"]
