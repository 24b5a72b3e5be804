"""tenants.yaml and thresholds.yaml: layers of thresholds, and every fault with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from schemas.errors import InvalidFile
from schemas.settings import Settings
from schemas.tenants import Colours, Tenant, Thresholds
from schemas.tenants_file import load_tenants

GOOD = """\
tenants:
  - org_id: a
    name: A
    timezone: Asia/Seoul
    language: ko
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def loaded(folder: Path, tenants: str, thresholds: str | None = None) -> list[Tenant]:
    (folder / "tenants.yaml").write_text(tenants, encoding="utf-8")
    common = None
    if thresholds is not None:
        common = folder / "thresholds.yaml"
        common.write_text(thresholds, encoding="utf-8")
    return load_tenants(
        Settings(_env_file=None, tenants_file=folder / "tenants.yaml", thresholds_file=common)
    )


def faults(folder: Path, tenants: str, thresholds: str | None = None) -> list[str]:
    with pytest.raises(InvalidFile) as refused:
        loaded(folder, tenants, thresholds)
    return str(refused.value).split("\n  ")


def test_the_examples_are_read_and_their_thresholds_are_the_defaults(request: pytest.FixtureRequest) -> None:
    examples = request.config.rootpath / "examples"
    tenants = load_tenants(
        Settings(
            _env_file=None,
            tenants_file=examples / "tenants.yaml",
            thresholds_file=examples / "thresholds.yaml",
        )
    )
    assert [(tenant.org_id, tenant.active) for tenant in tenants] == [
        ("seoul-hs", True),
        ("busan-ms", True),
        ("jeju-es", False),
    ]
    assert tenants[0].logo == str(examples / "logos" / "seoul.svg")
    assert tenants[0].thresholds.omit.warn == 0.10
    assert tenants[1].thresholds == Thresholds()


def test_a_tenants_threshold_lies_over_the_common_one_over_the_default(folder: Path) -> None:
    [tenant] = loaded(
        folder,
        GOOD + "    thresholds: {omit: {warn: 0.1}}\n",
        "omit: {warn: 0.05, crit: 0.2}\nguess: {crit: 0.5}\n",
    )
    assert (tenant.thresholds.omit.warn, tenant.thresholds.omit.crit) == (0.1, 0.2)
    assert (tenant.thresholds.guess.warn, tenant.thresholds.guess.crit) == (0.3, 0.5)
    assert tenant.thresholds.theta == Thresholds().theta


def test_a_thresholds_file_of_comments_changes_nothing(folder: Path) -> None:
    assert loaded(folder, GOOD, "# nothing yet\n")[0].thresholds == Thresholds()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("active: 1", "a: active: 1 is not allowed; allowed: true or false"),
        ("colors: {primary: '#0b539'}", "a: colors.primary: #0b539 is not allowed; allowed: six hexadecimal"),
        ("colors: {primary: blue}", "a: colors.primary: blue is not allowed; allowed: six hexadecimal"),
        ("email: a@example.org", "a: email: a@example.org is not allowed; allowed: a list of mail addresses"),
        ("email: [nobody]", "a: email.1: nobody is not allowed; allowed: a list of mail addresses"),
        ("emails: []", "a: emails: is not a field here; did you mean email? (fields: org_id, name,"),
        ("irt_scaling: 17", "a: irt_scaling: 17 is not allowed; allowed: a number from 1 to 2"),
        ("logo: none.svg", "a: logo: there is no readable file"),
        (
            "thresholds: 5",
            "a: thresholds: must hold fields, each on its line: theta, omit, guess, attendance",
        ),
        ("thresholds: {omit: {warn: 8}}", "a: thresholds.omit.warn: 8 is not allowed; allowed: a share"),
        ("thresholds: {omit: {warm: 0}}", "a: thresholds.omit.warm: is not a field here; did you mean warn?"),
        (
            "thresholds: {omit: {warn: .nan}}",
            "a: thresholds.omit.warn: .nan is not allowed; allowed: a share",
        ),
        (
            "thresholds: {theta: {delta_7d_warn: 0.15}}",
            "a: thresholds.theta.delta_7d_warn: 0.15 is not allowed; allowed: a fall of theta: less than 0",
        ),
        (
            "thresholds: {theta: {decline_weeks_warn: 7}}",
            "a: thresholds.theta.decline_weeks_warn: 7 is not allowed; allowed: whole weeks from 1 to 6",
        ),
        (
            "thresholds: {attendance: {absence_7d_crit: 0.05}}",
            "crit 0.05 must not be below absence_7d_warn 0.1 (absence_7d_warn: from the defaults)",
        ),
        ("language: ko", "language stands twice; the first is in line 5"),
        ("tag: !!python/name:os.system ''", "the tag tag:yaml.org,2002:python/name:os.system is not allowed"),
    ],
)
def test_a_fault_names_its_line_the_field_and_what_is_allowed(folder: Path, line: str, sentence: str) -> None:
    first, *_ = faults(folder, GOOD + f"    {line}\n")
    assert first.startswith("tenants.yaml line 6: ")
    assert sentence in first


@pytest.mark.parametrize(
    ("field", "written", "read"),
    [("org_id", "012", "10"), ("name", "no", "false"), ("name", "2026-11-23", "2026-11-23")],
)
def test_what_yaml_does_not_read_as_text_gets_the_hint_to_quote_it(
    folder: Path, field: str, written: str, read: str
) -> None:
    before = {"org_id": "a", "name": "A"}[field]
    [fault] = faults(folder, GOOD.replace(f"{field}: {before}", f"{field}: {written}"))
    assert f"{written} is not allowed; allowed: " in fault
    assert fault.endswith(f'YAML reads it as {read}, write it in quotes: "{written}"')
    [tenant] = loaded(folder, GOOD.replace(f"{field}: {before}", f'{field}: "{written}"'))
    assert getattr(tenant, field) == written


def test_a_colour_without_quotes_is_a_comment_and_told_so(folder: Path) -> None:
    [fault] = faults(folder, GOOD + "    colors:\n      primary: #0b5394\n")
    assert fault.startswith("tenants.yaml line 7: a: colors.primary: is empty; allowed: six hexadecimal")
    assert fault.endswith("'#' begins a comment unless it is in quotes")


def test_an_unknown_zone_gets_the_nearest_name(folder: Path) -> None:
    [fault] = faults(folder, GOOD.replace("Asia/Seoul", "Asia/Soul"))
    assert fault == (
        "tenants.yaml line 4: a: timezone: Asia/Soul is not a time zone of the IANA database, "
        "such as Asia/Seoul; did you mean Asia/Seoul?"
    )


def test_a_webhook_in_the_file_is_refused_and_not_shown(folder: Path) -> None:
    [fault] = faults(folder, GOOD + "    slack_webhook_env: https://hooks.example.org/services/T0/SECRET\n")
    assert "SECRET" not in fault
    assert "the NAME of an environment variable" in fault


def test_ids_that_differ_in_case_only_are_refused_because_they_name_files(folder: Path) -> None:
    [fault] = faults(folder, GOOD + GOOD.removeprefix("tenants:\n").replace("org_id: a", "org_id: A"))
    assert fault == (
        "tenants.yaml line 6: org_id A is taken by the entry in line 2 (cases of letters do not count)"
    )


def test_a_common_threshold_out_of_order_is_told_once_at_its_own_line(folder: Path) -> None:
    two = GOOD + GOOD.removeprefix("tenants:\n").replace("org_id: a", "org_id: b")
    told = faults(folder, two + "    thresholds: {omit: {warn: 0.2}}\n", "omit:\n  warn: 0.5\n  crit: 0.1\n")
    assert told == ["thresholds.yaml line 1: omit: crit 0.1 must not be below warn 0.5"]


def test_all_faults_of_both_files_are_told_in_the_order_of_their_lines(folder: Path) -> None:
    told = faults(folder, "tenants:\n  - org_id: a b\n    language: fr\n  - text\n", "guess: {warn: 2}\n")
    assert [fault.split(": ")[0] for fault in told] == ["tenants.yaml line 2"] * 3 + [
        "tenants.yaml line 3",
        "tenants.yaml line 4",
        "thresholds.yaml line 1",
    ]


def test_of_many_faults_twenty_are_spelt_out(folder: Path) -> None:
    told = faults(folder, "tenants:\n" + "  - {}\n" * 6)
    assert (len(told), told[-1]) == (21, "and 4 more")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "line 1: must begin with the line 'tenants:'"),
        ("- a\n", "line 1: must begin with the line 'tenants:'"),
        ("tenants: []\n", "line 1: tenants must be a list with at least one entry"),
        ("tenants:\n\t- a\n", "line 2: is no YAML: "),
        ("tenants: [\n", "is no YAML: "),
        ("a: 1\n---\nb: 2\n", "line 2: is no YAML: expected a single document"),
        ("tenants: \x01\n", "line 1: is no YAML: control characters are not allowed"),
        ("tenants: " + "[" * 5000 + "]" * 5000, "line 1: lists and fields are nested more than 20 deep"),
        ("tenants: &a [*a]\n", "nested more than 20 deep"),
        ("x" * (1 << 20) + "y", "is longer than 1,048,576 bytes"),
    ],
)
def test_what_is_no_list_of_tenants_is_refused(folder: Path, text: str, sentence: str) -> None:
    assert sentence in faults(folder, text)[0]


def test_aliases_of_aliases_are_bounded(folder: Path) -> None:
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 8))
    assert "aliases make more than 200,000 values" in faults(folder, "l0: &l0 [1]\n" + levels)[0]


def test_a_file_that_is_not_there_or_not_utf8_is_told(folder: Path) -> None:
    for path, sentence in (
        (None, "TENANTS_FILE is not set"),
        (folder / "absent.yaml", "absent.yaml: No such file or directory"),
        (folder, "Is a directory"),
    ):
        with pytest.raises(InvalidFile, match=sentence):
            load_tenants(Settings(_env_file=None, tenants_file=path))
    (folder / "korean.yaml").write_bytes("tenants:\n  - name: 가\n".encode("cp949"))
    with pytest.raises(InvalidFile, match=r"korean\.yaml line 2: byte 0xb0 is not UTF-8"):
        load_tenants(Settings(_env_file=None, tenants_file=folder / "korean.yaml"))


@pytest.mark.parametrize("model", [Tenant, Colours, *(type(group) for _, group in Thresholds())])
def test_every_field_says_what_is_allowed(model: type[BaseModel]) -> None:
    groups = {"colors", "thresholds"}
    assert [name for name, field in model.model_fields.items() if not field.description] == [
        name for name in model.model_fields if name in groups
    ]
