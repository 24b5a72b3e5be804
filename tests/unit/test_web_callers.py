"""Who may do what on the web page: WEB_TOKEN, WEB_ACCESS_FILE, and under which names it answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from ops.web.access import Access, load_access
from ops.web.guard import hosts
from schemas.errors import InvalidFile, InvalidSettings
from schemas.settings import Settings, load_settings

OFFICER, OFFICE, SCHOOL = "officer's own token", "the office's token", "token of the school"
FILE = """\
access:
  - name: risk officer
    role: operator
    token_env: OFFICER_TOKEN
    tenants: ["*"]
  - name: school
    role: viewer
    token_env: SCHOOL_TOKEN
    tenants: [gasang-hs]
  - name: everybody
    role: viewer
"""


@pytest.fixture
def tokens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OFFICER_TOKEN", OFFICER)
    monkeypatch.setenv("SCHOOL_TOKEN", SCHOOL)
    return tmp_path / "access.yaml"


def access_of(path: Path, text: str) -> Access:
    path.write_text(text)
    return load_access(Settings(_env_file=None, web_access_file=path))


def fault_of(path: Path, text: str) -> str:
    with pytest.raises(InvalidFile) as refused:
        access_of(path, text)
    return str(refused.value)


def test_a_file_gives_each_token_its_role_and_tenants(tokens: Path) -> None:
    access = access_of(tokens, FILE)
    officer, school, visitor = access.caller(OFFICER), access.caller(SCHOOL), access.caller(None)
    assert officer is not None
    assert school is not None
    assert visitor is not None
    assert (officer.name, officer.may_trigger, officer.may_see_letters) == ("risk officer", True, True)
    assert (school.may_trigger, school.may_see_letters, school.sees_all_tenants) == (False, False, False)
    assert (school.sees("gasang-hs"), school.sees("yesi-ms")) == (True, False)
    assert (visitor.name, visitor.may_trigger, visitor.tenants) == ("everybody", False, ())
    assert access.caller(OFFICE) is None, "an unknown token is nobody, not a visitor"


def test_without_an_entry_for_visitors_nobody_comes_in_without_a_token(tokens: Path) -> None:
    assert access_of(tokens, FILE[: FILE.index("  - name: everybody")]).caller(None) is None


def test_one_token_by_itself_is_an_operator_who_sees_all() -> None:
    access = load_access(Settings(_env_file=None, web_token=SecretStr(OFFICE)))
    caller = access.caller(OFFICE)
    assert caller is not None
    assert (caller.may_trigger, caller.sees_all_tenants) == (True, True)
    assert access.caller(None) is None


@pytest.mark.parametrize(
    ("changed", "to", "said"),
    [
        ("role: operator", "role: chief", "line 3: entry 1: role: Input should be 'viewer' or 'operator'"),
        ("token_env: OFFICER_TOKEN", "token_env: officer", "line 4: entry 1: token_env"),
        ("SCHOOL_TOKEN", "NO_SUCH_TOKEN", "line 8: the environment variable NO_SUCH_TOKEN is not set"),
        ("SCHOOL_TOKEN", "OFFICER_TOKEN", "line 8: OFFICER_TOKEN: another entry has the same token"),
        ("name: everybody\n    role: viewer", "name: everybody\n    role: operator", "is every visitor"),
        ("tenants: [gasang-hs]", "tenant: gasang-hs", "line 9: entry 2: tenant: Extra inputs"),
        ("access:", "acces:", "must begin with the line 'access:'"),
    ],
)
def test_every_fault_of_the_file_names_its_line(tokens: Path, changed: str, to: str, said: str) -> None:
    assert changed in FILE
    assert said in fault_of(tokens, FILE.replace(changed, to))


def test_a_short_token_is_refused_wherever_it_stands(tokens: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHOOL_TOKEN", "short")
    assert "has less than 16 characters" in fault_of(tokens, FILE)
    monkeypatch.setenv("WEB_TOKEN", "short")
    with pytest.raises(InvalidSettings, match="WEB_TOKEN") as refused:
        load_settings()
    assert "short'" not in str(refused.value)


def test_a_page_that_lets_nobody_in_or_two_ways_at_once_does_not_start(tokens: Path) -> None:
    with pytest.raises(InvalidSettings, match="WEB_TOKEN or WEB_ACCESS_FILE must be set"):
        load_access(Settings(_env_file=None))
    with pytest.raises(InvalidSettings, match="set one of them"):
        load_access(Settings(_env_file=None, web_token=SecretStr(OFFICE), web_access_file=tokens))


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, ["127.0.0.1", "[::1]", "localhost"]),
        ({"web_url": "https://risk.example.org/"}, ["127.0.0.1", "[::1]", "localhost", "risk.example.org"]),
        ({"web_host": "10.1.2.3"}, ["10.1.2.3", "127.0.0.1", "[::1]", "localhost"]),
        ({"web_host": "::"}, ["*"]),
        (
            {"web_host": "::", "web_url": "https://risk.example.org"},
            ["127.0.0.1", "[::1]", "localhost", "risk.example.org"],
        ),
    ],
)
def test_the_page_answers_under_its_own_names_only(changes: dict[str, str], names: list[str]) -> None:
    assert hosts(Settings(_env_file=None, **changes)) == names
